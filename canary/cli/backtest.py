"""`canary backtest`: what each judge would have decided on recorded metrics."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from canary import bootstrap
from canary.api.exit_codes import Exit
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.judges import JUDGES
from canary.rollout import backtest
from canary.show.backtest import Report, lines, record
from canary.show.outputs import Output
from canary.show.terminal import screen_of

from .options import OneOf, moment, reported, server, written

T = TypeVar("T")


def command(
    file: Annotated[list[Path], typer.Option("--file", "-f", help="Manifest, and files of MetricTemplates.")],
    name: OneOf = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", help="When the canary got its first traffic; default: the start of --samples."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End of the range; default: now, or the end of --samples.")
    ] = None,
    prometheus: Annotated[str | None, typer.Option(help="URL of the Prometheus, instead of the manifest's.")] = None,
    samples: Annotated[Path | None, typer.Option(help="CSV or JSON file with counts, instead of it.")] = None,
    stable: Annotated[str | None, typer.Option(help="Name of the stable version in the metrics.")] = None,
    canary: Annotated[str | None, typer.Option(help="Name of the canary in the metrics.")] = None,
    version: Annotated[str | None, typer.Option(help="Version to judge, instead of the manifest's.")] = None,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace in the metrics.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TEXT,
) -> int:
    """Show what each judge would have decided on recorded metrics, evaluation by evaluation. Nothing moves.

    Exit codes, by the manifest's own judge: 0 it would have promoted the canary, 3 rolled it back, 4 neither
    by the end of the range; 1 there is no data, or it can't be read; 2 wrong usage or an invalid manifest.
    """
    if samples is not None and prometheus is not None:
        raise UsageProblem("--prometheus and --samples: give one of them")
    for option, text in (("--version", version), ("--stable", stable), ("--canary", canary)):
        written(option, text)
    server("--prometheus", prometheus)
    start = None if begin is None else moment("--from", begin)
    until = None if end is None else moment("--to", end)
    place = bootstrap.Place(
        file, None, str(policy) if policy else None, prometheus, namespace=namespace, version=version, name=name
    )
    past = bootstrap.Past(start, until, stable, canary, samples)
    with reported(invalid=Exit.INVALID), bootstrap.recorded(place, past) as (resolved, given):
        if given.left_out:
            own = ", ".join(given.left_out)
            print(f"note: a file of samples answers no query or counts of your own, here {own}", file=sys.stderr)
        number = backtest.count(resolved, given.start, given.end)
        judges = _judges(resolved.policy.judge)
        requests: Sequence[backtest.Recorded] = tuple(_shown(backtest.recorded(resolved, given), "requests", number))
        recording, requests = backtest.exposed(given, requests)
        found = tuple(_shown(backtest.replay(resolved, recording, requests, judges), "evaluations", len(requests)))
    if not backtest.anything_seen(found):
        whose = f"{recording.canary.workload} in the namespace {recording.canary.namespace}"
        raise CommandProblem(
            f"there is no data of {whose} in the range; check --from, --to, --canary and --namespace"
        )
    report = Report(resolved, recording, judges, found)
    if output is Output.JSON:
        print(json.dumps(record(report), indent=2))
    else:
        print(*lines(report, screen_of(sys.stdout)), sep="\n")
    return _code(backtest.outcome(resolved.policy.judge, found))


def _judges(own: str) -> tuple[str, ...]:
    """All of them, the manifest's first."""
    return (own, *(name for name in JUDGES if name != own))


def _shown(found: Iterable[T], what: str, number: int) -> Iterator[T]:
    """The same, with a bar on standard error if that is a terminal: a day may take a minute."""
    if not sys.stderr.isatty():
        yield from found
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(found, what, number, console=Console(stderr=True), transient=True)


def _code(found: backtest.JudgeOutcome) -> int:
    if found.promoted is not None:
        return Exit.PROMOTED
    return Exit.ROLLED_BACK if found.rolled_back is not None else Exit.TIMED_OUT
