"""A real Alertmanager that sends each alert to one webhook at once."""

import json
import os
import shutil
import urllib.request
from pathlib import Path

from tests.parts.processes import Child, Program, free_port, get, wait_for

PROVIDES = "apt-get install prometheus-alertmanager"
_CONFIG = """\
route: {{receiver: canary, group_wait: 0s, group_interval: 1s, group_by: ["..."]}}
receivers:
- name: canary
  webhook_configs:
  - url: {url}
    http_config: {{authorization: {{credentials: {token}}}}}
"""


def find() -> Path | None:
    """The program: ALERTMANAGER_BIN, or Debian's on PATH; None where there is none."""
    found = os.environ.get("ALERTMANAGER_BIN") or shutil.which("prometheus-alertmanager")
    return Path(found) if found else None


class Alertmanager(Program):
    """One process, from `start` to `stop`."""

    def __init__(self, binary: Path, folder: Path, url: str, token: str) -> None:
        self.binary, self.folder, self.port = binary, folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alertmanager.yml").write_text(_CONFIG.format(url=url, token=token))

    def start(self) -> None:
        """Returns once it takes alerts."""
        argv: list[str | Path] = [
            *(self.binary, f"--config.file={self.folder / 'alertmanager.yml'}"),
            *(f"--storage.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"),
            "--cluster.listen-address=",
        ]
        self.child = Child(argv, self.folder / "log")
        wait_for(self._ready, "Alertmanager to be ready", child=self.child)

    def fire(self, **labels: str) -> None:
        """As a Prometheus does."""
        body = json.dumps([{"labels": labels, "annotations": {"summary": f"{labels['alertname']} of {labels}"}}])
        url = f"http://127.0.0.1:{self.port}/api/v2/alerts"
        asked = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200

    def _ready(self) -> bool:
        try:
            return get(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200
        except OSError:
            return False
