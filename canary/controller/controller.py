"""Many rollouts: each is reconciled in its slots and whenever it is woken, never twice at a time.

    watches ──wake──────────────► a reconcile at once, which takes no evaluation
    slots ──judge───► measure ──► a reconcile with what the whole slot has measured
          └──other──────────────► a reconcile

A slot is a whole second. The evaluations of one slot and one source of evidence are asked together, at the same
nominal time; a slow source delays only its own rollouts. A failed reconcile is logged and
retried with backoff; it doesn't stop other Canaries. Once stopped, no reconcile begins, and the writes in hand are
finished.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple

from canary.api.reason import Trait
from canary.api.status import Status
from canary.engine import evaluations
from canary.engine.decide import needs
from canary.engine.errors import CanaryError, Conflict, Unreadable
from canary.engine.observed import Cause, Missing, Query
from canary.engine.requeue import SOON
from canary.kube.names import NamespacedName
from canary.ports import Clock
from canary.rollout.reconcile import ATTEMPTS, Turn, reconcile
from canary.rollout.record import Record, load, save

from .logs import scrubbed
from .ports import Fleet, Reconciler, Timetable, Watcher
from .slots import Answers, Measured, Question, Slots, share, slot_of, time_of
from .work_item import Questions, WorkItem, submit

RESYNC = timedelta(minutes=10)
"""How often a Canary at rest is looked at though nothing woke it: that heals an event that was missed."""
GAP = timedelta(milliseconds=50)
"""Between two Canaries at rest after a leader election: changes without a leader are seen soon, and this costs little
at a time."""
FOLLOWING = 2
"""How often a decision that leads to another one is followed by that: a start, the first weight, what came of it."""
UNSURE = timedelta(seconds=15)
"""Requeue time if something could not be read, or belongs to another client."""
POLL = timedelta(minutes=1)
"""How often a Canary at rest is looked at that stands on something that isn't watched, which a Secret is."""
LATER = timedelta(minutes=1)
"""How soon again, at the latest, while a rollout is running."""
WAITS = 10
"""How many slots an evaluation may be later because its source has too many questions; then it is one without an
answer, which is logged."""
AGAIN = timedelta(seconds=1)
"""When such an evaluation asks again, and who could not be reconciled is reconciled."""
BELATED = 1
"""This many answers in a row may be late, with a new query for the next evaluation; after more of
them, evaluations are ones without an answer, which is logged."""


ONCE = 1
"""This many reconciles in a row may fail without a condition: a race is over with the next one."""
LONGEST = 500
"""Characters of an error that are shown to people."""


class Asking(NamedTuple):
    """What one Canary asks in its slot: nothing where no evaluation is due, or where it has no metrics."""

    question: Question | None
    queries: tuple[Query, ...]


