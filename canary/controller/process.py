"""The controller as a process: watches, leader election, rollouts and probes, from start to stop.

    every replica   watches, and answers probes
    the leader      reconciles, in a thread of its own for each term

Imports `kubernetes`, so bootstrap imports this file only for the controller.
"""

import ctypes
import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor as SlotPool
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.background import BackgroundScheduler

from canary.alerts.alert_queue import AlertQueue
from canary.alerts.canary_alerts import Alerting
from canary.controller.authors import Authors
from canary.controller.controller import Controller
from canary.controller.logs import Decisions
from canary.controller.metrics import ControllerMetrics
from canary.controller.ports import Timetable, Watcher
from canary.engine.observed import Missing
from canary.kube.client import Client
from canary.kube.connection import Connection
from canary.kube.election import Election, Leadership
from canary.kube.names import NamespacedName
from canary.kube.reflector import Reflector
from canary.metrics.limits import RefusedAnswer
from canary.rollout.drive import WallClock
from canary.rollout.fencing import for_lock, for_reports
from canary.rollout.reconcile import Turn
from canary.web import Serving

from .reported import ReportedAlerts, RunningRollouts, WatchedPromotions, WayBack
from .settings import Settings
from .watches import ClusterFleet

LEAST = 1.0
"""Seconds; less is how clocks are kept right."""


class Leaps:
    """Compares the clock with a monotonic one: a wait for a time of day would take longer if the clock was set back.

    Forward is no leap here: what is late is called at once. For one thread.
    """

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()

    def back(self) -> bool:
        """Whether it was set back since the last call."""
        before, self._ahead = self._ahead, self._clock() - self._steady()
        return before - self._ahead >= LEAST


LABELS = {"app.kubernetes.io/name": "canary", "app.kubernetes.io/component": "controller"}
ARENA_MAX = -8
"""M_ARENA_MAX of malloc.h."""
POLL, SOON = 0.5, 0.1
"""Seconds between two looks at whether anything has to be done, and as long as not all kinds are listed."""
PARTING = 5.0
"""Seconds that writes in hand may take once the process is asked to end."""
LAST = 1.0
"""Seconds that watches may take to end, together."""
UNDER_WAY = timedelta(minutes=1)
"""Time after a leader election until all running rollouts are reconciled."""
ASKERS = 32
"""Questions to sources of evidence that may be under way."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class All(Watcher):
    """Several watchers as one."""

    watchers: tuple[Watcher, ...]

    def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
        for each in self.watchers:
            each.reconciled(key, turn, seconds, late)

    def hindered(self, key: NamespacedName, why: str, at: datetime) -> None:
        for each in self.watchers:
            each.hindered(key, why, at)

    def unread(self, key: NamespacedName, why: str, at: datetime) -> None:
        for each in self.watchers:
            each.unread(key, why, at)

    def crashed(self, key: NamespacedName, error: Exception) -> None:
        for each in self.watchers:
            each.crashed(key, error)

    def forgot(self, key: NamespacedName) -> None:
        for each in self.watchers:
            each.forgot(key)


class ControllerProcess:
    """One replica."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self.settings = settings
        self.client = client
        self.clock = WallClock()
        self.metrics = ControllerMetrics()
        self.watcher = All((self.metrics, Decisions()))
        authors = Authors(client, settings.action_policy)
        alerting = Alerting(client, AlertQueue(self.metrics.alert), settings.cluster_name)
        self.fleet = ClusterFleet(
            client,
            settings.area,
            self.clock,
            authors.proved,
            self._asked,
            instance=socket.gethostname(),
            alerting=alerting,
        )
        self.election = Election(for_lock(client), settings.lease_namespace, settings.lease, LABELS, settings.terms)
        running = RunningRollouts(self.fleet.canaries.items, self.fleet.standing, self.fleet.specs)
        promoted = WatchedPromotions(self.fleet.canaries.items, self.fleet.standing, self.fleet.specs, self.clock)
        writer = for_reports(client)
        back = WayBack(writer, socket.gethostname())
        reported = ReportedAlerts(writer, settings.report_secrets, running, self.clock, promoted, back)
        self.serving = Serving(
            settings.listen, self._exposition, self._unhealthy, self._unready, posts=reported.posts
        )

    def run(self) -> None:
        """Until `stop`. Raises Invalid where it can't listen, Rejected or Unreachable."""
        with ExitStack() as stack:
            stack.callback(self.fleet.close)
            self.serving.start()
            stack.callback(self.serving.stop)
            self.metrics.watches(lambda: self.fleet.reflectors)
            stack.callback(lambda: ended(self.fleet.reflectors))
            for each in self.fleet.reflectors:
                each.start(after=() if each in self.fleet.first else self.fleet.first)
            self.election.lead(self._lead)

    def stop(self) -> None:
        """Finishes the writes in hand, releases the Lease, and ends `run`. From any thread, or a signal handler."""
        self.election.stop()

    def _lead(self, term: Leadership, over: threading.Event) -> None:
        """One term."""
        if not self._listed_first(over):
            return
        self.metrics.leading(True)
        workers = ThreadPoolExecutor(self.settings.workers, thread_name_prefix="reconcile")
        askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="ask")
        with scheduled() as timetable:
            controller = Controller(
                self.fleet, self.clock, workers, askers, timetable, self.watcher, self.settings.resync
            )
            with self.fleet.led(term, controller.wake, controller.forget):
                controller.start()
                log.info("looking after %d Canaries", controller.count)
                repeated(timetable, self.clock.now, self.settings.resync, self._clear)
                timetable(self.clock.now() + UNDER_WAY, settled)
                listed = partial(self._listed, controller, timetable, over)
                attend(over, lambda: not self._unready(), listed, Leaps(), controller.look_again)
                controller.stop()
                askers.shutdown(wait=False, cancel_futures=True)  # they write nothing
                _drained(workers)
        self.metrics.leading(False)

    def _listed(self, controller: Controller, timetable: Timetable, over: threading.Event) -> None:
        """All kinds were: what stood on one that came late can be decided now."""
        controller.press()
        self._shows_all(over)
        timetable(self.clock.now(), settled)

    def _clear(self, now: datetime) -> None:
        self.fleet.forget_unused()
        self.fleet.garbage.remove(now)
        settled()

    def _shows_all(self, over: threading.Event) -> None:
        """In metrics, also those that nothing wakes for long."""
        for key in self.fleet.all():
            if over.is_set():
                return
            status = self.fleet.standing(key)
            if status is not None and not self.metrics.shows(key):
                self.metrics.stands(key, status)

    def _listed_first(self, over: threading.Event) -> bool:
        """Whether that without which nothing can be decided was listed before the term was over."""
        for each in self.fleet.first:
            while not over.is_set() and not each.wait_synced(0.2):
                continue
        return not over.is_set()

    def _asked(self, missing: Missing | None) -> None:
        self.metrics.queries({"ok" if missing is None else missing.cause.value: 1})
        if isinstance(missing, RefusedAnswer):
            self.metrics.refused(missing.excess.value)

    def _exposition(self) -> bytes:
        self.metrics.requests(self.client.calls.take())
        return self.metrics.exposition()

    def _unhealthy(self) -> Sequence[str]:
        dead = [each for each in self.fleet.reflectors if not each.alive]
        return [f"watch on {each.resource.plural} stopped" for each in dead]

    def _unready(self) -> Sequence[str]:
        late = [each for each in self.fleet.needed if not each.synced]
        return [f"{each.resource.plural} aren't listed yet: {each.trouble or 'listing'}" for each in late]


