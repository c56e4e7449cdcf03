"""Queues of alerts, one per receiver; alerts are sent in the background, and a slow receiver delays only its own.

An alert is retried with backoff, for an hour. The queue remembers which alerts were sent, so that none is sent twice
if a reconcile offers it again before that was saved.
"""

import logging
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Literal

from canary.engine.errors import CanaryError, Conflict, Rejected

WORKERS = 8
"""How many receivers are sent to side by side."""
SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two attempts: the first pause, and the longest."""
REFUSALS = 5
"""Refusals after which an alert is given up: no retry helps."""
REMEMBERED = 10_000
"""Alerts that are known to be sent or given up."""

log = logging.getLogger(__name__)
Result = Literal["sent", "failed", "dropped"]


@dataclass
class QueuedAlert:
    """One alert for one receiver."""

    id: Hashable
    """The same if the alert is offered again."""
    receiver: Hashable
    """Which queue the alert waits in."""
    about: str
    """The Canary and the alert, for the log."""
    send: Callable[[], None]
    """Raises Unreachable, Rejected, or Conflict if another process sends it."""
    within: float
    """Seconds until the alert is given up."""
    done: Callable[[], None] = lambda: None
    """Called once the alert is sent or given up."""
    until: float = 0.0
    refusals: int = 0


@dataclass
class ReceiverQueue:
    """The alerts of one receiver, oldest first."""

    alerts: deque[QueuedAlert] = field(default_factory=deque)
    due: float = 0.0
    failures: int = 0
    busy: bool = False


class AlertQueue:
    """The queues of all receivers, for any thread. Its own threads end when nothing is left to send."""

    def __init__(self, counted: Callable[[Result], None] = lambda result: None, shortest: float = SHORTEST) -> None:
        """`counted` is called with the result of each attempt."""
        self._counted, self._shortest = counted, shortest
        self._queues: dict[Hashable, ReceiverQueue] = {}
        self._waiting: set[Hashable] = set()
        self._done: OrderedDict[Hashable, None] = OrderedDict()
        self._workers = 0
        self._changed = Condition()

    def offer(self, alert: QueuedAlert) -> bool:
        """Whether the alert was sent or given up; else it is sent soon."""
        with self._changed:
            if alert.id in self._done:
                return True
            if alert.id not in self._waiting:
                alert.until = time.monotonic() + alert.within
                self._waiting.add(alert.id)
                self._queues.setdefault(alert.receiver, ReceiverQueue()).alerts.append(alert)
                self._start_worker()
            return False

    def clear(self) -> None:
        """Drops each alert that isn't being sent: another process sends it."""
        with self._changed:
            for queue in self._queues.values():
                kept = [queue.alerts[0]] if queue.busy else []
                self._waiting -= {one.id for one in queue.alerts if one not in kept}
                queue.alerts = deque(kept)
            self._queues = {key: queue for key, queue in self._queues.items() if queue.alerts}
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether all alerts are sent or given up within this time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def _start_worker(self) -> None:
        """Starts a thread for each queue, up to a number."""
        self._changed.notify_all()
        if self._workers < min(WORKERS, len(self._queues)):
            self._workers += 1
            Thread(target=self._work, name="alerts", daemon=True).start()

    def _work(self) -> None:
        while (queue := self._next()) is not None:
            alert = queue.alerts[0]
            error = _attempt(alert)
            with self._changed:
                done = self._settled(queue, alert, error)
                self._changed.notify_all()
            if done:
                _call_done(alert)

    def _next(self) -> ReceiverQueue | None:
        """The queue that is due first, once it is; None if there is nothing for this thread to do."""
        with self._changed:
            while True:
                free = [one for one in self._queues.values() if not one.busy]
                if not free:
                    self._workers -= 1
                    return None
                first = min(free, key=lambda one: one.due)
                left = first.due - time.monotonic()
                if left <= 0:
                    first.busy = True
                    return first
                self._changed.wait(left)

    def _settled(self, queue: ReceiverQueue, alert: QueuedAlert, error: Exception | None) -> bool:
        """Whether the alert is now sent or given up."""
        queue.busy = False
        if alert not in queue.alerts:  # cleared meanwhile
            return False
        alert.refusals += isinstance(error, Rejected)
        queue.failures = 0 if error is None else queue.failures + 1
        pause = min(LONGEST, self._shortest * 2 ** min(queue.failures - 1, 10)) if error else 0.0
        queue.due = time.monotonic() + pause * random.uniform(0.5, 1.0)
        final = alert.refusals >= REFUSALS or time.monotonic() >= alert.until
        if error is not None and not isinstance(error, Conflict) and not final:
            self._counted("failed")
            log.info("alert failed, retrying: %s: %s", alert.about, error)
            return False
        self._waiting.discard(alert.id)
        queue.alerts.remove(alert)
        if not queue.alerts:
            self._queues = {key: one for key, one in self._queues.items() if one is not queue}
        if isinstance(error, Conflict):
            return False
        self._remember(alert, error)
        return True

    def _remember(self, alert: QueuedAlert, error: Exception | None) -> None:
        self._counted("sent" if error is None else "dropped")
        if error is not None:
            log.warning("alert given up: %s: %s", alert.about, error)
        self._done[alert.id] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)


def _attempt(alert: QueuedAlert) -> Exception | None:
    try:
        alert.send()
    except CanaryError as error:
        return error
    except Exception as error:  # noqa: BLE001 # any error stops this alert only; its text may hold a token
        return Rejected(f"{type(error).__name__} in the controller")
    return None


def _call_done(alert: QueuedAlert) -> None:
    try:
        alert.done()
    except Exception:
        log.exception("can't continue after an alert")
