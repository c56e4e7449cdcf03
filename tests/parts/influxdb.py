"""A real InfluxDB 1.8, which speaks the query language Flux."""

import urllib.parse
import urllib.request
from pathlib import Path

from tests.parts.processes import Child, Program, free_port, get, wait_for

_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
flux-enabled = true
"""


class InfluxDb(Program):
    """One process, from `start` to `stop`."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "influxdb.conf").write_text(_CONFIG.format(folder=folder, port=self.port, rpc=free_port()))

    def start(self) -> None:
        """Returns once it answers. It first compiles the library of Flux, which takes 20 s of CPU."""
        argv: list[str | Path] = [self.binary, "-config", self.folder / "influxdb.conf"]
        self.child = Child(argv, self.folder / "log")
        wait_for(self._ready, "InfluxDB to be ready", within=240, child=self.child)

    def write(self, database: str, *lines: str) -> None:
        """Keeps points in InfluxDB's line protocol, with times in seconds, in a database that may be new."""
        create = urllib.parse.urlencode({"q": f"CREATE DATABASE {database}"}).encode()
        for path, body in (("query", create), (f"write?db={database}&precision=s", "\n".join(lines).encode())):
            with urllib.request.urlopen(f"{self.url}/{path}", body, timeout=20) as answer:
                assert answer.status in (200, 204)

    def _ready(self) -> bool:
        try:
            return get(f"{self.url}/ping")[0] == 204
        except OSError:
            return False
