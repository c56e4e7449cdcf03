"""`canary policy report`: what an analysis means at some traffic, before any rollout."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from canary.api.exit_codes import Exit
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.resolved import resolve_spec
from canary.manifests import load
from canary.show.outputs import Output
from canary.show.terminal import screen_of

from .options import OneOf, reported, written

SECONDS = 25.0
"""No batch of simulated rollouts begins that is expected to end later."""


class PolicyAction(StrEnum):
    """What to do with the policy."""

    REPORT = "report"


def command(
    action: Annotated[PolicyAction, typer.Argument(help="report: simulate rollouts, and show what became of them.")],
    file: Annotated[list[Path], typer.Option("--file", "-f", help="Manifest, and files of MetricTemplates.")],
    name: OneOf = None,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    rps: Annotated[
        float, typer.Option(help="Requests per second to both versions together.", min=0.01, max=10_000.0)
    ] = 5.0,
    error_rate: Annotated[str, typer.Option(help="Share of requests that usually fail, such as 0.2%.")] = "0.2%",
    judge: Annotated[str | None, typer.Option(help="Judge, instead of the manifest's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=1)] = 1,
    plot: Annotated[Path | None, typer.Option(help="Also draw it, as an SVG file.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TEXT,
) -> int:
    """Show how often and how soon an analysis rolls back, at some traffic, if the canary is worse by so much.

    It simulates some hundred rollouts for each true state of the canary, within half a minute, and asks no server.
    """
    written("--judge", judge)
    from canary.characteristics.report import Simulation, UsualTraffic
    from canary.show.characteristics import drawn, lines, wire

    with reported(Exit.INVALID, invalid=Exit.INVALID):
        given = load([str(path) for path in file], str(policy) if policy else None, name)
        resolved = resolve_spec(given.canary, given.policy, given.templates)
        simulation = Simulation(resolved, UsualTraffic(rps, share("--error-rate", error_rate)), seed, judge or "")
    if plot is not None:
        _writable(plot)
    began = time.monotonic()
    with progress() as tell:
        rows = simulation.rows(tell, lambda done: (time.monotonic() - began) * (done + 1) / done > SECONDS)
    if plot is not None:
        plot.write_text(drawn(simulation, rows), "utf-8")
    if output is Output.JSON:
        print(json.dumps(wire(simulation, rows), indent=2))
    else:
        print(*lines(simulation, rows, screen_of(sys.stdout)), sep="\n")
    return 0


def _writable(file: Path) -> None:
    """Say now, not after all the work, that a file can't be written. Raises CommandProblem and UsageProblem."""
    if file.suffix not in ("", ".svg"):
        raise UsageProblem(f"--plot: {file} is written as SVG; write {file.with_suffix('.svg')}")
    try:
        with file.open("a"):
            pass  # a directory can be touched, but not opened
    except OSError as error:
        raise CommandProblem(f"--plot: {file} can't be written: {error.strerror}") from error


def share(option: str, text: str) -> float:
    """A percentage such as `0.2%`, as a share below 1. Raises UsageProblem."""
    try:
        found = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        found = -1.0
    if not text.strip().endswith("%") or not 0 <= found < 1:
        raise UsageProblem(f"{option}: {text!r} is not a percentage from 0% to below 100%, such as 0.2%")
    return found


@contextmanager
def progress() -> Iterator[Callable[[float], None]]:
    """A bar on standard error, where that is a terminal; it is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("simulating rollouts", total=1.0)
        yield lambda share: bars.update(task, completed=share)