@contextmanager
def service(settings: Settings) -> Iterator[ControllerProcess]:
    """A replica, connected. Raises Invalid for credentials that can't be read."""
    _frugal()
    with closing(Connection(settings.access)) as wire:
        yield ControllerProcess(settings, Client(wire, rate_limiter=settings.rate_limiter))


def _frugal() -> None:
    """Two arenas for all threads: glibc would give most of them one of their own, which costs a quarter of the memory
    of 500 rollouts. Other C libraries have no such thing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)


@contextmanager
def scheduled() -> Iterator[Callable[[datetime, Callable[[], None]], None]]:
    """A timetable: each slot is a job of its own, which is late rather than left out."""
    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults, executors={"default": SlotPool(4)})
    scheduler.start()
    try:
        yield lambda at, call: _add(scheduler, at, call)
    finally:
        scheduler.shutdown(wait=False)


def attend(
    over: threading.Event,
    synced: Callable[[], bool],
    listed: Callable[[], None],
    leaps: Leaps,
    leapt: Callable[[], None],
) -> None:
    """Until the term is over: calls `listed` once all is `synced`, which may be never where a kind can't be listed,
    and `leapt` whenever the clock was set back: slots are times of day, and those that were given are far ahead then.
    """
    waiting = True
    while not over.wait(SOON if waiting else POLL):  # a signal that another thread was given is noticed in between
        if waiting and synced():
            waiting = False
            listed()
        if leaps.back():
            leapt()


def settled() -> None:
    """Leaves what is in memory out of the rounds of the garbage collector, which stop all threads: for half a second
    with 10,000 Canaries. What became garbage since the last call of this goes first."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def repeated(
    timetable: Timetable, now: Callable[[], datetime], every: timedelta, call: Callable[[datetime], object]
) -> None:
    """Calls now and again and again, in the timetable's threads, with the time; what it raises ends nothing."""

    def once() -> None:
        try:
            call(now())
        finally:
            timetable(now() + every, once)

    timetable(now(), once)


def _add(scheduler: BackgroundScheduler, at: datetime, call: Callable[[], None]) -> None:
    with suppress(SchedulerNotRunningError, RuntimeError):  # it was shut down meanwhile
        scheduler.add_job(call, "date", run_date=at)


def _drained(pool: ThreadPoolExecutor) -> None:
    """Waits for running reconciles, not for queued ones, and for a limited time."""
    thread = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True}, daemon=True)
    thread.start()
    thread.join(PARTING)


def ended(reflectors: Sequence[Reflector[Any]]) -> None:
    """All at once: where the server hangs, each may take as long as it is waited for."""
    for each in reflectors:
        each.stop(0.0)
    until = time.monotonic() + LAST
    for each in reflectors:
        each.stop(max(0.0, until - time.monotonic()))
