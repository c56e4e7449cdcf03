"""One reconcile: saved before the route is touched, lowering first, reported at least once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Message, Outcome, Status
from canary.engine.decide import needs
from canary.engine.errors import Conflict
from canary.rollout.drive import Options
from canary.rollout.reconcile import ATTEMPTS, Turn, gather, reconcile
from canary.rollout.record import Record, load, save, worth_saving
from canary.sandbox.parts import Sandbox
from tests.engine.situations import NOW, SECOND, at_20_percent, decided, of_canary
from tests.rollout.wired import Driven, Killed, Recorded, ask, driven, sandbox


def at_first_step(scenario: str = "good") -> tuple[Sandbox, Record]:
    """In place at 20%, an evaluation due in a few seconds."""
    box = sandbox(scenario)
    record = load(box.store)
    for _ in range(4):
        record = last(reconcile(box.parts, record)).record
        box.clock.wait(1, lambda: False)
    assert box.world.traffic == Traffic(weight=20)
    return box, record


def last(turns: Iterable[Turn]) -> Turn:
    """The last turn of a reconcile."""
    return list(turns)[-1]


def test_the_intent_is_saved_before_the_route_is_touched() -> None:
    """In every reconcile that writes, and what is written is what was saved."""
    box = sandbox()
    recorded = Recorded(box)
    Driven(box, parts=recorded.parts).run()
    writes = [index for index, call in enumerate(recorded.calls) if call == "router.write"]
    assert len(writes) == 3
    assert all(recorded.calls[index - 1] == "store.save" for index in writes)


def test_when_nothing_can_be_saved_a_raise_waits_and_a_lowering_does_not() -> None:
    """The lowering needs no permission; the raise is made once it is written down."""
    box, record = at_first_step()
    box.store.down = True
    for _ in range(4):
        box.clock.wait(5, lambda: False)
        turn = last(reconcile(box.parts, record))
        record = turn.record
    assert turn.decision.status.canary_weight == 50
    assert box.world.traffic == Traffic(weight=20)
    assert any("the store is down" in trouble for trouble in turn.trouble)
    ask(box, Verb.ROLLBACK)
    record = last(reconcile(box.parts, record)).record
    assert box.world.traffic == Traffic()
    box.store.down = False
    record = last(reconcile(box.parts, record)).record
    assert box.store.stored is not None
    assert box.store.stored.status.rollout is not None
    assert box.store.stored.status.rollout.end is not None


def test_a_call_that_isnt_saved_is_left_to_the_next_reconcile() -> None:
    """Another process makes that one, if this one no longer leads; otherwise a store that is down delays the call."""
    box = sandbox(webhooks=[{"type": "confirm-rollout", "name": "start", "url": "http://tester.test/"}])
    record = last(reconcile(box.parts, load(box.store))).record
    box.store.down = True
    while record.status.rollout is None or not record.status.rollout.hooks:
        assert box.hooks.called == []
        box.clock.wait(1, lambda: False)
        record = last(reconcile(box.parts, record)).record
    assert box.hooks.called == []
    last(reconcile(box.parts, record))
    assert len(box.hooks.called) == 1


def test_an_unsaved_raise_is_made_once_it_can_be_saved() -> None:
    box, record = at_first_step()
    box.store.down = True
    for _ in range(3):
        box.clock.wait(5, lambda: False)
        record = last(reconcile(box.parts, record)).record
    box.store.down = False
    last(reconcile(box.parts, record))
    assert box.world.traffic == Traffic(weight=50)


def test_our_own_unsaved_rollback_is_finished_after_a_crash() -> None:
    """Also when the first reconcile after the start can't read the route. (At the first step, whose `previous` is 0,
    it can be reported from a raise that wasn't made only once the reading back was saved: within a minute.)"""
    box, record = at_first_step()
    record = last(reconcile(box.parts, record)).record
    box.clock.wait(61, lambda: False)
    box.world.blind = True
    record = last(reconcile(box.parts, record)).record
    box.store.down = True
    ask(box, Verb.ROLLBACK)
    last(reconcile(box.parts, record))
    box.store.down, box.inbox.actions = False, []
    box.router.down = True
    record = last(reconcile(box.parts, load(box.store))).record
    box.router.down = False
    turn = last(reconcile(box.parts, record))
    assert turn.decision.reason == "UnsavedRollback"
    assert box.world.traffic == Traffic()


