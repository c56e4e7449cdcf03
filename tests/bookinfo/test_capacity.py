"""Replicas come, go and are missing while traffic moves: what is waited for, what is borne, what is rolled back."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.workloads import pods
from tests.bookinfo.site import GATED, Site, says
from tests.mesh import bookinfo
from tests.metrics.mesh import now
from tests.parts.cluster import ControlPlane, Program
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

GATE = {"gates": [{"approval": {"count": 1}, "timeout": "1h"}]}
HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
Change = Callable[[Site], None]


@pytest.fixture
def autoscaler(site: Site) -> Iterator[Callable[[int], None]]:
    """Grows v2 to at least so many replicas: without metrics an HPA does no more."""

    def wants(least: int) -> None:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews-v2"}
        spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 9}
        site.mesh.apply({"apiVersion": HPA[0], "kind": HPA[1], "metadata": {"name": "reviews-v2"}, "spec": spec})

    yield wants
    site.mesh.kube.request("DELETE", site.mesh.path(*HPA, "reviews-v2"))


@pytest.fixture
def kubelet(control_plane: ControlPlane) -> Iterator[Program]:
    """What makes pods ready; frozen, no pod follows one that went. It runs again after the test."""
    yield control_plane.kwok
    control_plane.mend()


def scaled(site: Site, **replicas: int) -> None:
    """Versions have so many pods, all ready."""
    for version, count in replicas.items():
        site.mesh.scale(f"reviews-{version}", count)
    site.mesh.ready(*(f"reviews-{version}" for version in replicas))


def serving(site: Site, version: str) -> list[str]:
    """Names of the pods that answer."""
    path, labels = site.mesh.path("v1", "Pod"), f"app=reviews,version={version}"
    found = site.mesh.kube.request("GET", path, labelSelector=labels).json()["items"]
    return [pod["metadata"]["name"] for pod in found if pods.serves(pod)]


def evict(site: Site, version: str) -> None:
    """One of the version's pods has to go, as when a node is drained."""
    name = serving(site, version)[0]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    site.mesh.kube.create(f"{site.mesh.path('v1', 'Pod', name)}/eviction", body)


def gone(site: Site, *versions: str) -> None:
    """No pod of these versions is left."""
    for version in versions:
        site.mesh.scale(f"reviews-{version}", 0)
    wait_for(lambda: not any(serving(site, one) for one in versions), f"no pod of {versions}", within=SLOWLY)


def test_one_replica_against_ten_goes_as_far_as_it_bears(site: Site, autoscaler: Callable[[int], None]) -> None:
    """10% needs one; for 30% it holds and says how many are missing, while an HPA grows it, and then goes on."""
    scaled(site, v1=10, v2=1)
    site.write(steps=[{"weight": 10}, {"weight": 30, **GATE}])
    run = site.run()
    says(run, "v2 has 1 of the 3 replicas that 30% needs")
    assert site.traffic == Traffic(weight=10)
    autoscaler(2)
    wait_for(lambda: len(serving(site, "v2")) == 2, "the HPA to act", within=SLOWLY)
    start = now()
    wait_for(
        lambda: site.mesh.measured(start).total > 180, "more than one reconcile to pass under load", within=SLOWLY
    )
    assert site.traffic == Traffic(weight=10)
    autoscaler(3)
    site.until_weight(30)
    assert len(serving(site, "v2")) == 3


def test_capacity_ignored_goes_on_with_one_replica(site: Site) -> None:
    """Who opts out gets half the traffic on one replica, where ten had all of it."""
    scaled(site, v1=10, v2=1)
    site.write(steps=[{"weight": 50, **GATE}], capacity="ignore")
    site.run()
    site.until_weight(50)
    assert len(serving(site, "v2")) == 1


def test_an_eviction_in_mid_step_is_borne_for_the_grace(site: Site, kubelet: Program) -> None:
    """A pod is missing for a while, noted in status; it comes back, and the step goes on where it was."""
    scaled(site, v1=4, v2=2)
    site.write(steps=[{"weight": 50, **GATE}, {"weight": 100}], unreadyGrace="2m")
    run = site.run()
    says(run, "waits for an approval")
    kubelet.pause()
    evict(site, "v2")
    wait_for(lambda: short_since(site), "it to be noted that a pod is missing", within=SLOWLY)
    assert site.ask("approve").returncode == 0
    says(run, "v2 has 1 of the 4 replicas that 100% needs")
    kubelet.resume()
    wait_for(lambda: not short_since(site), "the pod to be back", within=SLOWLY)
    assert (site.traffic, site.status.rollout and site.status.rollout.step) == (Traffic(weight=50), 1)
    scaled(site, v2=4)
    assert run.ends() == 0, run.text


