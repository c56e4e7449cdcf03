"""What the controller keeps of one Canary between its reconciles: never two of them run at a time, and no question to
a source of evidence is asked twice for one Canary."""

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import ParamSpec

from canary.kube.names import NamespacedName
from canary.rollout.record import Record

from .ports import Reconciler
from .slots import Measured, Question

P = ParamSpec("P")


def submit(pool: Executor, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Begins the call once, or raises RuntimeError where it never will: the pool is shut down, or has no thread to
    spare.

    `ThreadPoolExecutor.submit` raises then, but has put the work in line: another of its threads may begin it later.
    """
    ticket: Future[None] = Future()

    def begin(*args: P.args, **kwargs: P.kwargs) -> None:
        if ticket.set_running_or_notify_cancel():
            call(*args, **kwargs)

    try:
        pool.submit(begin, *args, **kwargs)
    except RuntimeError:
        if ticket.cancel():
            raise


SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=2)
"""Pauses after a reconcile that raised: the first, and the longest."""


@dataclass
class WorkItem:
    """One Canary."""

    key: NamespacedName
    reconciler: Reconciler | None = None
    record: Record | None = None
    """While a rollout is running, or something isn't saved; else the store has all."""
    fresh: bool = True
    """No reconcile of this process has seen the route."""
    failures: int = 0
    """Reconciles in a row that raised."""
    slot: int | None = None
    """The slot for which it waits to be reconciled."""
    waits: int = 0
    """Slots in a row in which its source had too much to answer."""
    question: Question | None = None
    """The one that was asked last, until it is answered."""
    belated: int = 0
    """Answers in a row that came when the next evaluation was due already."""
    _lock: Lock = field(default_factory=Lock)
    _busy: bool = False
    _again: bool = False
    _measured: Measured | None = None

    def ask(self, measured: Measured | None = None) -> bool:
        """Asks for a reconcile; True if the caller must do it, False if the running reconcile will."""
        with self._lock:
            if measured is not None:
                self._measured = measured
            if self._busy:
                self._again = True
                return False
            self._busy = True
            return True

    def begin(self) -> Measured | None:
        """What the reconcile that begins now may use of its slot."""
        with self._lock:
            measured, self._measured, self._again = self._measured, None, False
            return measured

    def done(self) -> bool:
        """Whether there was no request meanwhile; else the caller continues."""
        with self._lock:
            if self._again:
                return False
            self._busy = False
            return True

    def leave(self) -> None:
        """The caller that had to reconcile can't; the next request must. What was measured is kept for that."""
        with self._lock:
            self._busy = False

    @property
    def pause(self) -> timedelta:
        """After reconciles that raised."""
        doublings = min(self.failures - 1, 16)
        return min(SHORTEST * (1 << doublings), LONGEST)


ASKING = 8
"""How many may be under way to one source; further ones come later, those that are overdue most first."""


@dataclass
class Questions:
    """Questions to sources of evidence that are under way: not too many to one source. For any thread."""

    _busy: dict[Hashable, int] = field(default_factory=dict)
    """How many are under way, by source."""
    _lock: Lock = field(default_factory=Lock)

    def begin(self, question: Question, items: Iterable[WorkItem]) -> bool:
        """Whether it may be asked now, for these; then `end` must follow."""
        with self._lock:
            busy = self._busy.get(question.source, 0)
            if busy >= ASKING:
                return False
            self._busy[question.source] = busy + 1
            for item in items:
                item.question = question
            return True

    def end(self, question: Question, items: Iterable[WorkItem]) -> None:
        """It is answered, or never will be."""
        with self._lock:
            busy = self._busy.pop(question.source) - 1
            if busy:
                self._busy[question.source] = busy
            for item in items:
                if item.question is question:
                    item.question = None
