"""One Canary of a cluster, wired: whose it is where another Canary takes the name."""

import gc
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from canary.bootstrap.cluster import objects_of
from canary.controller.ownership import Owners
from canary.controller.reconciler import ClusterReconciler
from canary.controller.settings import Area
from canary.controller.watches import ClusterFleet
from canary.engine.errors import Unreachable
from canary.engine.observed import Cause, Missing, Query, Subject
from canary.kube.lease import Claim, Identity, Lease
from canary.kube.resources import DEPLOYMENTS
from canary.metrics.prometheus import Prometheus
from canary.metrics.session import PrometheusClient
from canary.rollout.drive import WallClock
from canary.routers.istio import ISTIO

from .objects import TARGET, Wire, canary, client

KEY = ("shop", "reviews")


@pytest.fixture
def fleet() -> ClusterFleet:
    """It leads."""
    made = ClusterFleet(
        client(Wire()), Area(allowed_metrics_servers="*"), WallClock(), lambda namespace, at: at > datetime.now(UTC)
    )
    made.term = Lease(made.client, Claim("canary-system", "canary", "the lead", {}), Identity.mine())
    return made


def test_a_canary_that_is_made_again_is_wired_again(fleet: ClusterFleet) -> None:
    """A reconcile of the one before that is still under way finds that its Canary is gone."""
    fleet.canaries.put(canary(uid="u1"))
    before = fleet.reconciler(KEY)
    fleet.canaries.put(canary(uid="u2", resourceVersion="8"))
    after = fleet.reconciler(KEY)
    assert before is not None
    assert after is not None
    assert fleet.reconciler(KEY) is after is not before
    assert after.target.resolved().manifest.metadata.name == "reviews"
    with pytest.raises(Unreachable):
        before.target.resolved()


def test_all_who_move_a_virtual_service_meet_in_its_lease(fleet: ClusterFleet) -> None:
    """Canaries of any namespace, and a run of the command among them."""
    free: dict[str, Any] = {"metadata": {"resourceVersion": "3"}, "spec": {"holderIdentity": ""}}
    for namespace, name in (("shop", "reviews"), ("shop", "reviews.shop"), ("front", "reviews.shop")):
        fleet.canaries.put(canary({"targetRef": {**TARGET, "name": name}}, uid=name + namespace, namespace=namespace))
        reconciler = fleet.reconciler((namespace, "reviews"))
        assert reconciler is not None
        wire = cast(Wire, fleet.client.wire)
        wire.answers = [free]
        reconciler.store.ownership.release()
        assert [(one.namespace, one.name) for one in wire.sent] == [("shop", "canary-virtualservice-reviews")]
        wire.sent.clear()
        found = objects_of(ISTIO, name, namespace, "reviews")
        assert (found.namespace, found.name) == ("shop", "canary-virtualservice-reviews")


@pytest.mark.parametrize("cross", [False, True])
def test_a_canary_that_may_not_move_a_virtual_service_blocks_no_other(fleet: ClusterFleet, cross: bool) -> None:
    """An older Canary elsewhere counts only where it may move what it names."""
    fleet.area = Area(cross_namespace=cross)
    attack = {"targetRef": {**TARGET, "name": "own"}, "virtualServices": ["reviews.shop"]}
    fleet.canaries._saw(canary(attack, namespace="elsewhere", uid="u0", creationTimestamp="2026-01-01T00:00:00Z"))
    fleet.canaries._saw(canary())
    reconciler = fleet.reconciler(KEY)
    assert reconciler is not None
    reported = "the Canary elsewhere/reviews moves these routes, and is older; delete one of the two"
    assert reconciler.target.resolved().conflict == (reported if cross else "")


def lived(fleet: ClusterFleet, number: int) -> None:
    """A Canary with a namespace, a target and a Prometheus of its own comes, is looked at, and goes."""
    namespace, server = f"team-{number}", f"http://127.0.0.1:{number + 1}"
    spec = {"targetRef": {**TARGET, "name": f"shop-{number}"}, "metricsServer": server}
    fleet.canaries._saw(canary(spec, namespace=namespace, uid=namespace, resourceVersion=str(2 * number + 1)))
    reconciler = fleet.reconciler((namespace, "reviews"))
    assert reconciler is not None
    assert asked(reconciler) is Cause.REFUSED
    assert reconciler.outside.client.find(DEPLOYMENTS, namespace) == []
    fleet.canaries._saw(canary(namespace=namespace, resourceVersion=str(2 * number + 2)), deleted=True)


def asked(reconciler: ClusterReconciler) -> Cause | None:
    """Why its Prometheus gave no answer."""
    query = Query("request-success-rate", timedelta(minutes=1), Subject("v2"))
    [answer] = reconciler.parts.metrics.measure((query,), datetime.now(UTC)).values()
    return answer.cause if isinstance(answer, Missing) else None


def held() -> dict[str, int]:
    """How many there are of what is kept for the Canaries of a term."""
    gc.collect()
    kinds = (Prometheus, PrometheusClient, Owners, ClusterReconciler)
    return {kind.__name__: sum(type(one) is kind for one in gc.get_objects()) for kind in kinds}


def test_what_is_no_longer_referred_to_is_forgotten(fleet: ClusterFleet) -> None:
    """Within a term, at the second time: what was asked since the first may still be asked."""
    for each in fleet.reflectors:
        each._synced.set()
    before = held()
    for number in range(20):
        lived(fleet, number)
    assert (held()["Prometheus"] - before["Prometheus"], len(fleet._cached.parsed)) == (20, 20)
    fleet.forget_unused()
    fleet.forget_unused()
    assert (held(), fleet._cached.parsed) == (before, {})


def test_a_prometheus_that_is_asked_is_kept(fleet: ClusterFleet) -> None:
    """Its connections are."""
    fleet.canaries.put(canary({"metricsServer": "http://127.0.0.1:1"}))
    reconciler = fleet.reconciler(KEY)
    assert reconciler is not None
    first = reconciler.parts.metrics
    for _ in range(3):
        asked(reconciler)
        fleet.forget_unused()
        assert reconciler.parts.metrics is first
    fleet.forget_unused()
    assert reconciler.parts.metrics is not first


def test_an_address_that_is_none_takes_nothing_but_evidence_away(fleet: ClusterFleet) -> None:
    """All other ports are there: a rollback, a deletion and a lost canary go on."""
    fleet.canaries.put(canary({"metricsServer": "http://127.0.0.1:1/?tenant=shop"}))
    reconciler = fleet.reconciler(KEY)
    assert reconciler is not None
    assert asked(reconciler) is Cause.INVALID
    [problem] = reconciler.target.resolved().problems
    assert problem.startswith("spec.metricsServer: 'http://127.0.0.1:1/?tenant=shop' is no URL")


@pytest.mark.parametrize("area", [Area(), Area(metrics_server="http://127.0.0.1:1")])
def test_an_address_that_may_not_be_asked_is_never_asked(fleet: ClusterFleet, area: Area) -> None:
    """By default only the controller's own is queried; an allowed one is queried as if all were allowed."""
    fleet.area = area
    fleet.canaries.put(canary({"metricsServer": "http://127.0.0.1:2"}))
    reconciler = fleet.reconciler(KEY)
    assert reconciler is not None
    assert asked(reconciler) is Cause.DENIED
    fleet.area = Area(allowed_metrics_servers="http://127.0.0.1:1")
    fleet.canaries.put(canary({"metricsServer": "http://127.0.0.1:1"}, resourceVersion="8"))
    assert asked(reconciler) is Cause.REFUSED
