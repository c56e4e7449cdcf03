"""`canary demo`: rollouts to watch, on a real Envoy with a real load, on this machine alone."""

from enum import StrEnum
from typing import Annotated

import typer

from canary.cli.app import Problem
from canary.demo.children import Failed
from canary.demo.play import Settings, play


class Name(StrEnum):
    """Those of sandbox/scenarios.py that make sense here."""

    GOOD = "good"
    BAD = "bad"
    SLOW = "slow"
    FLAKY = "flaky"
    DEAD = "dead"


def command(
    scenario: Annotated[
        Name | None, typer.Option(help="Only this canary, instead of a good and then a bad one.")
    ] = None,
    rps: Annotated[float, typer.Option(min=20, max=1000, help="Requests a second.")] = 150,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder of its files, and say where it is.")] = False,
) -> int:
    """Watch real rollouts: an Envoy, versions of a small service, a steady load, all on 127.0.0.1.

    A good version is promoted, then a bad one is rolled back. Ctrl-C leaves nothing behind.

    Ends with 0 if each rollout ended as it should, else with 1; with 130 if it was interrupted.
    """
    names = (scenario.value,) if scenario else ("good", "bad")
    try:
        return play(Settings(names, rps, keep))
    except Failed as error:
        raise Problem(str(error)) from None
