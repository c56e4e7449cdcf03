"""What a slot asks, and what becomes of it where the answer takes a while."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from canary.api.evidence import EvaluationResult
from canary.controller.controller import BELATED
from canary.controller.work_item import WorkItem
from canary.engine.errors import Unreachable
from canary.engine.observed import Counts, Query, Sample, Shape, Value
from canary.kube.names import NamespacedName
from canary.ports import Parts
from tests.controller.fleet import SandboxRig
from tests.controller.later import Later, until_asked, waiting
from tests.controller.virtual import HELD, Virtual


@dataclass
class Gone(SandboxRig):
    """Was deleted."""

    @property
    def parts(self) -> Parts:
        """See Rig."""
        raise Unreachable("gone")


class Failing:
    """A server where each request fails."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See Metrics."""
        return dict.fromkeys(queries, Value(0.0))


@dataclass
class Edited(SandboxRig):
    """Names another server by now."""

    @property
    def parts(self) -> Parts:
        """See Rig."""
        return replace(self.sandbox.parts, metrics=Failing())


def asked_together() -> tuple[Virtual, Later, WorkItem]:
    """Five Canaries whose looks are one question, which isn't asked yet, and the first one of them."""
    many = Virtual()
    keys = [many.add(f"web-{number}", source="one", **HELD) for number in range(5)]
    for key in keys:
        many.box(key).metrics = many.box(keys[0]).metrics
    later = waiting(many)
    until_asked(many, later, keys)
    assert len(later.items()) == 5
    return many, later, later.items()[0]


@pytest.mark.parametrize("reconciler", [Gone, Edited], ids=["deleted", "given another server"])
def test_what_becomes_of_one_canary_changes_nothing_for_others_of_its_slot(reconciler: type[SandboxRig]) -> None:
    """They get what their own server says, as it was named when the slot came."""
    many, later, first = asked_together()
    others = [item.key for item in later.items() if item is not first]
    looks = {key: len(many.looks(key)) for key in others}
    first.reconciler = reconciler(many.box(first.key), "another")
    later.answer()
    assert {key: len(many.looks(key)) for key in others} == {key: number + 1 for key, number in looks.items()}
    for key in others:
        rollout = many.watcher.turns[key][-1].record.status.rollout
        assert rollout is not None
        assert rollout.evaluation is not None
        assert (rollout.evaluation.verdict, rollout.evaluation.message) == ("pass", "all checks passed")
    assert {key for key, _ in many.watcher.crashes} <= {first.key}


# ---- answers that take a while -------------------------------------------------------------------------------------


