"""A fleet whose replica leads, on a server in memory: one Canary, its routes, and who has its target."""

from dataclasses import dataclass, field
from typing import Any

from canary.controller.reconciler import ClusterReconciler
from canary.controller.settings import Area
from canary.controller.watches import ClusterFleet
from canary.kube.client import Object
from canary.kube.lease import Claim, Identity, Lease
from canary.rollout.drive import WallClock
from tests.istio import bookinfo

from .objects import canary
from .serving import Server, client

KEY = ("shop", "reviews")
RUN = "ci_4711_3f2a9c01"
"""A run of the command on another machine."""


def taken(holder: str = RUN) -> Object:
    """The Lease of the target."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": "2026-03-02T09:59:00.000000Z"}
    return {
        "kind": "Lease",
        "metadata": {"name": "canary-virtualservice-reviews", "namespace": "shop", "resourceVersion": "5"},
        "spec": spec,
    }


@dataclass
class Leading:
    """See the module."""

    server: Server = field(default_factory=Server)
    time: float = 1000.0
    fleet: ClusterFleet = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = ClusterFleet(client(self.server), Area(), WallClock(), lambda *_: False)
        self.fleet.term = self.term()
        split = bookinfo.route(bookinfo.to("v1", 50), bookinfo.to("v2", 50))
        rule = {"kind": "DestinationRule", **bookinfo.rule("v1", "v2", namespace="shop")}
        self.server.put(bookinfo.service(split, namespace="shop"), rule)

    def term(self) -> Lease:
        """Another one, in which this replica leads."""
        claim = Claim("canary-system", "canary", "the lead", {"name": "canary", "namespace": "canary-system"})
        term = Lease(self.fleet.client, claim, Identity.mine(), clock=lambda: self.time)
        self.server.objects.pop(("Lease", "canary-system", "canary"), None)
        assert term.attempt()
        self.server.sent.clear()
        return term

    def wait(self, seconds: float) -> None:
        """Time passes, in which this replica goes on leading."""
        self.time += seconds
        assert self.fleet.term is not None
        assert self.fleet.term.renew()

    def wired(self, **metadata: Any) -> ClusterReconciler:
        """The Canary is there, on the server and in the watch."""
        found = canary(**metadata)
        self.server.put(found)
        self.fleet.canaries._saw(found)
        reconciler = self.fleet.reconciler(KEY)
        assert reconciler is not None
        reconciler.store.clock = lambda: self.time
        return reconciler

    @property
    def weight(self) -> int:
        """Per cent that the route sends to the canary."""
        [http] = self.server.objects["VirtualService", *KEY]["spec"]["http"]
        return sum(int(one["weight"]) for one in http["route"] if one["destination"]["subset"] == "v2")
