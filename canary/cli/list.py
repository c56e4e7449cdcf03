"""`canary list`: Canary objects, and what runs from elsewhere, in a namespace of a cluster or in all."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from canary import bootstrap
from canary.show.listing import Row, table
from canary.show.records import documents
from canary.show.screen import screen_of

from .places import Context, Form, Kubeconfig, Namespace, Printed, told

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")]


def command(
    output: Printed = Form.TEXT,
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List Canary objects and the targets of runs: phase, weight, and the last reason of each."""
    place = bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace)
    with told():
        found = bootstrap.running(place, everywhere)
    rows = [Row(one.namespace, one.name, "controller" if one.object else "run", one.status) for one in found]
    match output:
        case Form.JSON:
            print(documents(rows, "json"))
        case Form.YAML:
            print(documents(rows, "yaml"))
        case _:
            lines = table(rows, datetime.now(UTC), screen_of(sys.stdout), output is Form.WIDE, everywhere)
            print(*lines, sep="\n", end="\n" if lines else "")
    if not found:
        print("there is no Canary, and nothing has run here", file=sys.stderr)
