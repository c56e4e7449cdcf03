"""`canary list`: what has run in a namespace of a cluster."""

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from canary import bootstrap
from canary.show.listing import table
from canary.show.screen import screen_of

from .places import Context, Kubeconfig, Namespace, told


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"


def command(
    output: Annotated[Output, typer.Option("--output", "-o", help="What is printed.")] = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the rollouts of a namespace: phase, weight, and the last reason of each."""
    with told():
        found = bootstrap.running(bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace))
    if output is Output.JSON:
        print(json.dumps([{"name": one.name, "status": one.status.wire()} for one in found], indent=2))
        return
    rows = [(one.name, one.status) for one in found]
    for line in table(rows, datetime.now(UTC), screen_of(sys.stdout), wide=output is Output.WIDE):
        print(line)
    if not found:
        print("nothing has run here", file=sys.stderr)
