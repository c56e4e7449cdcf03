"""No replica of the stable version is left: no one is sent there, nothing waits for ever, and a fix gets out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase
from canary.engine.decide import Decision
from canary.engine.observed import Cause, Missing, WorkloadSeen
from tests.engine.situations import (
    HOUR,
    MINUTE,
    SECOND,
    Case,
    Change,
    after,
    another_revision,
    asks,
    at_20_percent,
    at_step,
    back_to_stable,
    between_evaluations,
    changed,
    decided,
    deleted,
    done,
    failing,
    foreign_edit,
    hurried,
    no_data,
    no_pods,
    no_stable_pods,
    overdue,
    raised_from,
    wanted,
    wants,
)
from tests.moves import moves

STEPS: list[dict[str, Any]] = [{"weight": 50}, {"weight": 100, "hold": "10m"}]
GATED: list[dict[str, Any]] = [{"weight": 50}, {"weight": 100, "gates": [{"approval": {}, "timeout": "1h"}]}]
TO_V3 = wanted("v3", "c")


def no_stable_workload(case: Case) -> Case:
    """Stable's Deployment is deleted."""
    return replace(case, stable=Missing(Cause.ABSENT, "no workload has the labels of v1"))


def at_100_percent(*changes: Change, steps: list[dict[str, Any]] = STEPS, held: timedelta = MINUTE) -> Case:
    """Everything goes to the canary, in a step that isn't over; stable has no replica."""
    return changed(at_step(2, wants(steps=steps), held), between_evaluations, no_stable_pods, *changes)


def looking(case: Case) -> Case:
    """An evaluation is due now."""
    return case.but(next_evaluation=case.now)


def end_of(decision: Decision) -> Outcome | None:
    """How the rollout ends, once that is decided."""
    rollout = decision.status.rollout
    return rollout.end.outcome if rollout and rollout.end else None


@pytest.mark.parametrize("gone", [no_stable_pods, no_stable_workload])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(at_100_percent(done), id="its last step is done"),
        pytest.param(at_100_percent(done, overdue), id="done, and its time is over"),
        pytest.param(at_100_percent(asks(Verb.PROMOTE)), id="promoted by a person in mid-step"),
        pytest.param(at_100_percent(asks(Verb.SKIP)), id="the rest of the step skipped"),
        pytest.param(at_100_percent(asks(Verb.APPROVE), done, steps=GATED), id="its gate is approved"),
        pytest.param(at_100_percent(no_data, looking, asks(Verb.SKIP)), id="without data"),
        pytest.param(at_100_percent(failing, looking, asks(Verb.PROMOTE)), id="though worse"),
        pytest.param(
            changed(at_step(1, wants({"skipAnalysis": True}, steps=None)), between_evaluations, no_stable_pods),
            id="skipAnalysis",
        ),
        pytest.param(
            changed(at_step(4, wants()), between_evaluations, no_stable_pods), id="after the analysed steps"
        ),
    ],
)
def test_what_has_everything_is_promoted(case: Case, gone: Change) -> None:
    """Nothing is increased by it; it closes without stable, too."""
    decision = decided(gone(case))
    assert (end_of(decision), decision.reason, decision.actions) == (Outcome.PROMOTED, "Promoted", ())
    over = decided(after(gone(case), decision, seconds=60))
    assert (over.status.phase, over.status.stable) == (Phase.SUCCEEDED, case.rollout.canary_version)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        pytest.param(at_100_percent(), "Analysing", id="a step that isn't done"),
        pytest.param(at_100_percent(overdue), "Analysing", id="its time is over, and the step isn't done"),
        pytest.param(at_100_percent(done, steps=GATED), "WaitingForApproval", id="a gate"),
        pytest.param(at_100_percent(failing, looking), "NothingToGoBackTo", id="the canary is worse"),
        pytest.param(at_100_percent(no_pods), "NothingToGoBackTo", id="the canary is lost as well"),
        pytest.param(at_100_percent(back_to_stable), "NothingToGoBackTo", id="stable is wanted again"),
        pytest.param(at_100_percent(raised_from(50), done), "StableUnavailable", id="100% isn't in place"),
        pytest.param(at_100_percent(foreign_edit(30)), "TrafficDrift", id="edited by another hand"),
    ],
)
def test_what_else_waits_at_100_percent(case: Case, reason: str) -> None:
    """Each for a reason of its own, with nothing moved."""
    decision = decided(case)
    assert (decision.reason, decision.actions, end_of(decision)) == (reason, (), None)


