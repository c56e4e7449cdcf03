"""Many rollouts on virtual time: what is asked together, who is reconciled when, and that no one stops another."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.status import Phase, Status
from canary.controller.controller import GAP, Controller
from canary.controller.logs import Decisions
from canary.controller.metrics import ControllerMetrics
from canary.controller.work_item import ASKING
from canary.engine.errors import Rejected, Unreachable, Unreadable
from canary.engine.observed import Stored
from canary.kube.names import NamespacedName
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import MemoryStore, SandboxMetrics, SandboxTarget
from canary.sandbox.scenarios import Behaviour
from tests.controller.fleet import Inline, SandboxRig
from tests.controller.virtual import HELD, Virtual, Watcher
from tests.parts.processes import wait_for
from tests.rollout.wired import ask


def test_good_versions_are_promoted_and_bad_ones_rolled_back() -> None:
    """Side by side, each on its own."""
    many = Virtual()
    for number in range(6):
        many.add(f"web-{number}", "bad" if number % 2 else "good")
    many.controller.start()
    many.fleet.advance(600)
    assert many.phases() == [Phase.SUCCEEDED, Phase.FAILED] * 3
    assert [many.box(key).world.traffic.weight for key in many.fleet.all()] == [100, 0] * 3
    assert {late for late in many.watcher.late} == {0.0}


def test_looks_of_one_slot_and_source_are_measured_together() -> None:
    """As many requests as one of them would cost, one at the start among them; another source is asked by itself."""
    many = Virtual()
    keys = [many.add(f"web-{number}", source="one" if number < 4 else "two", **HELD) for number in range(5)]
    for key in keys[1:]:
        many.box(key).metrics = many.box(keys[0]).metrics if key != keys[4] else many.box(key).metrics
    many.controller.start()
    many.fleet.advance(60)
    shared, alone = many.box(keys[0]).metrics, many.box(keys[4]).metrics
    looks = [len(many.looks(key)) for key in keys]
    assert min(looks) >= 4
    assert (shared.asked, alone.asked) == (1 + max(looks[:4]), 1 + looks[4])


def test_without_metrics_looks_pass_in_their_slots() -> None:
    """There is nothing to measure, so nothing to wait for."""
    many = Virtual()
    key = many.add("web", metrics=[])
    many.controller.start()
    many.fleet.advance(600)
    assert many.status(key).phase is Phase.SUCCEEDED
    assert many.looks(key)


def test_a_rollout_that_starts_has_its_first_weight_in_the_same_reconcile() -> None:
    """It waits for no slot."""
    many = Virtual()
    key = many.add("web", metrics=[])
    many.controller.start()
    assert many.box(key).world.traffic.weight > 0
    assert many.status(key).rollout is not None


def test_a_look_that_comes_between_waits_for_its_slot() -> None:
    """What wakes a rollout is acted on at once, and nothing is measured for it."""
    many = Virtual()
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(30)
    looks, asked, turns = many.looks(key), many.box(key).metrics.asked, len(many.watcher.turns[key])
    many.fleet.at += timedelta(seconds=20)  # an evaluation is overdue, but its slot hasn't been called yet
    ask(many.box(key), Verb.ROLLBACK)
    many.controller.wake(key)
    assert len(many.watcher.turns[key]) > turns
    assert (many.looks(key), many.box(key).metrics.asked) == (looks, asked)
    assert many.box(key).world.traffic.weight == 0


def test_a_look_that_was_put_off_is_taken_as_soon_as_its_slot_comes() -> None:
    """Not an interval later."""
    many = Virtual()
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(30)
    looks = len(many.looks(key))
    many.fleet.at += timedelta(seconds=12)
    many.controller.wake(key)
    assert len(many.looks(key)) == looks
    many.fleet.advance(1)
    assert len(many.looks(key)) == looks + 1


def test_a_woken_reconcile_keeps_the_time_of_the_next_look() -> None:
    """However often it is woken, looks stay on their grid."""
    many, still = Virtual(), Virtual()
    key, other = many.add("web", **HELD), still.add("web", **HELD)
    many.controller.start()
    still.controller.start()
    for _ in range(60):
        many.fleet.advance(1)
        many.controller.wake(key)
    still.fleet.advance(60)
    assert many.looks(key) == still.looks(other) != []


def test_a_reconcile_that_raises_is_reported_and_repeated_after_a_growing_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its traceback in the log; the others go on, and it goes on as well once it can."""
    many, metrics = Virtual(), ControllerMetrics()
    broken, fine = many.add("broken"), many.add("fine")
    router = many.box(broken).router
    read, tries = router.read, list[float]()

    def raises(stable: str | None, canary: str) -> None:
        tries.append(many.fleet.at.timestamp())
        raise ZeroDivisionError("a bug")

    both = Both(many.watcher, Decisions(), metrics)
    many.controller = many.another(both)
    setattr(router, "read", raises)  # noqa: B010 # a method, replaced
    with caplog.at_level(logging.ERROR):
        many.controller.start()
        many.fleet.advance(120)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len(tries) >= 5
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 4 * pauses[0]
    assert {key for key, _ in many.watcher.crashes} == {broken}
    assert "ZeroDivisionError: a bug" in caplog.text
    assert "in raises" in caplog.text
    assert b'canary_controller_reconcile_total{result="error"}' in metrics.exposition()
    assert many.status(fine).phase is Phase.SUCCEEDED
    setattr(router, "read", read)  # noqa: B010
    many.fleet.advance(900)
    assert many.status(broken).phase is Phase.SUCCEEDED


