"""What Prometheus scrapes of the controller. `web.py` serves it; docs/observability.md explains each name.

Counted and timed is for all Canaries together: no label here grows with them. What is known of each is in gauges
that are made when they are scraped: a reconcile only keeps four values of its Canary.
"""

import platform
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import NamedTuple, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from canary import __version__
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, Status
from canary.engine.decide import Decision
from canary.engine.errors import Unreadable
from canary.kube.cached_client import WatchHealth
from canary.kube.names import NamespacedName
from canary.kube.resources import Resource
from canary.rollout.reconcile import Turn

PHASES: Mapping[Phase, int] = {phase: number for number, phase in enumerate(Phase)}
"""What the gauge of a phase says: its place in the order of phases."""


class CanaryGauge(NamedTuple):
    """What is scraped of one Canary."""

    phase: Phase
    reason: str
    weight: int
    step: int


class CanaryGauges(Collector):
    """Where each Canary stands: three series each, and how many stand alike."""

    def __init__(self) -> None:
        self.seen: dict[NamespacedName, CanaryGauge] = {}

    def collect(self) -> Iterable[Metric]:
        """All of them, as they are now; others may write meanwhile."""
        seen = self.seen.copy()
        phase = _gauge("canary_phase", "Phase of a Canary, as a number.", "namespace", "name")
        weight = _gauge("canary_weight_percent", "Desired weight of the canary.", "namespace", "name")
        step = _gauge("canary_step", "Step of the rollout; 0 at its start and at rest.", "namespace", "name")
        for key, one in seen.items():
            phase.add_metric(key, PHASES[one.phase])
            weight.add_metric(key, one.weight)
            step.add_metric(key, one.step)
        alike = _gauge("canary_canaries", "Canaries by phase and last reason.", "phase", "reason")
        for (name, reason), count in Tally((one.phase, one.reason) for one in seen.values()).items():
            alike.add_metric((name, reason), count)
        return phase, weight, step, alike


class Watched(WatchHealth, Protocol):
    """One that follows a kind, by the clock of `Watches`."""

    @property
    def resource(self) -> Resource:
        """What is followed."""

    @property
    def lists(self) -> int:
        """Whole lists that were begun."""

    @property
    def watches(self) -> int:
        """Watches that were opened."""


class Watches(Collector):
    """What is watched, by kind; several that follow one kind, as in several namespaces, count together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.watched: Callable[[], Iterable[Watched]] = tuple
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Asks each."""
        labels = ("kind",)
        lists = CounterMetricFamily("canary_watch_lists", "Whole lists that were read, by kind.", labels=labels)
        watches = CounterMetricFamily("canary_watches", "Watches that were opened, by kind.", labels=labels)
        synced = _gauge("canary_watch_synced", "1 once all objects of the kind were listed.", *labels)
        trouble = _gauge("canary_watch_trouble", "1 while the kind can't be listed or watched.", *labels)
        silence = _gauge("canary_watch_silence_seconds", "Since the server last showed a sign of life.", *labels)
        for kind, those in _by_kind(self.watched()).items():
            lists.add_metric((kind,), sum(one.lists for one in those))
            watches.add_metric((kind,), sum(one.watches for one in those))
            synced.add_metric((kind,), all(one.synced for one in those))
            trouble.add_metric((kind,), any(one.trouble for one in those))
            heard = min(one.last_seen for one in those)
            if isfinite(heard):
                silence.add_metric((kind,), self._clock() - heard)
        return lists, watches, synced, trouble, silence


def _by_kind(watched: Iterable[Watched]) -> Mapping[str, Sequence[Watched]]:
    found: dict[str, list[Watched]] = {}
    for one in watched:
        found.setdefault(one.resource.kind, []).append(one)
    return found


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=labels)


