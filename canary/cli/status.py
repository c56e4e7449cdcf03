"""`canary status`: where a rollout stands, and what it waits for."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from canary import bootstrap
from canary.cli.acting import Files, State, state_of
from canary.cli.app import Problem
from canary.engine.errors import CanaryError
from canary.show.records import document
from canary.show.screen import screen_of
from canary.show.summary import status_lines


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def command(
    file: Files = None,
    state: State = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="What is printed.")] = Output.TEXT,
) -> None:
    """Show where a rollout stands, what it waits for, and the rollouts before it."""
    path = state_of(file, state)
    try:
        memory = bootstrap.memory(path)
    except CanaryError as error:
        raise Problem(str(error)) from error
    match output:
        case Output.JSON:
            print(document(memory.status, "json"))
        case Output.YAML:
            print(document(memory.status, "yaml"))
        case _:
            howto = f"canary approve -f {file[0]}" if file and state is None else f"canary approve --state {path}"
            wide = output is Output.WIDE
            lines = status_lines(memory.status, memory.name, datetime.now(UTC), screen_of(sys.stdout), wide, howto)
            print("\n".join(lines))
