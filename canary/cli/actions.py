"""`canary approve`, `reject` and the other verbs: find the rollout, add an action, print its result."""

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.action import CanaryAction, Verb
from canary.api.reason import Reason
from canary.api.status import Message, Status
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.errors import CanaryError
from canary.engine.outcome import LONGEST
from canary.engine.verbs import hear

from .options import Context, Files, Kubeconfig, Namespace, State, Target, reported, steered


def _kept(comment: str) -> str:
    """Refuses what would be cut."""
    if len(comment) > LONGEST:
        raise UsageProblem(f"--comment: is {len(comment)} characters long; the limit is {LONGEST}")
    return comment


Comment = Annotated[
    str, typer.Option("--comment", "-m", help="Reason; shown in messages and history.", callback=_kept)
]
Author = Annotated[str | None, typer.Option("--as", help="Name of the author; unverified if it is another user.")]

SECONDS = 3.0
"""How long to wait for a live run to take the action."""
CONTROLLER_SECONDS = 8.0
"""The same of a controller, which may be busy with many others."""
EVERY = 0.5
"""Seconds between two looks at a Canary object."""
APART = timedelta(seconds=5)
"""The largest difference between the clocks of this machine and of the controller's."""


def asking(name: str, line: str) -> Callable[..., int]:
    """The command `name`, whose help is `line`."""
    verb = Verb(name)

    def command(
        target: Target = None,
        file: Files = None,
        state: State = None,
        comment: Comment = "",
        author: Author = None,
        namespace: Namespace = None,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
    ) -> int:
        place = bootstrap.Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
        return ask(verb, steered(target, place), comment, author)

    command.__doc__ = line
    return command


def ask(verb: Verb, memory: bootstrap.Memory, comment: str, author: str | None) -> int:
    """Add the action, and print its result. Raises Problem."""
    action = asked(verb, memory, comment, author or memory.author)
    _check(memory, action)
    with reported():
        print(answered(memory, action.but(id=memory.post(action))))
    return 0


def asked(verb: Verb, memory: bootstrap.Memory, comment: str, author: str) -> CanaryAction:
    """An action for the rollout and the step that its author sees now."""
    now, rollout = datetime.now(UTC), memory.status.rollout
    return CanaryAction(
        id=f"{now:%Y%m%dT%H%M%S}-{verb}-{uuid.uuid4().hex[:6]}",
        target=memory.name,
        verb=verb,
        rollout=rollout.number if rollout else None,
        version=rollout.canary_version.name if rollout else None,
        revision=rollout.canary_version.revision if rollout else None,
        step=rollout.step if rollout else None,
        author=author,
        verified=memory.proves and author == memory.author,
        comment=comment,
        at=now,
    )


def _check(memory: bootstrap.Memory, action: CanaryAction) -> None:
    """Says at once what the run would refuse."""
    status = memory.status
    if action.verb is Verb.RETRY:
        if status.failed is None or status.rollout is not None:
            raise CommandProblem(f"nothing to retry: {memory.name} is {status.phase}")
        return
    if status.rollout is None:
        raise CommandProblem(
            f"nothing to {action.verb.words}: {memory.name} is {status.phase}, no rollout is running"
        )
    if status.rollout.end is not None:
        raise CommandProblem(f"too late to {action.verb.words}: {memory.name} is {status.phase} ({status.message})")
    refused = [
        one for one in hear(status.rollout, (action,), action.at).remarks if one.reason == Reason.ACTION_REFUSED
    ]
    if refused:
        raise CommandProblem(refused[0].message)


def _said(memory: bootstrap.Memory, action: CanaryAction) -> str:
    where = f" at step {action.step}" if action.step is not None else ""
    return f"{action.author or 'a user'} asked to {action.verb.words} {memory.name}{where}"


def answered(memory: bootstrap.Memory, action: CanaryAction, seconds: float = CONTROLLER_SECONDS) -> str:
    """The result of an action. Raises CommandProblem if the run or the controller has refused it."""
    said, every, late = _said(memory, action), EVERY, "the controller hasn't taken it yet, is it running?"
    if memory.object is None:
        if memory.holder() is None:
            return f"{said}; no run is active, the next one will take it"
        seconds, every, late = SECONDS, bootstrap.POLL, "the run hasn't taken it yet"
    status = until(memory, lambda status: action.id in status.actions_taken, seconds, every)
    if action.id not in status.actions_taken:
        return f"{said}; {late}"
    refused = _refusal(memory, status, action)
    if refused is not None:
        raise CommandProblem(refused.message)
    return f"{said}; taken{_follows(status, action)}"


def _follows(status: Status, action: CanaryAction) -> str:
    """What a user should know about an accepted action: nothing moves yet, or no replica can answer."""
    rollout = status.rollout
    if rollout is None:
        return ""
    if action.verb in (Verb.REJECT, Verb.ROLLBACK) and rollout.end is not None:
        _, but, rest = rollout.end.message.rpartition("; but no replica of ")
        return but + rest if but else ""
    if action.verb in (Verb.APPROVE, Verb.PROMOTE, Verb.SKIP) and rollout.pause is not None:
        return f"; the rollout is paused, nothing moves until canary {Verb.RESUME}"
    return ""


def until(memory: bootstrap.Memory, holds: Callable[[Status], bool], seconds: float, every: float) -> Status:
    """The status as soon as this holds of it, or else as it is after `seconds`."""
    status, late = memory.status, time.monotonic() + seconds
    while time.monotonic() < late:
        status = memory.read()
        if holds(status):
            break
        time.sleep(every)
    return status


def _refusal(memory: bootstrap.Memory, status: Status, action: CanaryAction) -> Message | None:
    """The refusal of an action: it is in the status until the next save, and in the object's Events."""
    known = {message.id for message in memory.status.outbox}
    found = _refused((one for one in status.outbox if one.id not in known), action)
    if found is None and memory.object is not None:
        with suppress(CanaryError):
            found = _refused((one for one in memory.object.events() if one.at >= action.at - APART), action)
    return found


def _refused(messages: Iterable[Message], action: CanaryAction) -> Message | None:
    author = action.author or "a user"
    began = tuple(f"{author}{proved} asked to {action.verb.words}: " for proved in ("", " (unverified)"))
    refused = (one for one in messages if one.reason == Reason.ACTION_REFUSED)
    return next((one for one in refused if one.message.startswith(began)), None)
