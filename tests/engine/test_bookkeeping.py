"""What a decision leaves behind: conditions, messages, history, size, and when to decide again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase, Status
from canary.engine.decide import HISTORY, Decision
from canary.engine.notifications import OUTBOX
from canary.engine.observed import Cause, Missing
from tests.engine.situations import (
    BETA,
    MINUTE,
    NOW,
    SECOND,
    Case,
    Change,
    after,
    asks,
    at_20_percent,
    at_rest,
    between_evaluations,
    contested,
    decided,
    deleted,
    done,
    ended,
    failing,
    foreign_edit,
    hurried,
    invalid,
    later,
    manifest,
    no_data,
    of_canary,
    paused,
    pods,
    raised_from,
    restarted,
    route_at,
    route_down,
    route_says,
    spec,
    suspended,
    unknown_revision,
    wanted,
)
from tests.moves import moves


def conditions(decision: Decision) -> dict[str, str]:
    """Truth by type."""
    return {one.type: one.status for one in decision.status.conditions}


READY = {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Promoted": "True"}
MOVING = {"Ready": "False", "Reconciling": "True", "Stalled": "False", "Promoted": "Unknown"}
STUCK = {"Ready": "False", "Reconciling": "False", "Stalled": "True", "Promoted": "Unknown"}
UNSURE = MOVING | {"Reconciling": "False"}
FAILED = STUCK | {"Promoted": "False"}


def promoted(case: Case) -> Case:
    """v2 was promoted, and serves."""
    status = Status(phase=Phase.SUCCEEDED, stable=at_20_percent().rollout.canary_version)
    return replace(case, status=status, route=route_at(Traffic(weight=100)))


def failed(case: Case) -> Case:
    """v2 was rolled back."""
    rollout = at_20_percent().rollout
    return replace(
        case, status=Status(phase=Phase.FAILED, stable=rollout.stable_version, failed=rollout.canary_version)
    )


def absent_workload(case: Case) -> Case:
    return replace(case, desired_version=Missing(Cause.ABSENT))


def forbidden_workload(case: Case) -> Case:
    return replace(case, desired_version=Missing(Cause.DENIED))


def absent_route(case: Case) -> Case:
    return replace(case, route=Missing(Cause.ABSENT))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(at_20_percent(), MOVING, id="in flight"),
        pytest.param(at_20_percent(paused), MOVING, id="paused"),
        pytest.param(at_20_percent(invalid), STUCK, id="in flight, and what is written is wrong"),
        pytest.param(at_20_percent(raised_from(10), route_says(rejected="no")), STUCK, id="the proxy refuses"),
        pytest.param(at_20_percent(foreign_edit()), MOVING | {"TrafficDrift": "True"}, id="a foreign edit"),
        pytest.param(at_20_percent(absent_route), STUCK, id="the route is gone in mid-rollout"),
        pytest.param(at_20_percent(route_down), MOVING, id="the route can't be read for a while in mid-rollout"),
        pytest.param(at_20_percent(failing), MOVING, id="rolling back"),
        pytest.param(at_20_percent(ended(Outcome.ROLLED_BACK), later(MINUTE)), FAILED, id="rolled back"),
        pytest.param(at_20_percent(ended(Outcome.PROMOTED, 100), later(MINUTE)), READY, id="promoted"),
        pytest.param(at_20_percent(ended(Outcome.SUPERSEDED)), MOVING | {"Reconciling": "False"},
                     id="superseded: what serves isn't the desired version"),
        pytest.param(at_rest(promoted), READY, id="at rest, as wanted"),
        pytest.param(at_rest(promoted, route_down), READY, id="at rest, and the route can't be read just now"),
        pytest.param(at_rest(promoted, invalid), STUCK, id="an earlier success is no answer to a wrong manifest"),
        pytest.param(at_rest(contested), STUCK, id="at rest, and someone else moves the target"),
        pytest.param(at_rest(promoted, wanted("v3"), spec(suspend=True)), MOVING | {"Reconciling": "False"},
                     id="nor to a version that is suspended"),
        pytest.param(at_rest(promoted, wanted("v3")), MOVING, id="nor to one that starts now"),
        pytest.param(at_rest(promoted, wanted("v3"), route_down), UNSURE,
                     id="nor to one while the route can't be read"),
        pytest.param(at_rest(promoted, spec(version="v3"), unknown_revision), UNSURE,
                     id="nor to one whose workload can't be read"),
        pytest.param(at_rest(promoted, absent_workload), UNSURE, id="nor to one whose workload isn't there (yet)"),
        pytest.param(at_rest(spec(version="v22"), absent_workload), STUCK, id="no such version is defined"),
        pytest.param(at_rest(promoted, unknown_revision), READY,
                     id="at rest, and the workload can't be read just now"),
        pytest.param(at_rest(promoted, unknown_revision, route_down), READY, id="at rest, and nothing can be read"),
        pytest.param(at_rest(unknown_revision), UNSURE, id="nothing was ever read"),
        pytest.param(at_rest(promoted, forbidden_workload), STUCK, id="at rest, and the workload may not be read"),
        pytest.param(at_rest(promoted, absent_route), STUCK, id="at rest, and the route is gone"),
        pytest.param(at_rest(failed), FAILED, id="failed before"),
        pytest.param(at_rest(promoted, wanted("v2", "z")), READY | {"Promoted": "Unknown"}, id="an unanalysed push"),
    ],
)  # fmt: skip
def test_conditions_as_kstatus_reads_them(case: Case, expected: dict[str, str]) -> None:
    assert conditions(decided(case)) == expected


def test_conditions_say_of_which_generation_they_speak_and_since_when() -> None:
    """`lastTransitionTime` moves only where the truth changed."""
    case = at_20_percent()
    canary = case.resolved.manifest
    case = replace(
        case, resolved=replace(case.resolved, manifest=canary.but(metadata=canary.metadata.but(generation=4)))
    )
    first = decided(case)
    assert first.status.observed_generation == 4
    assert {one.observed_generation for one in first.status.conditions} == {4}
    drifted = decided(foreign_edit()(after(case, first, seconds=5)))
    since = {one.type: one.last_transition_time - NOW for one in drifted.status.conditions}
    assert since == {
        "Ready": timedelta(), "Reconciling": timedelta(), "Stalled": timedelta(), "Promoted": timedelta(),
        "TrafficDrift": 5 * SECOND,
    }  # fmt: skip


# ---- drift -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_drift", "changes", "expected"),
    [
        pytest.param("hold", [foreign_edit(35)], ("TrafficDrift", 20, None), id="hold: nothing is written"),
        pytest.param("reassert", [foreign_edit(35)], ("TrafficDrift", 20, True), id="reassert over more: a lowering"),
        pytest.param("reassert", [foreign_edit(5)], ("TrafficDrift", 20, False), id="reassert over less: raise"),
        pytest.param("reassert", [foreign_edit(5), wanted("v2", "c")], ("Superseded", 0, True), id="superseded"),
        pytest.param("rollback", [foreign_edit(35)], ("TrafficDrift", 0, True), id="roll back"),
        pytest.param("rollback", [foreign_edit(35), paused], ("Paused", 20, None), id="roll back, but paused"),
        pytest.param("hold", [foreign_edit(10)], ("TrafficDrift", 20, None),
                     id="hold: back at the step before is an edit as well, once the raise was read back"),
        pytest.param("hold", [raised_from(10)], ("WaitingForRoute", 20, False), id="not yet at it: ours"),
    ],
)  # fmt: skip
def test_a_foreign_edit(on_drift: str, changes: list[Change], expected: tuple[str, int, bool | None]) -> None:
    """Promise 7: seen, said, and not overwritten blindly. The last value says whether what is asked lowers."""
    decision = decided(at_20_percent(between_evaluations, *changes, onDrift=on_drift))
    decreases = decision.actions[0].decreases if decision.actions else None
    assert (decision.reason, decision.status.canary_weight, decreases) == expected


def test_a_foreign_edit_says_what_is_there_and_what_to_do() -> None:
    decision = decided(at_20_percent(between_evaluations, foreign_edit(60)))
    assert decision.sentence == "the route was changed: at 60%, not 20%; set it back or roll back"


def test_a_raise_read_back_makes_only_itself_ours() -> None:
    """A manifest with 100/0 that is applied again at the first step isn't our own raise that waits."""
    case = at_20_percent(between_evaluations, raised_from(0))
    landed = decided(replace(case, route=route_at(Traffic(weight=20))))
    applied_again = replace(after(case, landed, seconds=5), route=route_at(Traffic()))
    assert decided(applied_again).reason == "TrafficDrift"
    assert decided(restarted(applied_again)).reason == "UnsavedRollback"