def test_a_wait_does_not_hide_that_something_cannot_be_read() -> None:
    """It is trouble of the turn, also where the decision holds for another reason."""
    box, record = at_first_step()
    record = last(reconcile(box.parts, record)).record
    box.router.down = True
    turn = last(reconcile(box.parts, record))
    assert turn.decision.reason == "Analysing"
    assert turn.trouble == ("the route can't be read: connection refused (the proxy is down)",)


def test_a_conflict_is_decided_again_at_once() -> None:
    """Someone else writes between our read and our write: seen, and not overwritten."""
    box, record = at_first_step()
    box.clock.wait(8, lambda: False)
    real = box.router.write

    def raced(stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        box.router.set(Traffic(weight=35))
        box.router.write = real  # type: ignore[method-assign]
        real(stable, canary, traffic, token)

    box.router.write = raced  # type: ignore[method-assign]
    turns = list(reconcile(box.parts, record))
    assert [turn.decision.reason for turn in turns] == ["StepPassed", "TrafficDrift"]
    assert box.world.traffic == Traffic(weight=35)


@pytest.mark.parametrize("owner", [False, True], ids=["a run, which ends", "the controller, in the end"])
def test_a_state_that_another_client_saves_is_whose_it_is(owner: bool) -> None:
    """A run lowers nothing on behalf of another run's rollout; the controller's rollouts are its own."""
    box, record = at_first_step()

    def contested(status: Status, version: str | None) -> str:
        raise Conflict("another run saved in between")

    box.store.save = contested  # type: ignore[method-assign]
    ask(box, Verb.ROLLBACK)
    if owner:
        turn = last(reconcile(box.parts, record, last=True))
        assert turn.trouble == ("status can't be saved: another run saved in between",)
    else:
        with pytest.raises(Conflict):
            last(reconcile(box.parts, record))
    assert box.world.traffic == Traffic(weight=0 if owner else 20)


def test_a_conflict_without_end_is_left_to_the_next_reconcile() -> None:
    box, record = at_first_step("bad")
    real = box.router.write

    def raced(stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        box.router.set(Traffic(weight=35))
        real(stable, canary, traffic, token)

    box.router.write = raced  # type: ignore[method-assign]
    ask(box, Verb.ROLLBACK)
    turns = list(reconcile(box.parts, record))
    assert len(turns) == ATTEMPTS
    box.router.write = real  # type: ignore[method-assign]
    last(reconcile(box.parts, turns[-1].record))
    assert box.world.traffic == Traffic()


@pytest.mark.parametrize("owner", [False, True], ids=["a run, which ends", "the controller, in the end"])
def test_who_may_not_write_any_more_sends_nothing(owner: bool) -> None:
    """A leader whose Lease is another's gets a Conflict from the notifier, too; its messages stay to be sent."""
    box, record = at_first_step()

    def fenced(messages: Sequence[Message]) -> None:
        raise Conflict("another may lead")

    box.notifier.notify = fenced  # type: ignore[method-assign]
    ask(box, Verb.ROLLBACK)
    if owner:
        turn = last(reconcile(box.parts, record, last=True))
        assert turn.trouble == ("notification failed, retrying: another may lead",)
        assert "RollbackAsked" in {message.reason for message in turn.record.status.outbox}
    else:
        with pytest.raises(Conflict):
            last(reconcile(box.parts, record))


def test_what_could_not_be_sent_is_sent_later() -> None:
    """And undoes nothing."""
    run = driven("bad")
    run.box.notifier.down = True
    run.at(24, lambda: setattr(run.box.notifier, "down", False))
    assert run.run().code is Exit.ROLLED_BACK
    reasons = [message.reason for message in run.box.notifier.delivered]
    assert (reasons[0], reasons[-1]) == ("Started", "RolledBack")
    ids = [message.id for message in run.box.notifier.delivered]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_every_end_is_sent_at_least_once_across_a_crash(after: bool) -> None:
    """Promise 10: killed at each telling; the next process tells it (again)."""
    whole = Recorded(sandbox("bad"))
    Driven(whole.box, parts=whole.parts).run()
    tellings = [index for index, call in enumerate(whole.calls) if call == "notifier.notify"]
    for index in tellings:
        box = sandbox("bad")
        with pytest.raises(Killed):
            Driven(box, parts=Recorded(box, die_at=index, after=after).parts).run()
        Driven(box).run()
        assert "RolledBack" in [message.reason for message in box.notifier.delivered]


def test_a_step_is_saved_once_and_written_once() -> None:
    """When it is meant, before it is written; reading it back and looking at it cost nothing."""
    box = sandbox()
    run = Driven(box)
    saves: Counter[int] = Counter()
    run.drive.report = lambda turn: saves.update(
        {turn.decision.status.canary_weight: box.store.saves - saves.total()}
    )
    run.run()
    assert len(box.router.writes) == 3
    assert (saves[20], saves[50]) == (1, 1)


def test_looks_alone_are_saved_once_a_minute() -> None:
    """A crash costs a minute of evidence, not a write an evaluation."""
    case = at_20_percent(steps=[{"weight": 10}, {"weight": 20, "iterations": 9}])
    before = decided(case).status
    record = Record(status=before, saved=before, version="1", saved_at=NOW)
    evaluated = decided(replace(case, status=before, now=NOW + 60 * SECOND)).status
    later = replace(record, status=evaluated)
    assert not worth_saving(later, NOW + 59 * SECOND)
    assert worth_saving(later, NOW + 60 * SECOND)
    failed = decided(replace(case, status=before, now=NOW + 60 * SECOND, answers=at_20_percent(of_canary(1)).answers))
    assert worth_saving(replace(record, status=failed.status), NOW + SECOND)


def test_nothing_new_is_not_saved() -> None:
    box = sandbox()
    record = save(box.store, load(box.store), decided(at_20_percent()).status, NOW)
    assert save(box.store, record, record.status, NOW + 3600 * SECOND) == record
    assert box.store.saves == 1


def test_only_what_is_needed_is_read() -> None:
    """At rest neither replicas nor metrics; metrics only when an evaluation is due."""
    box = sandbox()
    recorded = Recorded(box)
    last(reconcile(recorded.parts, load(box.store)))
    assert sorted(set(recorded.calls)) == [
        "inbox.read", "notifier.notify", "router.read", "store.save", "target.desired_version", "target.resolved"
    ]  # fmt: skip


def test_reads_that_come_too_late_are_missing() -> None:
    """A part that is Missing is in its place, and the others are there."""
    box = sandbox()
    case = at_20_percent()
    box.workloads.down = True
    observed = gather(box.parts, needs(case.resolved, case.status, NOW), fresh=False)
    assert str(observed.canary_workload) == "timed out (no answer)"
    assert observed.fresh is False


def test_killed_between_any_two_calls_and_started_again_the_end_is_the_same() -> None:
    """Before or after each call to the outside, for a good and a bad canary; exposure never grows by dying."""
    for scenario, outcome in (("good", Outcome.PROMOTED), ("bad", Outcome.ROLLED_BACK)):
        whole = Recorded(sandbox(scenario))
        Driven(whole.box, parts=whole.parts).run()
        for index in range(len(whole.calls)):
            for after in (False, True):
                box = sandbox(scenario)
                with pytest.raises(Killed):
                    Driven(box, parts=Recorded(box, die_at=index, after=after).parts).run()
                Driven(box, Options()).run()
                where = f"{scenario}: killed {'after' if after else 'before'} call {index}, {whole.calls[index]}"
                assert box.store.stored is not None, where
                history = box.store.stored.status.history
                assert [one.outcome for one in history] == [outcome], where
                assert box.world.traffic == Traffic(weight=100 if scenario == "good" else 0), where
                assert all(weight.weight in (0, 20, 50, 100) for weight in box.router.writes), where


def test_where_someone_moved_the_route_to_is_saved_at_once() -> None:
    """The second time as well: what the status says of the route is what is there."""
    box, record = at_first_step()
    for weight in (60, 30):
        box.clock.wait(2, lambda: False)
        box.world.traffic = Traffic(weight=weight)
        record = last(reconcile(box.parts, record)).record
        stored = box.store.load()
        assert stored is not None
        assert f"at {weight}%" in stored.status.message
