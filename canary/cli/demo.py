"""`canary demo`: rollouts to watch, on a real Envoy with a real load, on this machine alone."""

from enum import StrEnum
from typing import Annotated

import typer

from canary.cli.problems import CommandProblem
from canary.demo.children import Failed
from canary.demo.play import DemoSettings, play
from canary.demo.stage import BESIDE, Pace


class Name(StrEnum):
    """The scenarios of `sandbox/scenarios.py` that make sense on a real Envoy with a real load."""

    GOOD = "good"
    BAD = "bad"
    SLOW = "slow"
    FLAKY = "flaky"
    DEAD = "dead"


class Rival(StrEnum):
    """Judges to compare with `threshold`."""

    SEQUENTIAL = "sequential"


def command(
    scenario: Annotated[Name | None, typer.Option(help="Run only this scenario, instead of good and bad.")] = None,
    judge: Annotated[
        Rival | None, typer.Option(help="Compare this judge with threshold: 3, on one version at the same time.")
    ] = None,
    rps: Annotated[float, typer.Option(min=20, max=1000, help="Requests a second, to each route.")] = 150,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files, and print their folder.")] = False,
) -> int:
    """Run demo rollouts on 127.0.0.1: an Envoy, versions of a small service, and a steady load.

    A good version is promoted, then a bad one is rolled back. After Ctrl-C no process and no file is left.

    With --judge the same bad version is rolled out twice at the same time, on two routes of one Envoy, judged by
    threshold: 3 and by this judge. A table says which was back at 0% sooner, and how many requests failed.

    Exit codes: 0 each rollout ended as expected, 1 one did not, 130 interrupted.
    """
    usual = ("bad",) if judge else ("good", "bad")
    names = (scenario.value,) if scenario else usual
    pace = BESIDE if judge else Pace()
    try:
        return play(DemoSettings(names, rps, keep, judge.value if judge else "", pace))
    except Failed as error:
        raise CommandProblem(str(error)) from None