@pytest.mark.parametrize("case", [at_100_percent(), at_100_percent(no_pods), at_100_percent(done, steps=GATED)])
def test_a_newer_version_starts_from_what_serves(case: Case) -> None:
    """Nothing goes back on the way: the version in place is stable for the next rollout."""
    first = decided(TO_V3(case))
    assert (end_of(first), first.actions) == (Outcome.SUPERSEDED, ())
    assert first.sentence == "v3 (c) is desired now, instead of v2 (b); v2 serves everything and stays: " + (
        "no replica of v1 is available"
    )
    closed = after(TO_V3(case), first)
    closed = after(closed, decided(closed))
    started = decided(closed).status.rollout
    assert started is not None
    assert (str(started.stable_version), str(started.canary_version)) == ("v2 (b)", "v3 (c)")


@pytest.mark.parametrize("gone", [no_stable_pods, no_stable_workload])
@pytest.mark.parametrize(
    ("case", "said"),
    [
        pytest.param(
            TO_V3(at_20_percent()),
            "v3 (c) is desired now, instead of v2 (b); but no replica of v1 is available to go back to: "
            "start v1, or stop v2 and promote v3 afterwards",
            id="a newer version",
        ),
        pytest.param(
            another_revision(at_20_percent()),
            "v2 (c) is desired now, instead of v2 (b); but no replica of v1 is available to go back to: "
            "start v1, or stop v2 and promote v2 afterwards",
            id="a newer build",
        ),
        pytest.param(
            back_to_stable(at_20_percent()),
            "version was set back to v1; but no replica of v1 is available either",
            id="stable again",
        ),
    ],
)
def test_what_is_desired_waits_below_100_percent_while_the_canary_answers(
    case: Case, said: str, gone: Change
) -> None:
    """The sentence says how a fix gets out."""
    decision = decided(gone(case))
    assert (decision.reason, decision.actions, decision.sentence) == ("NothingToGoBackTo", (), said)


@pytest.mark.parametrize("gone", [no_stable_pods, no_stable_workload])
@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        pytest.param(TO_V3(at_20_percent(no_pods)), Outcome.SUPERSEDED, id="a newer version"),
        pytest.param(back_to_stable(at_20_percent(no_pods)), Outcome.RETURNED, id="stable again"),
        pytest.param(at_100_percent(back_to_stable, no_pods), Outcome.RETURNED, id="stable again, at 100%"),
    ],
)
def test_what_is_desired_waits_for_no_canary_without_replicas(case: Case, outcome: Outcome, gone: Change) -> None:
    """No one answers, so nothing is lost by going back, and the fix can be promoted."""
    decision = decided(gone(case))
    assert (end_of(decision), [one.traffic for one in moves(decision)]) == (outcome, [Traffic()])
    assert decision.sentence.endswith("; but no replica of v1 is available either: requests fail until one is")


def test_a_newer_build_of_what_serves_is_not_judged() -> None:
    """In place of the pods that serve already: the same answer as after a promotion."""
    case = at_100_percent(another_revision)
    for _ in range(3):
        case = after(case, decided(case))
    assert case.status.reason == "UnanalysedRevision"


@pytest.mark.parametrize("gone", [no_stable_pods, no_stable_workload])
@pytest.mark.parametrize("case", [at_100_percent(), at_20_percent()])
def test_stable_that_goes_is_reported(case: Case, gone: Change) -> None:
    """Whether it was scaled down or deleted; once."""
    said = "v1 has 0 of the 4 replicas that a rollback needs"
    case = gone(case).but(stable_replicas=4)
    first = decided(case)
    assert [one.message for one in first.messages].count(said) == 1
    assert said not in [one.message for one in decided(after(case, first)).messages]


