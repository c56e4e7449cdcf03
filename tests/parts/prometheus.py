"""A real Prometheus on a free port, with the scrape configuration that a test gives it."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.parts.processes import Child, Program, free_port, get, wait_for

PROVIDES = "tests/parts/get-prometheus"

_CONFIG = """\
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
  evaluation_interval: {interval}
scrape_configs:
{scrape_configs}
"""


def find(program: str = "prometheus") -> Path | None:
    """The program, or its neighbour `promtool`: from PROMETHEUS_BIN, PATH, or where get-prometheus put it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    given = os.environ.get("PROMETHEUS_BIN")
    places = [
        Path(given).with_name(program) if given else None,
        shutil.which(program),
        cache / "canary" / "parts" / "prometheus" / "usr" / "bin" / program,
    ]
    return next((Path(place) for place in places if place and os.access(place, os.X_OK)), None)


class Prometheus(Program):
    """A Prometheus that keeps its port and its data in `folder` while it is stopped, and can start again.

    `scrape_configs` is the YAML list that Prometheus' configuration has under that name, from column 0.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        scrape_configs: str = "",
        *,
        scrape_interval: str = "1s",
        flags: Sequence[str] = (),
    ) -> None:
        self.binary = binary
        self.flags = flags
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(interval=scrape_interval, scrape_configs=scrape_configs)
        (folder / "prometheus.yml").write_text(config)

    def start(self) -> None:
        """Start it, and return when it answers queries; its first scrape comes 5 to 6 s later."""
        self.child = Child(
            [
                self.binary,
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                *self.flags,
            ],
            self.folder / "log",
        )
        wait_for(self._ready, "Prometheus to be ready", child=self.child)

    def _ready(self) -> bool:
        return get(f"{self.url}/-/ready")[0] == 200
