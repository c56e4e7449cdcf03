"""What `approve`, `reject` and the other verbs share: find the rollout, add an action, say what became of it."""

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.action import CanaryAction, Verb
from canary.api.status import Message, Status
from canary.cli.app import Problem, UsageProblem
from canary.engine.errors import CanaryError
from canary.engine.people import LONGEST, hear

from .places import Context, Files, Kubeconfig, Namespace, State, Target, remembered, told


def _kept(comment: str) -> str:
    """Refuses what would be cut."""
    if len(comment) > LONGEST:
        raise UsageProblem(f"--comment: is {len(comment)} characters long; up to {LONGEST} are kept")
    return comment


Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept in messages and history.", callback=_kept)]
Author = Annotated[str | None, typer.Option("--as", help="On whose behalf; unverified, unless it is yourself.")]

SECONDS = 3.0
"""How long to wait for a live run to take the action."""
CONTROLLER_SECONDS = 8.0
"""The same of a controller, which may be busy with many others."""
EVERY = 0.5
"""Seconds between two looks at a Canary object."""
APART = timedelta(seconds=5)
"""How far the clocks of this machine and of the controller's may be apart."""


def asking(verb: Verb) -> Callable[..., int]:
    """The command of a verb."""

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
        memory = remembered(target, place)
        action = asked(verb, memory, comment, author or memory.author)
        _check(memory, action)
        with told():
            id_ = memory.post(action)
            print((answered if memory.object else _told)(memory, action.but(id=id_)))
        return 0

    command.__doc__ = _HELP[verb]
    return command


_HELP = {
    Verb.APPROVE: "Open the gate that a rollout waits at. Each person counts once for a step.",
    Verb.REJECT: "Say no at a gate: the rollout is rolled back.",
    Verb.PAUSE: "Raise nothing until resumed; what protects still acts.",
    Verb.RESUME: "Go on after a pause.",
    Verb.PROMOTE: "Send everything to the canary without the remaining steps.",
    Verb.SKIP: "Leave the present step without what is missing of it.",
    Verb.ROLLBACK: "Send everything back to the stable version.",
    Verb.RETRY: "Let a version and revision that failed be tried again.",
}


def asked(verb: Verb, memory: bootstrap.Memory, comment: str, author: str) -> CanaryAction:
    """An action for the rollout and the step that its author sees now."""
    now, rollout = datetime.now(UTC), memory.status.rollout
    return CanaryAction(
        id=f"{now:%Y%m%dT%H%M%S}-{verb}-{uuid.uuid4().hex[:6]}",
        target=memory.name,
        verb=verb,
        rollout=rollout.number if rollout else None,
        version=rollout.canary.name if rollout else None,
        revision=rollout.canary.revision if rollout else None,
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
            raise Problem(f"nothing to retry: {memory.name} is {status.phase}")
        return
    if status.rollout is None:
        raise Problem(f"nothing to {action.verb.words}: {memory.name} is {status.phase}, no rollout is running")
    if status.rollout.end is not None:
        raise Problem(f"too late to {action.verb.words}: {memory.name} is {status.phase} ({status.message})")
    refused = [one for one in hear(status.rollout, (action,), action.at).remarks if one.reason == "ActionRefused"]
    if refused:
        raise Problem(refused[0].message)


def _said(memory: bootstrap.Memory, action: CanaryAction) -> str:
    where = f" at step {action.step}" if action.step is not None else ""
    return f"{action.author or 'somebody'} asked to {action.verb.words} {memory.name}{where}"


def _told(memory: bootstrap.Memory, action: CanaryAction) -> str:
    """What became of an action for a run."""
    said = _said(memory, action)
    if memory.holder() is None:
        return f"{said}; no run is active, the next one will take it"
    taken = _taken(memory, action.id, SECONDS, bootstrap.POLL)
    return f"{said}; taken{_follows(taken, action)}" if taken else f"{said}; the run hasn't taken it yet"


def answered(memory: bootstrap.Memory, action: CanaryAction, seconds: float = CONTROLLER_SECONDS) -> str:
    """What became of an action for a Canary object. Raises Problem where the controller has refused it."""
    said = _said(memory, action)
    status = _taken(memory, action.id, seconds, EVERY)
    if status is None:
        return f"{said}; the controller hasn't taken it yet, is it running?"
    refused = _refusal(memory, status, action)
    if refused is not None:
        raise Problem(refused.message)
    return f"{said}; taken{_follows(status, action)}"


def _follows(status: Status, action: CanaryAction) -> str:
    """What people should know of an action that was taken: that nothing moves yet, or that nobody can answer."""
    rollout = status.rollout
    if rollout is None:
        return ""
    if action.verb in (Verb.REJECT, Verb.ROLLBACK) and rollout.end is not None:
        _, but, nobody = rollout.end.message.rpartition("; but ")
        return but + nobody
    if action.verb in (Verb.APPROVE, Verb.PROMOTE, Verb.SKIP) and rollout.pause is not None:
        return f"; it is paused, nothing moves until canary {Verb.RESUME}"
    return ""


def _taken(memory: bootstrap.Memory, action: str, seconds: float, every: float) -> Status | None:
    """The status in which it is taken; None where it isn't within `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = memory.read()
        if action in status.actions_taken:
            return status
        time.sleep(every)
    return None


def _refusal(memory: bootstrap.Memory, status: Status, action: CanaryAction) -> Message | None:
    """What was told of it: it stands in the status until the next save, and among the object's Events."""
    known = {message.id for message in memory.status.outbox}
    found = _refused((one for one in status.outbox if one.id not in known), action)
    if found is None and memory.object is not None:
        with suppress(CanaryError):
            found = _refused((one for one in memory.object.events() if one.at >= action.at - APART), action)
    return found


def _refused(messages: Iterable[Message], action: CanaryAction) -> Message | None:
    author = action.author or "somebody"
    began = tuple(f"{author}{proved} asked to {action.verb.words}: " for proved in ("", " (unverified)"))
    refused = (one for one in messages if one.reason == "ActionRefused")
    return next((one for one in refused if one.message.startswith(began)), None)
