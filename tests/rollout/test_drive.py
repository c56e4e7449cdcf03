"""One run, from the first reconcile to an exit code: every code, and what is left behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, Version
from canary.engine.errors import Conflict, Unreachable
from canary.rollout.drive import Options, Then
from canary.rollout.end import BY_OUTCOME, failed_with
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import SandboxTarget
from canary.waiting.answers import Awaited, Sight, answer
from tests.rollout.wired import GATED, Driven, ask, driven, sandbox

MINUTE = timedelta(minutes=1)


def again(version: str = "v2", revision: str = "c", **fields: Any) -> Callable[[Driven], Callable[[], None]]:
    """The manifest says this from then on."""

    def prepare(run: Driven) -> Callable[[], None]:
        def change() -> None:
            value = run.box.target.value
            spec = value.manifest.spec.but(version=version, revision=revision, **fields)
            run.box.target.value = replace(value, manifest=value.manifest.but(spec=spec))

        return change

    return prepare


def asking(verb: Verb) -> Callable[[Driven], Callable[[], None]]:
    """A person asks for this."""
    return lambda run: lambda: ask(run.box, verb)


def deleting(run: Driven) -> Callable[[], None]:
    """The Canary is deleted."""

    def change() -> None:
        value = run.box.target.value
        metadata = value.manifest.metadata.but(deletion_timestamp=run.box.world.now)
        run.box.target.value = replace(value, manifest=value.manifest.but(metadata=metadata))

    return change


def interrupting(run: Driven) -> Callable[[], None]:
    """Ctrl-C."""
    return run.drive.interrupts


def interrupting_twice(run: Driven) -> Callable[[], None]:
    """Ctrl-C, Ctrl-C."""

    def happens() -> None:
        run.drive.interrupts()
        run.drive.interrupts()

    return happens


def stable_dying(run: Driven) -> Callable[[], None]:
    """The last replica of stable stops."""

    def happens() -> None:
        world = run.box.world
        world.behaviours = {**world.behaviours, "v1": replace(world.behaviours["v1"], dies_after=0.0)}

    return happens


HELD = [{"weight": 50}, {"weight": 100, "hold": "60s"}]


@pytest.mark.parametrize(
    ("run", "happens", "code", "weight"),
    [
        pytest.param(driven("good"), [], Exit.PROMOTED, 100, id="good: promoted"),
        pytest.param(driven("bad"), [], Exit.ROLLED_BACK, 0, id="bad: rolled back"),
        pytest.param(driven("good", steps=GATED), [(25, asking(Verb.APPROVE))], Exit.PROMOTED, 100, id="approved"),
        pytest.param(driven("good", steps=GATED), [], Exit.ROLLED_BACK, 0, id="never approved: the gate's time-out"),
        pytest.param(driven("good", Options(wait_for_approval=False), steps=GATED), [], Exit.NEEDS_APPROVAL, 20,
                     id="needs approval, and doesn't wait for it"),
        pytest.param(driven("quiet", Options(timeout=MINUTE)), [], Exit.TIMED_OUT, 20, id="timed out: stays"),
        pytest.param(driven("quiet", Options(timeout=MINUTE, on_timeout=Then.ROLLBACK)), [], Exit.TIMED_OUT, 0,
                     id="timed out: rolled back"),
        pytest.param(driven("quiet"), [], Exit.ROLLED_BACK, 0, id="no data: the rollout's deadline"),
        pytest.param(driven("good"), [(12, asking(Verb.REJECT))], Exit.REJECTED, 0, id="rejected"),
        pytest.param(driven("good"), [(12, asking(Verb.ROLLBACK))], Exit.REJECTED, 0, id="rolled back by a person"),
        pytest.param(driven("good"), [(12, interrupting)], Exit.REJECTED, 0, id="interrupted: rolled back"),
        pytest.param(driven("good", Options(on_interrupt=Then.HOLD)), [(12, interrupting)], Exit.INTERRUPTED, 50,
                     id="interrupted: held"),
        pytest.param(driven("good"), [(12, interrupting_twice)], Exit.INTERRUPTED, 50,
                     id="interrupted twice: at once"),
        pytest.param(driven("good"), [(12, again())], Exit.SUPERSEDED, 0, id="another build is wanted"),
        pytest.param(driven("good"), [(12, again("v1", ""))], Exit.SUPERSEDED, 0, id="version set back"),
        pytest.param(driven("good"), [(12, deleting)], Exit.GONE, 0, id="deleted"),
        pytest.param(driven("good", steps=HELD), [(25, stable_dying)], Exit.PROMOTED, 100,
                     id="stable dies at 100%: promoted"),
        pytest.param(driven("good"), [(11, stable_dying), (12, interrupting)], Exit.INTERRUPTED, 20,
                     id="interrupted without a way back: traffic stays"),
        pytest.param(driven("good"), [(11, stable_dying), (12, deleting)], Exit.GONE, 20,
                     id="deleted without a way back: traffic stays"),
        pytest.param(driven("good", Options(timeout=MINUTE, on_timeout=Then.ROLLBACK), steps=HELD),
                     [(11, stable_dying)], Exit.TIMED_OUT, 50, id="timed out without a way back: traffic stays"),
    ],
)  # fmt: skip
def test_how_a_run_ends(
    run: Driven, happens: list[tuple[float, Callable[[Driven], Callable[[], None]]]], code: Exit, weight: int
) -> None:
    for seconds, what in happens:
        run.at(seconds, what(run))
    ending = run.run()
    assert (ending.code, run.box.world.traffic) == (code, Traffic(weight=weight))
    assert run.box.store.stored is not None
    assert run.box.store.stored.status.outbox == ()


def test_a_run_in_a_hurry_leaves_out_the_steps() -> None:
    """As soon as the rollout has begun it asks to promote, once, as a person would."""
    run = driven("good", Options(hurry=True))
    ending = run.run()
    assert (ending.code, run.box.world.traffic) == (Exit.PROMOTED, Traffic(weight=100))
    weights = [turn.decision.status.canary_weight for turn in run.turns]
    assert set(weights) == {0, 100}
    assert [one.verb for one in run.drive.actions.own] == [Verb.PROMOTE]


def spec_says(box: Any, **fields: Any) -> None:
    """The manifest has these fields."""
    value = box.target.value
    box.target = SandboxTarget(replace(value, manifest=value.manifest.but(spec=value.manifest.spec.but(**fields))))


def problems(box: Any) -> None:
    """The manifest is wrong."""
    box.target = SandboxTarget(replace(box.target.value, problems=("spec.banana: unknown field",)))


def at_weight(weight: int) -> Callable[[Any], None]:
    """The route stands there before the first run."""
    return lambda box: box.router.set(Traffic(weight=weight))


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        pytest.param(
            lambda box: setattr(box.world, "traffic", Traffic(weight=100)), Exit.PROMOTED, id="serves already"
        ),
        pytest.param(lambda box: spec_says(box, suspend=True), Exit.GONE, id="suspended"),
        pytest.param(problems, Exit.INVALID, id="promise 11: invalid"),
        pytest.param(at_weight(50), Exit.INVALID, id="several carry weight, and none is stable"),
        pytest.param(lambda box: setattr(box.router, "down", True), Exit.ERROR, id="nothing readable within 10 s"),
    ],
)
def test_how_a_run_ends_that_never_begins(prepare: Callable[[Any], None], code: Exit) -> None:
    box = sandbox()
    prepare(box)
    run = Driven(box)
    assert run.run().code is code
    assert box.router.writes == []


def test_the_second_run_of_what_failed() -> None:
    """It failed before: 3 again, without a write; a retry tries it again."""
    box = sandbox("bad")
    assert Driven(box).run().code is Exit.ROLLED_BACK
    writes = len(box.router.writes)
    assert Driven(box).run().code is Exit.ROLLED_BACK
    assert len(box.router.writes) == writes
    ask(box, Verb.RETRY)
    assert Driven(box).run().code is Exit.ROLLED_BACK
    assert len(box.router.writes) > writes


def test_the_second_run_of_what_was_promoted() -> None:
    """Promise 9: 0 again, without a write."""
    box = sandbox()
    assert [Driven(box).run().code, Driven(box).run().code] == [Exit.PROMOTED, Exit.PROMOTED]
    assert box.router.writes == [Traffic(weight=weight) for weight in (20, 50, 100)]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param(Options(), Exit.UNANALYSED, id="has a code of its own"),
        pytest.param(Options(allow_unanalysed=True), Exit.PROMOTED, id="is a success where that is allowed"),
    ],
)
def test_another_build_of_what_was_promoted(options: Options, code: Exit) -> None:
    """It serves everything already, and no rollout has judged it: nothing moves."""
    box = sandbox()
    assert Driven(box).run().code is Exit.PROMOTED
    writes, unjudged = len(box.router.writes), Driven(box, options)
    again()(unjudged)()
    over = unjudged.run()
    assert (over.code, over.reason, len(box.router.writes)) == (code, "UnanalysedRevision", writes)
    assert over.sentence == "v2 (c) serves everything without having been judged; v2 (b) was"


def test_a_run_goes_on_where_an_interrupted_one_held() -> None:
    """130 leaves traffic; the next run finishes it."""
    first = driven("good", Options(on_interrupt=Then.HOLD))
    first.at(12, first.drive.interrupts)
    assert first.run().code is Exit.INTERRUPTED
    second = Driven(first.box)
    assert second.run().code is Exit.PROMOTED
    assert [turn.decision.status.rollouts for turn in second.turns][-1] == 1


@pytest.mark.parametrize(
    ("options", "happens"),
    [
        pytest.param(Options(), interrupting, id="interrupted"),
        pytest.param(
            Options(timeout=timedelta(seconds=22), on_timeout=Then.ROLLBACK), lambda run: lambda: None, id="timed out"
        ),
    ],
)
def test_a_run_that_ends_itself_lowers_at_once(
    options: Options, happens: Callable[[Driven], Callable[[], None]]
) -> None:
    """Nothing is due at that moment, and anyone who sent the signal kills the process some seconds later."""
    run = driven("good", options, interval="1m")
    began = run.box.clock.now()
    run.at(22, happens(run))
    run.run()
    lowered = next(turn.at for turn in run.turns if turn.decision.status.phase is Phase.FINALISING)
    assert (lowered - began, run.box.router.writes) == (timedelta(seconds=22), [Traffic(weight=20), Traffic()])


def test_what_is_asked_during_a_reconcile_is_heard_right_after_it() -> None:
    """Servers may take seconds to answer: an action that arrives meanwhile waits for no interval."""
    run = driven("good", interval="1m")
    rested = run.box.clock.now() + timedelta(seconds=20)

    def slow(turn: Turn) -> None:
        """Someone asks for a rollback after the inbox was read."""
        run.turns.append(turn)
        if turn.at > rested and not run.box.inbox.actions:
            ask(run.box, Verb.ROLLBACK)

    run.drive.report = slow
    run.run()
    asked = next(one.at for one in run.box.inbox.actions)
    lowered = next(turn.at for turn in run.turns if turn.decision.status.phase is Phase.FINALISING)
    assert lowered - asked < timedelta(seconds=1)


def test_the_outcome_is_unknown_when_a_rollback_is_not_accepted_in_time() -> None:
    """Exit 8 after the time-out and two minutes more, with the last word on it."""
    run = driven("quiet", Options(timeout=MINUTE, on_timeout=Then.ROLLBACK))
    run.at(30, lambda: setattr(run.box.router, "down", True))
    ending = run.run()
    assert (ending.code, ending.reason) == (Exit.UNKNOWN, "OutcomeUnknown")


def test_another_run_took_the_state_over() -> None:
    """A run that may no longer act fails at the save, and touches nothing more."""
    run = driven("good")
    run.at(12, lambda: setattr(run.box.store, "stored", replace(run.box.store.stored, version="99")))  # type: ignore[type-var]
    with pytest.raises(Conflict):
        run.run()
    assert run.box.router.writes == [Traffic(weight=20), Traffic(weight=50)]


def overwritten(store: Any) -> None:
    """Another client saved a state without the lock."""
    store.stored = replace(store.stored, version="99")


def test_a_state_that_others_overwrote_while_the_lock_is_ours() -> None:
    """Nothing rises any more, what lowers is done, and the run ends with its outcome and why it isn't saved."""
    run = driven("good")
    run.drive.check = lambda: None
    run.at(12, lambda: overwritten(run.box.store))
    run.at(60, run.drive.interrupts)
    ending = run.run()
    assert (ending.code, run.box.world.traffic) == (Exit.REJECTED, Traffic())
    assert "another run" in ending.sentence
    assert run.box.router.writes == [Traffic(weight=20), Traffic(weight=50), Traffic()]


