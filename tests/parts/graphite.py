"""A real graphite-web, as Debian packages it, with series in its own store."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tests.parts.processes import Child, Program, free_port, get, wait_for

PROVIDES = "apt-get install graphite-web"
PYTHON = Path("/usr/bin/python3")
"""Debian's, which has the package."""
_SETTINGS = """\
SECRET_KEY = "tests"
GRAPHITE_ROOT = CONF_DIR = STORAGE_DIR = LOG_DIR = STATIC_ROOT = WHISPER_DIR = {folder!r}
INDEX_FILE = {folder!r} + "/index"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {folder!r} + "/db"}}}}
CARBONLINK_HOSTS = FUNCTION_PLUGINS = []
LOG_ROTATION = False
"""
_SERVE = """\
import sys
from wsgiref.simple_server import make_server
from django.core.wsgi import get_wsgi_application
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
"""
_WRITE = """\
import json, os, sys, whisper
for name, points in json.load(sys.stdin).items():
    path = os.path.join(sys.argv[1], *name.split(".")) + ".wsp"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    whisper.create(path, [(10, 360)])
    whisper.update_many(path, [(at, value) for at, value in points])
"""


def find() -> Path | None:
    """The interpreter that has graphite-web; None where it isn't installed."""
    here = Path("/usr/lib/python3/dist-packages/graphite/settings.py").exists()
    return PYTHON if here and os.access(PYTHON, os.X_OK) else None


class Graphite(Program):
    """One process, from `start` to `stop`."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder, self.port = python, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tests_settings.py").write_text(_SETTINGS.format(folder=str(folder)))

    def write(self, series: Mapping[str, Sequence[tuple[datetime, float]]]) -> None:
        """Keeps the points of each series, one for ten seconds of the last hour."""
        points = {name: [(int(at.timestamp()), value) for at, value in some] for name, some in series.items()}
        argv = [str(self.python), "-c", _WRITE, str(self.folder)]
        subprocess.run(argv, input=json.dumps(points), text=True, check=True, timeout=60)

    def start(self) -> None:
        """Returns once it answers."""
        environment = {
            "DJANGO_SETTINGS_MODULE": "graphite.settings",
            "GRAPHITE_SETTINGS_MODULE": "tests_settings",
            "PYTHONPATH": str(self.folder),
        }
        argv: list[str | Path] = [self.python, "-c", _SERVE, str(self.port)]
        self.child = Child(argv, self.folder / "log", environment)
        wait_for(self._ready, "graphite-web to be ready", child=self.child)

    def _ready(self) -> bool:
        try:
            return get(f"{self.url}/render?format=json")[0] == 200
        except OSError:
            return False