def test_what_a_source_raises_is_a_look_without_answers() -> None:
    """The rollout holds; a source that works is asked as always."""
    many = Virtual()
    broken, fine = many.add("broken", source="broken", **HELD), many.add("fine", source="fine")

    def raises(queries: object, at: object) -> None:
        raise ZeroDivisionError("a bug")

    many.controller.start()
    many.fleet.advance(3)  # both have begun
    setattr(many.box(broken).metrics, "measure", raises)  # noqa: B010 # a method, replaced
    many.fleet.advance(300)
    assert (many.status(broken).phase, many.status(broken).canary_weight) == (Phase.PROGRESSING, 50)
    assert many.status(broken).rollout
    assert many.status(fine).phase is Phase.SUCCEEDED
    assert {key for key, _ in many.watcher.crashes} == {broken}


class Leaving(SandboxRig):
    """Goes away between two of the questions that a slot has for it."""

    leaves = gone = False

    def __getattribute__(self, name: str) -> object:
        if name == "source" and self.leaves:
            self.gone = True
        if name in ("source", "parts") and self.gone:
            raise Unreachable("gone")
        return super().__getattribute__(name)


def test_who_goes_away_while_its_slot_begins_takes_no_other_out_of_it() -> None:
    """Which server it would ask is unknown now; the others look as they would have."""
    many = Virtual()
    gone, fine = many.add("gone", **HELD), many.add("fine", **HELD)
    reconciler = many.fleet.reconcilers[gone] = Leaving(many.box(gone), "gone")
    many.controller.start()
    many.fleet.advance(30)
    looks = len(many.looks(fine))
    reconciler.leaves = True
    many.fleet.advance(60)
    assert len(many.looks(fine)) > looks


def test_stopped_no_reconcile_begins() -> None:
    """Neither by a slot nor by what wakes."""
    many = Virtual()
    key = many.add("web")
    many.controller.start()
    many.fleet.advance(20)
    many.controller.stop()
    turns = len(many.watcher.turns[key])
    many.controller.wake(key)
    many.fleet.advance(600)
    assert len(many.watcher.turns[key]) == turns