@dataclass
class Controller:
    """All rollouts of a fleet, while it leads."""

    fleet: Fleet
    clock: Clock
    workers: Executor
    """Reconciles run here, side by side."""
    askers: Executor
    """Questions to sources of evidence run here."""
    timetable: Timetable
    watcher: Watcher
    resync: timedelta = RESYNC
    _items: dict[NamespacedName, WorkItem] = field(default_factory=dict)
    _slots: Slots = field(default_factory=Slots)
    _questions: Questions = field(default_factory=Questions)
    _lock: Lock = field(default_factory=Lock)
    _running: bool = False

    def start(self) -> None:
        """Starts to reconcile all Canaries."""
        self._running = True
        self.look_again()

    def look_again(self) -> None:
        """Makes what is running or new due at once, and the rest soon, evenly: at the latest within `resync`. When
        they were due before doesn't count: the clock may have been set back."""
        resting = [key for key in self.fleet.all() if not self.fleet.pressing(key)]
        within = min(self.resync, len(resting) * GAP)
        for key in resting:
            self._due(self._item(key), self.clock.now() + share(key) * within)
        self.press()

    def press(self) -> None:
        """Looks at once at what is running or new."""
        for key in self.fleet.all():
            if self.fleet.pressing(key):
                self.wake(key)

    def stop(self) -> None:
        """No reconcile begins any more."""
        self._running = False

    def wake(self, key: NamespacedName) -> None:
        """Something that this Canary stands on has changed."""
        if self._running:
            self._ask(self._item(key), None)

    def forget(self, key: NamespacedName) -> None:
        """The Canary is gone."""
        with self._lock:
            self._items.pop(key, None)
            self._slots.drop(key)
        self.watcher.forgot(key)

    @property
    def count(self) -> int:
        """Number of Canaries."""
        return len(self._items)

    # ---- slots ----------------------------------------------------------------------------------------------

    def _due(self, item: WorkItem, at: datetime) -> None:
        slot = slot_of(at)
        with self._lock:
            if self._items.get(item.key) is not item:
                return
            first = self._slots.put(item.key, slot)
        if first:
            self.timetable(time_of(slot), lambda: self._slot(slot))

    def _slot(self, slot: int) -> None:
        """Asks for reconciles of those that are due; those that evaluation wait for what their source says."""
        if not self._running:
            return
        with self._lock:
            items = [self._items[key] for key in self._slots.take(slot)]
        now = self.clock.now()
        looking: dict[Question, dict[Query, list[WorkItem]]] = {}
        for item in items:
            item.slot = slot if item.slot is None else item.slot
            found = self._queries(item, now)
            if found is None or found.question is None:
                self._ask(item, None if found is None else Measured())
                continue
            if found.question == item.question:
                continue  # woken meanwhile; it is reconciled with the answer
            for query in found.queries:
                looking.setdefault(found.question, {}).setdefault(query, []).append(item)
        for question in sorted(looking, key=lambda one: one.at):
            self._measure(question, looking[question])

    def _queries(self, item: WorkItem, now: datetime) -> Asking | None:
        """The queries of its evaluation, if one is due; None if they aren't known: the reconcile reports it to
        people."""
        reconciler, record = item.reconciler, item.record
        if reconciler is None or record is None:
            return None
        try:
            source, parts = reconciler.source, reconciler.parts
            found = needs(parts.target.resolved(), record.status, now)
        except Exception:  # noqa: BLE001 # the reconcile meets it again, and reports it
            return None
        return Asking(None if found.at is None else Question(source, found.at, parts.metrics), found.queries)

    def _measure(self, question: Question, by_query: Mapping[Query, list[WorkItem]]) -> None:
        items = list({id(item): item for those in by_query.values() for item in those}.values())
        if self._questions.begin(question, items):
            self._submit(question, tuple(by_query), items)
        else:
            self._later(question, by_query, items, "earlier questions are still unanswered")

    def _submit(self, question: Question, queries: Sequence[Query], items: Sequence[WorkItem]) -> None:
        try:
            submit(self.askers, self._measured, question, queries, items)
        except RuntimeError as error:
            self._questions.end(question, items)
            for item in items if self._running else ():
                self.watcher.crashed(item.key, error)
            self._later(question, queries, items, f"it could not be asked: {error}")

    def _later(self, question: Question, queries: Iterable[Query], items: Iterable[WorkItem], why: str) -> None:
        """Tries again in a later slot, a limited number of times."""
        late = dict.fromkeys(queries, Missing(Cause.TIMED_OUT, why))
        for item in items:
            item.waits += 1
            if item.waits <= WAITS:
                self._due(item, self.clock.now() + AGAIN)
            else:
                self._ask(item, Measured(question.at, late))

    def _measured(self, question: Question, queries: Iterable[Query], items: Sequence[WorkItem]) -> None:
        try:
            samples = question.metrics.measure(queries, question.at)
        except Exception as error:  # noqa: BLE001 # an evaluation without answers is reported as such
            for item in items:
                self.watcher.crashed(item.key, error)
            samples = dict.fromkeys(queries, Missing(Cause.UNAVAILABLE, f"{type(error).__name__}: {error}"))
        finally:
            self._questions.end(question, items)
        for item in items:
            item.waits = 0
            self._ask(item, Measured(question.at, samples))

    # ---- reconciles ----------------------------------------------------------------------------------------------

    def _item(self, key: NamespacedName) -> WorkItem:
        with self._lock:
            return self._items.setdefault(key, WorkItem(key))

    def _ask(self, item: WorkItem, measured: Measured | None) -> None:
        if item.ask(measured):
            try:
                submit(self.workers, self._serve, item)
            except RuntimeError as error:
                item.leave()
                if self._running:  # else the pool was shut down
                    self.watcher.crashed(item.key, error)
                    self._due(item, self.clock.now() + AGAIN)

    def _serve(self, item: WorkItem) -> None:
        """Reconciles until there is no request left."""
        while True:
            measured = item.begin()
            if self._running and self._items.get(item.key) is item:
                self._guarded(item, measured)
            if item.done():
                return

    def _guarded(self, item: WorkItem, measured: Measured | None) -> None:
        try:
            due = self._reconcile(item, measured)
            item.failures = 0
        except Exception as error:  # noqa: BLE001 # any error stops this one only
            if self._gone(item):
                self.forget(item.key)
                return
            item.failures += 1
            reconciler, item.record, item.reconciler = item.reconciler, None, None
            due = self.clock.now() + item.pause * (1 + share(item.key))
            self.watcher.crashed(item.key, error)
            if reconciler is not None and item.failures > ONCE:
                self._says(item, reconciler.raises, raised(error))
        if due is not None:
            self._due(item, due)
        if item.key not in self._items:  # it was deleted during its reconcile, which reported it afterwards
            self.watcher.forgot(item.key)

    def _gone(self, item: WorkItem) -> bool:
        """Whether the Canary was deleted during its reconcile: its exception is no failure then."""
        try:
            return self.fleet.reconciler(item.key) is None
        except Exception:  # noqa: BLE001 # then the next reconcile reports it
            return False

    def _reconcile(self, item: WorkItem, measured: Measured | None) -> datetime | None:
        """One reconcile with all its turns; when the next one is due, None where the Canary is gone."""
        item.reconciler = reconciler = item.reconciler or self.fleet.reconciler(item.key)
        if reconciler is None:
            self.forget(item.key)
            return None
        late = None if item.slot is None else self.clock.now().timestamp() - item.slot
        item.slot = None
        try:
            return self._reconciled(item, reconciler, measured, late)
        except Unreadable as error:
            return self._unread(item, reconciler, str(error))

    def _reconciled(
        self, item: WorkItem, reconciler: Reconciler, measured: Measured | None, late: float | None
    ) -> datetime:
        record = item.record or replace(load(reconciler.parts.store), fresh=item.fresh)
        if measured is not None:
            measured = self._timely(item, reconciler, record, measured)
        turn, record = self._turns(item, reconciler, record, measured, late)
        for _ in range(FOLLOWING):  # a write is read back, and what has started begins, at once: not in the next slot
            if turn.decision.requeue_after > SOON or turn.trouble:
                break
            turn, record = self._turns(item, reconciler, record, None, None)
        return self._settled(item, reconciler, record, turn)

    def _unread(self, item: WorkItem, reconciler: Reconciler, why: str) -> datetime:
        """Nothing moves until a user corrects it, and no watch event announces that."""
        now = self.clock.now()
        item.record = None
        self.watcher.unread(item.key, why, now)
        self._says(item, reconciler.unread, why)
        return now + UNSURE

    def _says(self, item: WorkItem, say: Callable[[str, datetime], None], why: str) -> None:
        now = self.clock.now()
        try:
            say(why, now)
        except Exception as error:  # noqa: BLE001 # what made the reconcile raise may do so here, too
            self.watcher.hindered(item.key, f"can't say so in its status: {error}", now)

    def _timely(self, item: WorkItem, reconciler: Reconciler, record: Record, measured: Measured) -> Measured | None:
        """What the evaluation that is due now may use; None where that isn't measured yet, and its slot follows."""
        due = needs(reconciler.parts.target.resolved(), record.status, self.clock.now())
        if due.at is None:
            return measured
        if due.at == measured.at:
            item.belated = 0
            return measured
        if measured.at is None or item.belated < BELATED:
            item.belated += measured.at is not None
            return None
        late = Missing(Cause.TIMED_OUT, "the answer came when the next evaluation was due already")
        return Measured(due.at, dict.fromkeys(due.queries, late))

    def _turns(
        self, item: WorkItem, reconciler: Reconciler, record: Record, measured: Measured | None, late: float | None
    ) -> tuple[Turn, Record]:
        """The last turn; where its slot has measured nothing, without an evaluation.

        A state that others change again and again is in the end one that can't be saved.
        """
        parts = replace(reconciler.parts, metrics=Answers(measured or Measured(), reconciler.parts.metrics))
        for left in reversed(range(ATTEMPTS)):
            try:
                began = time.perf_counter()
                for turn in reconcile(parts, record, not left, measured is not None):
                    self.watcher.reconciled(item.key, turn, time.perf_counter() - began, late)
                    record, began, late = turn.record, time.perf_counter(), None
                return turn, record
            except Conflict:
                record = reread(reconciler, record)
        raise AssertionError("the last reconcile meets no Conflict")

    def _settled(self, item: WorkItem, reconciler: Reconciler, record: Record, turn: Turn) -> datetime:
        """Keeps what is needed for the next reconcile, puts away the rest, and says when that is due."""
        item.fresh = record.fresh
        status, trouble = record.status, bool(turn.trouble)
        try:
            if status.rollout is None and record.saved != status:
                record = save(reconciler.parts.store, replace(record, saved=None), status, turn.at)
            reconciler.tidy(record.durable, turn.at)
        except CanaryError as error:
            trouble = True
            self.watcher.hindered(item.key, f"can't be put away yet: {error}", turn.at)
            record = reread(reconciler, record) if isinstance(error, Conflict) else record
        at_rest = status.rollout is None and record.saved == status
        item.record = None if at_rest else record
        if at_rest:
            reconciler.rest()
        return turn.at + self._after(item, status, turn, trouble, reconciler.polls)

    def _after(self, item: WorkItem, status: Status, turn: Turn, trouble: bool, polls: bool) -> timedelta:
        """From the time at which the turn decided: an evaluation is due on its second, however long the reconcile
        took."""
        decision = turn.decision
        if status.rollout is not None:
            evaluation = max(status.rollout.next_evaluation - turn.at, timedelta())
            due = [evaluation] if evaluations.expected(status.rollout) else []
            return min([decision.requeue_after, LATER, *due])
        if trouble or Trait.TRANSIENT in decision.reason.traits:
            return UNSURE
        if decision.requeue_after < LATER:
            return decision.requeue_after
        rest = self.resync * (1 - share(item.key) / 4)
        return min(rest, POLL) if polls else rest


def raised(error: Exception) -> str:
    """For people who see the object, and not our log."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"the reconcile failed, and the controller retries: {scrubbed(what)[:LONGEST]}"


def reread(reconciler: Reconciler, record: Record) -> Record:
    """After a write by another client: our own state in a newer object, or another state, which counts."""
    stored = reconciler.parts.store.load()
    if stored is None:
        return replace(record, saved=None, version=None)
    if stored.status == record.saved:
        return replace(record, version=stored.version)
    return Record(stored.status, stored.status, stored.version, fresh=record.fresh)
