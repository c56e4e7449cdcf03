"""What `canary wait` answers: for the version and revision that are wanted now, and for nothing before."""

from datetime import timedelta

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, Status
from canary.engine.errors import Unreachable
from canary.engine.observed import Cause, Missing
from canary.rollout.drive import Then
from canary.waiting.wait import LOOK, SILENT, WaitTerms

from .awaited import FIRST, SECOND, STABLE, UNKNOWN, World, at_rest, become, draining, over, running

MINUTE = timedelta(minutes=1)

ENDS = {
    "promoted while it waits": (
        World(running(), later={20: become(status=over(Outcome.PROMOTED))}),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "it serves everything already": (
        World(at_rest(FIRST)),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) serves everything"),
    ),
    "it was promoted before the wait, and is at rest since": (
        World(over(Outcome.PROMOTED).but(reason=Reason.ALREADY_SERVING, message="v2 (a) serves everything")),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "a build serves that no one has judged": (
        World(at_rest(SECOND, "UnanalysedRevision", message="v2 (a) serves everything without having been judged")),
        WaitTerms(),
        (Exit.UNANALYSED, "v2 (a) serves everything without having been judged"),
    ),
    "a build serves that no one has judged, and that is allowed": (
        World(at_rest(SECOND, "UnanalysedRevision", message="v2 (a) serves everything without having been judged")),
        WaitTerms(allow_unanalysed=True),
        (Exit.PROMOTED, "v2 (a) serves everything without having been judged"),
    ),
    "what runs behind the version can't be found": (
        World(revision=UNKNOWN),
        WaitTerms(),
        (Exit.ERROR, "what runs behind v2 isn't known yet: not there (no workload makes such pods)"),
    ),
    "the manifest is invalid, though the version serves": (
        World(at_rest(FIRST, "InvalidSpec", message="spec.analysis: is missing")),
        WaitTerms(),
        (Exit.INVALID, "spec.analysis: is missing"),
    ),
    "rolled back while it waits": (
        World(running(), later={20: become(status=over(Outcome.ROLLED_BACK))}),
        WaitTerms(),
        (Exit.ROLLED_BACK, "rolled back: as the engine says"),
    ),
    "this revision has failed before": (
        World(over(Outcome.ROLLED_BACK).but(reason=Reason.ALREADY_FAILED)),
        WaitTerms(),
        (Exit.ROLLED_BACK, "rolled back: as the engine says"),
    ),
    "this revision has failed so long before that history forgot it": (
        World(at_rest(reason=Reason.ALREADY_FAILED, failed=FIRST, phase=Phase.FAILED)),
        WaitTerms(),
        (Exit.ROLLED_BACK, "v2 (a) was tried and failed; retry, or bring another"),
    ),
    "its time is over, and traffic stays": (
        World(running()),
        WaitTerms(timeout=MINUTE),
        (Exit.TIMED_OUT, "not done after 1m: holding at 30%"),
    ),
    "its time is over, and it is rolled back": (
        World(running(), later={70: become(status=over(Outcome.REJECTED))}),
        WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK),
        (Exit.TIMED_OUT, "not done in time: rejected: as the engine says"),
    ),
    "its time is over as it is promoted": (
        World(running(), later={70: become(status=over(Outcome.PROMOTED))}),
        WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "its time is over while it drains": (
        World(draining(), later={70: become(status=over(Outcome.ROLLED_BACK))}),
        WaitTerms(timeout=MINUTE),
        (Exit.ROLLED_BACK, "rolled back: as the engine says"),
    ),
    "no one has seen it when its time is over": (
        World(at_rest()),
        WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK),
        (
            Exit.TIMED_OUT,
            "not done after 1m: the controller hasn't seen v2 (a) yet, since 12:00:00 UTC; is it running? "
            f"Check with: {LOOK}",
        ),
    ),
    "a gate, and it shall not wait": (
        World(
            running(), later={20: become(status=running(reason=Reason.WAITING_FOR_APPROVAL, message="waits for ada"))}
        ),
        WaitTerms(wait_for_approval=False),
        (Exit.NEEDS_APPROVAL, "waits for ada"),
    ),
    "rejected by a person": (
        World(running(), later={20: become(status=over(Outcome.REJECTED))}),
        WaitTerms(),
        (Exit.REJECTED, "rejected: as the engine says"),
    ),
    "another build is pushed in mid-wait": (
        World(running(), later={20: become(revision="b")}),
        WaitTerms(),
        (Exit.SUPERSEDED, "v2 (a) is no longer the desired version, v2 (b) is"),
    ),
    "another version is asked for in mid-wait": (
        World(running(), later={20: become(version="v3", revision="c", generation=3)}),
        WaitTerms(),
        (Exit.SUPERSEDED, "v2 (a) is no longer the desired version, v3 (c) is"),
    ),
    "another version is asked for that isn't there yet": (
        World(running(), later={20: become(version="v3", revision=UNKNOWN, generation=3)}),
        WaitTerms(),
        (Exit.SUPERSEDED, "v2 (a) is no longer the desired version, v3 is"),
    ),
    "another build is pushed in the very second of the promotion": (
        World(running(), later={21: become(status=over(Outcome.PROMOTED), revision="b")}),
        WaitTerms(),
        (Exit.SUPERSEDED, "v2 (a) is no longer the desired version, v2 (b) is"),
    ),
    "no one takes the rollback that was asked for": (
        World(running()),
        WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK),
        (Exit.UNKNOWN, "not done after 1m: holding at 30%"),
    ),
    "the Canary is being deleted": (
        World(running(), later={20: become(deleted=True)}),
        WaitTerms(),
        (Exit.GONE, "reviews was deleted; traffic was at 30%"),
    ),
    "the Canary is gone": (
        World(running(), later={20: become(gone=True)}),
        WaitTerms(),
        (Exit.GONE, "the Canary was deleted"),
    ),
    "suspended in mid-rollout": (
        World(running(), later={20: become(spec={"suspend": True})}),
        WaitTerms(),
        (Exit.GONE, "suspended; traffic was at 30%; nothing is increased"),
    ),
    "suspended before it began": (
        World(at_rest(reason=Reason.SUSPENDED, message="suspended: nothing starts"), spec={"suspend": True}),
        WaitTerms(),
        (Exit.GONE, "suspended: nothing starts"),
    ),
    "suspended while it drains": (
        World(draining(), spec={"suspend": True}, later={20: become(status=over(Outcome.ROLLED_BACK))}),
        WaitTerms(),
        (Exit.ROLLED_BACK, "rolled back: as the engine says"),
    ),
    "promoted, and it still serves after a rollout that was called off": (
        World(
            over(Outcome.PROMOTED).but(
                history=(*over(Outcome.RETURNED, SECOND, 2).history, *over(Outcome.PROMOTED).history)
            )
        ),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "the workload comes a little later than the wait": (
        World(revision=UNKNOWN, later={5: become(revision="a"), 20: become(status=over(Outcome.PROMOTED))}),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "a gate, at which it waits": (
        World(running(reason=Reason.WAITING_FOR_APPROVAL), later={20: become(status=over(Outcome.PROMOTED))}),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) was promoted: as the engine says"),
    ),
    "the API server is away as the answer is read once more": (
        World(at_rest(FIRST), unanswered=(3,)),
        WaitTerms(),
        (Exit.PROMOTED, "v2 (a) serves everything"),
    ),
    "someone else moves the target": (
        World(at_rest(reason=Reason.CONFLICT, message="process 7 on ci has it")),
        WaitTerms(),
        (Exit.LOCKED, "process 7 on ci has it"),
    ),
}


