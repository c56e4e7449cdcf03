"""What people ask: once each, for what they saw, with a name (promise 5); and the gates that wait for them."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.status import Phase
from canary.engine.decide import Decision
from canary.engine.verbs import OTHERS, REMEMBERED, ROOM, SHOWN, removable
from tests.engine.situations import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    Case,
    Change,
    after,
    approved_by,
    asks,
    at_20_percent,
    at_rest,
    at_step,
    changed,
    decided,
    deleted,
    done,
    failing,
    later,
    no_pods,
    no_stable_pods,
    paused,
    pods,
    prometheus_down,
    suspended,
    wants,
)
from tests.moves import moves


def gates(**gate: Any) -> dict[str, Any]:
    """A plan whose second of three steps has a gate."""
    gate = {"approval": {"count": 1}, "timeout": "1h", **gate}
    return {"steps": [{"weight": 10}, {"weight": 20, "gates": [gate]}, {"weight": 50}]}


def waiting(*changes: Change, **gate: Any) -> Case:
    """All is done at 20% but the gate, which has been asked a moment ago."""
    case = at_20_percent(done, **gates(**gate))
    case = after(case, decided(case))
    for change in changes:
        case = change(case)
    return case


def reported(decision: Decision) -> list[str]:
    """The messages of this reconcile that speak of actions."""
    return [f"{one.type}: {one.message}" for one in decision.messages if one.reason.endswith(("Asked", "Refused"))]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(asks(Verb.PAUSE), "Normal: ada asked to pause", id="a name, verified"),
        pytest.param(asks(Verb.PAUSE, verified=False), "Normal: ada (unverified) asked to pause", id="unverified"),
        pytest.param(asks(Verb.PAUSE, ""), "Normal: a user asked to pause", id="no one said who"),
        pytest.param(asks(Verb.PAUSE, comment="lunch"), "Normal: ada asked to pause: lunch", id="and why"),
    ],
)
def test_an_action_says_whose_it_is(change: Change, sentence: str) -> None:
    assert reported(decided(at_20_percent(change))) == [sentence]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(asks(Verb.PAUSE, rollout=7), "that was for rollout 7, this is rollout 1", id="another rollout"),
        pytest.param(asks(Verb.ROLLBACK, version="v9"), "that was for version v9, this is v2", id="another version"),
        pytest.param(asks(Verb.PROMOTE, revision="z"), "that was for revision z, this is b", id="another revision"),
        pytest.param(asks(Verb.APPROVE, step=1), "that was for step 1, this is step 2", id="another step"),
        pytest.param(asks(Verb.APPROVE), "step 2 has no gate that people open", id="no gate"),
        pytest.param(asks(Verb.RESUME), "nothing is paused", id="resume without a pause"),
        pytest.param(asks(Verb.RETRY), "a rollout is running", id="retry in mid-flight"),
    ],
)
def test_a_stale_action_is_refused_with_a_reason(change: Change, why: str) -> None:
    """Taken too, so that it is reported once; and nothing else follows from it."""
    case = at_20_percent(change)
    decision, without = decided(case), decided(at_20_percent())
    assert [sentence.partition(": refused, ")[2] for sentence in reported(decision)] == [why]
    assert decision.status.actions_taken == (case.actions[0].id,)
    assert (decision.status.rollout, decision.actions) == (without.status.rollout, without.actions)


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.SKIP])
def test_what_is_asked_while_paused_says_that_nothing_moves_yet(verb: Verb) -> None:
    """And a pause that is asked for says only that."""
    assert reported(decided(waiting(paused, asks(verb, comment="go")))) == [
        f"Normal: ada asked to {verb}: go; it is paused, nothing moves until resumed"
    ]
    assert reported(decided(at_20_percent(paused, asks(Verb.PAUSE)))) == ["Normal: ada asked to pause"]


def test_at_rest_only_a_retry_is_heard() -> None:
    decision = decided(at_rest(*(asks(verb) for verb in Verb)))
    assert len(reported(decision)) == len(Verb)
    assert decision.status.rollout is not None
    assert decision.status.rollout.pause is None


@pytest.mark.parametrize("verb", list(Verb))
def test_each_action_counts_once(verb: Verb) -> None:
    """It lies there for ever, and is seen again in every reconcile."""
    case = waiting(asks(verb))
    first = decided(case)
    second = decided(replace(after(case, first, seconds=1), actions=case.actions))
    assert reported(second) == []
    assert second.status.actions_taken == first.status.actions_taken


def test_an_action_for_another_canary_is_not_ours() -> None:
    assert reported(decided(at_20_percent(asks(Verb.ROLLBACK, target="other")))) == []


def heard_in(case: Case, rounds: int, removes: bool = True) -> tuple[list[str], Case]:
    """What is said of actions over so many reconciles, one a second; the inbox removes what it may."""
    lying, heard = case.actions, []
    for _ in range(rounds):
        decision = decided(replace(case, actions=lying))
        heard += [one.message for one in decision.messages if one.reason in ("ActionRefused", "PauseAsked")]
        case = after(case, decision, seconds=1)
        gone = {one.id for one in removable(lying, case.status, case.now)} if removes else set()
        lying = tuple(one for one in lying if one.id not in gone)
    return heard, replace(case, actions=lying)


def test_a_thousand_actions_of_one_second_count_once_each() -> None:
    """More than status remembers: the others wait until there is room. One of that second that comes last counts."""
    same: list[Change] = [asks(Verb.RETRY, f"user {n}", id=f"a{n:04}", at=NOW) for n in range(1000)]
    heard, case = heard_in(at_20_percent(*same), 40)
    assert (len(heard), len(set(heard))) == (1000, 1000)
    assert len(case.status.actions_taken) <= REMEMBERED
    heard, case = heard_in(asks(Verb.PAUSE, "late", id="0", at=NOW)(case), 3)
    assert heard == ["late asked to pause"]


def test_a_rollback_is_taken_before_a_thousand_older_actions() -> None:
    """Also where there is no room for others any more, and nothing can be removed."""
    same: list[Change] = [asks(Verb.RETRY, id=f"a{n:04}", at=NOW) for n in range(1000)]
    full = heard_in(at_20_percent(*same), 3, removes=False)[1]
    assert len(full.status.actions_taken) == OTHERS
    decision = decided(asks(Verb.ROLLBACK, "ada", id="z", at=NOW)(full))
    assert (decision.reason, decision.status.canary_weight) == ("RejectedByPerson", 0)


def test_without_a_right_to_remove_actions_the_others_wait_for_an_hour() -> None:
    """Then a time stands for those that were taken; none acts twice."""
    same: list[Change] = [asks(Verb.RETRY, f"user {n}", id=f"a{n:04}", at=NOW) for n in range(80)]
    heard, case = heard_in(at_20_percent(*same), 3, removes=False)
    assert len(heard) == OTHERS
    settled = replace(case, now=NOW + HOUR + MINUTE).but(deadline=NOW + 9 * HOUR)
    later_on = heard_in(settled, 3, removes=False)[0]
    assert (len(later_on), len({*heard, *later_on})) == (20, 80)


def test_an_older_action_that_found_no_room_is_taken_once_it_is_settled() -> None:
    """It came after younger ones, from a server whose clock is behind; a time stands for it at once, without room."""
    first: list[Change] = [asks(Verb.RETRY, f"user {n}", id=f"a{n:04}", at=NOW) for n in range(OTHERS)]
    heard, case = heard_in(at_20_percent(*first), 2, removes=False)
    for change in [asks(Verb.RETRY, f"late {n}", id=f"b{n:04}", at=NOW - MINUTE) for n in range(OTHERS)]:
        case = change(case)
    heard, case = heard_in(case, 2, removes=False)
    assert heard == []
    settled = replace(case, now=NOW + HOUR + MINUTE).but(deadline=NOW + 9 * HOUR)
    heard, _ = heard_in(settled, 3, removes=False)
    assert (len(heard), len(set(heard))) == (OTHERS, OTHERS)


def test_a_clock_that_is_behind_loses_nothing() -> None:
    """Times of different servers differ; an action that is older than those that were taken is taken as well."""
    same: list[Change] = [asks(Verb.RETRY, id=f"a{n:04}", at=NOW) for n in range(300)]
    case = heard_in(at_20_percent(*same), 20)[1]
    heard, _ = heard_in(asks(Verb.PAUSE, "ben", id="behind", at=NOW - 59 * MINUTE)(case), 1)
    assert heard == ["ben asked to pause"]


def test_an_id_that_is_as_long_as_a_file_name_takes_little_room() -> None:
    """It is a hash in the status, and still known."""
    case = at_20_percent(asks(Verb.PAUSE, id="x" * 250))
    first = decided(case)
    assert len(first.status.actions_taken[0]) < 64
    assert reported(decided(replace(after(case, first, seconds=1), actions=case.actions))) == []


def test_of_actions_of_one_time_the_pause_stays() -> None:
    """Nothing says which was first; the answer that exposes fewer users is to stay paused."""
    both = at_20_percent(asks(Verb.PAUSE, id="a", at=NOW), asks(Verb.RESUME, id="b", at=NOW))
    rollout = decided(both).status.rollout
    assert rollout is not None
    assert rollout.pause is not None


def test_a_resume_that_is_read_after_a_later_pause_does_not_end_it() -> None:
    """A flood of other actions may have kept it waiting; in the same second it may well be meant."""
    paused_now = decided(case := at_20_percent(asks(Verb.PAUSE, at=NOW)))
    after_it = after(case, paused_now, seconds=1)
    late, same = (decided(asks(Verb.RESUME, id=at.isoformat(), at=at)(after_it)) for at in (NOW - SECOND, NOW))
    assert reported(late) == ["Warning: ada asked to resume: refused, that was asked before the pause"]
    assert (late.reason, same.status.rollout and same.status.rollout.pause) == ("Paused", None)


def test_what_lies_there_for_people_to_see() -> None:
    """Of those that were taken the newest, for an hour; one that waits stays however old it is."""
    lying: list[Change] = [asks(Verb.RETRY, id=f"a{n:02}", at=NOW - n * SECOND) for n in range(30)]
    case = at_20_percent(*lying, asks(Verb.RETRY, id="waits", at=NOW - 5 * HOUR))
    status = case.status.but(actions_taken=tuple(f"a{n:02}" for n in range(30)))
    gone = {one.id for one in removable(case.actions, status, NOW)}
    assert gone == {f"a{n:02}" for n in range(SHOWN, 30)}
    assert len(removable(case.actions, status, NOW + HOUR)) == 30


def test_the_room_for_what_lowers_exposure_is_reserved() -> None:
    assert OTHERS < ROOM[Verb.PAUSE] < ROOM[Verb.ROLLBACK] == ROOM[Verb.REJECT] == REMEMBERED


def test_pause_and_resume() -> None:
    """Nothing moves meanwhile, and the time is given back."""
    case = at_20_percent(asks(Verb.PAUSE, comment="lunch"))
    deadline = case.rollout.deadline
    halted = decided(case)
    assert (halted.reason, halted.sentence) == ("Paused", "paused by ada at 20% until resumed (lunch)")
    resumed = decided(asks(Verb.RESUME)(after(case, halted, seconds=3600)))
    assert resumed.status.rollout is not None
    assert (resumed.status.rollout.pause, resumed.status.rollout.deadline) == (None, deadline + HOUR)


def test_skip_leaves_the_step_and_nothing_more() -> None:
    """Its hold, its evaluations and its gates; the canary's replicas are still asked for."""
    short = decided(at_20_percent(asks(Verb.SKIP), pods(1)))
    assert (short.reason, short.status.canary_weight) == ("CanaryNotReady", 20)
    skipped = decided(at_20_percent(asks(Verb.SKIP)))
    assert (skipped.reason, skipped.status.canary_weight) == ("StepSkipped", 50)
    assert skipped.status.rollout is not None
    assert not skipped.status.rollout.skipped


