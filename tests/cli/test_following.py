"""A rollout that someone else drives, as turns that the outputs of `canary run` can show."""

from dataclasses import replace

import pytest

from canary.api.evidence import EvaluationResult
from canary.api.reason import Reason
from canary.api.status import Message, Outcome, Status
from canary.bootstrap import Followed, Memory
from canary.cli import wait
from canary.cli.following import warn_of
from canary.rollout.reconcile import Turn
from canary.show.lines import turn_lines
from canary.show.live_rows import Scene
from canary.waiting.watch import turn_of

from .awaited import NOON, World, over, running
from .test_actions import Object


def turn(status: Status, before: Status | None = None, note: str = "") -> Turn:
    """What a status tells after another one."""
    canary = World(status).read()
    assert canary is not None
    return turn_of(canary, before, NOON, note)


def test_a_version_that_is_not_there_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """It may come, so the command goes on; what was probably meant is said. If that is unclear, nothing is said."""
    world = World(running())
    canary = world.read()
    assert canary is not None
    followed = Followed(
        world.read,
        world.desired_version,
        world.post,
        lambda _: canary,
        list,
        lambda _: frozenset({"v1", "v2"}),
        canary,
    )
    warn_of(followed, "v22")
    assert capsys.readouterr().err == "warning: there is no destination v22; did you mean v2?\n"
    warn_of(followed, "v2")
    warn_of(replace(followed, destinations=lambda _: frozenset()), "v22")
    assert capsys.readouterr().err == ""


def test_wait_warns_of_the_version_that_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it begins to wait."""
    world = World(running())
    canary = world.read()
    assert canary is not None
    followed = Followed(
        world.read, world.desired_version, world.post, lambda _: canary, list, lambda _: frozenset({"v2"}), canary
    )
    memory = Memory("reviews", Object(), world.post, lambda: None, "ada", "reviews", running(), object=followed)
    monkeypatch.setattr(wait, "remembered_object", lambda *_: memory)
    monkeypatch.setattr(wait, "follow", lambda *_: 4)
    assert wait.command("reviews", for_version="v22") == 4
    assert "did you mean v2?" in capsys.readouterr().err


def test_the_first_look_tells_where_it_stands() -> None:
    """Nothing that was reported before is reported again."""
    old = Message(id="1", reason=Reason.STARTED, message="v2 shall take over", at=NOON)
    found = turn(running(outbox=(old,)))
    assert (found.messages, found.decision.sentence) == ((), "holding at 30%")


def test_messages_are_sent_as_long_as_they_stand_in_the_status() -> None:
    """Each once: what people ask and what is warned of is no decision's sentence."""
    asked = Message(id="2", reason=Reason.PAUSE_ASKED, message="ada asked to pause: lunch", at=NOON)
    first = turn(running(outbox=(asked,)), running())
    assert "ada asked to pause: lunch" in "\n".join(turn_lines(first, turn(running())))
    assert turn(running(outbox=(asked,)), running(outbox=(asked,))).messages == ()


def test_the_end_is_seen_once() -> None:
    """By the rollout that ran before and is over now."""
    ended = over(Outcome.PROMOTED)
    assert turn(ended, running()).decision.closed
    assert not turn(ended, ended).decision.closed
    assert not turn(ended, running(number=2)).decision.closed
    assert not turn(running(number=2, history=ended.history), running()).decision.closed


def test_a_look_is_seen_once() -> None:
    """By its time."""
    look = EvaluationResult(at=NOON, verdict="pass", reason=Reason.CHECKS_PASSED, message="all checks passed")
    seen = running()
    assert seen.rollout is not None
    evaluated = seen.but(rollout=seen.rollout.but(evaluation=look))
    assert turn(evaluated, seen).decision.evaluated
    assert not turn(evaluated, evaluated).decision.evaluated


def test_a_picture_shows_the_end_though_its_last_steps_were_missed() -> None:
    """An evaluation a second misses what happens in between: everything is shown where it went."""
    early = running()
    assert early.rollout is not None
    early = early.but(rollout=early.rollout.but(step=0))
    scene = Scene("reviews", "canary approve reviews").then(turn(early))
    promoted = scene.then(turn(over(Outcome.PROMOTED), running())).rollout
    returned = scene.then(turn(over(Outcome.ROLLED_BACK), running())).rollout
    assert promoted is not None
    assert returned is not None
    assert (promoted.desired.weight, promoted.step, returned.desired.weight) == (100, 1, 0)
    assert (promoted.end and promoted.end.outcome, returned.end and returned.end.outcome) == (
        "Promoted",
        "RolledBack",
    )


def test_a_note_takes_the_place_of_what_speaks_of_something_else() -> None:
    """The status' own sentence would be taken for an answer."""
    found = turn(over(Outcome.PROMOTED), note="not seen yet")
    assert (found.decision.reason, found.decision.sentence) == ("NotSeenYet", "not seen yet")
