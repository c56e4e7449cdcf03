"""Guards: what an expression may say, what it can read, and what follows when it isn't true."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.canary import Guard
from canary.api.plan import Traffic
from canary.engine import guards
from canary.engine.guards import variables
from canary.engine.situation import fold
from tests.engine.situations import (
    HOUR,
    MINUTE,
    NOW,
    Case,
    Change,
    after,
    approved_by,
    asks,
    at_20_percent,
    at_rest,
    between_evaluations,
    changed,
    decided,
    done,
    foreign_edit,
    hurried,
    later,
    paused,
    pods,
    raised_from,
)
from tests.moves import moves

NO = Guard(name="never", expression="false", message="not today")
YES = Guard(name="always", expression="true")


def guarded(*given: Guard) -> Change:
    """These guards stand in Canary or policy now."""
    return lambda case: replace(case, resolved=replace(case.resolved, guards=given))


def saying(expression: str, **more: Any) -> Change:
    """A guard with this expression stands there."""
    return guarded(Guard(name="mine", expression=expression, **more))


def reason(*changes: Change) -> tuple[str, int]:
    """Why, and at which weight that leaves the canary."""
    decision = decided(at_20_percent(*changes))
    return decision.reason, decision.status.canary_weight


# ---- what is asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param([done, guarded(YES)], ("StepPassed", 50), id="a guard that is true lets traffic rise"),
        pytest.param([done, guarded(NO)], ("GuardHolds", 20), id="one that is false holds a raise"),
        pytest.param([done, guarded(YES, NO)], ("GuardHolds", 20), id="all must be true"),
        pytest.param([guarded(NO)], ("Analysing", 20), id="it is asked for a raise, and not while a step lasts"),
        pytest.param([done, guarded(NO), pods(1)], ("CanaryNotReady", 20), id="missing replicas are reported first"),
        pytest.param([done, guarded(NO), paused], ("Paused", 20), id="a pause is reported first"),
        pytest.param([hurried, guarded(NO)], ("GuardHolds", 20), id="a person who promotes is held as well"),
        pytest.param([raised_from(10), guarded(NO)], ("GuardHolds", 20), id="so is a raise that was only saved"),
        pytest.param([asks(Verb.SKIP), guarded(NO)], ("GuardHolds", 20), id="and a person who skips a step"),
        pytest.param([done, saying("1 / 0 == 1")], ("GuardError", 20), id="what fails to evaluate holds"),
        pytest.param([done, saying("step.too == 1")], ("GuardError", 20), id="what can't be compiled holds"),
        pytest.param([done, saying("step.to")], ("GuardError", 20), id="what is neither true nor false holds"),
    ],
)
def test_what_a_guard_holds(changes: list[Change], said: tuple[str, int]) -> None:
    assert reason(*changes) == said


def test_a_hold_says_who_holds_and_why() -> None:
    decision = decided(at_20_percent(done, guarded(NO)))
    assert decision.sentence == "at 20%, the guard never blocks the next step, without a time limit: not today"
    assert [(one.type, one.reason) for one in decision.messages] == [("Warning", "GuardHolds")]


def test_a_guard_without_a_message_is_shown_by_its_name() -> None:
    decision = decided(at_20_percent(done, saying("now < rollout.started")))
    assert (
        decision.sentence
        == "at 20%, the guard mine blocks the next step, without a time limit, until its expression is true"
    )


def test_a_guard_that_is_broken_waits_for_someone_and_one_that_holds_does_not() -> None:
    broken, held = decided(at_20_percent(done, saying("1 / 0 == 1"))), decided(at_20_percent(done, guarded(NO)))
    stalled = [next(one.status for one in each.status.conditions if one.type == "Stalled") for each in (broken, held)]
    assert stalled == ["True", "False"]


def test_the_first_raise_is_guarded() -> None:
    """A rollout begins, which no one sees, and stays at 0."""
    begun = decided(at_rest(guarded(NO)))
    assert begun.reason == "Started"
    case = after(at_rest(), begun)
    held = decided(changed(case, guarded(NO)))
    assert (held.reason, held.status.canary_weight, held.actions) == ("GuardHolds", 0, ())
    assert decided(case).status.canary_weight == 10


def test_a_foreign_raise_is_taken_back_with_any_guard() -> None:
    """With `onDrift: reassert` asking again may lower."""
    up = decided(at_20_percent(foreign_edit(90), guarded(NO), onDrift="reassert"))
    assert [one.traffic for one in moves(up)] == [Traffic(weight=20)]
    down = decided(at_20_percent(foreign_edit(5), guarded(NO), onDrift="reassert"))
    assert (down.reason, down.actions) == ("GuardHolds", ())


STAYS = [{"weight": 10}, {"weight": 20, "hold": "1m"}, {"weight": 20, "hold": "5m"}, {"weight": 50}]


def test_a_step_that_exposes_no_new_users_is_not_guarded() -> None:
    assert decided(at_20_percent(done, guarded(NO), steps=STAYS)).status.rollout.step == 3  # type: ignore[union-attr]


def test_a_promotion_that_a_guard_minds_goes_in_steps() -> None:
    """The largest step isn't larger for a person's word; smaller ones go on."""
    steady = saying("step.to - step.from <= 30")
    assert reason(hurried, steady) == ("Analysing", 20)
    assert reason(hurried, done, steady) == ("StepPassed", 50)


# ---- what it takes -----------------------------------------------------------------------------------------------


def test_the_deadline_stands_still_while_a_guard_holds() -> None:
    """A weekend isn't the canary's fault; afterwards the rollout has as much time as it had before."""
    case = at_20_percent(done, guarded(NO))
    for _ in range(4):
        decision = decided(case)
        assert decision.reason == "GuardHolds"
        case = after(case, decision, seconds=HOUR.total_seconds())
    assert case.rollout.deadline == at_20_percent().rollout.deadline
    freed = decided(changed(case, guarded(YES), between_evaluations))
    assert (freed.reason, freed.status.canary_weight) == ("StepPassed", 50)
    rollout = freed.status.rollout
    assert rollout is not None
    assert rollout.deadline == at_20_percent().rollout.deadline + 4 * HOUR
    assert rollout.stopped_at is None


def test_waiting_costs_no_write() -> None:
    """The second reconcile of a hold changes nothing that would have to be saved."""
    first = decided(at_20_percent(done, guarded(NO))).status
    again = changed(
        after(at_20_percent(done, guarded(NO)), decided(at_20_percent(done, guarded(NO)))), later(MINUTE / 3)
    )
    second = decided(again).status
    assert second.rollout == first.rollout
    assert second.conditions == first.conditions


def test_a_guard_is_asked_again_within_a_minute() -> None:
    """With any interval: what it waits for may be the time."""
    slow = at_20_percent(done, guarded(NO), interval="20m")
    assert decided(slow).requeue_after == MINUTE


def test_a_guard_that_is_added_holds_at_once_and_one_that_is_removed_lets_go() -> None:
    """They aren't pinned."""
    running = at_20_percent(done)
    assert decided(changed(running, guarded(NO))).reason == "GuardHolds"
    held = after(running, decided(changed(running, guarded(NO))), seconds=1)
    assert isinstance(held.rollout.stopped_at, type(NOW))
    assert decided(held).reason == "StepPassed"


