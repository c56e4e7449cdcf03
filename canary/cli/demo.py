"""`canary demo`: rollouts to watch, on a real Envoy with a real load, on this machine alone."""

from enum import StrEnum
from typing import Annotated

import typer

from canary.cli.app import CommandProblem
from canary.demo.children import Failed
from canary.demo.play import DemoSettings, play


class Name(StrEnum):
    """Those of sandbox/scenarios.py that make sense here."""

    GOOD = "good"
    BAD = "bad"
    SLOW = "slow"
    FLAKY = "flaky"
    DEAD = "dead"


def command(
    scenario: Annotated[Name | None, typer.Option(help="Run only this scenario, instead of good and bad.")] = None,
    rps: Annotated[float, typer.Option(min=20, max=1000, help="Requests a second.")] = 150,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files, and print their folder.")] = False,
) -> int:
    """Run demo rollouts on 127.0.0.1: an Envoy, versions of a small service, and a steady load.

    A good version is promoted, then a bad one is rolled back. After Ctrl-C no process and no file is left.

    Exit codes: 0 each rollout ended as expected, 1 one did not, 130 interrupted.
    """
    names = (scenario.value,) if scenario else ("good", "bad")
    try:
        return play(DemoSettings(names, rps, keep))
    except Failed as error:
        raise CommandProblem(str(error)) from None