def test_promote_goes_to_everything_at_once() -> None:
    decision = decided(at_20_percent(asks(Verb.PROMOTE)))
    assert [action.traffic for action in moves(decision)] == [Traffic(weight=100)]
    assert decision.status.phase is Phase.PROMOTING


@pytest.mark.parametrize("verb", [Verb.SKIP, Verb.PROMOTE])
def test_the_rest_of_the_last_step_can_be_passed_over(verb: Verb) -> None:
    """Where the plan itself ends at 100%, and is held there."""
    case = changed(at_step(2, wants(steps=[{"weight": 10}, {"weight": 100, "hold": "1h"}])), asks(verb))
    assert decided(case).reason == "Promoted"


# ---- gates -----------------------------------------------------------------------------------------------------


def test_a_gate_is_asked_only_when_all_else_is_done() -> None:
    """And then says what it waits for and until when."""
    assert decided(at_20_percent(prometheus_down, **gates())).reason == "MetricsUnreachable"
    decision = decided(at_20_percent(done, **gates(name="security", approval={"count": 2})))
    assert decision.sentence == "at 20%, security waits for 0 of 2 approvals, until 11:00:00 UTC"


@pytest.mark.parametrize(
    ("count", "changes", "reason"),
    [
        pytest.param(1, [asks(Verb.APPROVE)], "StepPassed", id="one is enough"),
        pytest.param(2, [asks(Verb.APPROVE)], "WaitingForApproval", id="one of two"),
        pytest.param(2, [approved_by("ada"), asks(Verb.APPROVE, "ada")], "WaitingForApproval", id="the same twice"),
        pytest.param(2, [approved_by("ada"), asks(Verb.APPROVE, "bob")], "StepPassed", id="two people"),
        pytest.param(2, [asks(Verb.APPROVE, "ada"), asks(Verb.APPROVE, "bob")], "StepPassed", id="two at once"),
        pytest.param(1, [asks(Verb.APPROVE), no_pods], "CanaryUnavailable", id="approved and lost"),
        pytest.param(1, [asks(Verb.APPROVE), no_stable_pods], "StableUnavailable", id="approved, stable is gone"),
        pytest.param(1, [asks(Verb.APPROVE), paused], "Paused", id="approved while paused"),
    ],
)
def test_a_gate_opens_for_so_many_people(count: int, changes: list[Change], reason: str) -> None:
    assert decided(waiting(*changes, approval={"count": count})).reason == reason