@pytest.mark.parametrize(("world", "terms", "end"), ENDS.values(), ids=ENDS)
def test_how_a_wait_ends(world: World, terms: WaitTerms, end: tuple[Exit, str]) -> None:
    """With the exit code of `canary run`, and one sentence."""
    found = world.wait_for_it(terms)
    assert (found.code, found.sentence) == end


def test_every_exit_code_of_a_wait_is_in_the_table() -> None:
    """130 has a test of its own."""
    assert {code for _, _, (code, _) in ENDS.values()} == set(Exit) - {Exit.INTERRUPTED}


NO_ANSWER = {
    "a success on the stable version, seen before the spec was changed": at_rest(observed_generation=1),
    "a success of this very version, with an earlier build": over(Outcome.PROMOTED, SECOND),
    "the same, at rest since": at_rest(SECOND),
    "a failure of an earlier build": over(Outcome.ROLLED_BACK, SECOND),
    "an earlier build that is still on its way": running(SECOND),
    "an earlier build that waits for approval": running(SECOND, reason=Reason.WAITING_FOR_APPROVAL),
    "an invalid spec, mended since": at_rest(reason=Reason.INVALID_SPEC, observed_generation=1),
    "this build superseded once, and wanted again": over(Outcome.SUPERSEDED),
    "this build failed, and someone asked to try again": over(Outcome.ROLLED_BACK).but(failed=None),
    "no status at all": at_rest().but(
        phase=Phase.INITIALIZING, stable=None, reason=Reason.UNDECIDED, observed_generation=0
    ),
}


