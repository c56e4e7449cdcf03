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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from canary.api.kinds import KINDS
from canary.api.status import Status
from canary.crds.definitions import text
from tests.bench.observed import Data, Watches
from tests.bookinfo.shares import weights_of
from tests.incluster.objects import push
from tests.incluster.site import Site
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh, mesh
from tests.parts import cluster, envoy, prometheus
from tests.parts.cluster import ControlPlane
from tests.podinfo import site as podinfo
from tests.podinfo.controlled import ControlledSite

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


class Reviews:
    """Two versions of bookinfo's reviews: a push to the second is a rollout."""

    deployment = "reviews-v2"

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path) -> None:
        mesh.apply(*bookinfo.objects())
        mesh.ready("reviews-v1", "reviews-v2", "reviews-v3")
        self._load = mesh.load("reviews", 60)
        self.site = Site(mesh, kubeconfig, folder)

    def settle(self) -> None:
        """A Canary that has seen a rollout of v2."""
        self.site.apply("v1", **ANALYSIS)
        self.site.until("AlreadyServing")
        self.site.change(version="v2")
        self.site.until("WaitingForApproval")
        self.site.act("rollback")
        self.site.until_phase("Failed")

    def push(self, build: str) -> str:
        """The image."""
        push(self.site, "v2", build)
        return f"reviews:{build}"

    def behave(self, errors: float = 0.0) -> None:
        """The share of the canary's answers that are errors from now on."""
        self.site.mesh.behave("reviews-v2", errors=errors)

    def bad_requests(self, since: datetime) -> Iterator[float]:
        """When those were sent that the canary failed."""
        answers = self.site.mesh.measured(since, version="v2").answers
        return (one.sent for one in answers if one.failed)

    def weight(self, found: Data) -> int:
        """Of the canary, in the VirtualService."""
        return weights_of(found["spec"]["http"][-1]).get("v2", 0)

    def stop(self) -> None:
        self._load.stop()
        self.site.stop()


class Podinfo:
    """The Deployment podinfo, as with Flagger: each rollout begins with a scale from zero."""

    deployment = podinfo.NAME

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path) -> None:
        self.site = ControlledSite(mesh, kubeconfig, folder)
        self.site.begin()

    def settle(self) -> None:
        """A primary that serves."""
        self.site.settle(**ANALYSIS)

    def push(self, build: str) -> str:
        """The image, once the target is at rest."""
        self.site.when(lambda: self.site.podinfo.replicas() == 0, "the target to be scaled down")
        self.site.podinfo.push(build, None)
        return f"podinfo:{build}"

    def behave(self, errors: float = 0.0) -> None:
        """The share of the canary's answers that are errors from now on."""
        self.site.mesh.behave(podinfo.NAME, errors=errors)

    def bad_requests(self, since: datetime) -> Iterator[float]:
        """When those were sent that the canary failed."""
        return (one.sent for one in self.site.mesh.measured(since).answers if one.failed)

    def weight(self, found: Data) -> int:
        """Of the canary, in the VirtualService."""
        entries = found["spec"]["http"][-1]["route"]
        return sum(one.get("weight", 0) for one in entries if one["destination"]["host"] == "podinfo-canary")

    def stop(self) -> None:
        self.site.end()


Subject = Reviews | Podinfo


