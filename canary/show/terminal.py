"""Where output goes: how large it is, whether it has colours and signs beyond ASCII; and lines of toned spans.

All of this package makes `Line`s. `Screen.paint` turns one into text; `live_view.py` turns many into a picture.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, NamedTuple, TextIO

Tone = Literal["", "strong", "dim", "good", "warn", "bad", "accent"]
CODES: Mapping[Tone, str] = {"strong": "1", "dim": "2", "good": "32", "warn": "33", "bad": "31", "accent": "36"}
"""Colours of ANSI terminals, which every theme makes readable."""


class Span(NamedTuple):
    """Text in one tone."""

    text: str
    tone: Tone = ""


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Signs:
    """The signs that pictures are made of."""

    full: str = "━"
    rest: str = "─"
    tick: str = "┼"
    pip: str = "●"
    hole: str = "○"
    good: str = "✔"
    bad: str = "✘"
    none: str = "–"
    arrow: str = "→"
    more: str = "…"
    least: str = "≥ "
    most: str = "≤ "


ASCII = Signs("#", "-", "+", "x", ".", "ok", "x", "-", "->", "...", ">= ", "<= ")


@dataclass(frozen=True)
class Screen:
    """What the reader's side can do."""

    width: int = 100
    height: int = 24
    colour: bool = False
    unicode: bool = True
    zone: tzinfo | None = None
    """Time zone of printed times; None is the local one."""

    @property
    def signs(self) -> Signs:
        return Signs() if self.unicode else ASCII

    def paint(self, line: Iterable[Span]) -> str:
        """A line as text, without blanks at its end."""
        spans = [Span(self.known(span.text), span.tone) for span in line]
        if not self.colour:
            return "".join(span.text for span in spans).rstrip()
        return "".join(f"\x1b[{CODES[tone]}m{text}\x1b[0m" if tone else text for text, tone in spans).rstrip()

    def clip(self, line: Line, width: int | None = None) -> Line:
        """The line, cut to the width; a sign stands where something was cut off."""
        limit = self.width if width is None else width
        if length(line) <= limit:
            return line
        more = self.signs.more
        kept: list[Span] = []
        for span in line:
            room = limit - len(more) - length(kept)
            kept += [Span(span.text[:room], span.tone)] if room > 0 else []
        return (*kept, Span(more[:limit], "dim"))

    def known(self, text: str) -> str:
        """Text without what would move the cursor, and without letters that the stream can't write."""
        text = "".join(sign if sign.isprintable() else " " for sign in text)
        return text if self.unicode else text.encode("ascii", "replace").decode()


PLAIN = Screen()


def screen_of(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Screen:
    """What a stream can do. Colours only on a terminal, and never with NO_COLOR (https://no-color.org)."""
    terminal = stream.isatty() and environ.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    columns, rows = shutil.get_terminal_size() if terminal else (PLAIN.width, PLAIN.height)
    return Screen(columns, rows, terminal and not environ.get("NO_COLOR"), encoding in ("utf8", "utf8sig"))


def in_foreground(stream: TextIO) -> bool:
    """Whether a terminal is this process's to use: a job in the background shares it with a shell, and the system
    stops one that changes it."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # not the terminal of this session, or no terminal
        return True


def length(line: Iterable[Span]) -> int:
    """Signs in a line."""
    return sum(len(span.text) for span in line)


def between(left: Line, right: Line, width: int) -> Line:
    """`left`, and `right` at the other end; where both don't fit, `right` comes right after it."""
    gap = max(width - length(left) - length(right), 2)
    return (*left, Span(" " * gap), *right) if right else left
