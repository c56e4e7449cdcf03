"""What `approve`, `reject` and the other verbs share: find the rollout, add an action, say what became of it."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.action import CanaryAction, Verb
from canary.api.status import Status
from canary.cli.app import Problem
from canary.engine.people import hear

from .places import Context, Files, Kubeconfig, Namespace, State, Target, remembered, told

Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept in messages and history.")]
Author = Annotated[str | None, typer.Option("--as", help="On whose behalf; unverified, unless it is yourself.")]

SECONDS = 3.0
"""How long to wait for a live run to take the action."""


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
        action = _action(verb, memory, comment, author or memory.author)
        _check(memory, action)
        with told():
            memory.post(action)
            print(_told(memory, action))
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


def _action(verb: Verb, memory: bootstrap.Memory, comment: str, author: str) -> CanaryAction:
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


def _told(memory: bootstrap.Memory, action: CanaryAction) -> str:
    where = f" at step {action.step}" if action.step is not None else ""
    said = f"{action.author} asked to {action.verb.words} {memory.name}{where}"
    if memory.holder() is None:
        return f"{said}; no run is active, the next one will take it"
    return f"{said}; taken" if _taken(memory.read, action.id) else f"{said}; the run hasn't taken it yet"


def _taken(read: Callable[[], Status], action: str) -> bool:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if action in read().actions_taken:
            return True
        time.sleep(bootstrap.POLL)
    return False
