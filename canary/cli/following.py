"""What `wait`, `watch` and `start --wait` share: follow a Canary object to the end of its rollout."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from canary.bootstrap import Followed, Memory, WallClock
from canary.cli import caught
from canary.engine.did_you_mean import did_you_mean
from canary.rollout.drive import Interrupts, Then
from canary.rollout.end import Ending
from canary.show.outputs import Output, TurnReporter, report_for
from canary.waiting.wait import Wait, WaitTerms
from canary.waiting.watch import WatchRun

from .options import absence, object_of, reported

OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="Output format: lines of text, or JSON objects.")
]
Timeout = Annotated[str | None, typer.Option(help="Time limit, such as 30m; default: none.")]
OnTimeout = Annotated[Then, typer.Option(help="At the time limit: leave the traffic, or roll back.")]
WaitApproval = Annotated[bool, typer.Option(help="At a gate: wait, or exit with code 5.")]
AllowUnanalysed = Annotated[
    bool, typer.Option("--allow-unanalysed", help="Exit with 0, not 11, if a build serves that was never judged.")
]


def follow(memory: Memory, terms: WaitTerms, output: Output, live: bool = False) -> int:
    """Until the end; the exit code. Traffic is left alone, however the command ends. Raises Problem."""
    followed = object_of(memory, "waited for")
    clock = WallClock()
    return _shown(memory, output, live, lambda report, stop: Wait(followed, terms, clock, report, stop).run())


def watch(memory: Memory, output: Output, live: bool) -> int:
    """Show a run until its rollout is over; the exit code. Raises Problem."""
    return _shown(memory, output, live, lambda report, stop: WatchRun(memory, WallClock(), report, stop).run())


def _shown(memory: Memory, output: Output, live: bool, run: Callable[[TurnReporter, Interrupts], Ending]) -> int:
    """The exit code of what `run` reports. First a warning where no process is at work: nothing moves meanwhile."""
    if away := absence(memory):
        print(f"warning: {away}", file=sys.stderr, flush=True)
    interrupts, approve = Interrupts(), f"canary approve {memory.howto}"
    with reported(), caught(interrupts), report_for(output, memory.name, live, approve) as report:
        over = run(report, interrupts)
        report.close(over)
    return int(over.code)


def warn_of(followed: Followed, version: str) -> None:
    """What isn't there yet may come; a misspelt name never does."""
    if wrong := missing_of(followed, version):
        print(f"warning: {wrong}", file=sys.stderr)


def missing_of(followed: Followed, version: str) -> str:
    """That the destination doesn't exist, with a suggestion; empty if it exists or isn't known."""
    there = followed.destinations(followed.canary)
    if not there or version in there:
        return ""
    meant = did_you_mean(version, there) or f"; there are {', '.join(sorted(there))}"
    return f"there is no destination {version}{meant}"
