"""`canary list`: what has run in a namespace of a cluster."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from canary import bootstrap
from canary.show.listing import table
from canary.show.records import documents
from canary.show.screen import screen_of

from .places import Context, Kubeconfig, Namespace, told


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def command(
    output: Annotated[Output, typer.Option("--output", "-o", help="What is printed.")] = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the rollouts of a namespace: phase, weight, and the last reason of each."""
    with told():
        found = bootstrap.running(bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace))
    rows = [(one.name, one.status) for one in found]
    match output:
        case Output.JSON:
            print(documents(rows, "json"))
        case Output.YAML:
            print(documents(rows, "yaml"))
        case _:
            lines = table(rows, datetime.now(UTC), screen_of(sys.stdout), wide=output is Output.WIDE)
            print(*lines, sep="\n", end="\n" if lines else "")
    if not found:
        print("nothing has run here", file=sys.stderr)