def test_a_deleted_canary_is_forgotten() -> None:
    """By the controller and by its watcher, though its slot still comes."""
    many = Virtual()
    key = many.add("web")
    many.controller.start()
    many.fleet.advance(20)
    del many.fleet.reconcilers[key]
    many.controller.forget(key)
    many.fleet.advance(600)
    assert (many.controller.count, many.watcher.forgotten) == (0, [key])
    many.controller.wake(key)
    assert many.controller.count == 0


def set_back(many: Virtual, key: NamespacedName) -> None:
    """Its clock, by an hour."""
    many.fleet.at -= timedelta(hours=1)
    many.box(key).world.start -= timedelta(hours=1)
    many.box(key).world.now -= timedelta(hours=1)


def test_rollouts_look_though_their_clock_was_set_back() -> None:
    """The slot that was given is an hour away then; what is running is due again by the clock as it is."""
    many = Virtual()
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(30)
    set_back(many, key)
    turns = len(many.watcher.turns[key])
    many.controller.look_again()
    many.fleet.advance(60)
    assert len(many.watcher.turns[key]) > turns + 1
    assert many.looks(key)[-1] < many.looks(key)[0]


def test_who_is_at_rest_is_looked_at_though_the_clock_was_set_back() -> None:
    """It tries again every few seconds, and nothing would wake it: someone else has its target."""
    many = Virtual()
    key = many.add("web")
    many.controller.start()
    many.fleet.advance(600)
    many.box(key).target.value = replace(many.box(key).target.value, conflict="a run has the target")
    many.controller.wake(key)
    many.fleet.advance(30)
    assert many.status(key).reason == "Conflict"
    set_back(many, key)
    turns = len(many.watcher.turns[key])
    many.controller.look_again()
    many.fleet.advance(60)
    assert len(many.watcher.turns[key]) >= turns + 3


def test_what_happened_without_a_leader_is_seen_soon() -> None:
    """A new leader looks at those at rest at once, evenly; a few of them don't wait for the resync."""
    many = Virtual()
    keys = [many.add(f"web-{number}") for number in range(20)]
    many.controller.start()
    many.fleet.advance(600)
    many.controller.stop()
    many.fleet.advance(5)
    successor = Watcher()
    many.another(successor).start()
    began = many.fleet.at
    many.fleet.advance(20 * GAP.total_seconds() + 1)
    assert set(successor.turns) == set(keys)
    assert all(turns[0].at - began <= 20 * GAP + timedelta(seconds=1) for turns in successor.turns.values())
    turns = len(successor.turns[keys[0]])
    many.fleet.advance(60)
    assert len(successor.turns[keys[0]]) == turns


def test_who_goes_away_during_its_reconcile_is_forgotten_for_good() -> None:
    """What the reconcile tells of it afterwards would be kept, and shown, for ever."""
    many, metrics = Virtual(), ControllerMetrics()
    key = many.add("web")
    many.controller = many.another(Both(many.watcher, metrics))
    read = many.box(key).router.read

    def going(stable: str | None, canary: str) -> object:
        many.fleet.reconcilers.pop(key, None)
        many.controller.forget(key)
        return read(stable, canary)

    setattr(many.box(key).router, "read", going)  # noqa: B010 # a method, replaced
    many.controller.start()
    assert many.watcher.turns[key]
    assert not metrics.shows(key)


def test_a_deletion_in_the_middle_of_a_reconcile_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """What it reads is gone with it: nothing is logged, nothing is counted as an error, and no retry is made."""
    many, metrics = Virtual(), ControllerMetrics()
    key, fine = many.add("web"), many.add("fine")
    many.controller = many.another(Both(many.watcher, Decisions(), metrics))

    def gone(stable: str | None, canary: str) -> object:
        many.fleet.reconcilers.pop(key, None)
        raise Unreachable("gone")

    setattr(many.box(key).router, "read", gone)  # noqa: B010 # a method, replaced
    with caplog.at_level(logging.ERROR):
        many.controller.start()
        many.fleet.advance(120)
    assert (many.watcher.crashes, caplog.text) == ([], "")
    assert many.watcher.forgotten[-1] == key
    assert not metrics.shows(key)
    assert many.status(fine).phase is Phase.SUCCEEDED