def test_an_approval_may_come_early_and_is_for_one_step() -> None:
    """Before the gate is asked; and the next step begins without any."""
    case = at_20_percent(asks(Verb.APPROVE), **gates())
    decision = decided(case)
    assert decision.reason == "StepPassed"
    assert decision.status.rollout is not None
    assert decision.status.rollout.approvals == ()


def test_more_approvals_than_needed_are_refused() -> None:
    """Names are free where no one verifies them; status doesn't grow with them."""
    crowd = [asks(Verb.APPROVE, f"p{n}") for n in range(30)]
    rollout = decided(waiting(*crowd, no_stable_pods, approval={"count": 2})).status.rollout
    assert rollout is not None
    assert len(rollout.approvals) == 2


@pytest.mark.parametrize(
    ("on_timeout", "waited", "reason", "weight"),
    [
        pytest.param("rollback", HOUR - SECOND, "WaitingForApproval", 20, id="a second before its time is over"),
        pytest.param("rollback", HOUR, "GateTimedOut", 0, id="its time is over: roll back"),
        pytest.param("promote", HOUR, "StepPassed", 50, id="its time is over: open"),
        pytest.param("hold", 99 * HOUR, "WaitingForApproval", 20, id="without end"),
    ],
)
def test_a_gates_time_out(on_timeout: str, waited: Any, reason: str, weight: int) -> None:
    case = quiet(waiting(later(waited), onTimeout=on_timeout))
    decision = decided(case)
    assert (decision.reason, decision.status.canary_weight) == (reason, weight)