@dataclass
class OneBadWindow:
    """All requests fail in the windows that end at one time, and none in any other."""

    bad: datetime | None = None
    asked: list[datetime] = field(default_factory=list)

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See Metrics."""
        self.asked.append(at)
        failed = 100 if at == self.bad else 0
        return {one: Counts(100, failed) if one.shape is Shape.COUNTS else Value(100.0 - failed) for one in queries}


def one_that_looks() -> tuple[Virtual, Later, NamespacedName, OneBadWindow]:
    """It looks every five seconds; the question of its third evaluation stands in line, and its window is a bad
    one."""
    many, windows = Virtual(), OneBadWindow()
    metrics = [{"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 99}}]
    key = many.add("web", interval="5s", metrics=metrics, **HELD)
    setattr(many.box(key), "metrics", windows)  # noqa: B010 # it has the sandbox's own type
    later = waiting(many)
    until_asked(many, later, [key], looks=2)
    windows.bad = later.questions[0].at
    return many, later, key, windows


def seen(many: Virtual, key: NamespacedName) -> list[EvaluationResult]:
    """Its looks, as they are reported."""
    turns = [turn for turn in many.watcher.turns[key] if turn.decision.evaluated]
    rollouts = [turn.decision.status.rollout for turn in turns]
    return [rollout.evaluation for rollout in rollouts if rollout is not None and rollout.evaluation is not None]


def test_a_look_that_is_being_measured_is_not_asked_again() -> None:
    """No matter what wakes the rollout meanwhile; it is reconciled at once all the same, and evaluations with the
    answer."""
    many, later, key, windows = one_that_looks()
    asked, turns = len(windows.asked), len(many.watcher.turns[key])
    for _ in range(3):
        many.controller.wake(key)
        many.fleet.advance(1)
    assert len(later.questions) == 1
    assert len(many.watcher.turns[key]) == turns + 3
    later.answer()
    assert len(windows.asked) == asked + 1
    assert (seen(many, key)[-1].at, seen(many, key)[-1].verdict) == (windows.bad, "hold")


def test_one_bad_window_counts_once() -> None:
    """Its answer comes when the next evaluation is due already: that one is asked about its own window."""
    many, later, key, windows = one_that_looks()
    many.fleet.advance(5.5)
    later.answer()
    looks = len(seen(many, key))
    many.fleet.advance(1)
    later.answer()
    assert len(seen(many, key)) == looks + 1
    assert windows.bad is not None
    assert seen(many, key)[-1].at == windows.asked[-1] == windows.bad + timedelta(seconds=5)
    many.fleet.advance(300)
    assert {look.verdict for look in seen(many, key)} == {"pass"}
    assert many.status(key).canary_weight == 50


def test_an_answer_that_is_late_now_and_then_costs_no_look_its_evidence() -> None:
    """As long as there is one in time between two of them."""
    many, later, key, _ = one_that_looks()
    for _ in range(4):
        many.fleet.advance(6)
        later.answer()
        looks = len(seen(many, key))
        until_asked(many, later, [key], looks=looks + 1)
    assert {check.result for look in seen(many, key)[3:] for check in look.checks} == {"passed"}


def test_what_was_answered_for_a_reconcile_that_raised_is_asked_again() -> None:
    """The evaluation is still due, and nothing is under way for it."""
    many, later, key, windows = one_that_looks()
    asked, read = len(windows.asked), many.box(key).router.read
    setattr(many.box(key).router, "read", raising)  # noqa: B010 # a method, replaced
    later.answer()
    assert len(many.watcher.crashes) == 1
    setattr(many.box(key).router, "read", read)  # noqa: B010
    many.controller.wake(key)
    many.fleet.advance(1)
    later.answer()
    assert windows.asked[asked:] == [windows.bad] * 2
    assert seen(many, key)[-1].at == windows.bad


@pytest.mark.parametrize("belated", [0, BELATED], ids=["none was late", "the last one was late"])
def test_a_look_that_was_not_due_in_its_slot_waits_for_the_next_one(belated: int) -> None:
    """Its reconcile began so late that it is due by now: it isn't asked from there, where others wait to be
    reconciled."""
    many, workers = Virtual(), Later()
    key = many.add("web", **HELD, interval="2m")
    many.controller.start()
    while not many.looks(key):
        many.fleet.advance(10)
    asked, looks, many.controller.workers = many.box(key).metrics.asked, len(many.looks(key)), workers
    while not workers.jobs:
        many.fleet.advance(10)
    workers.jobs[0][1][0].belated = belated
    many.fleet.advance(120)
    workers.answer()
    assert (many.box(key).metrics.asked, len(many.looks(key))) == (asked, looks)
    many.fleet.advance(1)
    workers.answer()
    assert (many.box(key).metrics.asked, len(many.looks(key))) == (asked + 1, looks + 1)


def raising(stable: str | None, canary: str) -> None:
    """In place of what reads the route."""
    raise ZeroDivisionError("a bug")


def test_answers_that_always_come_too_late_are_reported() -> None:
    """It neither passes nor fails by them, and goes on once they come in time."""
    many, later, key, _ = one_that_looks()
    looks = len(seen(many, key))
    for _ in range(4):
        until_asked(many, later, [key])
        many.fleet.advance(6)
        later.answer()
    reported = seen(many, key)[looks:]
    assert len(reported) == 3
    assert {(look.verdict, look.checks[0].result) for look in reported} == {("hold", "missing")}
    assert all("the answer came when the next evaluation was due already" in look.message for look in reported)
    until_asked(many, later, [key], looks=looks + 4)
    assert seen(many, key)[-1].verdict == "pass"