def test_after_a_promotion_an_edited_route_is_not_raised_again() -> None:
    """The rollout is over, and says what happened since."""
    decision = decided(at_20_percent(ended(Outcome.PROMOTED, 100), foreign_edit(40)))
    assert decision.actions == ()
    assert decision.closed
    assert decision.sentence == "promoted: because; another client changed the route after the rollout: at 40%"


def test_a_saved_lowering_is_finished_after_any_write_meanwhile() -> None:
    decision = decided(at_20_percent(ended(Outcome.ROLLED_BACK), foreign_edit(40)))
    assert [(action.traffic.weight, action.token, action.decreases) for action in moves(decision)] == [
        (0, "foreign", True)
    ]


# ---- steps -----------------------------------------------------------------------------------------------------


def test_each_of_two_equal_steps_is_held() -> None:
    """The second from when it began, without a write."""
    steps = [{"weight": 10}, {"weight": 20, "hold": "1m"}, {"weight": 20, "hold": "5m"}]
    case = at_20_percent(done, steps=steps)
    decision = decided(case)
    assert (decision.reason, decision.actions) == ("StepPassed", ())
    assert decision.status.rollout is not None
    assert decision.status.rollout.in_place_since == NOW


def test_an_ab_step_is_a_raise() -> None:
    """Matches are compared, not hashed."""
    case = at_20_percent(steps=[{"weight": 0, "match": [BETA.wire()]}, {"weight": 20}])
    start = replace(case.but(step=0, desired=Traffic(), previous=Traffic()), route=route_at(Traffic()))
    assert [(action.traffic, action.decreases) for action in moves(decided(start))] == [
        (Traffic(match=(BETA,)), False)
    ]


