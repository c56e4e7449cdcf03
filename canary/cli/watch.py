"""`canary watch`: a rollout as it goes on; a live view on a terminal, lines elsewhere."""

from typing import Annotated

import typer

from canary.bootstrap import Place
from canary.show.outputs import Output
from canary.waiting.wait import WaitTerms

from .following import OutputOption, follow, watch
from .options import Context, Files, Kubeconfig, Namespace, State, Target, remembered, steered


def command(
    target: Target = None,
    file: Files = None,
    state: State = None,
    output: OutputOption = Output.TEXT,
    live: Annotated[bool, typer.Option(help="Show the live view on a terminal.")] = True,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Watch a rollout of a Canary object or of a run until it is over. Ctrl-C doesn't stop the rollout.

    The exit code is that of the rollout, as for canary run and canary wait.
    """
    place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered(target, place)
    if memory.run is not None:
        memory = steered(target, place)
    if memory.object is None:
        return watch(memory, output, live)
    return follow(memory, WaitTerms(), output, live)
