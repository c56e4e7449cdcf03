"""Many rollouts: each is ticked in its slots and whenever it is woken, never twice at a time.

    watches ──wake──────────────► a tick at once, which takes no look
    slots ───look───► measure ──► a tick with what the whole slot has measured
          └──other──────────────► a tick

A slot is a whole second. The looks of one slot and one source of evidence are asked together, at the same nominal
time; another source that is slow keeps nobody waiting but its own. A tick that raises is told, and repeated after a
pause that grows; it stops nobody else. Once stopped, no tick begins, and the writes in hand are finished.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple

from canary.api.status import Status
from canary.engine.decide import needs
from canary.engine.errors import CanaryError, Conflict, Unreadable
from canary.engine.observed import Kind, Missing, Query
from canary.rollout.ports import Clock
from canary.rollout.record import Record, load, save
from canary.rollout.tick import ATTEMPTS, Turn, tick

from .fleet import Fleet, Key, Rig, Timetable, Watcher
from .jobs import submit
from .logs import scrubbed
from .looking import Answers, Measured, Question, put_back, put_off
from .questions import Questions
from .seat import Seat
from .slots import Slots, share, slot_of, time_of

RESYNC = timedelta(minutes=10)
"""How often a Canary at rest is looked at though nothing woke it: that heals an event that was missed."""
GAP = timedelta(milliseconds=50)
"""Between two Canaries at rest when the lead was taken: what happened while nobody led is seen soon, and costs little
at a time."""
UNSURE = timedelta(seconds=15)
"""How soon again where something could not be read, or is somebody else's."""
LATER = timedelta(minutes=1)
"""How soon again, at the latest, while a rollout is running."""
TRANSIENT = frozenset({"RouteUnreadable", "RevisionUnknown", "Conflict"})
"""Reasons to be at rest that may pass without an event of ours."""
WAITS = 10
"""How many slots a look may be later because its source has too many questions; then it is one without an answer,
which is told."""
AGAIN = timedelta(seconds=1)
"""When such a look asks again, and who could not be ticked is ticked."""
BELATED = 1
"""So many answers in a row may come after their look, and the next look is asked anew; after more of them, looks are
ones without an answer, which is told."""


ONCE = 1
"""So many ticks in a row may raise without a word in the object: a race is over with the next one."""
LONGEST = 500
"""Characters of an error that are shown to people."""


class Asking(NamedTuple):
    """What one Canary asks in its slot: nothing where no look is due, or where it has no metrics."""

    question: Question | None
    queries: tuple[Query, ...]