# ---- what it knows -----------------------------------------------------------------------------------------------


def known(case: Case, step: int = 3) -> dict[str, Any]:
    """The variables of the raise to a step."""
    return variables(fold(case.resolved, case.status, case.rollout, case.observed, case.now), step)


def test_the_variables_are_those_that_are_declared() -> None:
    assert known(at_20_percent()).keys() == guards.VARIABLES.keys()


def test_what_the_variables_say() -> None:
    """Of the raise from 20% to 50%, ten minutes in."""
    case = at_20_percent(between_evaluations, approved_by("ada", "bob"))
    metadata = case.resolved.manifest.metadata.but(labels={"team": "shop"}, annotations={"ticket": "42"})
    case = replace(case, resolved=replace(case.resolved, manifest=case.resolved.manifest.but(metadata=metadata)))
    assert known(case) == {
        "now": NOW,
        "canary.name": "web",
        "canary.namespace": "default",
        "canary.labels": {"team": "shop"},
        "canary.annotations": {"ticket": "42"},
        "canary.version": "v2",
        "canary.revision": "b",
        "step.from": 20,
        "step.to": 50,
        "step.mirror": 0,
        "step.index": 3,
        "step.count": 4,
        "rollout.number": 1,
        "rollout.stable": "v1",
        "rollout.weight": 20,
        "rollout.highest": 20,
        "rollout.started": NOW - 10 * MINUTE,
        "rollout.age": 10 * MINUTE,
        "rollout.held": timedelta(seconds=90),
        "rollout.failedChecks": 0,
        "rollout.approvals": ["ada", "bob"],
        "rollout.verifiedApprovals": [],
    }