@pytest.mark.parametrize("before", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_is_no_answer(before: Status) -> None:
    """The wait goes on until the controller reports the desired version now."""
    done = over(Outcome.PROMOTED, number=2)
    world = World(before, later={30: become(status=running(number=2)), 60: become(status=done)})
    assert world.wait_for_it(WaitTerms(wait_for_approval=False)).code is Exit.PROMOTED
    assert world.seconds >= 60


def test_a_deployment_is_promoted_when_its_primary_has_the_revision() -> None:
    """The primary serves under a name of its own. That its revision can't be read for a moment ends nothing."""
    canary, primary = (FIRST.but(name=f"reviews-{one}") for one in ("canary", "primary"))
    later = {
        5: become(revision=Missing(Cause.NOT_YET, "the Deployment was changed")),
        10: become(revision="a"),
        20: become(status=over(Outcome.PROMOTED, canary, stable=primary)),
    }
    world = World(running(canary), kind="Deployment", version=None, later=later)
    ending = world.wait_for_it()
    assert (ending.code, ending.sentence) == (
        Exit.PROMOTED,
        "reviews-canary (a) was promoted: as the engine says",
    )
    assert World(at_rest(primary), kind="Deployment", version=None).wait_for_it().code is Exit.PROMOTED


def test_a_retry_waits_for_the_next_rollout() -> None:
    """What had failed before the retry was asked for is no answer to it."""
    again = {5: become(status=running(number=2)), 30: become(status=over(Outcome.ROLLED_BACK, number=2))}
    world = World(over(Outcome.ROLLED_BACK), later=again)
    assert world.wait_for_it(WaitTerms(after=1)).code is Exit.ROLLED_BACK
    assert world.seconds >= 30


def test_a_version_is_waited_for_until_it_is_wanted() -> None:
    """Such as a commit that someone else brings into the cluster."""
    later = {
        30: become(version="v2", revision="a", generation=3),
        60: become(status=over(Outcome.PROMOTED, observed_generation=3)),
    }
    world = World(at_rest(), version="v1", revision="s", later=later)
    assert world.wait_for_it(WaitTerms(version="v2")).code is Exit.PROMOTED
    assert world.reported[0] == "v2 isn't asked for yet, v1 is"
    assert world.seconds >= 60


def test_an_interrupt_leaves_everything_alone() -> None:
    """130, and nothing was asked."""
    world = World(running())
    world.later = {20: lambda there: there.interrupts()}
    found = world.wait_for_it()
    assert (found.code, found.sentence) == (
        Exit.INTERRUPTED,
        "interrupted; traffic is at 30%, and the controller goes on",
    )
    assert world.posted == []


def test_a_time_out_asks_for_the_rollback_once_in_the_users_name() -> None:
    """For the rollout that it has seen, so that no later one is meant."""
    world = World(running(number=7), later={90: become(status=over(Outcome.REJECTED, number=7))})
    world.wait_for_it(WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK, author="ada"))
    assert [(one.verb, one.rollout, one.author) for one in world.posted] == [("rollback", 7, "ada")]