LENGTHS = (30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds that rollouts take."""
MOMENTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds that reconciles take, and are late."""
VERDICTS = {"pass": "pass", "hold": "hold", "roll back": "rollback"}
"""Of an evaluation, and the label's value."""


class ControllerMetrics:
    """The controller calls these, some of them as its Watcher; each may be called by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is the one of `Watched.last_seen`."""
        self.registry = CollectorRegistry()
        # They would be a second series for each counter, without use.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library forgot it
        self._canaries, self._watches = CanaryGauges(), Watches(clock)
        self.registry.register(self._canaries)
        self.registry.register(self._watches)
        ProcessCollector(registry=self.registry)
        self._init_rollouts()
        self._init_ticks()
        self._init_controller()

    def _init_rollouts(self) -> None:
        self._started = self._counter("canary_rollouts_started", "Rollouts that began.")
        self._ended = self._counter("canary_rollouts_ended", "Rollouts that are over, by outcome.", "outcome")
        self._lasted = self._histogram(
            "canary_rollout_duration_seconds", "How long rollouts took, by outcome.", LENGTHS, "outcome"
        )
        for outcome in Outcome:
            self._ended.labels(outcome.value)
        evaluations = self._counter("canary_evaluations", "Evaluations, by verdict.", "verdict")
        checks = self._counter("canary_checks", "Checks of all evaluations, by result.", "result")
        self._evaluations = {verdict: evaluations.labels(label) for verdict, label in VERDICTS.items()}
        self._checks = {one: checks.labels(one) for one in ("passed", "failed", "missing")}

    def _init_ticks(self) -> None:
        reconciles = self._counter(
            "canary_controller_reconcile", "Reconciles, by result: ok, trouble (something failed) or error.", "result"
        )
        self._reconciles = {one: reconciles.labels(one) for one in ("ok", "trouble", "error")}
        self._took = self._histogram(
            "canary_controller_reconcile_duration_seconds", "How long reconciles took.", MOMENTS
        )
        self._late = self._histogram(
            "canary_controller_reconcile_lateness_seconds", "How long after they were due reconciles began.", MOMENTS
        )

    def _init_controller(self) -> None:
        self._leader = Gauge("canary_leader", "1 on the replica that leads, else 0.", registry=self.registry)
        self._requests = self._counter(
            "canary_api_requests", "Requests to the API server, by verb and kind.", "verb", "kind"
        )
        self._queries = self._counter("canary_queries", "Requests to Prometheus, by result.", "result")
        about = "Answers of Prometheus that were refused unread, by what they went beyond."
        self._refused = self._counter("canary_answers_refused", about, "limit")
        alerts = self._counter(
            "canary_alerts", "Alerts, by result: sent, failed (to be retried) or dropped.", "result"
        )
        self._alerts = {one: alerts.labels(one) for one in ("sent", "failed", "dropped")}
        build = Info("canary_build", "Version of the controller.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})

    def alert(self, result: str) -> None:
        """One try to send an alert."""
        self._alerts[result].inc()

    def stands(self, key: NamespacedName, status: Status) -> None:
        """Where a Canary stands that wasn't reconciled yet: at rest, after a start of the controller."""
        step = status.rollout.step if status.rollout else 0
        self._canaries.seen[key] = CanaryGauge(status.phase, status.reason, status.canary_weight, step)

    def shows(self, key: NamespacedName) -> bool:
        """Whether it is known where this Canary stands."""
        return key in self._canaries.seen

    def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
        """One turn of a reconcile, which took `seconds` and began `late` seconds after it was due."""
        decision = turn.decision
        self.stands(key, decision.status)
        self._reconciles["trouble" if turn.trouble else "ok"].inc()
        self._took.observe(seconds)
        if late is not None:
            self._late.observe(max(late, 0.0))
        if decision.reason == Reason.STARTED:
            self._started.inc()
        if decision.evaluated:
            self._judged(decision)
        if decision.closed:
            self._over(decision)

    def _judged(self, decision: Decision) -> None:
        rollout = decision.status.rollout
        if rollout is None or rollout.evaluation is None:
            return
        self._evaluations[rollout.evaluation.verdict].inc()
        for check in rollout.evaluation.checks:
            if not check.dry_run:
                self._checks[check.result].inc()

    def _over(self, decision: Decision) -> None:
        last = decision.status.history[0]
        self._ended.labels(last.outcome.value).inc()
        self._lasted.labels(last.outcome.value).observe((last.ended - last.started).total_seconds())

    def hindered(self, key: NamespacedName, why: str, at: datetime) -> None:
        """The reconcile was counted already, and the log says why."""

    def unread(self, key: NamespacedName, why: str, at: datetime) -> None:
        """It stays where it is known to have stood."""
        self._reconciles["trouble"].inc()
        known = self._canaries.seen.get(key, CanaryGauge(Phase.INITIALIZING, "", 0, 0))
        self._canaries.seen[key] = known._replace(reason=Unreadable.reason)

    def crashed(self, key: NamespacedName, error: Exception) -> None:
        """A reconcile raised; the log has its traceback, and the Canary stays where it stood."""
        self._reconciles["error"].inc()

    def forgot(self, key: NamespacedName) -> None:
        """The Canary is gone, and its series with it."""
        self._canaries.seen.pop(key, None)

    def leading(self, leads: bool) -> None:
        """Whether this replica leads; one that doesn't knows nothing of Canaries."""
        self._leader.set(leads)
        if not leads:
            self._canaries.seen.clear()

    def requests(self, counts: Mapping[str, int]) -> None:
        """Requests to the API server since the last call, such as {"get Deployment": 2} (`Calls.take`)."""
        for request, count in counts.items():
            verb, _, kind = request.partition(" ")
            self._requests.labels(verb, kind).inc(count)

    def watches(self, watched: Callable[[], Iterable[Watched]]) -> None:
        """Whom to ask, at each scrape, how watching goes."""
        self._watches.watched = watched

    def queries(self, counts: Mapping[str, int]) -> None:
        """Requests to Prometheus since the last call by result: `ok`, or the words of `observed.Cause`."""
        for result, count in counts.items():
            self._queries.labels(result).inc(count)

    def refused(self, limit: str) -> None:
        """An answer of Prometheus was refused: its size, rows, date, type or headers."""
        self._refused.labels(limit).inc()

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=buckets, registry=self.registry)