@pytest.mark.parametrize("name", guards.VARIABLES)
def test_every_variable_has_the_type_that_is_declared(name: str) -> None:
    """An expression that only that type fits is true of a real situation."""
    fits = {
        "timestamp": f"{name}.getFullYear() == 2026",
        "duration": f'{name} >= duration("0s")',
        "string": f'{name}.endsWith("")',
        "int": f"{name} + 1 > 0",
        "map": f"{name}.all(key, {name}[key].size() >= 0)",
        "list": f'{name}.all(each, each != "") && {name}.size() >= 0',
    }
    expression = fits[guards.VARIABLES[name]]
    assert reason(done, saying(expression)) == ("StepPassed", 50)
    assert reason(done, saying(f"!({expression})")) == ("GuardHolds", 20)


def test_a_saved_raise_starts_from_what_the_route_still_says() -> None:
    """Else the largest step would be none once it was saved."""
    assert reason(raised_from(10), saying("step.to - step.from == 10")) == ("WaitingForRoute", 20)
    edited = at_20_percent(foreign_edit(5), saying("step.from != 5"), onDrift="reassert")
    assert decided(edited).reason == "GuardHolds"


GATED = [{"weight": 10}, {"weight": 20, "gates": [{"approval": {}}]}, {"weight": 50}]
APPROVED = "step.to <= 20 || rollout.approvals.size() >= 1"


def test_an_approval_counts_until_its_raise_is_in_place() -> None:
    """The write that it led to may have to be asked for again."""
    case = at_20_percent(done, saying(APPROVED), steps=GATED)
    assert decided(case).reason == "WaitingForApproval"
    approved = changed(case, asks(Verb.APPROVE))
    lost = after(approved, decided(approved), seconds=1, obeyed=False)
    again = decided(lost)
    assert (again.reason, [one.traffic.weight for one in moves(again)]) == ("WaitingForRoute", [50])


def test_no_plan_gets_around_an_approval_that_a_guard_asks_for() -> None:
    """A plan without the gate is held, and so is a person who skips it."""
    assert reason(done, saying(APPROVED)) == ("GuardHolds", 20)
    skipped = at_20_percent(done, saying(APPROVED), asks(Verb.SKIP), steps=GATED)
    assert decided(skipped).reason == "GuardHolds"


# ---- what it may cost --------------------------------------------------------------------------------------------

LOOPED = (
    "has a loop in a loop, or over what another one makes, whose cost has no bound; write one all, exists, "
    "exists_one, filter or map for each, with && in it, or two guards"
)
DEEP = "is nested too deeply; write it as several guards"


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("[[1]]" + ".map(a, [a, a])" * 28 + ".all(a, a == a)", id="lists that double compare for hours"),
        pytest.param("canary.labels.all(a, canary.labels.all(b, a != b))", id="a loop in a loop"),
        pytest.param("canary.labels.all(a, (a in canary.labels.map(b, b)))", id="in brackets"),
        pytest.param("[canary.labels.map(a, a)].all(a, a != [])", id="over a list of one"),
        pytest.param("(true ? canary.labels.map(a, a) : []) // x\n .all (a, a != '')", id="over one that is chosen"),
        pytest.param("{'a': [1].map(a, a)}['a'].all(a, a > 0)", id="over one in a map"),
    ],
)
def test_loops_have_no_loops_in_them(expression: str) -> None:
    """The first one took minutes, in which no other rollout of the controller went on."""
    assert guards.compiled(expression) == guards.Broken(LOOPED)


@pytest.mark.parametrize(
    "expression",
    [
        "canary.labels.all(a, a != '') && canary.annotations.exists(b, b in ['map(', \"all(\"])",
        "!(rollout.approvals.exists(a, a == 'x') || rollout.approvals.filter(b, b != 'y').size() > 1)",
        "[1, 2].map(a, a).size() >= 2 ? canary.labels.all(a, size(a) > 0) : [3].exists_one(a, a == 3)",
        "'x' in canary.labels.map(a, a) || rollout.approvals.all(a, a != '')",
    ],
)
def test_loops_side_by_side_are_compiled(expression: str) -> None:
    assert not isinstance(guards.compiled(expression), guards.Broken)


