"""One run in this process, wired as `canary run` wires it, with its requests counted by turn.

`test_costs.py` holds what they may be, `tests/bench` has the times.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from canary.bootstrap.cluster import wired
from canary.bootstrap.site import Place
from canary.kube.client import Client, ClusterAccess, Stream
from canary.kube.connection import Connection
from canary.kube.errors import ApiAnswer
from canary.kube.requests import Request
from canary.manifests.target import ManifestTarget
from canary.rollout.drive import Drive, Options
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from tests.bookinfo.site import Site

WRITES = ("create", "patch", "delete")


@dataclass(frozen=True)
class Cost:
    """What one turn cost the API server, and what it did."""

    turn: Turn
    requests: Counter[str]
    """By verb and kind, such as `get VirtualService`; Leases apart."""
    seconds: float
    """From the first read of the turn until the API server had accepted the route; 0 where it wasn't written."""

    @property
    def evaluated(self) -> bool:
        return bool(self.turn.observed.samples)

    @property
    def weight(self) -> int:
        return self.turn.decision.status.canary_weight

    @property
    def writes(self) -> int:
        return sum(count for what, count in self.requests.items() if what.startswith(WRITES))


@dataclass
class Wire:
    """Counts what is sent, and notes when the first read began and when the route was accepted."""

    wire: Connection
    sent: Counter[str] = field(default_factory=Counter)
    began: float | None = None
    wrote: float | None = None

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        what = f"{request.verb} {request.resource.kind}"
        if request.resource.kind != "Lease":
            self.sent[what] += 1
            if request.verb == "get" and self.began is None:
                self.began = perf_counter()
        answer = self.wire.exchange(request, timeout)
        if what == "patch VirtualService" and answer.status == 200:
            self.wrote = perf_counter()
        return answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        return self.wire.stream(request, timeout, silence)

    def renew(self) -> None:
        self.wire.renew()

    def taken(self) -> tuple[Counter[str], float]:
        """What was sent since the last call of this, and the seconds from the first read to the route's write."""
        sent, began, wrote = self.sent, self.began, self.wrote
        self.sent, self.began, self.wrote = Counter(), None, None
        return sent, wrote - began if began is not None and wrote is not None else 0.0


@dataclass(frozen=True)
class Counted:
    """A whole run, turn by turn."""

    costs: Sequence[Cost]
    over: Ending

    def at(self, weight: int) -> Sequence[Cost]:
        """The turns that went to this weight or stayed there."""
        return [cost for cost in self.costs if cost.weight == weight]


def counted(site: Site, kubeconfig: Path, wired_by: Callable[[Connection], Wire] = Wire) -> Counted:
    """Runs to the end."""
    costs: list[Cost] = []
    place = Place([site.manifest], kubeconfig=str(kubeconfig))
    with closing(Connection(ClusterAccess(place.kubeconfig))) as made:
        wire = wired_by(made)
        with wired(place, ManifestTarget(place.manifests), Client(wire), site.mesh.namespace) as run, run.lock(0):
            wire.taken()
            over = Drive(run.parts, Options(), lambda turn: costs.append(Cost(turn, *wire.taken()))).run()
    return Counted(costs, over)
