"""`canary simulate`: a manifest's rollout on virtual time, against a synthetic service."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from canary.cli.app import Problem, UsageProblem
from canary.engine.desired import desired
from canary.engine.errors import Invalid
from canary.engine.guards import REASONS
from canary.engine.nearest import did_you_mean
from canary.manifests import load
from canary.rollout.ending import Exit
from canary.rollout.tick import Turn
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate
from canary.sandbox.world import START
from canary.show.outputs import Output, report_for
from canary.show.reporter import Reporter


def command(
    file: Annotated[list[Path], typer.Option("--file", "-f", help="The manifest.")],
    scenario: Annotated[str, typer.Option(help=f"How the canary behaves: {', '.join(SCENARIOS)}.")] = "good",
    policy: Annotated[Path | None, typer.Option(help="A file with a CanaryPolicy for it.")] = None,
    rps: Annotated[float, typer.Option(help="Requests per second.", min=0.0, max=10_000.0)] = 50.0,
    seed: Annotated[int, typer.Option(help="Another draw of the same scenario.")] = 1,
    approve: Annotated[bool, typer.Option(help="Approve gates, half a minute after they are asked.")] = True,
    at: Annotated[str, typer.Option(help="When it starts, such as 2030-12-24T15:00Z.")] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="What is printed.")] = Output.TEXT,
) -> int:
    """Show what a manifest would do, on virtual time, without touching anything.

    Ends with the code that `canary run` would end with.
    """
    if scenario not in SCENARIOS:
        hint = did_you_mean(scenario, SCENARIOS) or f"; there are {', '.join(SCENARIOS)}"
        raise UsageProblem(f"--scenario: {scenario!r} is unknown{hint}")
    start = _time(at) if at else START
    try:
        given = load([str(path) for path in file], str(policy) if policy else None)
        sandbox = sandbox_of(
            desired(given.canary, given.policy, given.templates), SCENARIOS[scenario], rps, seed, start
        )
    except Invalid as error:
        raise Problem(str(error), Exit.INVALID) from error
    with report_for(output, given.canary.metadata.name) as report:
        over = simulate(sandbox, News(report), approve)
        report.close(over)
    return int(over.code)


def _time(text: str) -> datetime:
    """In UTC, whatever zone it is given in. Raises UsageProblem."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageProblem(f"--at: {text!r} is no time such as 2030-12-24T15:00Z") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


REPEATED = frozenset({"NoData", "MetricsUnreachable", *REASONS})


class News:
    """Leaves out looks that hold for the reason of the one before: a day without data or a freeze is one line."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self.last: tuple[str, str, int] | None = None

    def __call__(self, turn: Turn) -> None:
        decision = turn.decision
        now = (decision.reason, decision.status.phase.value, decision.status.canary_weight)
        if now != self.last or decision.reason not in REPEATED:
            self.report(turn)
        self.last = now
