"""How soon the controller acts, on a real API server, Envoy and Prometheus, as a watch from outside sees it:

    python -m tests.bench.reactions --runs 20

Each run is two rollouts of a new build: people take the first through a gate, pause it and roll it back; the second
turns bad while it waits. A time lasts from the arrival of one event of the API server to the arrival of another, so
it includes what the API server, Kubernetes' controllers and everything else on this machine take.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from canary.api.kinds import KINDS
from canary.api.status import Status
from canary.crds import text
from tests.bench.observed import Data, Watches
from tests.bookinfo.shares import weights_of
from tests.incluster.objects import push
from tests.incluster.site import Site
from tests.mesh import bookinfo
from tests.mesh.mesh import mesh
from tests.parts import cluster, envoy, prometheus
from tests.parts.cluster import ControlPlane

INTERVAL = 2.0
THRESHOLD = 2
GATE = {"weight": 30, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}
ANALYSIS: dict[str, Any] = {
    "steps": [GATE, {"weight": 60, "hold": "1h"}],
    "metrics": [{"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 95}}],
    "settle": "2s",  # a new pod may be available before the mesh has its address: such requests aren't its fault
    "interval": f"{INTERVAL:g}s",
    "threshold": THRESHOLD,
}
Times = defaultdict[str, list[float]]


class Rehearsal:
    """Rollouts of reviews-v2, one after the other, and how long each reaction took."""

    def __init__(self, site: Site) -> None:
        self.site, self.times = site, Times(list)
        self._builds = 0
        path = site.mesh.path
        paths = {
            "Deployment": path("apps/v1", "Deployment"),
            "VirtualService": path(bookinfo.ISTIO, "VirtualService"),
            "Canary": site.path("Canary"),
            "CanaryAction": site.path("CanaryAction"),
        }
        self._watches = Watches(site.mesh.kube, paths)

    def with_people(self) -> None:
        """Approved at the gate, paused in the next step, and rolled back."""
        self._at_the_gate()
        self._acted("approve", "its weight", partial(self._weight, 60))
        self._acted("pause", "saved in status", self._paused)
        asked = self._acted("rollback", "weight 0", partial(self._weight, 0))
        self._over(asked)

    def with_errors(self, offset: float) -> None:
        """It turns bad while it waits at the gate, so long after a look; every request to it fails from then on."""
        self._at_the_gate()
        rollout = self.site.status.rollout
        assert rollout is not None
        behind = (time.time() - rollout.next_look.timestamp()) % INTERVAL
        time.sleep((offset - behind) % INTERVAL)
        turned = time.time()
        self.site.mesh.behave("reviews-v2", errors=1.0)
        lowered = self._weight(0, turned)
        meant = self._canary(turned, lambda status: status.canary_weight == 0, "weight 0 meant")
        failed = self.site.mesh.measured(datetime.fromtimestamp(turned, UTC), version="v2").answers
        self._took("first bad request sent → weight 0", lowered - min(one.sent for one in failed if one.failed))
        self._took("due time of the look that decides → weight 0", lowered - self._decided(turned))
        self._took("decision saved in status → weight 0", lowered - meant)
        self._over(turned)
        self.site.mesh.behave("reviews-v2")

    def _at_the_gate(self) -> None:
        """A new build, until people are waited for."""
        self._builds += 1
        before = time.time()
        push(self.site, "v2", f"v2-build-{self._builds}")
        image = f"reviews:v2-build-{self._builds}"
        changed = self._deployment(before, partial(_has, image), "the new image")
        raised = self._weight(30, before)
        available = self._deployment(changed, _rolled_out, "all replicas available")
        self._took("template changed → first weight", raised - changed)
        self._took("template changed → Deployment available", available - changed)
        self._took("Deployment available → first weight", raised - available)
        self._canary(raised, lambda status: status.reason == "WaitingForApproval", "the reason WaitingForApproval")

    def _acted(self, verb: str, effect: str, seen: Callable[[float], float]) -> float:
        before = time.time()
        self.site.act(verb)
        asked = self._watches.first("CanaryAction", lambda found: found["spec"]["verb"] == verb, before, verb).at
        self._took(f"{verb} created → {effect}", seen(before) - asked)
        return asked

    def _over(self, since: float) -> None:
        self._canary(since, lambda status: status.phase == "Failed", "the phase Failed")

    def _weight(self, weight: int, since: float) -> float:
        def routed(found: Data) -> bool:
            return weights_of(found["spec"]["http"][-1]).get("v2", 0) == weight

        return self._watches.first("VirtualService", routed, since, f"weight {weight}").at

    def _paused(self, since: float) -> float:
        return self._canary(since, lambda status: bool(status.rollout and status.rollout.pause), "a pause")

    def _decided(self, since: float) -> float:
        """When the look was due that decided to roll back."""
        found = self._watches.first("Canary", _rolls_back, since, "a look that rolls back").found
        look = Status.model_validate(found["status"]).rollout
        assert look is not None
        assert look.look is not None
        return look.look.at.timestamp()

    def _canary(self, since: float, true: Callable[[Status], bool], what: str) -> float:
        def told(found: Data) -> bool:
            return true(Status.model_validate(found.get("status") or {}))

        return self._watches.first("Canary", told, since, what).at

    def _deployment(self, since: float, true: Callable[[Data], bool], what: str) -> float:
        def is_canary(found: Data) -> bool:
            return found["metadata"]["name"] == "reviews-v2" and true(found)

        return self._watches.first("Deployment", is_canary, since, what).at

    def _took(self, what: str, seconds: float) -> None:
        self.times[what].append(seconds * 1000)


def _has(image: str, found: Data) -> bool:
    return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == image)


def _rolled_out(found: Data) -> bool:
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return bool(status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3)


def _rolls_back(found: Data) -> bool:
    rollout = Status.model_validate(found.get("status") or {}).rollout
    return bool(rollout and rollout.look and rollout.look.verdict == "roll back")


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    """Bookinfo under load, and a controller that has seen its Canary."""
    tools, proxy, metrics = cluster.find(), envoy.find(), prometheus.find()
    if tools is None or proxy is None or metrics is None:
        sys.exit("this needs the control plane, Envoy and Prometheus that tests in a cluster need")
    plane = ControlPlane(tools, folder)
    try:
        plane.start()
        plane.kube.create_crds(text(kind) for kind in KINDS)
        with mesh(plane, plane.kube.create_namespace(), folder, proxy, metrics) as made:
            made.apply(*bookinfo.objects())
            made.ready("reviews-v1", "reviews-v2", "reviews-v3")
            load, site = made.load("reviews", 60), Site(made, plane.kubeconfig("admin"), folder)
            site.controller()
            yield site
            load.stop()
            site.stop()
    finally:
        plane.kill()


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, _site(Path(folder)) as site:
        site.apply("v1", **ANALYSIS)
        site.until("AlreadyServing")
        rehearsal = Rehearsal(site)
        site.change(version="v2")
        site.until("WaitingForApproval")
        site.act("rollback")
        site.until_phase("Failed")
        try:
            for run in range(runs):
                rehearsal.with_people()
                rehearsal.with_errors(INTERVAL * run / runs)
                print(f"run {run + 1} of {runs}", file=sys.stderr, flush=True)
        finally:
            _told(rehearsal.times)


def _told(times: Times) -> None:
    print("| From → to | Times | p50 | p90 | max |\n|---|---|---|---|---|")
    for what, taken in times.items():
        ninth = quantiles(taken, n=10, method="inclusive")[8] if len(taken) > 1 else taken[0]
        print(f"| {what} | {len(taken)} | {median(taken):,.0f} ms | {ninth:,.0f} ms | {max(taken):,.0f} ms |")


if __name__ == "__main__":
    main()