def test_a_state_that_is_no_state_any_more() -> None:
    """The same for a save that is refused for good: the run doesn't wait two minutes for it to change."""
    run = driven("good")
    run.at(12, lambda: setattr(run.box.store, "refuses", "gar[bage"))
    run.at(60, run.drive.interrupts)
    ending = run.run()
    assert (ending.code, run.box.world.traffic) == (Exit.REJECTED, Traffic())
    assert ending.sentence.endswith("; but status can't be saved: gar[bage")
    assert run.box.world.now - run.turns[-1].at < timedelta(seconds=5)


def test_the_state_cannot_be_read_at_the_start() -> None:
    box = sandbox()
    box.store.down = True
    with pytest.raises(Unreachable):
        Driven(box).run()


def test_every_exit_is_reached_by_a_table_or_by_the_command() -> None:
    """Each code is the outcome's, the reason's at rest, or the run's own."""
    here = {Exit.ERROR, Exit.TIMED_OUT, Exit.NEEDS_APPROVAL, Exit.UNKNOWN, Exit.INTERRUPTED}
    assert set(Exit) - here - set(BY_OUTCOME.values()) - {reason.exit_code for reason in Reason} == set()


def test_the_end_waits_for_the_drain() -> None:
    """`run` ends once the old version may go."""
    run = driven("good", drain="30s")
    ending = run.run()
    decided = next(turn.at for turn in run.turns if turn.decision.reason == "Promoted")
    assert ending.code is Exit.PROMOTED
    assert run.box.world.now - decided >= timedelta(seconds=29)


