"""What these tests see of a demo from outside: its processes, Envoy's weights, the requests that were noted."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from canary.demo.proxy import Proxy
from tests.parts.processes import get


def processes(mark: str) -> list[int]:
    """Those that have `mark` in the environment that they were started with; zombies have none."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _text(path)]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True)
class Noted:
    """A line of requests.csv; times in seconds since the epoch."""

    sent: float
    version: str
    status: int
    milliseconds: float

    @property
    def ended(self) -> float:
        return self.sent + self.milliseconds / 1000


def noted(folder: Path, version: str) -> list[Noted]:
    """A version's requests, in the order of their answers."""
    lines = [line.split(",") for line in (folder / "requests.csv").read_text().splitlines()[1:]]
    return [Noted(float(s), v, int(c), float(m)) for s, v, c, m in lines if v == version]


@dataclass
class Weights:
    """What Envoy has loaded, each change with its time."""

    changes: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def back_at_zero(self, version: str) -> float:
        """When Envoy had loaded weight 0 after it had loaded another."""
        raised = next(i for i, (_, weights) in enumerate(self.changes) if weights[version] > 0)
        return next(at for at, weights in self.changes[raised:] if weights[version] == 0)


@contextmanager
def weights_of(proxy: Proxy) -> Iterator[Weights]:
    """Asks Envoy for its weights all the time."""
    seen, over = Weights(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            now = _weights(proxy)
            if not seen.changes or seen.changes[-1][1] != now:
                seen.changes.append((time.time(), now))
            over.wait(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _weights(proxy: Proxy) -> dict[str, int]:
    dump = json.loads(get(f"{proxy.admin}/config_dump?resource=dynamic_route_configs", timeout=10.0)[1])
    route = dump["configs"][0]["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    return {one["name"]: one.get("weight", 0) for one in route["weighted_clusters"]["clusters"]}
