"""`canary undo`: back to the version before, as a rollout or at once."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from canary.api.exit_codes import Exit
from canary.api.status import Outcome, RolloutSummary, Status, Version
from canary.bootstrap import Followed, Memory, Place, Run
from canary.cli.problems import UsageProblem
from canary.engine.errors import Invalid
from canary.primary.kept import chosen
from canary.rollout.drive import Options, Then
from canary.show.outputs import Output
from canary.waiting.wait import WaitTerms

from .following import AllowUnanalysed, OutputOption, Timeout, follow
from .going_back import Way, at_rest, back, has_primary, hurry, unmoved
from .options import Context, Files, Kubeconfig, Namespace, State, Target, duration, remembered, reported
from .run import driven


def before(status: Status) -> Version:
    """The version that the one that serves has replaced. Raises Invalid if that isn't known.

    Undone twice, a promotion is what it was: going back is a promotion as well.
    """
    return _replaced(status, lambda stable, one: one.canary.name == stable.name)


def revision_before(status: Status) -> str:
    """The same of a target that has a primary: the revision that was replaced. Raises Invalid if that isn't known."""
    return _replaced(status, lambda stable, one: one.canary.revision == stable.revision).revision


def _replaced(status: Status, led_to: Callable[[Version, RolloutSummary], bool]) -> Version:
    at_rest(status)
    stable = status.stable
    if stable is None:
        raise Invalid("it isn't known which version serves, because no rollout has ended yet")
    promoted = (one for one in status.history if one.outcome is Outcome.PROMOTED)
    last = next((one for one in promoted if led_to(stable, one)), None)
    if last is None:
        raise Invalid(f"the version before {stable} isn't known: no rollout to it is in the history")
    return last.stable


def command(
    target: Target = None,
    file: Files = None,
    now: Annotated[bool, typer.Option("--now", help="Go to 100% without the steps.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; without effect for a run.")] = False,
    timeout: Timeout = None,
    allow_unanalysed: AllowUnanalysed = False,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="URL of the Prometheus.")] = None,
    state: State = None,
    output: OutputOption = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Go back to the version that served before the last promotion.

    This is a normal rollout, with steps, checks and guards; --now leaves out the steps. For the target of a run,
    the command needs the manifest and runs the rollout. For a Canary object it sets spec.version, or, if the target
    is a Deployment or a DaemonSet, its pod template; of a Service it sets what that selects. The exit codes are those
    of canary run.
    """
    limit, rules = duration("--timeout", timeout), str(policy) if policy else None
    place = Place(file or (), state, rules, prometheus, kubeconfig, context, namespace)
    memory = remembered(target, place)
    if has_primary(memory, place):
        with reported(invalid=Exit.INVALID):
            kept = chosen(memory.promoted(), revision_before(memory.status))
        return back(memory, kept, Way(place, now, wait, limit, allow_unanalysed, output))
    with reported(Exit.INVALID):
        version = before(memory.status)
    if memory.object is None:
        options = Options(timeout=limit, on_timeout=Then.HOLD, hurry=now, allow_unanalysed=allow_unanalysed)
        return _run(memory, place, version, options, output)
    with redirect_stdout(sys.stderr if output is Output.JSON else sys.stdout):
        _start(memory, memory.object, version, now)
    terms = WaitTerms(
        limit,
        version=version.name,
        after=memory.status.rollouts,
        author=memory.author,
        allow_unanalysed=allow_unanalysed,
    )
    return follow(memory, terms, output) if wait else Exit.PROMOTED


def _run(memory: Memory, place: Place, version: Version, options: Options, output: Output) -> int:
    """From here to the end, as the manifest says but for the version."""
    if not place.manifests:
        raise UsageProblem(f"{memory.name} is the target of a run: name its manifest with -f, canary undo drives it")

    def first(run: Run) -> None:
        unmoved(memory, run)

    print(_words(memory, version), file=sys.stderr)
    revision = None if memory.namespace else version.revision  # in a cluster the workload says it
    place = replace(place, version=version.name, revision=revision)
    code = driven(place, options, output, first)
    if code == Exit.PROMOTED:
        print(f"the next canary run goes on from {version.name} to what its manifest says", file=sys.stderr)
    return code


def _start(memory: Memory, followed: Followed, version: Version, now: bool) -> None:
    """Let the object want it; the controller does the rest."""
    with reported(Exit.SUPERSEDED):
        followed.want(version.name)
    print(_words(memory, version))
    if now:

        def begun(status: Status) -> bool:
            return status.rollout is not None and status.rollout.canary_version.name == version.name

        hurry(memory, version.name, begun)


def _words(memory: Memory, version: Version) -> str:
    return f"{memory.name} goes back from {memory.status.stable} to {version}"