class Scribbled(SandboxRig):
    """Someone wrote rubbish into its state."""

    said: tuple[str, ...] = ()

    def unread(self, why: str, now: datetime) -> None:
        self.said += (why,)
        if len(self.said) > 1:
            raise Unreachable("the API server is away")


def test_a_state_that_can_not_be_read_is_reported_until_it_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    """In a sentence, without a traceback; nothing moves meanwhile, and it goes on where it stood. Others go on."""
    many, metrics = Virtual(), ControllerMetrics()
    key, fine = many.add("web", **HELD), many.add("fine")
    many.fleet.reconcilers[key] = reconciler = Scribbled(many.box(key))
    many.controller = many.another(Both(many.watcher, Decisions(), metrics))
    many.controller.start()
    many.fleet.advance(30)
    why = "status.rollout: there is no step 9"
    many.controller.stop()
    load = reconciler.sandbox.store.load
    setattr(reconciler.sandbox.store, "load", raising(why))  # noqa: B010 # a method, replaced
    many.controller = many.another(Both(many.watcher, Decisions(), metrics))
    with caplog.at_level(logging.WARNING):
        many.controller.start()
        many.fleet.advance(100)
    assert many.watcher.crashes == []
    assert set(many.watcher.unreadable) == {(key, why)}
    assert [record.getMessage() for record in caplog.records if why in record.getMessage()] == [why]
    assert reconciler.said[0] == why
    assert {name for name, _ in many.watcher.hindrances} == {key}
    assert b'canary_canaries{phase="Progressing",reason="StatusUnreadable"} 1.0' in metrics.exposition()
    assert many.box(key).world.traffic.weight == 50
    setattr(reconciler.sandbox.store, "load", load)  # noqa: B010
    many.fleet.advance(7200)
    assert {many.status(one).phase for one in (key, fine)} == {Phase.SUCCEEDED}


def raising(why: str) -> Callable[[], None]:
    """In place of what reads the state."""

    def load() -> None:
        raise Unreadable(why)

    return load


class Kept(SandboxRig):
    """May not put anything away."""

    def tidy(self, status: Status, now: datetime) -> None:
        raise Rejected("we may not")


