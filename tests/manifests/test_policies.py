"""The guards that come with canary, at chosen times: freezes begin and end by people's clocks, and not by UTC."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from canary.api.reason import Reason
from canary.engine import guards
from canary.manifests import shipped

OPEN: dict[str, Any] = {
    **{"canary.name": "web", "canary.namespace": "default", "canary.labels": {}, "canary.annotations": {}},
    **{"canary.version": "v2", "canary.revision": "b", "step.from": 20, "step.to": 50, "step.mirror": 0},
    **{"step.index": 3, "step.count": 4, "rollout.number": 1, "rollout.stable": "v1", "rollout.weight": 20},
    **{"rollout.highest": 20, "rollout.failedChecks": 0, "rollout.approvals": [], "rollout.verifiedApprovals": []},
}
"""A raise from 20% to 50%; what these guards don't look at is left away."""


def holder(policy: str, **changes: Any) -> str | None:
    """The guard of the policy that holds this raise."""
    found = shipped(policy)
    assert found is not None
    values = {**OPEN, **{name.replace("_", "."): value for name, value in changes.items()}}
    holding = [one.name for one in found.spec.guards if guards.held([one], values) is not None]
    assert all(held.reason == Reason.GUARD_HOLDS for one in found.spec.guards if (held := guards.held([one], values)))
    return holding[0] if holding else None


@pytest.mark.parametrize(
    ("now", "by"),
    [
        pytest.param("2026-06-01T09:00:00+02:00", None, id="Monday morning, 9 sharp: go"),
        pytest.param("2026-06-01T08:59:59+02:00", "working-hours", id="a second before: not yet"),
        pytest.param("2026-06-04T15:59:59+02:00", None, id="Thursday, the last second: go"),
        pytest.param("2026-06-04T16:00:00+02:00", "working-hours", id="Thursday at 16: over"),
        pytest.param("2026-06-05T11:59:59+02:00", None, id="Friday before noon: go"),
        pytest.param("2026-06-05T12:00:00+02:00", "working-hours", id="Friday at noon: over"),
        pytest.param("2026-06-06T10:00:00+02:00", "working-hours", id="Saturday: no"),
        pytest.param("2026-06-07T10:00:00+02:00", "working-hours", id="Sunday: no"),
        pytest.param("2026-01-12T08:00:00Z", None, id="in winter 9 in Berlin is 8 in UTC"),
        pytest.param("2026-01-12T07:59:59Z", "working-hours", id="and 7:59 is too early"),
        pytest.param("2026-07-13T07:00:00Z", None, id="in summer it is 7"),
        pytest.param("2026-03-27T10:59:59Z", None, id="the last Friday of winter ends at 11 UTC"),
        pytest.param("2026-03-27T11:00:00Z", "working-hours", id="and then it is over"),
        pytest.param("2026-03-30T06:59:59Z", "working-hours", id="the clocks went forward on Sunday"),
        pytest.param("2026-03-30T07:00:00Z", None, id="so Monday begins at 7 UTC"),
        pytest.param("2026-10-26T07:00:00Z", "working-hours", id="and in October they went back"),
        pytest.param("2026-10-26T08:00:00Z", None, id="so Monday begins at 8 UTC again"),
        pytest.param("2026-12-17T15:59:59+01:00", None, id="the last moment of the year: go"),
        pytest.param("2026-12-18T09:00:00+01:00", "year-end", id="18 December: frozen"),
        pytest.param("2026-12-31T10:00:00+01:00", "year-end", id="New Year's Eve: frozen"),
        pytest.param("2027-01-06T10:00:00+01:00", "year-end", id="6 January: frozen"),
        pytest.param("2027-01-07T09:00:00+01:00", None, id="7 January: go"),
    ],
)
def test_the_change_freeze(now: str, by: str | None) -> None:
    assert holder("change-freeze", now=datetime.fromisoformat(now)) == by


@pytest.mark.parametrize(
    ("now", "annotations", "by"),
    [
        pytest.param("2026-06-01T08:59:59+02:00", {"time-zone": "Asia/Tokyo"}, None, id="a second to 16 in Tokyo"),
        pytest.param("2026-06-01T09:00:00+02:00", {"time-zone": "Asia/Tokyo"}, "working-hours", id="16 in Tokyo"),
        pytest.param("2026-06-01T10:00:00Z", {"time-zone": "UTC"}, None, id="in UTC"),
        pytest.param("2026-12-21T10:00:00Z", {"freeze-from": "0801", "freeze-to": "0815"}, None, id="no year's end"),
        pytest.param("2026-07-30T10:00:00Z", {"freeze-from": "0801", "freeze-to": "0815"}, None, id="the day before"),
        pytest.param("2026-08-03T08:00:00Z", {"freeze-from": "0803", "freeze-to": "0814"}, "year-end", id="first"),
        pytest.param("2026-08-14T08:00:00Z", {"freeze-from": "0803", "freeze-to": "0814"}, "year-end", id="last"),
        pytest.param("2026-08-17T08:00:00Z", {"freeze-from": "0803", "freeze-to": "0814"}, None, id="after it"),
        pytest.param("2026-12-17T10:00:00Z", {"freeze-from": "1201"}, "year-end", id="only a longer beginning"),
    ],
)
def test_the_change_freeze_elsewhere(now: str, annotations: dict[str, str], by: str | None) -> None:
    """A time zone and dates of one's own, without a copy of the policy."""
    written = {f"canary-controller.dev/{name}": value for name, value in annotations.items()}
    assert holder("change-freeze", now=datetime.fromisoformat(now), canary_annotations=written) == by


@pytest.mark.parametrize(
    ("name", "value"), [("time-zone", "Europe/Atlantis"), ("freeze-from", "18 December"), ("freeze-to", "")]
)
def test_a_variable_of_the_change_freeze_that_is_wrong_holds(name: str, value: str) -> None:
    """Nothing is raised by a misspelt freeze, and why is said."""
    found = shipped("change-freeze")
    assert found is not None
    written = {f"canary-controller.dev/{name}": value}
    monday = datetime.fromisoformat("2026-06-01T10:00:00+02:00")
    held = guards.held(found.spec.guards, {**OPEN, "canary.annotations": written, "now": monday})
    assert held is not None
    assert held.reason == Reason.GUARD_ERROR


@pytest.mark.parametrize(
    ("before", "after", "highest", "by"),
    [
        pytest.param(0, 10, 0, None, id="10% at first: go"),
        pytest.param(0, 11, 0, "first-step", id="11% at first: too many"),
        pytest.param(50, 100, 50, None, id="the other half: go"),
        pytest.param(49, 100, 49, "largest-step", id="more than half: too many"),
        pytest.param(0, 20, 20, None, id="again, after an edit of the route: go"),
    ],
)
def test_the_largest_step(before: int, after: int, highest: int, by: str | None) -> None:
    assert holder("largest-step", step_from=before, step_to=after, rollout_highest=highest) == by


@pytest.mark.parametrize("name", ["standard", "cautious"])
def test_the_other_policies_stay_within_the_largest_step(name: str) -> None:
    """Anyone who takes both is held by neither."""
    policy = shipped(name)
    assert policy is not None
    weights = [0, *(step.weight for step in policy.spec.analysis.steps or ()), 100]
    for before, after in pairwise(weights):
        assert holder("largest-step", step_from=before, step_to=after, rollout_highest=before) is None
