"""`canary start`: a Canary object shall want another version, or try again what failed."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from canary.api.action import Verb
from canary.api.canary import Canary
from canary.api.status import Status
from canary.bootstrap import Followed, Memory, Place
from canary.cli.app import Problem, UsageProblem
from canary.engine.errors import Conflict
from canary.rollout.drive import Then
from canary.rollout.ending import Exit
from canary.rollout.waiting import Terms
from canary.show.outputs import Output

from .acting import asked
from .following import OnTimeout, Timeout, Told, WaitApproval, follow, warn_of
from .places import Context, Files, Kubeconfig, Name, Namespace, duration, object_of, remembered, told


def command(
    name: Name = None,
    file: Files = None,
    version: Annotated[str | None, typer.Option(help="The version that shall serve everything.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try it again if it has failed before.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Then wait as canary wait does, and end as that.")] = False,
    timeout: Timeout = None,
    on_timeout: OnTimeout = Then.HOLD,
    wait_approval: WaitApproval = True,
    output: Told = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Set spec.version of a Canary object and nothing else of it; the controller does the rest."""
    if version is None and not retry:
        raise UsageProblem("say what shall serve with --version, or --retry; canary wait waits for what is wanted")
    if version is not None and not version.strip():
        raise UsageProblem("--version is empty: write the version that shall serve, or leave the option away")
    limit = duration("--timeout", timeout)
    place = Place(file or (), kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered(name, place)
    followed = object_of(memory, "started")
    with redirect_stdout(sys.stderr if output is Output.JSON else sys.stdout):
        canary = followed.canary if version is None else _want(followed, version)
        after = _retry(memory, canary) if retry else 0
    if not wait:
        return Exit.PROMOTED
    terms = Terms(limit, on_timeout, wait_approval, canary.spec.version, after, memory.author)
    return follow(memory, terms, output)


def _want(followed: Followed, version: str) -> Canary:
    before = followed.canary
    _warn(followed, version)
    try:
        with told():
            after = followed.want(version)
    except Problem as error:
        if isinstance(error.__cause__, Conflict):
            raise Problem(str(error), Exit.SUPERSEDED) from error
        raise
    known = before.spec.version == version
    print(
        f"{before.metadata.name} wants {version}{' already' if known else f', and no longer {before.spec.version}'}"
    )
    return after


def _warn(followed: Followed, version: str) -> None:
    """What isn't there yet may come; what is suspended is left so."""
    warn_of(followed, version)
    if followed.canary.spec.suspend:
        print("warning: it is suspended; nothing starts until spec.suspend is false", file=sys.stderr)


def _retry(memory: Memory, canary: Canary) -> int:
    """Asks for it where the version has failed; the number of rollouts that there have been then."""
    status = canary.status or Status()
    if status.failed is None or status.failed.name != canary.spec.version or status.rollout is not None:
        print(f"nothing to retry: {canary.spec.version} hasn't failed")
        return 0
    with told():
        memory.post(asked(Verb.RETRY, memory, "", memory.author))
    print(f"{memory.author or 'somebody'} asked to try {status.failed} again")
    return status.rollouts