def test_what_can_not_be_put_away_is_reported_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A Canary that is kept by our finalizer would be kept without a word; the same is logged every ten minutes."""
    many = Virtual()
    key = many.add("web")
    many.fleet.reconcilers[key] = Kept(many.box(key))
    many.controller = many.another(Both(many.watcher, Decisions(), ControllerMetrics()))
    with caplog.at_level(logging.WARNING):
        many.controller.start()
        many.fleet.advance(1500)
    tried = [why for _, why in many.watcher.hindrances]
    assert len(tried) > 10
    assert set(tried) == {"can't be put away yet: we may not"}
    lines = [one for one in caplog.messages if one == tried[0]]
    assert 2 <= len(lines) <= 3


class Edited(MemoryStore):
    """Someone annotates the object just after the end of its rollout was saved."""

    edits = 0

    def save(self, status: Status, version: str | None) -> str:
        version = super().save(status, version)
        if status.phase is Phase.SUCCEEDED and not self.edits:
            self.edits += 1
            self.stored = Stored(status, "edited")
        return version


def test_what_someone_changed_meanwhile_is_put_away_with_the_next_reconcile() -> None:
    """The change wakes it, which must not meet the same conflict again and again."""
    many = Virtual()
    key = many.add("web")
    store = many.box(key).store = Edited()
    many.controller.start()
    while not store.edits:
        many.fleet.advance(1)
    assert many.status(key).outbox
    many.controller.wake(key)
    assert (many.status(key).outbox, many.status(key).phase) == ((), Phase.SUCCEEDED)
    assert len(many.watcher.hindrances) == 1


def test_another_controller_goes_on_where_one_stopped() -> None:
    """Nothing starts again, and no weight is written twice."""
    many = Virtual()
    key = many.add("web")
    many.controller.start()
    many.fleet.advance(12)
    many.controller.stop()
    assert many.status(key).phase is Phase.PROGRESSING
    many.another(many.watcher).start()
    many.fleet.advance(600)
    assert (many.status(key).phase, many.status(key).rollouts) == (Phase.SUCCEEDED, 1)
    assert [one.weight for one in many.box(key).router.writes] == [20, 50, 100]


# ---- with threads ----------------------------------------------------------------------------------------------


class Both:
    """Several watchers as one."""

    def __init__(self, *watchers: object) -> None:
        self.watchers = watchers

    def __getattr__(self, name: str) -> object:
        def call(*args: object) -> None:
            for each in self.watchers:
                getattr(each, name)(*args)

        return call


class Hanging(SandboxMetrics):
    """Answers no one until it is let."""

    def __init__(self, metrics: SandboxMetrics) -> None:
        super().__init__(metrics.world)
        self.answers, self.waiting = threading.Event(), 0

    def measure(self, queries: object, at: object) -> dict[object, object]:  # type: ignore[override] # says nothing
        self.waiting += 1
        self.answers.wait(60)
        return {}


def test_a_source_that_hangs_delays_no_other() -> None:
    """A few questions are left waiting; further evaluations go without, and a lost version is rolled back at once."""
    many = Virtual()
    hung, fine = many.add("hung", source="hung", **HELD), many.add("fine", source="fine")
    with ThreadPoolExecutor(8) as askers:
        fleet = many.fleet
        split = Split(askers)
        controller = Controller(fleet, fleet, many.controller.workers, split, fleet.timetable, many.watcher)
        controller.start()
        many.fleet.advance(1)
        wait(split.questions)  # at the start it answers
        metrics = many.box(hung).metrics = Hanging(many.box(hung).metrics)
        for _ in range(20):
            many.fleet.advance(10)
            controller.wake(hung)
        wait_for(lambda: metrics.waiting == ASKING, "the questions that may wait")
        assert many.status(fine).phase is Phase.SUCCEEDED
        assert "earlier questions are still unanswered" in str(many.watcher.turns[hung])
        assert many.status(hung).canary_weight == 50
        world = many.box(hung).world
        world.behaviours = {**world.behaviours, "v2": Behaviour(dies_after=0)}
        controller.wake(hung)
        many.fleet.advance(6)
        controller.wake(hung)
        assert world.traffic.weight == 0
        assert metrics.waiting == ASKING
        metrics.answers.set()


class Slow(Hanging):
    """Answers all once it is let."""

    def measure(self, queries: Any, at: Any) -> Any:
        """See Metrics."""
        super().measure(queries, at)
        return SandboxMetrics.measure(self, queries, at)


def test_more_questions_than_a_source_bears_come_later() -> None:
    """None is taken for one without an answer, as long as the source answers at all."""
    many = Virtual()
    slow: Slow | None = None
    keys: list[NamespacedName] = []
    with ThreadPoolExecutor(ASKING) as askers:
        fleet = many.fleet
        split = Split(askers)
        controller = Controller(fleet, fleet, Inline(), split, fleet.timetable, many.watcher)
        controller.start()
        for number in range(ASKING + 2):  # each is due in another second
            keys.append(many.add(f"web-{number}", source="hung", **HELD))
            box = many.box(keys[-1])
            box.metrics = slow = slow or Slow(box.metrics)
            controller.wake(keys[-1])
            many.fleet.advance(1)
        assert slow is not None
        many.fleet.advance(1)
        wait_for(lambda: slow.waiting == ASKING, "as many questions as may wait")
        waiting = [key for key in keys if not many.looks(key)]
        slow.answers.set()
        for _ in range(30):
            many.fleet.advance(1)
            wait(split.questions)
        assert waiting
        assert all(many.looks(key) for key in keys)
        assert "earlier questions" not in str(many.watcher.turns)


class Split(ThreadPoolExecutor):
    """Asks the source that hangs in a thread, the others at once."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__(1)
        self.threads = threads
        self.questions: list[Future[object]] = []

    def submit(self, call, /, *args, **kwargs):  # type: ignore[no-untyped-def] # as Executor's
        if args[0].source == "hung":
            self.questions.append(self.threads.submit(call, *args, **kwargs))
            return self.questions[-1]
        call(*args, **kwargs)
        return None


