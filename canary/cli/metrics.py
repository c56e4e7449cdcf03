"""`canary metrics check`: asks each metric of a manifest now."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.exit_codes import Exit
from canary.show.metric_checks import answers
from canary.show.outputs import Output
from canary.show.terminal import screen_of

from .options import Context, Kubeconfig, Namespace, reported, server, written

READABLE, UNREADABLE = 0, 1


class MetricsAction(StrEnum):
    """What to do with the metrics."""

    CHECK = "check"


def command(
    action: Annotated[MetricsAction, typer.Argument(help="check: ask each metric now.")],
    file: Annotated[list[Path], typer.Option("--file", "-f", help="Manifest, and files of MetricTemplates.")],
    version: Annotated[str | None, typer.Option(help="Version to ask about, instead of the manifest's.")] = None,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="URL of the Prometheus.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Ask each metric now, and show its value, its range and the query that was sent. Nothing moves.

    Exit code 0: each could be read, so a rollout could start; 1: one couldn't; 2: the manifest is invalid,
    or a cluster is needed and not found.
    """
    written("--version", version)
    server("--prometheus", prometheus)
    rules = str(policy) if policy else None
    place = bootstrap.Place(file, None, rules, prometheus, kubeconfig, context, namespace, version)
    with reported(invalid=Exit.INVALID):
        found = bootstrap.metrics(place)
    if output is Output.JSON:
        print(json.dumps({"metrics": [one.wire() for one in found]}, indent=2))
    else:
        print(*answers(found, screen_of(sys.stdout)), sep="\n")
    return READABLE if all(one.readable for one in found) else UNREADABLE