@dataclass
class Controller:
    """All rollouts of a fleet, while it leads."""

    fleet: Fleet
    clock: Clock
    workers: Executor
    """Ticks run here, side by side."""
    askers: Executor
    """Questions to sources of evidence run here."""
    timetable: Timetable
    watcher: Watcher
    resync: timedelta = RESYNC
    _seats: dict[Key, Seat] = field(default_factory=dict)
    _slots: Slots = field(default_factory=Slots)
    _questions: Questions = field(default_factory=Questions)
    _lock: Lock = field(default_factory=Lock)
    _running: bool = False

    def start(self) -> None:
        """Begins to look after all of them."""
        self._running = True
        self.look_anew()

    def look_anew(self) -> None:
        """At once at what is running or new, and at the rest soon, evenly: at the latest within `resync`. Whenever
        they were due before doesn't count, which was by a clock that may have been set back."""
        resting = [key for key in self.fleet.all() if not self.fleet.pressing(key)]
        within = min(self.resync, len(resting) * GAP)
        for key in resting:
            self._due(self._seat(key), self.clock.now() + share(key) * within)
        self.press()

    def press(self) -> None:
        """Looks at once at what is running or new."""
        for key in self.fleet.all():
            if self.fleet.pressing(key):
                self.wake(key)

    def stop(self) -> None:
        """No tick begins any more."""
        self._running = False

    def wake(self, key: Key) -> None:
        """Something that this Canary stands on has changed."""
        if self._running:
            self._ask(self._seat(key), None)

    def forget(self, key: Key) -> None:
        """The Canary is gone."""
        with self._lock:
            self._seats.pop(key, None)
            self._slots.drop(key)
        self.watcher.forgot(key)

    @property
    def count(self) -> int:
        """How many it looks after."""
        return len(self._seats)

    # ---- slots ----------------------------------------------------------------------------------------------

    def _due(self, seat: Seat, at: datetime) -> None:
        slot = slot_of(at)
        with self._lock:
            if self._seats.get(seat.key) is not seat:
                return
            first = self._slots.put(seat.key, slot)
        if first:
            self.timetable(time_of(slot), lambda: self._slot(slot))

    def _slot(self, slot: int) -> None:
        """Asks for ticks of those that are due; those that look wait for what their source says."""
        if not self._running:
            return
        with self._lock:
            seats = [self._seats[key] for key in self._slots.take(slot)]
        now = self.clock.now()
        looking: dict[Question, dict[Query, list[Seat]]] = {}
        for seat in seats:
            seat.slot = slot if seat.slot is None else seat.slot
            found = self._queries(seat, now)
            if found is None or found.question is None:
                self._ask(seat, None if found is None else Measured())
                continue
            if found.question == seat.question:
                continue  # woken meanwhile; it is ticked with the answer
            for query in found.queries:
                looking.setdefault(found.question, {}).setdefault(query, []).append(seat)
        for question in sorted(looking, key=lambda one: one.at):
            self._measure(question, looking[question])

    def _queries(self, seat: Seat, now: datetime) -> Asking | None:
        """What its look asks, if one is due; None where that can't be told: the tick tells it to people."""
        rig, record = seat.rig, seat.record
        if rig is None or record is None:
            return None
        try:
            source, parts = rig.source, rig.parts
            found = needs(parts.target.desired(), record.status, now)
        except Exception:  # noqa: BLE001 # the tick meets it again, and has somebody to tell
            return None
        return Asking(None if found.at is None else Question(source, found.at, parts.metrics), found.queries)

    def _measure(self, question: Question, by_query: Mapping[Query, list[Seat]]) -> None:
        seats = list({id(seat): seat for those in by_query.values() for seat in those}.values())
        if self._questions.begin(question, seats):
            self._submit(question, tuple(by_query), seats)
        else:
            self._later(question, by_query, seats, "earlier questions are still unanswered")

    def _submit(self, question: Question, queries: Sequence[Query], seats: Sequence[Seat]) -> None:
        try:
            submit(self.askers, self._measured, question, queries, seats)
        except RuntimeError as error:
            self._questions.end(question, seats)
            for seat in seats if self._running else ():
                self.watcher.crashed(seat.key, error)
            self._later(question, queries, seats, f"it could not be asked: {error}")

    def _later(self, question: Question, queries: Iterable[Query], seats: Iterable[Seat], why: str) -> None:
        """Looks again in a slot that follows, but not for ever."""
        late = dict.fromkeys(queries, Missing(Kind.TIMED_OUT, why))
        for seat in seats:
            seat.waits += 1
            if seat.waits <= WAITS:
                self._due(seat, self.clock.now() + AGAIN)
            else:
                self._ask(seat, Measured(question.at, late))

    def _measured(self, question: Question, queries: Iterable[Query], seats: Sequence[Seat]) -> None:
        try:
            samples = question.metrics.measure(queries, question.at)
        except Exception as error:  # noqa: BLE001 # a look without answers is told as such
            for seat in seats:
                self.watcher.crashed(seat.key, error)
            samples = dict.fromkeys(queries, Missing(Kind.UNAVAILABLE, f"{type(error).__name__}: {error}"))
        finally:
            self._questions.end(question, seats)
        for seat in seats:
            seat.waits = 0
            self._ask(seat, Measured(question.at, samples))

    # ---- ticks ----------------------------------------------------------------------------------------------

    def _seat(self, key: Key) -> Seat:
        with self._lock:
            return self._seats.setdefault(key, Seat(key))

    def _ask(self, seat: Seat, measured: Measured | None) -> None:
        if seat.ask(measured):
            try:
                submit(self.workers, self._serve, seat)
            except RuntimeError as error:
                seat.leave()
                if self._running:  # else the pool was shut down
                    self.watcher.crashed(seat.key, error)
                    self._due(seat, self.clock.now() + AGAIN)

    def _serve(self, seat: Seat) -> None:
        """Ticks until nobody asks any more."""
        while True:
            measured = seat.begin()
            if self._running and self._seats.get(seat.key) is seat:
                self._guarded(seat, measured)
            if seat.done():
                return

    def _guarded(self, seat: Seat, measured: Measured | None) -> None:
        try:
            due = self._tick(seat, measured)
            seat.failures = 0
        except Exception as error:  # noqa: BLE001 # whatever it is, it stops this one only
            seat.failures += 1
            rig, seat.record, seat.rig = seat.rig, None, None
            due = self.clock.now() + seat.pause * (1 + share(seat.key))
            self.watcher.crashed(seat.key, error)
            if rig is not None and seat.failures > ONCE:
                self._says(seat, rig.raises, raised(error))
        if due is not None:
            self._due(seat, due)
        if seat.key not in self._seats:
            self.watcher.forgot(seat.key)  # once more: it went away during its tick, which told of it afterwards

    def _tick(self, seat: Seat, measured: Measured | None) -> datetime | None:
        """One tick with all its turns; when the next one is due, None where the Canary is gone."""
        seat.rig = rig = seat.rig or self.fleet.rig(seat.key)
        if rig is None:
            self.forget(seat.key)
            return None
        late = None if seat.slot is None else self.clock.now().timestamp() - seat.slot
        seat.slot = None
        try:
            return self._ticked(seat, rig, measured, late)
        except Unreadable as error:
            return self._unread(seat, rig, str(error))

    def _ticked(self, seat: Seat, rig: Rig, measured: Measured | None, late: float | None) -> datetime:
        record = seat.record or replace(load(rig.parts.store), fresh=seat.fresh)
        turn, record = self._between(seat, rig, record, measured, late)
        if turn.decision.actions and not turn.trouble:
            turn, record = self._between(seat, rig, record, None, None)  # read back at once, not in the next slot
        return self._settled(seat, rig, record, turn)

    def _unread(self, seat: Seat, rig: Rig, why: str) -> datetime:
        """Nothing moves until somebody has mended it, and that wakes nobody."""
        now = self.clock.now()
        seat.record = None
        self.watcher.unread(seat.key, why, now)
        self._says(seat, rig.unread, why)
        return now + UNSURE

    def _says(self, seat: Seat, say: Callable[[str, datetime], None], why: str) -> None:
        now = self.clock.now()
        try:
            say(why, now)
        except Exception as error:  # noqa: BLE001 # what made the tick raise may do so here, too
            self.watcher.hindered(seat.key, f"can't say so in its status: {error}", now)

    def _between(
        self, seat: Seat, rig: Rig, record: Record, measured: Measured | None, late: float | None
    ) -> tuple[Turn, Record]:
        """The turns of a tick, which takes a look only where its slot has measured for it."""
        if measured is not None:
            measured = self._timely(seat, rig, record, measured)
        if measured is not None:
            return self._turns(seat, rig, record, measured, late)
        off = put_off(record, self.clock.now())
        turn, after = self._turns(seat, rig, off, Measured(), late)
        return turn, put_back(after, record, off)

    def _timely(self, seat: Seat, rig: Rig, record: Record, measured: Measured) -> Measured | None:
        """What the look that is due now may use; None where that isn't measured yet, and its slot follows."""
        due = needs(rig.parts.target.desired(), record.status, self.clock.now())
        if due.at is None:
            return measured
        if due.at == measured.at:
            seat.belated = 0
            return measured
        if measured.at is None or seat.belated < BELATED:
            seat.belated += measured.at is not None
            return None
        late = Missing(Kind.TIMED_OUT, "the answer came when the next look was due already")
        return Measured(due.at, dict.fromkeys(due.queries, late))

    def _turns(
        self, seat: Seat, rig: Rig, record: Record, measured: Measured, late: float | None
    ) -> tuple[Turn, Record]:
        """The last turn. A state that others change again and again is in the end one that can't be saved."""
        parts = replace(rig.parts, metrics=Answers(measured, rig.parts.metrics))
        for left in reversed(range(ATTEMPTS)):
            try:
                began = time.perf_counter()
                for turn in tick(parts, record, last=not left):
                    self.watcher.ticked(seat.key, turn, time.perf_counter() - began, late)
                    record, began, late = turn.record, time.perf_counter(), None
                return turn, record
            except Conflict:
                record = reread(rig, record)
        raise AssertionError("the last tick meets no Conflict")

    def _settled(self, seat: Seat, rig: Rig, record: Record, turn: Turn) -> datetime:
        """Keeps what is needed for the next tick, puts away the rest, and says when that is due."""
        seat.fresh = record.fresh
        status, trouble = record.status, bool(turn.trouble)
        try:
            if status.rollout is None and record.saved != status:
                record = save(rig.parts.store, replace(record, saved=None), status, turn.at)
            rig.tidy(status, turn.at)
        except CanaryError as error:
            trouble = True
            self.watcher.hindered(seat.key, f"can't be put away yet: {error}", turn.at)
            record = reread(rig, record) if isinstance(error, Conflict) else record
        at_rest = status.rollout is None and record.saved == status
        seat.record = None if at_rest else record
        if at_rest:
            rig.rest()
        return turn.at + self._after(seat, status, turn, trouble)

    def _after(self, seat: Seat, status: Status, turn: Turn, trouble: bool) -> timedelta:
        """From the time at which the turn decided: a look is due on its second, however long the tick took."""
        decision = turn.decision
        if status.rollout is not None:
            look = max(status.rollout.next_look - turn.at, timedelta())
            looks = [look] if status.rollout.step > 0 and status.rollout.end is None else []
            return min([decision.requeue_after, LATER, *looks])
        if trouble or decision.reason in TRANSIENT:
            return UNSURE
        if decision.requeue_after < LATER:
            return decision.requeue_after
        return self.resync * (1 - share(seat.key) / 4)


def raised(error: Exception) -> str:
    """For people who see the object, and not our log."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"the controller can't look after it, and tries again: {scrubbed(what)[:LONGEST]}"


def reread(rig: Rig, record: Record) -> Record:
    """After somebody else wrote: our own state in a newer object, or another state, which counts."""
    stored = rig.parts.store.load()
    if stored is None:
        return replace(record, saved=None, version=None)
    if stored.status == record.saved:
        return replace(record, version=stored.version)
    return Record(stored.status, stored.status, stored.version, fresh=record.fresh)
