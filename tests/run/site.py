"""A place to run in: a real Envoy under a steady load, a manifest, and `canary` as child processes."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPConnection, HTTPException
from io import StringIO
from pathlib import Path
from typing import Any, Self

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.cli.app import run
from canary.stores.file import FileStore
from tests.envoy.world import NAME, World
from tests.parts.processes import Command, wait_for

CANARY = (sys.executable, "-m", "canary")
QUICK: dict[str, Any] = {"interval": "1s", "threshold": 2, "settle": "0s", "drain": "0s", "scrapeInterval": "1s"}
METRICS = [{"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}]
GATED = [{"weight": 50, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}]


class Run(Command):
    """One `canary run` as a process, which dies with the test run."""

    def __init__(self, argv: tuple[str, ...], log: Path) -> None:
        super().__init__(argv, log, os.environ)

    def ends(self, within: float = 40.0) -> int:
        """Its exit code."""
        return super().ends(within)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


class Site:
    """Files, load and commands of one test."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.manifest = folder / "shop.yaml"
        self.state = world.file.parent / ".canary" / f"{world.file.name}.shop.state.json"
        self._stop = threading.Event()
        self._load = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._load.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._load.join()

    def write(self, revision: str = "1", version: str = "v2", **analysis: Any) -> None:
        """The manifest; what is given of the analysis stands beside quick defaults."""
        spec = {
            "targetRef": {"kind": "EnvoyRoute", "name": NAME},
            "envoy": {"admin": self.world.envoy.admin, "routes": str(self.world.file)},
            "version": version,
            "revision": revision,
            "analysis": {**QUICK, "metrics": METRICS, **analysis},
        }
        data = {"apiVersion": "canary-controller.dev/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}}
        new = self.manifest.with_suffix(".new")
        new.write_text(json.dumps({**data, "spec": spec}))
        new.replace(self.manifest)

    def run(self, *options: str) -> Run:
        """Starts `canary run`; all runs of a site share one log."""
        return Run((*CANARY, "run", "-f", str(self.manifest), *options), self.folder / "run.log")

    def ask(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Another command of canary's about this manifest; in this process, which has imported canary already."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run((*argv, "-f", str(self.manifest)))
        return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())

    @property
    def status(self) -> Status:
        stored = FileStore(self.state, "shop").load()
        return Status() if stored is None else stored.status

    @property
    def traffic(self) -> Traffic | None:
        """As Envoy has loaded it."""
        found: Traffic | None = self.world.seen().traffic
        return found

    def until(self, reason: str) -> None:
        """Waits for a saved decision."""
        wait_for(lambda: self.status.reason == reason, f"the reason {reason}")

    def until_weight(self, weight: int) -> None:
        """Waits until Envoy has loaded this weight."""
        wait_for(lambda: self.traffic == Traffic(weight=weight), f"weight {weight}")

    def _send(self) -> None:
        """One connection, one request after the other; an Envoy that is away is asked again."""
        while not self._stop.is_set():
            connection = HTTPConnection("127.0.0.1", self.world.port, timeout=5)
            try:
                while not self._stop.wait(0.02):
                    connection.request("GET", "/")
                    connection.getresponse().read()
            except (OSError, HTTPException):
                self._stop.wait(0.05)
            finally:
                connection.close()


def environment() -> dict[str, str]:
    """Without what would change the output."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PROMETHEUS_")}
