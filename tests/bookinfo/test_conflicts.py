"""Someone else is always faster: each write of state, route and lock meets 409, or a patch whose test fails."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Outcome
from canary.kube.connection import Connection
from canary.kube.errors import ApiAnswer
from canary.kube.requests import ApiVerb, Request
from tests.bookinfo.counting import Wire, counted
from tests.bookinfo.site import Site
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.kube import Kube

STEPS = [{"weight": 30}, {"weight": 60}]
CONFLICT = (409, 422)
ROUTE, STATE = "patch VirtualService", "patch ConfigMap"


@dataclass
class Overtaken(Wire):
    """Before each patch is sent, so many times in a row, someone else writes to the object that it is for."""

    times: int = 1
    touch: Callable[[str, str], object] = lambda path, mark: None
    met: Counter[str] = field(default_factory=Counter)
    """Conflicts by what was sent."""
    accepted: Counter[str] = field(default_factory=Counter)
    _row: Counter[str] = field(default_factory=Counter)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        if request.verb is not ApiVerb.PATCH:
            return super().exchange(request, timeout)
        what = f"{request.verb} {request.resource.kind}"
        with self._one:  # the lock is renewed by another thread
            overtaken = self._row[what] < self.times
            self._row[what] = self._row[what] + 1 if overtaken else 0
            if overtaken:
                self.touch(request.path, str(self.met.total()))
        answer = super().exchange(request, timeout)
        self.met[what] += answer.status in CONFLICT
        self.accepted[what] += answer.status == 200
        return answer


Made = Callable[[Connection, int], Overtaken]


@pytest.fixture
def overtaken(site: Site, control_plane: ControlPlane) -> Iterator[Made]:
    """Makes the wire of a run whose objects get another annotation all the time."""
    kube = Kube(control_plane.url, control_plane.ca, control_plane.tokens)

    def touch(path: str, mark: str) -> None:
        kube.merge(path, {"metadata": {"annotations": {"touched": mark}}})

    yield lambda connection, times: Overtaken(connection, times=times, touch=touch)
    kube.close()


def generation(site: Site) -> int:
    """How often the routes have been written; annotations don't count."""
    path = site.mesh.path(bookinfo.ISTIO, "VirtualService", "reviews")
    return int(site.mesh.kube.read(path)["metadata"]["generation"])


@pytest.mark.parametrize("times", [1, 3])
def test_a_healthy_version_is_promoted(times: int, site: Site, control_plane: ControlPlane, overtaken: Made) -> None:
    """Each write is decided again at once and accepted in the end; nothing is written twice, or written over."""
    site.write("v2", steps=STEPS)
    written = generation(site)
    wires: list[Overtaken] = []

    def wired_by(connection: Connection) -> Overtaken:
        wires.append(overtaken(connection, times))
        return wires[0]

    run = counted(site, control_plane.kubeconfig(), wired_by)
    [wire] = wires
    assert run.over.code == Exit.PROMOTED
    assert wire.accepted[ROUTE] == generation(site) - written == len(STEPS) + 1
    assert wire.met[ROUTE] == times * wire.accepted[ROUTE]
    assert wire.met[STATE] == times * wire.accepted[STATE] > 0
    reported = [one for cost in run.costs for one in cost.turn.trouble]
    assert [one for one in reported if "isn't as it was read" not in one] == []
    assert len(reported) == wire.met[ROUTE]


def test_a_bad_version_is_rolled_back_first(site: Site, control_plane: ControlPlane, overtaken: Made) -> None:
    """The routes are written twice: to 50%, and back to 0 as soon as no one is faster any more."""
    site.write("v2", steps=[{"weight": 50, "hold": "5m"}])
    site.mesh.behave("reviews-v2", errors=1.0)
    written = generation(site)
    wires: list[Overtaken] = []

    def wired_by(connection: Connection) -> Overtaken:
        wires.append(overtaken(connection, 4))
        return wires[0]

    run = counted(site, control_plane.kubeconfig(), wired_by)
    [wire] = wires
    assert run.over.code == Exit.ROLLED_BACK
    assert (wire.met[ROUTE], wire.accepted[ROUTE], generation(site) - written) == (8, 2, 2)
    assert (site.traffic, site.status.history[0].outcome) == (Traffic(), Outcome.ROLLED_BACK)
    back = [number for number, cost in enumerate(run.costs) if cost.weight == 0 and cost.turn.trouble]
    assert back == list(range(back[0], back[0] + 4))
