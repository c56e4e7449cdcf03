"""A command that can do everything a command may: print, fail in each way, return an exit code."""

from enum import StrEnum
from typing import Annotated

import typer

from canary.cli.problems import CommandProblem, UsageProblem


class Tone(StrEnum):
    """How loud."""

    QUIET = "quiet"
    LOUD = "loud"


def command(
    name: str,
    times: Annotated[int, typer.Option(min=1)] = 1,
    ends: str = "well",
    tone: Tone = Tone.QUIET,
) -> int | None:
    """Greet someone, and end as requested."""
    print(" ".join([f"hello {name}"] * times))
    match ends:
        case "with a problem":
            raise CommandProblem("the canary was rolled back: 12% of 340 requests failed.", code=3)
        case "with a usage problem":
            raise UsageProblem("spec.stepWeight: 120 is more than 100.")
        case "with a bug":
            raise ZeroDivisionError("division by zero")
        case "with typer.Exit":
            raise typer.Exit(4)
        case "with a code":
            return 5
    return None
