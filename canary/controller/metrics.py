"""What Prometheus scrapes of the controller. `web/serving.py` serves it; docs/observability.md explains each name.

Counted and timed is for all Canaries together: no label here grows with them. `gauges.py` has what is known of each.
"""

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

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

from canary import __version__
from canary.api.status import Outcome, Phase, Status
from canary.engine.decide import Decision
from canary.engine.errors import Unreadable
from canary.rollout.tick import Turn

from .fleet import Key
from .gauges import Canaries, Standing, Watched, Watches

LENGTHS = (30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds that rollouts take."""
MOMENTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds that ticks take, and are late."""
VERDICTS = {"pass": "pass", "hold": "hold", "roll back": "rollback"}
"""Of a look, and the label's value."""


class Metrics:
    """The controller calls these, some of them as its Watcher; each may be called by any thread."""

    def __init__(
        self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Of a registry of its own, unless one is given. `clock` is the one of `Watched.last_seen`."""
        self.registry = CollectorRegistry() if registry is None else registry
        # They would be a second series beside each counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library forgot it
        self._canaries, self._watches = Canaries(), Watches(clock)
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
        looks = self._counter("canary_looks", "Looks that were taken, by verdict.", "verdict")
        checks = self._counter("canary_checks", "Checks of all looks, by result.", "result")
        self._looks = {verdict: looks.labels(label) for verdict, label in VERDICTS.items()}
        self._checks = {one: checks.labels(one) for one in ("passed", "failed", "missing")}

    def _init_ticks(self) -> None:
        ticks = self._counter("canary_ticks", "Ticks, by result: ok, trouble (something failed) or error.", "result")
        self._ticks = {one: ticks.labels(one) for one in ("ok", "trouble", "error")}
        self._took = self._histogram("canary_tick_duration_seconds", "How long ticks took.", MOMENTS)
        self._late = self._histogram(
            "canary_tick_lateness_seconds", "How long after they were due ticks began.", MOMENTS
        )

    def _init_controller(self) -> None:
        self._leader = Gauge("canary_leader", "1 on the replica that leads, else 0.", registry=self.registry)
        self._requests = self._counter(
            "canary_api_requests", "Requests to the API server, by verb and kind.", "verb", "kind"
        )
        self._queries = self._counter("canary_queries", "Requests to Prometheus, by result.", "result")
        build = Info("canary_build", "Version of the controller.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})

    def stands(self, key: Key, status: Status) -> None:
        """Where a Canary stands that wasn't ticked yet: at rest, after a start of the controller."""
        step = status.rollout.step if status.rollout else 0
        self._canaries.seen[key] = Standing(status.phase, status.reason, status.canary_weight, step)

    def shows(self, key: Key) -> bool:
        """Whether it is known where this Canary stands."""
        return key in self._canaries.seen

    def ticked(self, key: Key, turn: Turn, seconds: float, late: float | None) -> None:
        """One turn of a tick, which took `seconds` and began `late` seconds after it was due."""
        decision = turn.decision
        self.stands(key, decision.status)
        self._ticks["trouble" if turn.trouble else "ok"].inc()
        self._took.observe(seconds)
        if late is not None:
            self._late.observe(max(late, 0.0))
        if decision.reason == "Started":
            self._started.inc()
        if decision.looked:
            self._judged(decision)
        if decision.closed:
            self._over(decision)

    def _judged(self, decision: Decision) -> None:
        rollout = decision.status.rollout
        if rollout is None or rollout.look is None:
            return
        self._looks[rollout.look.verdict].inc()
        for check in rollout.look.checks:
            self._checks[check.result].inc()

    def _over(self, decision: Decision) -> None:
        last = decision.status.history[0]
        self._ended.labels(last.outcome.value).inc()
        self._lasted.labels(last.outcome.value).observe((last.ended - last.started).total_seconds())

    def hindered(self, key: Key, why: str, at: datetime) -> None:
        """The tick was counted already, and the log says why."""

    def unread(self, key: Key, why: str, at: datetime) -> None:
        """It stays where it is known to have stood."""
        self._ticks["trouble"].inc()
        known = self._canaries.seen.get(key, Standing(Phase.INITIALIZING, "", 0, 0))
        self._canaries.seen[key] = known._replace(reason=Unreadable.reason)

    def crashed(self, key: Key, error: Exception) -> None:
        """A tick raised; the log has its traceback, and the Canary stays where it stood."""
        self._ticks["error"].inc()

    def forgot(self, key: Key) -> None:
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
        """Requests to Prometheus since the last call by result: `ok`, or the words of `observed.Kind`."""
        for result, count in counts.items():
            self._queries.labels(result).inc(count)

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=buckets, registry=self.registry)