@pytest.mark.parametrize("expression", ["'\ud800' == canary.name", "canary.name.matches('\ud800')"])
def test_half_a_character_is_refused(expression: str) -> None:
    """The library raised TypeError for it."""
    found = guards.compiled(expression)
    assert isinstance(found, guards.Broken)
    assert found.sentence.startswith("has half of a character")


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        pytest.param("(" * 900 + "true" + ")" * 900, DEEP, id="900 brackets are not followed"),
        pytest.param("[" * 900 + "]" * 900 + " == []", DEEP, id="nor 900 lists in lists"),
        pytest.param("1 + " * 40 + "1 > 0", DEEP, id="nor 40 terms"),
        pytest.param(
            'canary.labels["team"] == "shop"', 'Key not found in map : "team"', id="a label that isn't there"
        ),
        pytest.param('now.getHours("Europe/Belin") < 9', "Invalid timezone", id="a place without a clock"),
        pytest.param(
            'size(["x"].map(x, x + x + x)) > 0',
            "joins strings with +, whose memory has no bound; + is for numbers, times and durations",
            id="memory doesn't grow with each loop",
        ),
        pytest.param(
            "size([1].map(x, [x] + [x])) > 0",
            "has + beside map, filter or lists (a guard of its own may have it), whose memory has no bound; "
            "+ is for numbers, times and durations",
            id="nor do lists",
        ),
        pytest.param("9223372036854775807 + step.to > 0", "integer overflow", id="more than a number holds"),
    ],
)  # fmt: skip
def test_an_error_is_a_hold_with_its_text(expression: str, sentence: str) -> None:
    decision = decided(at_20_percent(done, saying(expression)))
    blocks = "at 20%, the guard mine blocks the next step, without a time limit"
    because = f"{blocks}, because it can't be evaluated: {sentence}"
    assert (decision.reason, decision.sentence) == ("GuardError", because)


def test_a_regular_expression_takes_no_time_to_speak_of() -> None:
    """The library's are linear: with backtracking this one would outlive us all."""
    hostile = saying(f'!"{"a" * 60}".matches("(a|aa)+$b") && !"{"a" * 1000}".matches("(a+)+b")')
    assert reason(done, hostile) == ("StepPassed", 50)


def test_an_expression_is_compiled_once() -> None:
    guards.compiled.cache_clear()
    for _ in range(5):
        decided(at_20_percent(done, saying("step.to < 1000")))
    info = guards.compiled.cache_info()
    assert (info.misses, info.hits) == (1, 4)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        pytest.param(
            "step.too <= 20",
            "'step.too' is unknown; did you mean step.to? (line 1, column 5)",
            id="a misspelt variable is answered with the nearest one",
        ),
        pytest.param(
            "now.getHour() < 9",
            "'getHour' is unknown; did you mean getHours? (line 1, column 12)",
            id="so is a misspelt function",
        ),
        pytest.param(
            "zebra == 1",
            f"'zebra' is unknown; there are {', '.join(guards.VARIABLES)} (line 1, column 1)",
            id="what is like nothing is answered with what there is",
        ),
        pytest.param(
            "canary == 'web'",
            "'canary' can't be used as a whole; there are canary.name, canary.namespace, canary.labels, "
            "canary.annotations, canary.version, canary.revision (line 1, column 1)",
            id="what has fields is no value",
        ),
        pytest.param(
            'step.to == "20"', "'==' can't be used with int, string (line 1, column 9)", id="types that don't fit"
        ),
        pytest.param(
            "now > 5", "'>' can't be used with timestamp, int (line 1, column 5)", id="a time is no number"
        ),
        pytest.param("step.to", "must be true or false, and is of type int", id="a number is no answer"),
        pytest.param("dyn(true)", "must be true or false, and is of type dyn", id="nor is what only looks like one"),
        pytest.param(
            "step.to <", "Syntax error: mismatched input its end (line 1, column 10)", id="an expression cut off"
        ),
        pytest.param(
            "step.to <= 20\n&& nwo == now",
            "'nwo' is unknown; did you mean now? (line 2, column 4)",
            id="the line is reported as well",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_compiled_gets_a_sentence(expression: str, sentence: str) -> None:
    assert guards.compiled(expression) == guards.Broken(sentence)
