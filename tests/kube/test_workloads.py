"""What runs behind a version, on a real control plane: which revision, how many answer, and how many requests."""

from collections.abc import Mapping

import pytest

from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.kube.client import Client
from canary.workloads.kubernetes import KubernetesWorkloads
from tests.kube.conftest import Connect
from tests.kube.shop import LABELS, Shop, until
from tests.parts.cluster import ControlPlane
from tests.parts.processes import wait_for

KINDS = pytest.mark.parametrize(("kind", "count"), [("Deployment", 2), ("StatefulSet", 2), ("DaemonSet", 3)])


def selector_of(version: str) -> Mapping[str, str] | Missing:
    return LABELS if version == "v2" else Missing(Cause.ABSENT, f"there is no subset {version}")


@pytest.fixture
def shop(control_plane: ControlPlane, namespace: str, client: Client) -> Shop:
    return Shop(control_plane.kube, namespace, KubernetesWorkloads(client, namespace, selector_of))


@KINDS
def test_a_push_brings_a_new_revision(shop: Shop, client: Client, kind: str, count: int) -> None:
    """Only pods of the newest revision count; in the steady state a read takes two requests, a revision one."""
    shop.create(kind)
    first = shop.wait(replicas=count, available=count, others=0)
    client.calls.take()
    assert shop.seen() == first
    assert client.calls.take() == {"list Pod": 1, f"get {kind}": 1}
    assert shop.workloads.revision("v2") == first.revision
    assert client.calls.take() == {f"get {kind}": 1}
    shop.push(kind, "shop:2")
    second = until(lambda: _other(shop.wait(replicas=count, available=count, others=0), first), "a revision")
    assert shop.workloads.revision("v2") == second.revision
    shop.push(kind, "shop:1")
    shop.wait(revision=first.revision, available=count, others=0)


@KINDS
def test_a_push_that_does_not_get_ready(shop: Shop, kind: str, count: int) -> None:
    """What still serves is of another revision; nothing is available of the new one."""
    shop.create(kind)
    first = shop.wait(available=count, others=0)
    shop.push(kind, "shop:2-unready")
    second = until(lambda: _other(shop.wait(available=0), first), "a revision")
    assert 0 < second.others <= count


def test_what_is_stuck_says_so(shop: Shop) -> None:
    """The deadline of a Deployment; a good image heals it, and a stale condition doesn't outlive it."""
    shop.create("Deployment", "shop:1-unready", progressDeadlineSeconds=1)
    stuck = shop.wait(available=0, stuck="ProgressDeadlineExceeded")
    shop.push("Deployment", "shop:2")
    healed = shop.wait(available=2, stuck=None, others=0)
    assert healed.revision != stuck.revision


def test_two_revisions_at_once(shop: Shop, control_plane: ControlPlane) -> None:
    """In the middle of a rolling update both answer, and each is counted as what it is."""
    shop.create("Deployment", replicas=4, strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}})
    shop.wait(available=4, others=0)
    control_plane.controller_manager.pause()
    shop.push("Deployment", "shop:2")
    assert shop.workloads.revision("v2") == Missing(
        Cause.NOT_YET, "Deployment shop-v2 was changed, and its controller hasn't seen the change yet"
    )
    seen = shop.seen()
    assert isinstance(seen, WorkloadSeen)
    assert (seen.available, seen.others, seen.stuck) == (4, 0, None)
    control_plane.controller_manager.resume()
    shop.wait(available=4, others=0)
    shop.push("Deployment", "shop:3-unready")
    shop.wait(available=0, others=4)


def test_minimum_ready_seconds_count(shop: Shop) -> None:
    """A pod that has only just become ready isn't available."""
    shop.create("Deployment", minReadySeconds=3600, progressDeadlineSeconds=7200)
    shop.wait(replicas=2, available=0, others=0)
    wait_for(lambda: shop.kube.read(shop.path("Deployment", "shop-v2"))["status"].get("readyReplicas") == 2, "pods")
    shop.wait(replicas=2, available=0, others=0)


def test_a_workload_of_nothing(shop: Shop, client: Client) -> None:
    """Scaled to zero it is there; not made yet it is absent; a version without a subset is what its resolver says."""
    assert shop.seen() == Missing(
        Cause.ABSENT, f"no workload in namespace {shop.namespace} makes pods with app=shop, version=v2"
    )
    assert shop.workloads.read("v9") == Missing(Cause.ABSENT, "there is no subset v9")
    client.calls.take()
    shop.create("Deployment", replicas=0)
    seen = until(lambda: _revised(shop), "a revision")
    assert (seen.replicas, seen.available, seen.others) == (0, 0, 0)


def test_two_workloads_behind_one_version(shop: Shop) -> None:
    """Two have no one revision: it is said, and over when one of them is scaled to zero."""
    shop.create("Deployment")
    shop.wait(available=2)
    shop.create("StatefulSet", name="shop-v2-too")
    several = until(lambda: _missing(shop), "an error")
    assert several.cause is Cause.INVALID
    assert "behind v2 stand 2 workloads" in several.detail
    shop.scale(0)
    assert shop.wait(name="shop-v2-too", available=2, others=0)


def test_a_pod_without_a_controller(shop: Shop) -> None:
    """It serves in the version without being of its revision."""
    shop.create("Deployment")
    shop.wait(available=2, others=0)
    pod = {
        "metadata": {"name": "stray", "labels": LABELS},
        "spec": {"containers": [{"name": "m", "image": "shop:1"}]},
    }
    shop.kube.create(f"/api/v1/namespaces/{shop.namespace}/pods", pod)
    shop.wait(available=2, others=1)


def test_another_workload_of_the_same_name(shop: Shop) -> None:
    """Deleted and made again, it is another one; what was remembered of the first is forgotten."""
    shop.create("Deployment", "shop:1")
    first = shop.wait(available=2)
    shop.kube.request("DELETE", shop.path("Deployment", "shop-v2"))
    until(lambda: _missing(shop), "its end")
    shop.create("Deployment", "shop:2")
    assert shop.wait(available=2, others=0).revision != first.revision


def test_no_permission(control_plane: ControlPlane, namespace: str, connect: Connect) -> None:
    """The permission that is missing is named."""
    workloads = KubernetesWorkloads(connect("alice"), namespace, selector_of)
    found = workloads.read("v2")
    assert isinstance(found, Missing)
    assert (found.cause, "list pods" in found.detail) == (Cause.DENIED, True)


def _other(seen: WorkloadSeen, than: WorkloadSeen) -> WorkloadSeen | None:
    return seen if seen.revision != than.revision else None


def _missing(shop: Shop) -> Missing | None:
    seen = shop.seen()
    return seen if isinstance(seen, Missing) else None


def _revised(shop: Shop) -> WorkloadSeen | None:
    seen = shop.seen()
    return seen if isinstance(seen, WorkloadSeen) and seen.revision else None
