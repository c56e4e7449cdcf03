"""A version that errs, slows down, never lives or dies: rolled back with code 3, and routes are as they were."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.bookinfo.shares import Watched, versions, weights_of
from tests.bookinfo.site import GATED, RATES, SLOW, WINDOW, Run, Site
from tests.mesh.bookinfo import JASON, deployment, to, virtual_service
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

LONG = [{"weight": 30, "iterations": 100}]
BEFORE_PODS = (
    'istio_requests_total{{reporter="source",destination_service_name="reviews",response_code=~"{codes}"}}[{at}]'
)
ABORTED: list[dict[str, Any]] = [
    {
        "name": "failed-at-callers",
        "interval": WINDOW,
        "thresholdRange": {"max": 5},
        "query": "100 * sum(increase({failed}))  / sum(increase({all}))".format(
            failed=BEFORE_PODS.format(codes="5..", at="{{ interval }}"),
            all=BEFORE_PODS.format(codes=".*", at="{{ interval }}"),
        ),
    }
]
"""An abort is made by the caller's proxy: no version hears of it, so that no builtin can know whose it is."""
DELAYED: list[dict[str, Any]] = [
    {
        "name": "slowness-at-callers",
        "interval": WINDOW,
        "thresholdRange": {"max": 400},
        "query": "histogram_quantile(0.9, sum by (le) (increase(istio_request_duration_milliseconds_bucket{"
        'reporter="source",destination_workload="{{ target }}"}[{{ interval }}])))',
    }
]
"""So is a delay; the caller's proxy knows the version, because the request goes on afterwards."""
ABORT = {"abort": {"httpStatus": 500, "percentage": {"value": 50}}}
DELAY = {"delay": {"fixedDelay": "600ms", "percentage": {"value": 100}}}


@pytest.fixture
def jason(site: Site) -> Iterator[None]:
    """The single user, who is at v2 with any weights."""
    load = site.mesh.load("reviews", 30, headers={"end-user": "jason"})
    yield
    load.stop()


def ended(site: Site, run: Run) -> str:
    """The reason of the rollback, once it is over."""
    assert run.ends() == 3, run.text
    return site.status.history[0].reason


@pytest.mark.parametrize(
    ("behaviour", "metrics", "reason"),
    [
        pytest.param({"errors": 0.5}, RATES, "SuccessRateBelowMinimum", id="it errs"),
        pytest.param({"delay": 0.8}, SLOW, "DurationAboveMaximum", id="it slows down"),
    ],
)
def test_a_version_that_gets_worse(
    site: Site, behaviour: dict[str, Any], metrics: list[dict[str, Any]], reason: str
) -> None:
    """The service itself, at 30%: everybody is back at v1, and no one was sent more than 30% of the way."""
    before = site.object()
    site.write(steps=LONG, metrics=metrics)
    with Watched(site.mesh) as watched:
        run = site.run()
        site.until_weight(30)
        site.mesh.behave("reviews-v2", **behaviour)
        assert ended(site, run) == reason
        watched.at_last(v1=100)
        assert [one.weights for one in watched.served] == [{"v1": 100}, {"v1": 70, "v2": 30}, {"v1": 100}]
    assert site.object() == before


@pytest.mark.usefixtures("jason")
@pytest.mark.parametrize(
    ("fault", "metrics", "everybody"),
    [
        pytest.param(ABORT, ABORTED, True, id="abort in the route that moves"),
        pytest.param(DELAY, DELAYED, True, id="delay in the route that moves"),
        pytest.param(ABORT, ABORTED, False, id="abort in a single user's route to the canary"),
        pytest.param(DELAY, DELAYED, False, id="delay in a single user's route to the canary"),
    ],
)
def test_faults_of_istio(site: Site, fault: dict[str, Any], metrics: list[dict[str, Any]], everybody: bool) -> None:
    """Injected in mid-rollout, which is no drift; callers see it; it is still there after the rollback."""
    site.write(steps=LONG, metrics=metrics)
    run = site.run()
    site.until_weight(30)
    rest = {"name": "default", "route": to("reviews", v1=70, v2=30)}
    faulty = (JASON, {**rest, "fault": fault}) if everybody else ({**JASON, "fault": fault}, rest)
    site.mesh.kube.merge(site.mesh.path(*VIRTUAL), virtual_service("reviews", *faulty))
    expected = site.object()
    assert ended(site, run) == "MetricAboveMaximum"
    expected["spec"]["http"][1]["route"] = to("reviews", v1=100)
    expected["metadata"].pop("annotations")
    assert site.object() == expected


VIRTUAL = ("networking.istio.io/v1", "VirtualService", "reviews")


@pytest.mark.parametrize("image", ["reviews:v2-crashing", "reviews:v2-unready"])
def test_a_version_that_is_dead_from_the_start(site: Site, image: str) -> None:
    """It crashes again and again, or never gets ready: the routes are never even written."""
    labels = {"app": "reviews", "version": "v2"}
    site.mesh.delete("Deployment", "reviews-v2")
    wait_for(lambda: not pods(site, "reviews-v2"), "v2 to be gone", within=SLOWLY)
    site.mesh.apply(deployment("reviews-v2", labels, 2, image, progressDeadlineSeconds=4))
    before, since = site.object(), version(site)
    start = now()
    site.write(steps=LONG)
    run = site.run()
    assert ended(site, run) == "CanaryUnavailable"
    assert "ProgressDeadlineExceeded" in site.status.history[0].message
    assert (versions(site.mesh, since), site.object()) == ([], before)
    assert set(site.mesh.measured(start).counts) == {("v1", 200)}


def test_pods_that_vanish(site: Site) -> None:
    """In mid-step, at 30%: traffic goes back at once, without waiting for evidence."""
    before, since = site.object(), version(site)
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    gone = now()
    site.mesh.scale("reviews-v2", 0)
    assert ended(site, run) == "CanaryUnavailable"
    assert site.object() == before
    site.mesh.wait_loaded()
    back, suffered = now(), site.mesh.measured(gone)
    assert {status for _, status in suffered.counts} <= {200, 503}
    wait_for(lambda: site.mesh.measured(back).total > 100, "more answers")
    assert site.mesh.measured(back + timedelta(milliseconds=200)).failed == 0
    assert [weights_of(one["spec"]["http"][1]) for one in versions(site.mesh, since)] == [
        {"v1": 70, "v2": 30},
        {"v1": 100},
    ]


def pods(site: Site, workload: str) -> list[Any]:
    """Those of a workload."""
    return [one for one in site.mesh.pilot.pods() if one.workload == workload]


def version(site: Site) -> str:
    """The VirtualService's resourceVersion."""
    return str(site.mesh.kube.read(site.mesh.path(*VIRTUAL))["metadata"]["resourceVersion"])
