"""`canary watch`: a rollout of a Canary object as it goes on; a live view on a terminal, lines elsewhere."""

from typing import Annotated

import typer

from canary.bootstrap import Place
from canary.rollout.waiting import Terms
from canary.show.outputs import Output

from .following import Told, follow
from .places import Context, Files, Kubeconfig, Name, Namespace, remembered


def command(
    name: Name = None,
    file: Files = None,
    output: Told = Output.TEXT,
    live: Annotated[bool, typer.Option(help="Whether a terminal shows the live view.")] = True,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Watch the rollout of a Canary object until it is over; ends as canary wait does. Ctrl-C leaves it alone."""
    place = Place(file or (), kubeconfig=kubeconfig, context=context, namespace=namespace)
    return follow(remembered(name, place), Terms(), output, live)
