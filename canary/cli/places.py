"""Options that say where a rollout is: a manifest, a state file, or a target in a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from canary.bootstrap import Memory, Place, memory
from canary.cli.app import Problem, UsageProblem
from canary.engine.errors import CanaryError

Target = Annotated[str | None, typer.Argument(help="A VirtualService in the cluster, instead of a manifest.")]
Files = Annotated[list[Path] | None, typer.Option("--file", "-f", help="The manifest.")]
State = Annotated[Path | None, typer.Option("--state", help="The state file, where the run was given one.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="In the cluster; else the context's.")]
Context = Annotated[str | None, typer.Option(help="Of the kubeconfig; else the current one.")]
Kubeconfig = Annotated[str | None, typer.Option(help="A kubeconfig; else KUBECONFIG, else ~/.kube/config.")]


def remembered(target: str | None, place: Place) -> Memory:
    """What the options mean. Raises Problem."""
    if target is None and place.state is None and not place.manifests:
        raise UsageProblem("name the manifest with -f, the state file with --state, or a target in the cluster")
    with told():
        return memory(place, target)


@contextmanager
def told(code: int = 1) -> Iterator[None]:
    """Turns what adapters raise into the sentence that a person gets."""
    try:
        yield
    except CanaryError as error:
        raise Problem(str(error), code) from error
