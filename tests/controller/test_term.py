"""One term of the leader: what it sees to while it leads, though one kind of objects can't be listed."""

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from canary.controller.process import ControllerProcess, Leaps, attend
from canary.controller.settings import Area, Settings
from canary.kube.client import ClusterAccess, Object
from canary.kube.requests import ApiVerb, Request
from tests.controller.serving import Server, client
from tests.parts.processes import wait_for
from tests.stores.test_canary_inbox import created


@dataclass
class Rounds(threading.Event):
    """Is set after so many waits; before each, something happens."""

    left: int
    happens: Callable[[int], None]

    def wait(self, timeout: float | None = None) -> bool:
        """See Event."""
        self.left -= 1
        self.happens(self.left)
        return not self.left


def attended(rounds: int, synced_at: int = -1, back_at: int = -1) -> list[str]:
    """What was called in so many rounds, counted down; the clock was set back in one, all was listed from one on."""
    said, wall, synced = list[str](), [5000.0], [False]

    def happens(left: int) -> None:
        wall[0] -= 3600 if left == back_at else 0
        synced[0] = synced[0] or left == synced_at

    leaps = Leaps(lambda: wall[0], lambda: 0.0)
    attend(
        Rounds(rounds, happens), lambda: synced[0], lambda: said.append("listed"), leaps, lambda: said.append("leapt")
    )
    return said


def test_a_clock_that_is_set_back_is_noticed_though_a_kind_is_never_listed() -> None:
    """Else no one would be looked at for as long as the leap."""
    assert attended(9, back_at=5) == ["leapt"]


def test_what_waits_for_the_last_list_is_done_once() -> None:
    """When it came, and however long that took."""
    assert attended(9, synced_at=5) == ["listed"]
    assert attended(9, synced_at=5, back_at=7) == ["leapt", "listed"]


class Quiet:
    """A watch on which nothing happens."""

    status, headers = 200, dict[str, str]()

    def __init__(self) -> None:
        self.closed = threading.Event()

    def chunks(self) -> Iterator[bytes]:
        """See Stream."""
        self.closed.wait()
        yield from ()

    def close(self) -> None:
        """See Stream."""
        self.closed.set()


@dataclass
class Withheld(Server):
    """Lists all but DaemonSets, for which a permission is missing."""

    removed: list[str] = field(default_factory=list)

    def _answered(self, request: Request) -> tuple[int, Object]:
        if request.verb is ApiVerb.DELETE:
            self.removed.append(request.name)
            return 200, {}
        if request.verb is ApiVerb.LIST and request.resource.kind == "DaemonSet":
            return 403, {"kind": "Status", "message": "no"}
        return super()._answered(request)

    def stream(self, request: Request, timeout: float, silence: float) -> Any:
        """See Wire."""
        return Quiet()


def settings() -> Settings:
    """A replica's, on any free port."""
    rest: dict[str, Any] = {"workers": 1, "qps": 1000.0, "burst": 1000, "action_policy": ""}
    rest |= {"lease_duration": timedelta(seconds=15), "resync": timedelta(minutes=10)}
    return Settings(ClusterAccess(), Area(), "127.0.0.1:0", lease="canary", lease_namespace="shop", **rest)


def test_what_is_never_taken_is_put_away_though_a_kind_can_not_be_listed() -> None:
    """So is all that is done now and then, for as long as the replica leads."""
    server = Withheld()
    server.put({"kind": "CanaryAction", **created("forgotten", "2020-01-01T00:00:00Z", canary="gone")})
    service = ControllerProcess(settings(), client(server))
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        wait_for(lambda: server.removed == ["forgotten"], "the action that no one takes to be removed", within=60)
        assert not all(each.synced for each in service.fleet.reflectors)
    finally:
        service.stop()
        thread.join(60)
        gc.unfreeze()  # a leader freezes what is there
    assert not thread.is_alive()