def test_an_eviction_beyond_the_grace_is_rolled_back(site: Site, kubelet: Program) -> None:
    """The pod doesn't come back: its version has too few for what it gets."""
    scaled(site, v1=4)
    site.write(steps=[{"weight": 50, **GATE}], unreadyGrace="2s")
    run = site.run()
    site.until_weight(50)
    kubelet.pause()
    evict(site, "v2")
    assert run.ends() == 3, run.text
    assert "CanaryUnavailable" in summary(site)
    assert "v2 has had 1 of the 2 replicas that 50% needs for 2s" in run.text
    assert site.traffic == Traffic()


def test_a_canary_without_pods_gets_nothing_in_the_reconcile_that_sees_it(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    """How long users met no one is bounded by the time between two reconciles; afterwards no one fails."""
    site.write(steps=GATED)
    run = site.run()
    says(run, "waits for an approval")
    start = now()
    site.mesh.scale("reviews-v2", 0)
    wait_for(lambda: not serving(site, "v2"), "no pod of v2", within=SLOWLY)
    seen = time.monotonic()
    site.until_weight(0)
    passed = time.monotonic() - seen
    site.mesh.wait_loaded()
    end = now()
    assert run.ends() == 3, run.text
    failed = site.mesh.measured(start, end).failed
    print(f"pods gone → weight 0 at the API server: {passed:.2f} s; {failed} requests met no one")
    record_property("pods gone to weight 0, in seconds", passed)
    assert "no replica of v2 is available" in run.text
    assert site.mesh.measured(end).failed == 0
    assert passed < 6


def test_with_both_versions_gone_the_split_stays(site: Site) -> None:
    """Nothing is better than anything else then, so it is said and kept; once stable is back, it gets all."""
    site.write(steps=GATED)
    run = site.run()
    site.until_weight(30)
    gone(site, "v1")
    says(run, "no replica of v1")
    gone(site, "v2")
    says(run, "no replica of v2")
    assert site.traffic == Traffic(weight=30)
    scaled(site, v1=1)
    assert run.ends() == 3, run.text
    assert site.traffic == Traffic()


def test_stable_that_shrinks_is_reported_once(site: Site) -> None:
    """Anyone who scales stable down in mid-rollout hears what a rollback would need; the rollout goes on."""
    scaled(site, v1=3)
    site.write(steps=[*GATED, {"weight": 100}])
    run = site.run()
    says(run, "waits for an approval")
    scaled(site, v1=1)
    says(run, "v1 has 1 of the 3 replicas that a rollback needs")
    scaled(site, v2=3)
    assert site.ask("approve").returncode == 0
    assert run.ends() == 0, run.text
    assert run.text.count("replicas that a rollback needs") == 1


def test_a_subset_that_is_removed_in_mid_rollout_gets_nothing(site: Site) -> None:
    """Requests to it would find no destination."""
    site.write(steps=GATED)
    run = site.run()
    site.until_weight(30)
    site.mesh.apply(bookinfo.destination_rule("reviews", ("v1", "v3")))
    assert run.ends() == 3, run.text
    assert site.traffic == Traffic()
    assert "CanaryUnavailable" in summary(site)


def no_subset(site: Site) -> None:
    site.mesh.apply(bookinfo.destination_rule("reviews", ("v1", "v3")))


def no_endpoints(site: Site) -> None:
    site.mesh.apply(bookinfo.service("reviews", app="nobody"))


def no_service(site: Site) -> None:
    site.mesh.delete("Service", "reviews")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        pytest.param(no_subset, "the subset v2 of reviews", id="no subset"),
        pytest.param(no_endpoints, "makes pods with app=nobody", id="a Service without endpoints"),
        pytest.param(no_service, 'services "reviews" not found', id="no Service"),
    ],
)
def test_what_isnt_there_is_said_and_nothing_starts(site: Site, missing: Change, words: str) -> None:
    """The sentence names what is missing; once it is there a run begins."""
    missing(site)
    before = site.object()
    site.write(steps=GATED)
    run = site.run()
    says(run, words)
    run.process.terminate()
    assert run.ends() == 130, run.text
    assert (site.status.rollout, site.object()) == (None, before)
    site.mesh.apply(bookinfo.service("reviews"), bookinfo.destination_rule("reviews", bookinfo.VERSIONS))
    site.run()
    site.until_weight(30)


def short_since(site: Site) -> Any:
    """Since when pods are missing, as status has it."""
    rollout = site.status.rollout
    return rollout and rollout.short_since


def summary(site: Site) -> str:
    """The last rollout's end."""
    last = site.status.history[0]
    return f"{last.reason}: {last.message}"