class Rehearsal:
    """Rollouts of new builds, one after the other, and how long each reaction took."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.site, self.times = subject, subject.site, Times(list)
        site = self.site
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
        """It turns bad while it waits at the gate, so long after an evaluation; every request to it fails from then
        on."""
        self._at_the_gate()
        rollout = self.site.status.rollout
        assert rollout is not None
        behind = (time.time() - rollout.next_evaluation.timestamp()) % INTERVAL
        time.sleep((offset - behind) % INTERVAL)
        turned = time.time()
        self.subject.behave(errors=1.0)
        lowered = self._weight(0, turned)
        meant = self._canary(turned, lambda status: status.canary_weight == 0, "weight 0 meant")
        bad = self.subject.bad_requests(datetime.fromtimestamp(turned, UTC))
        self._took("first bad request sent → weight 0", lowered - min(bad))
        self._took("due time of the evaluation that decides → weight 0", lowered - self._decided(turned))
        self._took("decision saved in status → weight 0", lowered - meant)
        self._over(turned)
        self.subject.behave()

    def _at_the_gate(self) -> None:
        """A new build, until people are waited for."""
        self._builds += 1
        before = time.time()
        image = self.subject.push(f"v2-build-{self._builds}")
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
            return self.subject.weight(found) == weight

        return self._watches.first("VirtualService", routed, since, f"weight {weight}").at

    def _paused(self, since: float) -> float:
        return self._canary(since, lambda status: bool(status.rollout and status.rollout.pause), "a pause")

    def _decided(self, since: float) -> float:
        """When the evaluation was due that decided to roll back."""
        found = self._watches.first("Canary", _rolls_back, since, "an evaluation that rolls back").found
        look = Status.model_validate(found["status"]).rollout
        assert look is not None
        assert look.evaluation is not None
        return look.evaluation.at.timestamp()

    def _canary(self, since: float, true: Callable[[Status], bool], what: str) -> float:
        def reported(found: Data) -> bool:
            return true(Status.model_validate(found.get("status") or {}))

        return self._watches.first("Canary", reported, since, what).at

    def _deployment(self, since: float, true: Callable[[Data], bool], what: str) -> float:
        def is_canary(found: Data) -> bool:
            return found["metadata"]["name"] == self.subject.deployment and true(found)

        return self._watches.first("Deployment", is_canary, since, what).at

    def _took(self, what: str, seconds: float) -> None:
        self.times[what].append(seconds * 1000)


def _has(image: str, found: Data) -> bool:
    return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == image)


def _rolled_out(found: Data) -> bool:
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(seen and wanted and counts == [wanted] * 3)


def _rolls_back(found: Data) -> bool:
    rollout = Status.model_validate(found.get("status") or {}).rollout
    return bool(rollout and rollout.evaluation and rollout.evaluation.verdict == "roll back")


@contextmanager
def _subject(folder: Path, kind: type[Subject]) -> Iterator[Subject]:
    """What is rolled out, under load, and a controller that has seen its Canary."""
    tools, proxy, metrics = cluster.find(), envoy.find(), prometheus.find()
    if tools is None or proxy is None or metrics is None:
        sys.exit("this needs the control plane, Envoy and Prometheus that tests in a cluster need")
    plane = ControlPlane(tools, folder)
    try:
        plane.start()
        plane.kube.create_crds(text(kind) for kind in KINDS)
        with mesh(plane, plane.kube.create_namespace(), folder, proxy, metrics) as made:
            subject = kind(made, plane.kubeconfig("admin"), folder)
            subject.site.controller()
            subject.settle()
            yield subject
            subject.stop()
    finally:
        plane.kill()


SUBJECTS: Mapping[str, type[Subject]] = {"VirtualService": Reviews, "Deployment": Podinfo}


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--target", choices=SUBJECTS, default="VirtualService")
    options = parser.parse_args()
    runs, kind = options.runs, SUBJECTS[options.target]
    with tempfile.TemporaryDirectory() as folder, _subject(Path(folder), kind) as subject:
        rehearsal = Rehearsal(subject)
        try:
            for run in range(runs):
                rehearsal.with_people()
                rehearsal.with_errors(INTERVAL * run / runs)
                print(f"run {run + 1} of {runs}", file=sys.stderr, flush=True)
        finally:
            _print(rehearsal.times)


def _print(times: Times) -> None:
    print("| From → to | Times | p50 | p90 | max |\n|---|---|---|---|---|")
    for what, taken in times.items():
        ninth = quantiles(taken, n=10, method="inclusive")[8] if len(taken) > 1 else taken[0]
        print(f"| {what} | {len(taken)} | {median(taken):,.0f} ms | {ninth:,.0f} ms | {max(taken):,.0f} ms |")


if __name__ == "__main__":
    main()