def test_an_edit_of_the_analysis_is_for_the_next_rollout() -> None:
    """Said once."""
    case = at_20_percent()
    case = replace(
        case, resolved=replace(case.resolved, plan=case.resolved.plan.but(steps=case.resolved.plan.steps[:2]))
    )
    first = decided(case)
    second = decided(after(case, first, seconds=1))
    assert [m.reason for m in first.messages] == ["EditedLater"]
    assert second.messages == ()
    assert second.status.rollout is not None
    assert len(second.status.rollout.plan.steps) == 4


# ---- messages, history, size -----------------------------------------------------------------------------------


def test_messages_tell_of_changes_and_not_of_waiting() -> None:
    """Ids count up; the same reason is not reported twice in a row."""
    case, reported = at_20_percent(no_data), []
    for change in ((), (no_data,), (no_data,), (done,), (asks(Verb.ROLLBACK),)):
        decision = decided(replace(at_20_percent(*change), status=case.status, now=case.now))
        reported += [(message.id, message.type, message.reason) for message in decision.messages]
        case = after(case, decision, seconds=60)
    assert reported == [
        ("1", "Warning", "NoData"),
        ("2", "Normal", "StepPassed"),
        ("3", "Normal", "RollbackAsked"),
        ("4", "Warning", "RejectedByPerson"),
    ]


def test_an_outbox_that_is_never_emptied_stays_small_and_keeps_every_end() -> None:
    """Promise 10: ends are never dropped."""
    case = at_20_percent()
    for round_ in range(60):
        reason = foreign_edit() if round_ % 2 else no_data
        decision = decided(reason(replace(case, route=route_at(Traffic(weight=20)))))
        case = after(case, decision, seconds=60, obeyed=False)
    assert len(case.status.outbox) == OUTBOX
    end = decided(replace(at_20_percent(ended(Outcome.ROLLED_BACK), later(MINUTE)), status=ending(case.status)))
    case = replace(case, status=end.status)
    assert "RolledBack" in [message.reason for message in case.status.outbox]
    assert len(case.status.outbox) == OUTBOX


def ending(status: Status) -> Status:
    """The status of a rollout that is rolled back, with this outbox."""
    over = at_20_percent(ended(Outcome.ROLLED_BACK)).status
    return over.but(outbox=status.outbox, message_count=status.message_count)


def test_history_keeps_ten() -> None:
    """The newest first, each with its reason and the highest weight."""
    status = Status()
    for number in range(12):
        over = at_20_percent(ended(Outcome.ROLLED_BACK), later(MINUTE)).but(number=number)
        status = decided(replace(over, status=over.status.but(history=status.history))).status
    assert [one.number for one in status.history] == list(range(11, 1, -1))
    assert (len(status.history), status.history[0].weight, status.history[0].reason) == (HISTORY, 20, "Because")


LONG = "x" * 4000


def worst() -> Case:
    """Twenty steps, six metrics with long queries, people and servers that talk a lot, no one who listens."""
    steps: list[dict[str, Any]] = [{"weight": n * 4, "hold": "10m", "iterations": 5} for n in range(1, 20)]
    steps[1]["gates"] = [{"name": "security", "approval": {"count": 3}, "timeout": "4h"}]
    query = "sum(rate(http_requests_total{namespace='{{ namespace }}',code=~'5..'}[{{ interval }}]))" * 2
    metrics = [{"name": f"errors-{n}", "query": query, "thresholdRange": {"max": 1}} for n in range(6)]
    case = at_20_percent(
        *(asks(Verb.PAUSE if n % 2 else Verb.RESUME, f"someone-{n}", comment=LONG) for n in range(80)),
        steps=steps,
        metrics=metrics,
    )
    return replace(case, answers=lambda query: Missing(Cause.RUBBISH, LONG))