def quiet(case: Case) -> Case:
    """No evaluation is due."""
    return case.but(next_evaluation=case.now + MINUTE)


def test_a_gate_that_time_has_opened_stays_open() -> None:
    """While something else keeps the step from being left; and the rollout's own clock runs again."""
    case = quiet(waiting(later(HOUR), no_stable_pods, onTimeout="promote"))
    first = decided(case)
    assert (first.reason, first.status.phase) == ("StableUnavailable", Phase.PROGRESSING)
    assert first.status.rollout is not None
    assert first.status.rollout.stopped_at is None
    following = replace(after(case, first, seconds=5), stable=at_20_percent().stable)
    assert decided(following).reason == "StepPassed"


@pytest.mark.parametrize(
    "halt", [pytest.param(asks(Verb.PAUSE), id="paused"), pytest.param(suspended, id="suspended")]
)
def test_clocks_stand_still_while_halted(halt: Change) -> None:
    """The gate's and the rollout's; a gate asked meanwhile gets no more than its own."""
    case = waiting()
    gate, deadline = case.rollout.gates[0].deadline, case.rollout.deadline
    assert gate is not None
    halted = halt(later(MINUTE)(case))
    assert decided(halted).reason in ("Paused", "Suspended")
    resumed = replace(asks(Verb.RESUME)(after(halted, decided(halted), seconds=7200)), resolved=case.resolved)
    rollout = decided(quiet(resumed)).status.rollout
    assert rollout is not None
    assert rollout.gates[0].deadline == gate + 2 * HOUR
    assert rollout.deadline == deadline  # it stands still at the gate as well, and moves once that is over