@pytest.mark.parametrize("verb", [Verb.ROLLBACK, Verb.REJECT])
@pytest.mark.parametrize("case", [at_100_percent(), at_20_percent(no_stable_pods), at_20_percent(no_stable_workload)])
def test_a_persons_rollback_onto_no_pod_is_refused(case: Case, verb: Verb) -> None:
    """It would take the requests that are answered; the reason says what to do first."""
    decision = decided(asks(verb)(case))
    assert (decision.actions, end_of(decision)) == ((), None)
    why = "no replica of v1 is available, so requests that v2 answers now would fail; start v1 first, then ask again"
    assert f"ada asked to {verb.words}: refused, {why}" in [one.message for one in decision.messages]
    back = asks(verb)(replace(case, stable=WorkloadSeen("v1", 4, 1, "a")))
    assert end_of(decided(back)) is Outcome.REJECTED


def test_a_persons_rollback_is_carried_out_where_no_pod_answers_anyway() -> None:
    """And says what follows."""
    decision = decided(at_20_percent(no_stable_pods, no_pods, asks(Verb.ROLLBACK)))
    assert (end_of(decision), [one.traffic for one in moves(decision)]) == (Outcome.REJECTED, [Traffic()])
    assert decision.sentence.endswith("; but no replica of v1 is available: requests fail until one is")


@pytest.mark.parametrize(
    ("case", "weight"),
    [
        pytest.param(at_100_percent(deleted), 100, id="at 100%"),
        pytest.param(at_20_percent(no_stable_pods, deleted), 20, id="at 20%"),
        pytest.param(at_20_percent(no_stable_pods, deleted, raised_from(10)), 10, id="on the way to 20%"),
        pytest.param(at_20_percent(no_stable_pods, deleted, foreign_edit(30)), 30, id="edited by another hand"),
    ],
)
def test_a_deletion_sends_no_request_to_no_replica(case: Case, weight: int) -> None:
    """It ends at once, with traffic as it is."""
    decision = decided(case)
    assert (end_of(decision), decision.actions, decision.status.canary_weight) == (Outcome.DELETED, (), weight)
    over = decided(after(case, decision))
    assert (over.status.rollout, over.actions) == (None, ())


def test_copies_need_no_way_back() -> None:
    """Requests that are only copied to the canary are answered elsewhere, or nowhere, with and without it."""
    case = changed(at_step(1, wants(steps=None, iterations=2, mirror=True)), no_stable_pods, failing)
    assert decided(case).reason == "SuccessRateBelowMinimum"
    assert decided(asks(Verb.ROLLBACK)(at_step(1, wants(steps=None, iterations=2, mirror=True)))).reason == (
        "RejectedByPerson"
    )


@pytest.mark.parametrize("gone", [no_stable_pods, no_stable_workload])
def test_a_fix_of_a_dead_version_waits_for_a_person(gone: Change) -> None:
    """Nothing begins by itself while there is nothing to go back to; it says who can begin it."""
    case = gone(at_step(0, wants())).but(stable_replicas=0)
    held = decided(case)
    assert held.sentence == "no replica of v1 is available; it waits until one is, or until a person promotes"
    assert [one.traffic for one in moves(decided(asks(Verb.PROMOTE)(case)))] == [Traffic(weight=100)]


def test_a_persons_promotion_is_finished() -> None:
    """100% was decided and not yet in place when stable went."""
    case = changed(at_step(4, wants()), raised_from(20), no_stable_pods, hurried)
    assert [one.traffic for one in moves(decided(case))] == [Traffic(weight=100)]


def test_a_gate_that_timed_out_can_still_be_approved() -> None:
    """Its answer, a rollback, leads to no replica."""
    case = at_100_percent(done, steps=GATED)
    case = after(case, decided(case), seconds=HOUR / SECOND)
    case = between_evaluations(case)
    late = decided(case)
    assert (late.reason, late.actions) == ("NothingToGoBackTo", ())
    assert end_of(decided(asks(Verb.APPROVE)(after(case, late)))) is Outcome.PROMOTED
