"""What an answer may be at most, seen in its bytes before anything is parsed; and how it is refused. Pure.

A server may be hostile or broken. Parsing holds the interpreter and takes up to 27 times the text's size, so
that 62 MiB of `[[],[],…]` would take 1.7 GB.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from canary.engine.observed import Cause, Missing

MIB = 2**20
_PER_ROW = (3, 16)
"""Brackets that a row opens, and commas that it may have: labels, their values, and what is between rows."""
_NATIVE = 400
"""As many rows as the native histograms of one subject are: two of each reporter, of 200 buckets."""
_SLACK = 100


class Excess(StrEnum):
    """What an answer went beyond."""

    SIZE = "size"
    ROWS = "rows"
    DATE = "date"
    TYPE = "type"
    HEADERS = "headers"


@dataclass(frozen=True)
class RefusedAnswer(Missing):
    """An answer that isn't read, though there is one."""

    excess: Excess = Excess.SIZE


@dataclass(frozen=True)
class Bounds:
    """What an answer to one question may be at most."""

    size: int
    """Bytes, after decompression."""
    rows: int

    @classmethod
    def of(cls, cells: int, native: int = 0) -> Self:
        """For builtins of so many cells; an honest one is up to 60 rows and 20 KB. A query of the user's has none.

        So many of the cells are of `native` histograms.
        """
        return cls(min(MIB + 2**16 * cells, 16 * MIB), min(2000 + 150 * cells + _NATIVE * native, 30_000))

    def oversize(self) -> RefusedAnswer:
        """The answer to what has more bytes."""
        return RefusedAnswer(Cause.INVALID, f"the answer is larger than {self.size / MIB:.3g} MiB", Excess.SIZE)

    def refusal(self, body: bytes) -> RefusedAnswer | None:
        """Why this body isn't parsed; None if it may be."""
        if len(body) > self.size:
            return self.oversize()
        opened, commas = body.count(b"[") + body.count(b"{"), body.count(b",")
        if opened <= _PER_ROW[0] * self.rows + _SLACK and commas <= _PER_ROW[1] * self.rows + _SLACK:
            return None
        return RefusedAnswer(
            Cause.INVALID, f"the answer has more than {self.rows} rows, or other lists than rows", Excess.ROWS
        )


LEAST = Bounds.of(0)
"""For one number."""