def test_a_gate_asked_while_halted_gets_its_own_time() -> None:
    """An hour from when the pause ended, not the pause's length more."""
    halted = at_20_percent(done, paused, **gates())
    halted = halted.but(halted_at=NOW - HOUR, stopped_at=NOW - HOUR)
    first = decided(halted)
    resumed = asks(Verb.RESUME)(after(halted, first, seconds=600))
    rollout = decided(quiet(resumed)).status.rollout
    assert rollout is not None
    assert rollout.gates[0].deadline == resumed.now + HOUR


def test_a_gate_keeps_no_rollback_from_happening() -> None:
    """Promise 4."""
    assert decided(failing(waiting().but(next_evaluation=NOW))).status.canary_weight == 0
    assert decided(deleted(waiting())).status.phase is Phase.TERMINATING


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.SKIP])
def test_one_person_alone_does_not_pass_a_gate_of_several(verb: Verb) -> None:
    """Neither while it waits nor before it is asked; once so many have approved, anybody may."""
    two = {"approval": {"count": 2}}
    refused = f"the gate of step 2 asks for 2 people, and {verb} would go past it; approve it instead"
    for case in (waiting(asks(verb), **two), at_20_percent(asks(verb), **gates(**two))):
        decision = decided(case)
        assert decision.actions == ()
        [said] = reported(decision)
        assert said.endswith(refused)
    early = at_20_percent(approved_by("ada", "bob"), asks(verb), **gates(**two))
    assert decided(early).actions != ()


def test_a_gate_of_several_ahead_keeps_from_promoting_and_one_behind_does_not() -> None:
    """A step may be skipped on the way to it."""
    gate = {"gates": [{"approval": {"count": 2}}]}
    ahead = [{"weight": 10}, {"weight": 20}, {"weight": 50, **gate}]
    behind = [{"weight": 10, **gate}, {"weight": 20}, {"weight": 50}]
    [refused] = reported(decided(at_20_percent(asks(Verb.PROMOTE), steps=ahead)))
    assert "the gate of step 3 asks for 2 people" in refused
    assert decided(at_20_percent(asks(Verb.SKIP), steps=ahead)).reason == "StepSkipped"
    assert decided(at_20_percent(asks(Verb.PROMOTE), steps=behind)).reason == "PromotionAsked"


def test_a_gate_that_closes_tomorrow_says_so() -> None:
    """The time of day alone would read as now."""
    decision = decided(at_20_percent(done, **gates(timeout="24h")))
    assert decision.sentence == "at 20%, approval waits for an approval, until tomorrow 10:00 UTC"