def test_status_stays_under_16_kib_in_the_worst_plausible_case() -> None:
    """With any text of people, proxies and servers, and when no one takes the messages away."""
    case = worst()
    for round_ in range(30):
        trouble: Change = foreign_edit() if round_ % 2 else route_says(rejected=LONG)
        case = trouble(replace(case, route=route_at(Traffic(weight=8))))
        case = replace(after(case, decided(case), seconds=60, obeyed=False), answers=case.answers)
    history = [at_20_percent(ended(Outcome.ROLLED_BACK), later(MINUTE)) for _ in range(10)]
    full = tuple(decided(one).status.history[0].but(message="x" * 120) for one in history)
    assert len(case.status.but(history=full).model_dump_json(by_alias=True, exclude_none=True)) < 16 * 1024


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(at_20_percent(), id="in flight"),
        pytest.param(at_20_percent(no_data, asks(Verb.PAUSE)), id="paused without data"),
        pytest.param(at_20_percent(of_canary(duration=float("inf"))), id="infinite"),
        pytest.param(at_20_percent(failing), id="rolling back"),
        pytest.param(at_20_percent(ended(Outcome.PROMOTED, 100), later(MINUTE)), id="over"),
        pytest.param(at_20_percent(done, steps=[{"weight": 10}, {"weight": 20, "gates": [{"approval": {}}]}]),
                     id="at a gate"),
        pytest.param(at_rest(), id="just begun"),
        pytest.param(worst(), id="the worst"),
    ],
)  # fmt: skip
def test_status_survives_json(case: Case) -> None:
    """As the store writes it, and as the API server would."""
    status = decided(case).status
    assert Status.model_validate_json(status.model_dump_json(by_alias=True)) == status
    assert Status.model_validate(status.wire()) == status


# ---- when next -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "seconds"),
    [
        pytest.param(at_rest(), 0.2, id="a rollout begins: at once"),
        pytest.param(at_20_percent(done), 0.2, id="a write: see soon whether it is in effect"),
        pytest.param(at_20_percent(raised_from(10), between_evaluations), 1, id="asked again: not as soon"),
        pytest.param(at_20_percent(between_evaluations), 30, id="the next evaluation"),
        pytest.param(at_20_percent(between_evaluations, foreign_edit()), 30, id="drift: no hurry"),
        pytest.param(at_20_percent(ended(Outcome.ROLLED_BACK)), 29, id="the end of the drain"),
        pytest.param(at_20_percent(ended(Outcome.SUPERSEDED)), 0.2, id="superseded: the next one begins"),
        pytest.param(at_20_percent(ended(Outcome.PROMOTED, 100), later(MINUTE)), 60, id="over"),
        pytest.param(at_20_percent(between_evaluations, pods(1),
                                   steps=[{"weight": 10}, {"weight": 50, "iterations": 3}])
                     .but(short_since=NOW - 5 * SECOND), 10, id="the end of the grace"),
    ],
)  # fmt: skip
def test_when_to_decide_again(case: Case, seconds: float) -> None:
    assert decided(case).requeue_after.total_seconds() == pytest.approx(seconds)


def test_a_hurried_person_and_a_suspended_manifest() -> None:
    """The manifest wins; nothing is lost."""
    held = decided(at_20_percent(hurried, suspended))
    assert held.reason == "Suspended"
    assert held.status.rollout is not None
    assert held.status.rollout.hurried


def test_deleted_while_ending() -> None:
    """The end that was decided is kept; after it the Canary is gone."""
    decision = decided(at_20_percent(ended(Outcome.ROLLED_BACK), deleted, later(MINUTE)))
    assert (decision.status.phase, decision.status.history[0].outcome) == (Phase.TERMINATING, Outcome.ROLLED_BACK)


def test_the_manifest_of_all_cases_is_valid() -> None:
    assert manifest().spec.version == "v2"


@pytest.mark.parametrize(
    ("outcome", "weight"), [(Outcome.PROMOTED, 100), (Outcome.ROLLED_BACK, 0), (Outcome.REJECTED, 0)]
)
def test_the_weight_after_the_end_is_what_the_version_serves(outcome: Outcome, weight: int) -> None:
    """After a promotion it serves everything, and 0 beside Succeeded would say the opposite."""
    case = at_20_percent(ended(outcome, 100 if weight else 0), later(MINUTE))
    over = decided(case)
    assert (over.closed, over.status.canary_weight) == (True, weight)
