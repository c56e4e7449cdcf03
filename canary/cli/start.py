"""`canary start`: sets the version of a Canary object, or tries a failed version again."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from canary.api.action import Verb
from canary.api.canary import Canary
from canary.api.exit_codes import Exit
from canary.api.status import Status
from canary.bootstrap import Followed, Memory, Place
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.pairs import pair_for
from canary.engine.targets import target_of
from canary.rollout.drive import Then
from canary.show.outputs import Output
from canary.waiting.wait import WaitTerms

from .actions import asked
from .following import AllowUnanalysed, OnTimeout, OutputOption, Timeout, WaitApproval, follow, missing_of, warn_of
from .options import (
    Context,
    Files,
    Kubeconfig,
    Name,
    Namespace,
    duration,
    object_of,
    remembered_object,
    reported,
    written,
)


def command(
    name: Name = None,
    file: Files = None,
    version: Annotated[str | None, typer.Option(help="Version to roll out.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try the version again if it failed before.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Set the version even if it doesn't exist yet.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, with the exit codes of canary wait.")
    ] = False,
    timeout: Timeout = None,
    on_timeout: OnTimeout = Then.HOLD,
    wait_approval: WaitApproval = True,
    allow_unanalysed: AllowUnanalysed = False,
    output: OutputOption = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Set spec.version of a Canary object; the controller then rolls the version out."""
    if version is None and not retry:
        raise UsageProblem("give --version or --retry; to wait for the present version, use canary wait")
    written("--version", version)
    limit = duration("--timeout", timeout)
    place = Place(file or (), kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered_object(name, place, "started")
    followed = object_of(memory, "started")
    with redirect_stdout(sys.stderr if output is Output.JSON else sys.stdout):
        canary = followed.canary if version is None else _want(followed, version, force)
        after = _retry(memory, canary) if retry else 0
    if not wait:
        return Exit.PROMOTED
    terms = WaitTerms(limit, on_timeout, wait_approval, canary.spec.version, after, memory.author, allow_unanalysed)
    return follow(memory, terms, output)


def _want(followed: Followed, version: str, force: bool) -> Canary:
    before, ref = followed.canary, followed.canary.spec.target_ref
    if target_of(before).names(before)[0] is not None:
        pair = pair_for(before.spec)
        what = pair.released if pair is not None else "spec"
        raise UsageProblem(f"--version isn't for a {ref.kind}: change its {what}, or use canary rollback --to")
    wrong = missing_of(followed, version)
    if wrong and not force and before.spec.version != version:
        raise CommandProblem(f"{wrong}\nNothing was changed. If the version is created later, add --force.")
    warn_of(followed, version)
    if before.spec.suspend:
        print("warning: the Canary is suspended; no rollout starts until spec.suspend is false", file=sys.stderr)
    with reported(conflict=Exit.SUPERSEDED):
        after = followed.want(version)
    known = before.spec.version == version
    change = " already" if known else f", instead of {before.spec.version}"
    print(f"{before.metadata.name}: desired version {version}{change}")
    return after


def _retry(memory: Memory, canary: Canary) -> int:
    """Asks for it where the version has failed; the number of rollouts that there have been then."""
    status = canary.status or Status()
    _, wanted = target_of(canary).names(canary)
    if status.failed is None or status.failed.name != wanted or status.rollout is not None:
        print(f"nothing to retry: {wanted} hasn't failed")
        return 0
    with reported():
        memory.post(asked(Verb.RETRY, memory, "", memory.author))
    print(f"{memory.author or 'a user'} asked to try {status.failed} again")
    return status.rollouts