def test_a_time_out_rolls_back_no_other_rollout() -> None:
    """An earlier build is on its way, whose author may want it."""
    world = World(running(SECOND))
    assert world.wait_for_it(WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK)).code is Exit.TIMED_OUT
    assert world.posted == []


def test_an_api_server_that_is_away_ends_no_wait() -> None:
    """It is reported, and the wait goes on once it answers; what was seen last is no answer."""
    later = {10: become(away=True), 20: become(status=over(Outcome.PROMOTED)), 50: become(away=False)}
    world = World(running(), later=later)
    assert world.wait_for_it().code is Exit.PROMOTED
    assert world.seconds >= 50
    assert ("the Canary can't be read: no answer",) in {turn.trouble for turn in world.turns}


def test_an_api_server_that_never_answers_is_an_error() -> None:
    """Nothing is known of what to wait for."""
    with pytest.raises(Unreachable, match="no answer"):
        World(away=True).wait_for_it()


def test_a_rollback_that_can_not_be_sent_is_sent_later() -> None:
    """The API server is away when the time is over."""
    later = {55: become(away=True), 80: become(away=False), 100: become(status=over(Outcome.REJECTED))}
    world = World(running(), later=later)
    assert world.wait_for_it(WaitTerms(timeout=MINUTE, on_timeout=Then.ROLLBACK)).code is Exit.TIMED_OUT
    assert len(world.posted) == 1


def test_a_wait_asks_once_a_second() -> None:
    """One request an evaluation; a few more at its beginning and before its answer."""
    world = World(running(), later={300: become(status=over(Outcome.PROMOTED))})
    world.wait_for_it()
    assert 300 <= world.requests <= 306


def test_a_silent_controller_is_asked_after() -> None:
    """Not at once: it may be busy."""
    world = World(at_rest(observed_generation=1))
    world.wait_for_it(WaitTerms(timeout=MINUTE))
    early, late = world.reported[:2]
    assert early == "the controller hasn't seen the spec as it is now"
    assert late == f"{early}, since {world.turns[0].at:%H:%M:%S} UTC; is it running? Check with: {LOOK}"
    assert len(world.reported) == 3  # it is reported once, not each second, and then the time is over
    first = next(turn.at for turn in world.turns if turn.decision.sentence == late)
    assert first - world.turns[0].at >= SILENT


def test_a_rollout_is_reported_as_it_goes_on() -> None:
    """The status' own sentences, and the end of the rollout as one."""
    later = {5: become(status=running(message="holding at 50%")), 9: become(status=over(Outcome.PROMOTED))}
    world = World(running(), later=later)
    world.wait_for_it()
    assert world.reported == ["holding at 30%", "holding at 50%", "over"]
    assert [turn.decision.closed for turn in world.turns].count(True) == 1


def test_stable_is_waited_for_while_its_rollback_goes_on() -> None:
    """`version` was set back before the wait: what serves is the desired version, once it serves everything."""
    back = over(Outcome.RETURNED)
    world = World(draining(Outcome.RETURNED), version="v1", revision="s", later={20: become(status=back)})
    found = world.wait_for_it()
    assert (found.code, world.status.stable) == (Exit.PROMOTED, STABLE)
    assert world.reported[0] == "v2 (a) has yet to make way for v1 (s)"


@pytest.mark.parametrize(
    ("world", "outcome"),
    [
        pytest.param(World(over(Outcome.PROMOTED)), Outcome.PROMOTED, id="promoted"),
        pytest.param(World(over(Outcome.ROLLED_BACK)), Outcome.ROLLED_BACK, id="rolled back"),
        pytest.param(
            World(at_rest(history=over(Outcome.ROLLED_BACK).history), revision="s", version="v1"),
            None,
            id="the version before is desired again",
        ),
        pytest.param(World(at_rest(), revision="s", version="v1"), None, id="no rollout yet"),
    ],
)
def test_a_rollout_that_was_over_before(world: World, outcome: Outcome | None) -> None:
    """The end names its outcome, if it was a rollout of the desired version."""
    assert world.wait_for_it().outcome is outcome
