"""A command that can do everything a command may: print, fail in each way, return an exit code."""

import typer

from canary.cli.app import Problem, UsageProblem


def command(name: str, times: int = 1, ends: str = "well") -> int | None:
    """Greet somebody, and end as told."""
    print(" ".join([f"hello {name}"] * times))
    match ends:
        case "with a problem":
            raise Problem("the canary was rolled back: 12% of 340 requests failed.", code=3)
        case "with a usage problem":
            raise UsageProblem("spec.stepWeight: 120 is more than 100.")
        case "with a bug":
            raise ZeroDivisionError("division by zero")
        case "with typer.Exit":
            raise typer.Exit(4)
        case "with a code":
            return 5
    return None
