"""The three outputs of a run (`lines.py`, `records.py`, `live_view.py`): which one a user gets, and what happens once
it has no reader any more."""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from .lines import Lines
from .records import Records
from .terminal import in_foreground


class TurnReporter(Protocol):
    """Sees each turn of a run, and how it ended."""

    def __call__(self, turn: Turn) -> None:
        """Shows what is new in this turn."""

    def close(self, ending: Ending) -> None:
        """Shows how the run ended; nothing is shown after it."""


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    """One line per decision, or the live view on a terminal."""
    JSON = "json"
    """One object per decision, a line each."""


@contextmanager
def report_for(output: Output, name: str, live: bool = False, howto: str = "") -> Iterator[TurnReporter]:
    """The reporter for standard output; `howto` is the command that approves, for the live view."""
    if output is Output.JSON:
        yield Steadfast(Records(sys.stdout))
    elif live and _watched():
        with _view(name, howto) as view:
            yield Steadfast(view)
    else:
        yield Steadfast(Lines(sys.stdout))


def _watched() -> bool:
    """Whether standard output is a terminal that can show a view."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and in_foreground(sys.stdout)


@dataclass(frozen=True)
class Steadfast:
    """Goes on in silence where a pipe or a terminal was closed: no rollout is left half way for want of a reader."""

    report: TurnReporter

    def __call__(self, turn: Turn) -> None:
        try:
            self.report(turn)
        except OSError:
            discard_output()

    def close(self, ending: Ending) -> None:
        """Shows the end, if there is a reader."""
        try:
            self.report.close(ending)
        except OSError:
            discard_output()


def discard_output() -> None:
    """Sends the rest of standard output nowhere, so that Python doesn't fail to write it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def _view(name: str, howto: str) -> Iterator[TurnReporter]:
    from .live_view import Live  # the only output that needs rich

    view = Live(name, howto)
    view.__enter__()
    try:
        yield view
    finally:
        try:
            view.__exit__(*sys.exc_info())
        except (OSError, termios.error):
            discard_output()
