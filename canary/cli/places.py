"""Options that say where a rollout is: a manifest, a state file, a name in a cluster; and what is printed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from canary.api.duration import parse
from canary.bootstrap import Followed, Memory, Place, memory
from canary.cli.app import Problem, UsageProblem
from canary.engine.errors import CanaryError

Target = Annotated[
    str | None, typer.Argument(help="A Canary in the cluster, else the VirtualService of a run; or name a manifest.")
]
Name = Annotated[str | None, typer.Argument(help="A Canary in the cluster; or name its manifest.")]
Files = Annotated[list[Path] | None, typer.Option("--file", "-f", help="The manifest.")]
State = Annotated[Path | None, typer.Option("--state", help="The state file, where the run was given one.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="In the cluster; else the context's.")]
Context = Annotated[str | None, typer.Option(help="Of the kubeconfig; else the current one.")]
Kubeconfig = Annotated[str | None, typer.Option(help="A kubeconfig; else KUBECONFIG, else ~/.kube/config.")]


class Form(StrEnum):
    """What `-o` of a reading command chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


Printed = Annotated[Form, typer.Option("--output", "-o", help="What is printed.")]


def remembered(target: str | None, place: Place) -> Memory:
    """What the options mean. Raises Problem."""
    if target is None and place.state is None and not place.manifests:
        raise UsageProblem(
            "name the manifest with -f, the state file with --state, or a target or Canary in the cluster"
        )
    with told():
        return memory(place, target)


def reading(show: Callable[[Memory, Form, Place], None]) -> Callable[..., None]:
    """The command that looks at one rollout, wherever it is; its help is what `show` says of itself."""

    def command(
        target: Target = None,
        file: Files = None,
        state: State = None,
        output: Printed = Form.TEXT,
        namespace: Namespace = None,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
    ) -> None:
        place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
        show(remembered(target, place), output, place)

    command.__doc__ = show.__doc__
    return command


def object_of(found: Memory, verb: str) -> Followed:
    """The Canary object that is meant. Raises Problem where it is a run's target."""
    if found.object is None:
        raise Problem(
            f"{found.name} is no Canary object: canary run drives it, and tells by itself; only a Canary object can "
            f"be {verb}\nTry 'canary status {found.howto}'."
        )
    return found.object


@contextmanager
def told(code: int = 1) -> Iterator[None]:
    """Turns what adapters raise into the sentence that a person gets."""
    try:
        yield
    except CanaryError as error:
        raise Problem(str(error), code) from error


def duration(option: str, text: str | None) -> timedelta | None:
    """What was given with an option. Raises UsageProblem."""
    try:
        found = None if text is None else parse(text)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}") from error
    if found is not None and found <= timedelta():
        raise UsageProblem(f"{option}: {text} leaves no time for anything")
    return found
