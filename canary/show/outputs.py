"""Which of the three outputs of a run somebody gets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from .lines import Lines
from .records import Records
from .reporter import Reporter


class Output(StrEnum):
    """What `-o` chooses."""

    TEXT = "text"
    """One line per decision, or the live view on a terminal."""
    JSON = "json"
    """One object per decision, a line each."""


@contextmanager
def report_for(output: Output, name: str, live: bool = False, howto: str = "") -> Iterator[Reporter]:
    """The reporter for standard output; `howto` is the command that approves, for the live view."""
    if output is Output.JSON:
        yield Records(sys.stdout)
    elif live and sys.stdout.isatty():
        from .live import Live  # the only one that needs rich

        with Live(name, howto) as view:
            yield view
    else:
        yield Lines(sys.stdout)
