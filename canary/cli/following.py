"""What `wait`, `watch` and `start --wait` share: follow a Canary object to the end of its rollout."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from canary.bootstrap import Followed, Memory, WallClock
from canary.engine.nearest import did_you_mean
from canary.rollout.drive import Interrupts, Then
from canary.rollout.waiting import Terms, Wait
from canary.show.outputs import Output, report_for

from .places import object_of, told

Told = Annotated[Output, typer.Option("--output", "-o", help="Lines for people, or an object each.")]
Timeout = Annotated[str | None, typer.Option(help="The longest to wait, such as 30m; without end unless given.")]
OnTimeout = Annotated[Then, typer.Option(help="Leave the traffic, or roll back.")]
WaitApproval = Annotated[bool, typer.Option(help="Wait at gates, or leave with code 5.")]


def follow(memory: Memory, terms: Terms, output: Output, live: bool = False) -> int:
    """Until the end; the exit code. Traffic is left alone whatever happens to the command. Raises Problem."""
    followed = object_of(memory, "waited for")
    interrupts, approve = Interrupts(), f"canary approve {memory.howto}"
    with told(), _signals(interrupts), report_for(output, memory.name, live, approve) as report:
        over = Wait(followed, terms, WallClock(), report, interrupts).run()
        report.close(over)
    return int(over.code)


def warn_of(followed: Followed, version: str) -> None:
    """What isn't there yet may come; a misspelt name never does."""
    there = followed.destinations(followed.canary)
    if there and version not in there:
        meant = did_you_mean(version, there) or f"; there are {', '.join(sorted(there))}"
        print(f"warning: there is no destination {version}{meant}", file=sys.stderr)


@contextmanager
def _signals(interrupts: Interrupts) -> Iterator[None]:
    """Ctrl-C and a job that is cancelled end the command between two looks."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupts) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
