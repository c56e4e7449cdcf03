"""`canary simulate`: a manifest's rollout on virtual time, against a synthetic service."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from canary.api.exit_codes import Exit
from canary.api.reason import Trait
from canary.cli.problems import UsageProblem
from canary.engine.did_you_mean import did_you_mean
from canary.engine.resolved import resolve_spec
from canary.manifests import load
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import NOTICED
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate
from canary.sandbox.world import START
from canary.show.outputs import Output, TurnReporter, report_for

from .options import OneOf, moment, reported, written

GOOD = "good"


def command(
    file: Annotated[
        list[str],
        typer.Option("--file", "-f", help="Manifest, directory, or - for standard input; may be repeated."),
    ],
    name: OneOf = None,
    version: Annotated[str | None, typer.Option(help="Version to roll out, instead of the manifest's.")] = None,
    scenario: Annotated[str, typer.Option(help=f"Behaviour of the canary: {', '.join(SCENARIOS)}.")] = GOOD,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    rps: Annotated[float, typer.Option(help="Requests per second.", min=0.0, max=10_000.0)] = 50.0,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
    approve: Annotated[bool, typer.Option(help="Approve each gate after half a minute.")] = True,
    at: Annotated[str, typer.Option(help="Start time, such as 2030-12-24T15:00Z.")] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TEXT,
) -> int:
    """Show what a manifest would do, on virtual time, without changing anything.

    The exit code is the one that canary run would return.
    """
    written("--version", version)
    if scenario not in SCENARIOS:
        hint = did_you_mean(scenario, SCENARIOS) or f"; there are {', '.join(SCENARIOS)}"
        raise UsageProblem(f"--scenario: {scenario!r} is unknown{hint}")
    start = moment("--at", at) if at else START
    with reported(Exit.INVALID):
        given = load(file, str(policy) if policy else None, name, version=version)
        resolved = resolve_spec(given.canary, given.policy, given.templates)
        sandbox = sandbox_of(resolved, SCENARIOS[scenario], rps, seed, start)
    own = [metric.name for metric in resolved.policy.metrics if metric.query is not None]
    if own and SCENARIOS[scenario] != SCENARIOS[GOOD]:
        sentence = f"they fail while the canary fails more than {NOTICED:.0%} of its requests"
        print(f"note: your own queries aren't run; {sentence}: {', '.join(own)}", file=sys.stderr)
    with report_for(output, given.canary.metadata.name) as report:
        over = simulate(sandbox, News(report), approve)
        report.close(over)
    return int(over.code)


class News:
    """Leaves out evaluations that hold for the reason of the one before: a day without data or a freeze is one
    line."""

    def __init__(self, report: TurnReporter) -> None:
        self.report = report
        self.last: tuple[str, str, int] | None = None

    def __call__(self, turn: Turn) -> None:
        decision = turn.decision
        now = (decision.reason, decision.status.phase.value, decision.status.canary_weight)
        if now != self.last or not decision.reason.traits & (Trait.NO_EVIDENCE | Trait.GUARD):
            self.report(turn)
        self.last = now
