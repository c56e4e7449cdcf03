"""Questions to sources of evidence that are under way: not too many to one source, and none twice for one Canary."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from threading import Lock

from .looking import Question
from .seat import Seat

ASKING = 8
"""How many may be under way to one source; further ones come later, those that are overdue most first."""


@dataclass
class Questions:
    """For any thread."""

    _busy: dict[Hashable, int] = field(default_factory=dict)
    """How many are under way, by source."""
    _lock: Lock = field(default_factory=Lock)

    def begin(self, question: Question, seats: Iterable[Seat]) -> bool:
        """Whether it may be asked now, for these; then `end` must follow."""
        with self._lock:
            busy = self._busy.get(question.source, 0)
            if busy >= ASKING:
                return False
            self._busy[question.source] = busy + 1
            for seat in seats:
                seat.question = question
            return True

    def end(self, question: Question, seats: Iterable[Seat]) -> None:
        """It is answered, or never will be."""
        with self._lock:
            busy = self._busy.pop(question.source) - 1
            if busy:
                self._busy[question.source] = busy
            for seat in seats:
                if seat.question is question:
                    seat.question = None
