"""Whose requests are that reached no pod: what metrics say of the pair, and what users see of the rest."""

from dataclasses import replace

import pytest

from canary.api.analysis import Reporter
from canary.engine.decide import needs
from canary.engine.observed import Cause, Missing, Query, Shape, Value, WorkloadSeen
from tests.engine.situations import (
    Case,
    Change,
    after,
    answering,
    at_20_percent,
    changed,
    decided,
    no_pods,
    no_stable_pods,
    route_says,
    unknown_pods,
)

SHARED = {"v1": "web.shop.svc", "v2": "web.shop.svc"}
OWN = {"v1": "web-v1.shop.svc", "v2": "web-v2.shop.svc"}


def subjects(*changes: Change) -> dict[str, tuple[str, bool]]:
    """Host, and whether what reached no pod there is its own, as asked in the evaluation that follows the changes."""
    case = at_20_percent(*changes, steps=[{"weight": 10}, {"weight": 20, "hold": "1h"}])
    case = after(case, decided(case), seconds=60)
    found = {query.subject for query in needs(case.resolved, case.status, case.now).queries}
    return {one.workload: (one.host, one.alone) for one in found}


def unknown_canary(case: Case) -> Case:
    """No one can say how many pods the canary has."""
    return replace(case, canary=Missing(Cause.TIMED_OUT))


def others_of_stable(case: Case) -> Case:
    """Stable's pods are all of another build than at the start; they serve all the same."""
    return replace(case, stable=WorkloadSeen("v1", 4, 0, "a", others=4))


@pytest.mark.parametrize(
    ("changes", "v1", "v2"),
    [
        pytest.param([], ("", False), ("", False), id="without hosts nothing is asked of them"),
        pytest.param([route_says(hosts=OWN)], (OWN["v1"], True), (OWN["v2"], True), id="hosts of their own"),
        pytest.param([route_says(hosts=SHARED)], (SHARED["v1"], False), (SHARED["v2"], False), id="a host for both"),
        pytest.param(
            [route_says(hosts=SHARED), no_stable_pods], (SHARED["v1"], True), (SHARED["v2"], False),
            id="a host for both, stable without pods",
        ),
        pytest.param(
            [route_says(hosts=SHARED), no_stable_pods, no_pods], (SHARED["v1"], False), (SHARED["v2"], False),
            id="a host for both, neither has pods",
        ),
        pytest.param(
            [route_says(hosts=SHARED), others_of_stable], (SHARED["v1"], False), (SHARED["v2"], False),
            id="a host for both, stable's pods are of another build",
        ),
        pytest.param(
            [route_says(hosts=SHARED), no_stable_pods, unknown_canary], (SHARED["v1"], False), (SHARED["v2"], False),
            id="a host for both, stable without pods, the canary's can't be read",
        ),
        pytest.param(
            [route_says(hosts=SHARED), unknown_pods], (SHARED["v1"], False), (SHARED["v2"], False),
            id="a host for both, pods can't be read",
        ),
    ],
)  # fmt: skip
def test_what_metrics_record(changes: list[Change], v1: tuple[str, bool], v2: tuple[str, bool]) -> None:
    """It is theirs where hosts differ; else that of the version that alone has no pod; else no one's."""
    assert subjects(*changes) == {"v1": v1, "v2": v2}


def test_hosts_are_remembered_while_the_route_cannot_be_read() -> None:
    """What was known is as good as ever."""
    case = at_20_percent(route_says(hosts=OWN))
    case = replace(after(case, decided(case)), route=Missing(Cause.TIMED_OUT))
    rollout = decided(case).status.rollout
    assert rollout is not None
    assert (rollout.stable_host, rollout.canary_host) == (OWN["v1"], OWN["v2"])


def test_the_reporter_is_pinned() -> None:
    """An edit in mid-rollout is for the next one."""
    case = at_20_percent(reporter="source")
    edited = replace(case, resolved=at_20_percent(reporter="waypoint").resolved)
    for one in (case, edited):
        asked = needs(one.resolved, one.status, one.now).queries
        assert {query.subject.reporter for query in asked} == {Reporter.SOURCE}
    assert at_20_percent().rollout.policy.reporter is Reporter.AUTO


def unattributed(query: Query) -> Value | None:
    """30 requests reached no pod."""
    return Value(99.5, 30) if (query.shape, query.subject.workload) == (Shape.VALUE, "v2") else None


def test_what_is_left_out_is_listed() -> None:
    """In the check's detail, whether it passed or failed; the value stands for the rest."""
    for rate, result in ((99.5, "passed"), (99.9, "failed")):
        metrics = [{"name": "request-success-rate", "thresholdRange": {"min": rate}}]
        decision = decided(changed(at_20_percent(metrics=metrics), answering(unattributed)))
        assert decision.status.rollout is not None
        assert decision.status.rollout.evaluation is not None
        [check] = decision.status.rollout.evaluation.checks
        assert (check.result, check.canary) == (result, 99.5)
        assert check.detail == "30 requests reached no pod, and count against neither version"
