"""The chain's order: nothing that waits stands before something that protects (promises 1 and 4).

Each row puts things together that speak at the same time, and names the one that is heard.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Phase
from canary.engine.actions import SetTraffic
from canary.engine.decision_rules import ACTIVE
from tests.engine.situations import (
    HOUR,
    MINUTE,
    SECOND,
    Change,
    another_judge,
    another_revision,
    asks,
    at_20_percent,
    back_to_stable,
    between_evaluations,
    contested,
    decided,
    deleted,
    done,
    failing,
    foreign_edit,
    hurried,
    invalid,
    no_data,
    no_pods,
    no_stable_pods,
    overdue,
    paused,
    pods,
    prometheus_down,
    raised_from,
    restarted,
    route_down,
    route_says,
    suspended,
    unknown_pods,
    unknown_revision,
)


def in_parts(*weights: int) -> Change:
    """Several routes, each at another weight."""
    states = tuple(Traffic(weight=weight) for weight in weights)
    return route_says(traffic=None, partly=states, described="in two minds")


GATED = [{"weight": 10}, {"weight": 20, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}, {"weight": 50}]


@pytest.mark.parametrize(
    ("changes", "weight", "reason"),
    [
        pytest.param([], 20, "Analysing", id="healthy in mid-step: the evaluation passed, one more is needed"),
        pytest.param([between_evaluations], 20, "Analysing", id="between evaluations: hold"),
        pytest.param([failing], 0, "SuccessRateBelowMinimum", id="one failed check too many: roll back"),
        pytest.param([no_pods], 0, "CanaryUnavailable", id="every pod gone: roll back"),
        pytest.param([prometheus_down], 20, "MetricsUnreachable", id="no answer is neither a pass nor a failure"),
        pytest.param([no_data], 20, "NoData", id="no data is neither a pass nor a failure"),
        pytest.param([paused], 20, "Paused", id="paused: hold"),
        pytest.param([suspended], 20, "Suspended", id="suspended: hold"),
        pytest.param([invalid], 20, "InvalidSpec", id="what is written now is wrong: hold"),
        pytest.param([contested], 20, "Conflict", id="someone else moves the target: hold"),
        pytest.param([foreign_edit()], 20, "TrafficDrift", id="someone else changed the route: hold"),
        pytest.param([done, no_stable_pods], 20, "StableUnavailable", id="nothing to go back to: raise nothing"),
        pytest.param([done, unknown_revision], 20, "RevisionUnknown", id="the desired version is unknown: hold"),
        pytest.param([done, route_down], 20, "RouteUnreadable", id="the route can't be read: raise nothing"),
        pytest.param([done, unknown_pods], 20, "CapacityUnknown", id="replicas can't be read: raise nothing"),
        pytest.param([done, pods(1)], 20, "CanaryNotReady", id="2 replicas are needed for 50%: raise nothing"),
        pytest.param([done, pods(4, others=1)], 20, "OtherRevisionServes", id="another build serves: raise nothing"),
        pytest.param([done, prometheus_down], 50, "StepPassed", id="done, and no evaluation is due: raise"),
        pytest.param([hurried], 100, "PromotionAsked", id="a person promotes: everything at once"),
        pytest.param([raised_from(10), route_down], 20, "RouteUnreadable", id="a raise waits for the route"),
        pytest.param([raised_from(10)], 20, "WaitingForRoute", id="a saved raise that is allowed: finished"),
        pytest.param([overdue], 0, "DeadlinePassed", id="the rollout's time is over: roll back"),
        pytest.param([deleted], 0, "Deleted", id="deleted: everything back"),
        pytest.param([another_revision], 0, "Superseded", id="another build is wanted: traffic to 0"),
        pytest.param([back_to_stable], 0, "Returned", id="version was set back: traffic to 0"),
        pytest.param([asks(Verb.ROLLBACK)], 0, "RejectedByPerson", id="a person rolls back"),
        pytest.param([asks(Verb.REJECT)], 0, "RejectedByPerson", id="a person rejects"),
        pytest.param([restarted, foreign_edit(0)], 0, "UnsavedRollback", id="after a start below all: it was us"),
        pytest.param([foreign_edit(0)], 20, "TrafficDrift", id="in mid-flight below all: it was not us"),
        pytest.param([restarted, in_parts(0, 20)], 0, "UnsavedRollback", id="after a start partly below all: us"),
        pytest.param([restarted, in_parts(0, 35)], 20, "TrafficDrift", id="and partly at what no one meant: not us"),
        pytest.param([restarted, foreign_edit(99)], 20, "TrafficDrift", id="after a start above all: not us"),
    ],
)  # fmt: skip
def test_one_thing_at_a_time(changes: list[Change], weight: int, reason: str) -> None:
    decision = decided(at_20_percent(*changes))
    assert (decision.status.canary_weight, decision.reason) == (weight, reason)


PROTECTIVE = {
    "deleted": deleted,
    "a rollback asked": asks(Verb.ROLLBACK),
    "another revision wanted": another_revision,
    "set back to stable": back_to_stable,
    "every pod gone": no_pods,
    "will never get ready": pods(4, stuck="ProgressDeadlineExceeded"),
    "short for longer than the grace": lambda case: pods(0)(case.but(short_since=case.now - MINUTE)),
    "failing": failing,
}
WAITING = {
    "paused": paused,
    "suspended": suspended,
    "drift": foreign_edit(),
    "invalid": invalid,
    "contested": contested,
    "the route unread": route_down,
    "the route refused": lambda case: route_says(rejected="no such cluster")(raised_from(10)(case)),
    "the desired version unknown": unknown_revision,
    "a promotion asked": hurried,
    "approved just now": asks(Verb.APPROVE, "bob"),
    "a pause asked": asks(Verb.PAUSE, "bob"),
    "a gate": lambda case: case.but(stopped_at=case.now - MINUTE),
    "time over": overdue,
}

IMPOSSIBLE = {
    ("another revision wanted", "the desired version unknown"),
    ("set back to stable", "the desired version unknown"),
}
"""What can't be read can't be known to have changed."""
PERSONAL = ("deleted", "a rollback asked")


@pytest.mark.parametrize(
    ("protects", "waits"),
    [pytest.param(p, w, id=f"{p}, and {w}") for p, w in product(PROTECTIVE, WAITING) if (p, w) not in IMPOSSIBLE],
)
def test_what_protects_is_heard_before_what_waits(protects: str, waits: str) -> None:
    """With any other condition: asked to weight 0, now, and the end is decided."""
    case = PROTECTIVE[protects](WAITING[waits](at_20_percent()))
    decision = decided(case)
    token = None if waits == "the route unread" else case.observed.route.token  # type: ignore[union-attr]
    assert decision.actions == (SetTraffic("v1", "v2", Traffic(), token, decreases=True),)
    assert decision.status.rollout is not None
    assert decision.status.rollout.end is not None
    assert decision.status.phase in (Phase.FINALISING, Phase.TERMINATING)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param([deleted, asks(Verb.ROLLBACK), no_pods], "Deleted", id="deleted before all others"),
        pytest.param([asks(Verb.REJECT), another_revision], "RejectedByPerson", id="a person before a push"),
        pytest.param([another_revision, no_pods], "Superseded", id="a push before lost pods"),
        pytest.param([no_pods, failing], "CanaryUnavailable", id="lost pods before the judge"),
        pytest.param([failing, overdue], "SuccessRateBelowMinimum", id="the judge before the deadline"),
        pytest.param([overdue, suspended], "Suspended", id="clocks stand still while suspended"),
        pytest.param([paused, invalid], "Paused", id="a pause before what is wrong"),
        pytest.param([paused, foreign_edit()], "Paused", id="a pause before drift"),
        pytest.param([foreign_edit(), hurried], "TrafficDrift", id="drift before a promotion asked"),
        pytest.param([hurried, no_stable_pods], "PromotionAsked", id="a person may leave a dead stable version"),
        pytest.param([done, no_stable_pods, unknown_revision], "StableUnavailable", id="stable before revision"),
    ],
)  # fmt: skip
def test_who_is_heard_among_equals(changes: list[Change], reason: str) -> None:
    assert decided(at_20_percent(*changes)).reason == reason


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(change, id=name)
        for name, change in PROTECTIVE.items()
        if name not in ("deleted", "a rollback asked")
    ],
)
def test_while_stable_has_no_pod_either_the_split_stays(bad: Change) -> None:
    """Nothing is better than what is; a person's word and a deletion are obeyed all the same."""
    decision = decided(at_20_percent(bad, no_stable_pods))
    assert (decision.status.canary_weight, decision.reason, decision.actions) == (20, "NothingToGoBackTo", ())
    assert decision.messages[-1].type == "Warning"


