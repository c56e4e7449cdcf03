"""`canary status`: where a rollout stands, and what it waits for."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from canary.bootstrap import Place
from canary.show.records import document
from canary.show.screen import screen_of
from canary.show.summary import status_lines

from .places import Context, Files, Kubeconfig, Namespace, State, Target, remembered


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def command(
    target: Target = None,
    file: Files = None,
    state: State = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="What is printed.")] = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show where a rollout stands, what it waits for, and the rollouts before it."""
    place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered(target, place)
    match output:
        case Output.JSON:
            print(document(memory.status, "json"))
        case Output.YAML:
            print(document(memory.status, "yaml"))
        case _:
            howto = f"canary approve {f'-f {file[0]}' if file and state is None else memory.howto}"
            wide = output is Output.WIDE
            lines = status_lines(memory.status, memory.name, datetime.now(UTC), screen_of(sys.stdout), wide, howto)
            print("\n".join(lines))
