"""`canary list`: Canary objects, and what runs from elsewhere, in a namespace of a cluster or in all."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from canary import bootstrap
from canary.show.records import documents
from canary.show.tables import ListRow, list_table
from canary.show.terminal import screen_of

from .options import Context, Form, Kubeconfig, Namespace, Printed, absence, data_form, reported

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="List all namespaces.")]


def command(
    output: Printed = Form.TEXT,
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List Canary objects and the targets of runs: phase, weight, and the last reason of each."""
    place = bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace)
    with reported():
        found = bootstrap.running(place, everywhere)
    rows = [
        ListRow(one.namespace, one.name, "controller" if one.object else "run", one.status, absence(one))
        for one in found
    ]
    if form := data_form(output):
        print(documents(rows, form))
    else:
        lines = list_table(rows, datetime.now(UTC), screen_of(sys.stdout), output is Form.WIDE, everywhere)
        print(*lines, sep="\n", end="\n" if lines else "")
    if not found:
        print("no Canary and no run found", file=sys.stderr)