@pytest.mark.parametrize(
    ("options", "stop"),
    [
        pytest.param(Options(), True, id="interrupted"),
        pytest.param(Options(timeout=timedelta(seconds=12), on_timeout=Then.ROLLBACK), False, id="out of time"),
    ],
)
def test_who_stops_a_run_says_nothing_against_the_version(options: Options, stop: bool) -> None:
    """The next run tries it again, without --retry; what a person rejects has failed all the same."""
    first = driven("good", options)
    if stop:
        first.at(12, first.drive.interrupts)
    assert first.run().code in (Exit.REJECTED, Exit.TIMED_OUT)
    stored = first.box.store.load()
    assert stored is not None
    assert (stored.status.failed, stored.status.history[0].outcome) == (None, Outcome.REJECTED)
    assert Driven(first.box).run().code is Exit.PROMOTED
    rejected = driven("good")
    rejected.at(12, lambda: ask(rejected.box, Verb.ROLLBACK))
    assert rejected.run().code is Exit.REJECTED


@pytest.mark.parametrize(
    ("run", "verbs", "code"),
    [
        pytest.param(driven("bad"), [], Exit.ROLLED_BACK, id="rolled back"),
        pytest.param(driven("good"), [Verb.REJECT], Exit.REJECTED, id="rejected"),
        pytest.param(driven("good"), [Verb.ROLLBACK], Exit.REJECTED, id="rolled back by a person"),
    ],
)
def test_a_run_that_finds_what_failed_ends_as_the_one_before(run: Driven, verbs: list[Verb], code: Exit) -> None:
    """And so does who waits for a controller; a failure that history has forgotten was a rollback."""
    for verb in verbs:
        run.at(12, asking(verb)(run))
    assert run.run().code is code
    again = Driven(run.box).run()
    assert (again.code, again.reason) == (code, "Rejected" if verbs else "RolledBack")
    stored = run.box.store.load()
    assert stored is not None
    canary = run.box.target.resolved().manifest.but(status=stored.status)
    wanted = run.box.target.desired_version()
    assert isinstance(wanted, Version)
    waited = answer(Awaited(wanted), Sight(run.box.clock.now(), canary, wanted))
    assert waited is not None
    assert waited.code is code
    assert failed_with(stored.status.but(history=())) is Exit.ROLLED_BACK