def test_a_busy_rollout_is_not_reconciled_twice_at_a_time() -> None:
    """Anyone who wakes it meanwhile has it reconciled once more afterwards."""
    many = Virtual()
    key = many.add("web", **HELD)
    box, inside, most = many.box(key), list[int](), list[int]()
    read, gate, entered = box.router.read, threading.Event(), threading.Event()

    def slow(stable: str | None, canary: str) -> object:
        inside.append(1)
        most.append(len(inside))
        entered.set()
        gate.wait(60)
        inside.pop()
        return read(stable, canary)

    with ThreadPoolExecutor(8) as workers:
        fleet = many.fleet
        controller = Controller(fleet, fleet, workers, workers, fleet.timetable, many.watcher)
        setattr(box.router, "read", slow)  # noqa: B010 # a method, replaced
        controller.start()
        assert entered.wait(60)
        for _ in range(20):
            controller.wake(key)
        gate.set()
    assert max(most) == 1
    assert 2 <= len(many.watcher.turns[key]) < 20


# ---- another version of the controller -------------------------------------------------------------------------


def test_an_upgraded_controller_starts_nothing_and_keeps_what_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other defaults count for the next rollout: nothing starts, nothing is retried, plan and policy stay."""
    many = Virtual()
    done, failed = many.add("done"), many.add("failed", "bad")
    running = many.add("running", **HELD, threshold=None, drain=None)
    many.controller.start()
    many.fleet.advance(600)
    before = {key: many.status(key) for key in many.fleet.all()}
    many.controller.stop()
    monkeypatch.setattr("canary.__version__", "99.0")
    for key in many.fleet.all():
        old = many.box(key).target.value
        changed = old.policy.but(threshold=7, settle=timedelta(minutes=3), drain=timedelta(minutes=4))
        many.box(key).target = SandboxTarget(type(old)(**{**vars(old), "policy": changed}))
    watcher = Watcher()
    many.another(watcher).start()
    many.fleet.advance(1200)
    for key in (done, failed):
        assert (many.status(key).rollouts, many.status(key).phase) == (1, before[key].phase)
    now, was = many.status(running).rollout, before[running].rollout
    assert now is not None
    assert was is not None
    assert (now.number, now.plan, now.policy, now.step) == (was.number, was.plan, was.policy, was.step)


def test_a_look_is_taken_in_its_second_however_long_reconciles_take() -> None:
    """What is due on a whole second isn't put off to the next one, because the reconcile before it took a moment."""

    class Slow(Watcher):
        """Telling takes 10 ms."""

        def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
            super().reconciled(key, turn, seconds, late)
            many.fleet.at += timedelta(milliseconds=10)

    many = Virtual(watcher=Slow())
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(600)
    taken = [turn for turn in many.watcher.turns[key] if turn.decision.evaluated]
    looks = [turn.decision.status.rollout.evaluation for turn in taken if turn.decision.status.rollout is not None]
    late = [turn.at - look.at for turn, look in zip(taken, looks, strict=True) if look is not None]
    assert len(late) >= 8
    assert max(late) < timedelta(seconds=1)
