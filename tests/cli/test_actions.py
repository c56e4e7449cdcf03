"""What becomes of an action for a Canary object: taken, refused, or not taken yet."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.action import Verb
from canary.api.reason import Reason
from canary.api.status import End, Message, Outcome, Pause, Status
from canary.bootstrap import Followed, Memory
from canary.cli.actions import answered, asked
from canary.cli.problems import CommandProblem
from canary.engine.errors import Unreachable
from canary.engine.observed import Stored

from .awaited import World, running

REFUSED = "ada (unverified) asked to approve: refused, step 1 has no gate that people open"


@dataclass
class Object:
    """A Canary object whose controller does as it is requested."""

    status: Status = field(default_factory=running)
    events: Callable[[], list[Message]] = list
    before: Status = field(default_factory=running)
    """As it was before the action."""

    def load(self) -> Stored:
        return Stored(self.status, "1")

    @property
    def memory(self) -> Memory:
        world = World(running())
        canary = world.read()
        assert canary is not None
        followed = Followed(
            world.read,
            world.desired_version,
            world.post,
            lambda _: canary,
            self.events,
            lambda _: frozenset(),
            canary,
        )
        return Memory("reviews", self, world.post, lambda: None, "ada", "reviews", self.before, object=followed)


def message(text: str = REFUSED, reason: str = "ActionRefused", **ago: float) -> Message:
    """What the controller tells."""
    return Message(id="9", reason=Reason(reason), message=text, at=datetime.now(UTC) - timedelta(**ago))


def said(there: Object, seconds: float = 5.0, verb: Verb = Verb.APPROVE) -> str:
    """The command's last words."""
    action = asked(verb, there.memory, "", "ada").but(id="uid")
    return answered(there.memory, action, seconds)


def test_what_is_taken_is_said() -> None:
    """By its id in the status; what others were refused is none of it."""
    other = message("bob asked to approve: refused, nothing proves who asked")
    there = Object(running(actions_taken=("uid",), outbox=(other,)), lambda: [other])
    assert said(there) == "ada asked to approve reviews at step 1; taken"


def test_what_moves_nothing_yet_is_said() -> None:
    """A promotion that is taken while the rollout is paused waits for its end."""
    there = Object(running(actions_taken=("uid",)))
    assert there.status.rollout is not None
    pause = Pause(since=datetime.now(UTC), author="bob")
    there.status = there.status.but(rollout=there.status.rollout.but(pause=pause))
    assert said(there, verb=Verb.PROMOTE).endswith(
        "; taken; the rollout is paused, nothing moves until canary resume"
    )
    assert said(there, verb=Verb.PAUSE).endswith("; taken")


def test_a_rollback_onto_no_pod_is_reported() -> None:
    """In the words of the controller, which has seen the replicas."""
    there = Object(running(actions_taken=("uid",)))
    assert there.status.rollout is not None
    words = "ada asked to roll back: bad data; but no replica of v1 is available: requests fail until one is"
    end = End(outcome=Outcome.REJECTED, reason=Reason.REJECTED_BY_PERSON, message=words, at=datetime.now(UTC))
    there.status = there.status.but(rollout=there.status.rollout.but(end=end))
    assert said(there, verb=Verb.ROLLBACK).endswith(
        "; taken; but no replica of v1 is available: requests fail until one is"
    )


def test_what_is_refused_is_said_with_the_reason() -> None:
    """As it stands in the status right after it was taken."""
    there = Object(running(actions_taken=("uid",), outbox=(message(),)))
    with pytest.raises(
        CommandProblem, match=r"^ada \(unverified\) asked to approve: refused, step 1 has no gate"
    ) as problem:
        said(there)
    assert problem.value.code == 1


@pytest.mark.parametrize("verb", [Verb.ROLLBACK, Verb.REJECT])
def test_a_rollback_is_said_in_one_sentence(verb: Verb) -> None:
    """What the controller says of it is not glued behind; only that no request can be answered is."""
    status = running(actions_taken=("uid",))
    assert status.rollout is not None
    asked_for = f"ada asked to {verb.words}: bad; but the service is fine"
    end = End(outcome=Outcome.REJECTED, reason=Reason.REJECTED_BY_PERSON, message=asked_for, at=datetime.now(UTC))
    ended = Object(status.but(rollout=status.rollout.but(end=end)))
    assert said(ended, verb=verb) == f"ada asked to {verb.words} reviews at step 1; taken"


def test_what_was_refused_before_is_another_action() -> None:
    """It stood in the status already."""
    old = (message(minutes=1),)
    there = Object(running(actions_taken=("uid",), outbox=old), before=running(outbox=old))
    assert said(there).endswith("; taken")


def test_what_was_refused_a_moment_ago_is_found_among_the_events() -> None:
    """The next save empties the status of messages; a refusal of long ago is of another action."""
    taken = running(actions_taken=("uid",))
    with pytest.raises(CommandProblem, match="refused, "):
        said(Object(taken, lambda: [message(seconds=1)]))
    assert said(Object(taken, lambda: [message(minutes=5)])).endswith("; taken")
    assert said(Object(taken, lambda: [message(reason=Reason.APPROVE_ASKED)])).endswith("; taken")


def test_events_that_can_not_be_read_hide_nothing_else() -> None:
    """The action was taken, as far as is known."""

    def away() -> list[Message]:
        raise Unreachable("no answer")

    assert said(Object(running(actions_taken=("uid",)), away)).endswith("; taken")


def test_a_controller_that_does_not_take_it_is_asked_after() -> None:
    """It takes it when it comes back: that is no error."""
    assert said(Object(), 0.01).endswith("; the controller hasn't taken it yet, is it running?")
