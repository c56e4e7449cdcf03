"""`canary rollback`: all traffic back to the stable version, or an earlier revision of a target with a primary."""

from pathlib import Path
from typing import Annotated

import typer

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.bootstrap import Place
from canary.cli.problems import CommandProblem, UsageProblem
from canary.primary.kept import chosen
from canary.show.outputs import Output

from .actions import Author, Comment, ask
from .following import AllowUnanalysed, OutputOption, Timeout
from .going_back import Way, back, has_primary
from .options import (
    Context,
    Files,
    Kubeconfig,
    Namespace,
    State,
    Target,
    duration,
    remembered,
    reported,
    steered,
    written,
)

NO_PRIMARY = (
    "{} has no primary, so no earlier revision of it is kept; canary undo goes back to the version before, and "
    "canary start --version to any"
)


def command(
    target: Target = None,
    file: Files = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Roll out this revision of canary history again; for a target with a primary."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="With --to: go to 100% without the steps.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --to: wait for the end; without effect for a run.")
    ] = False,
    timeout: Timeout = None,
    allow_unanalysed: AllowUnanalysed = False,
    policy: Annotated[Path | None, typer.Option(help="With --to: file with a CanaryPolicy.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="With --to: URL of the Prometheus.")] = None,
    state: State = None,
    comment: Comment = "",
    author: Author = None,
    output: OutputOption = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Send all traffic back to the stable version, and end the rollout.

    With --to an earlier revision of a Deployment is rolled out, by its number or its name in canary history: the
    command writes the Deployment's pod template (of a Service, what it selects), and the rest is a normal rollout,
    with steps, checks and guards. The exit codes are those of canary run then.
    """
    rules = str(policy) if policy else None
    place = Place(file or (), state, rules, prometheus, kubeconfig, context, namespace)
    if to is None:
        if now or wait or timeout is not None:
            raise UsageProblem(f"{'--now' if now else '--wait' if wait else '--timeout'} needs --to REVISION")
        return ask(Verb.ROLLBACK, steered(target, place), comment, author)
    if comment or author is not None:
        raise UsageProblem(f"{'--comment' if comment else '--as'} is for a rollback without --to")
    written("--to", to)
    limit, memory = duration("--timeout", timeout), remembered(target, place)
    if not has_primary(memory, place) and (memory.object is not None or place.manifests):
        raise CommandProblem(NO_PRIMARY.format(memory.name), Exit.INVALID)
    with reported(invalid=Exit.INVALID):
        kept = chosen(memory.promoted(), to)
    return back(memory, kept, Way(place, now, wait, limit, allow_unanalysed, output))