def test_a_verdict_is_not_forgotten_while_there_is_nothing_to_go_back_to() -> None:
    """The evaluation that was one too many rolls back in the reconcile in which stable is there again, without
    another evaluation."""
    first = at_20_percent(failing, no_stable_pods)
    held = decided(first)
    again = decided(replace(at_20_percent(), status=held.status, now=first.now + 5 * SECOND))
    assert (again.evaluated, again.reason, again.status.canary_weight) == (False, "SuccessRateBelowMinimum", 0)


def test_a_gate_that_waits_keeps_no_rollback_from_happening() -> None:
    """Promise 4, with a gate of its own plan."""
    gated = at_20_percent(done, steps=GATED)
    waiting = decided(gated)
    assert (waiting.reason, waiting.status.canary_weight) == ("WaitingForApproval", 20)
    for protects in PROTECTIVE.values():
        looking = at_20_percent(done, lambda case: case.but(next_evaluation=case.now), steps=GATED)
        assert decided(protects(looking)).status.canary_weight == 0


def test_every_rule_has_a_sentence() -> None:
    """docs/rules.md is made of them."""
    assert [rule.__name__ for rule in ACTIVE if not rule.__doc__] == []


@pytest.mark.parametrize(
    ("short", "reason"),
    [
        pytest.param(timedelta(), "Analysing", id="short from now on"),
        pytest.param(14 * SECOND, "Analysing", id="short within the grace"),
        pytest.param(15 * SECOND, "CanaryUnavailable", id="short for the grace"),
        pytest.param(HOUR, "CanaryUnavailable", id="short for long"),
    ],
)
def test_fewer_replicas_than_the_weight_needs_are_borne_for_the_grace(short: timedelta, reason: str) -> None:
    """50% of 4 replicas are 2; one is too few, for longer than 15 s."""
    steps = [{"weight": 10}, {"weight": 50, "iterations": 2}, {"weight": 60}]
    case = at_20_percent(lambda case: case.but(short_since=case.now - short), pods(1), steps=steps)
    assert decided(case).reason == reason


def test_a_rollout_that_a_newer_release_began_waits() -> None:
    """Its judge isn't there, so nothing is increased; who asks for a rollback gets it."""
    waits = decided(another_judge(at_20_percent()))
    assert (waits.actions, waits.reason, waits.status.canary_weight) == ((), Reason.INVALID_SPEC, 20)
    assert "of-a-later-release" in waits.sentence
    assert decided(asks(Verb.ROLLBACK)(another_judge(at_20_percent()))).status.canary_weight == 0
