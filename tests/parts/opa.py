"""A real Open Policy Agent on a free port, with one policy."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.parts.processes import Child, free_port, get, wait_for


class OpenPolicyAgent:
    """One process, from `start` to `stop`."""

    def __init__(self, binary: Path, folder: Path, policy: str) -> None:
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.rego").write_text(policy)
        self.child: Child | None = None

    def start(self) -> None:
        """Returns once it answers."""
        argv: list[str | Path] = [
            *(self.binary, "run", "--server", "--disable-telemetry", f"--addr=127.0.0.1:{self.port}"),
            self.folder / "policy.rego",
        ]
        self.child = Child(argv, self.folder / "log")
        wait_for(self._ready, "Open Policy Agent to be ready", child=self.child)

    def set(self, path: str, value: Any) -> None:
        """Data that policies read, as `data.PATH`."""
        request = urllib.request.Request(
            f"{self.url}/v1/data/{path}",
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in (200, 204)

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()

    def _ready(self) -> bool:
        try:
            return get(f"{self.url}/health")[0] == 200
        except OSError:
            return False
