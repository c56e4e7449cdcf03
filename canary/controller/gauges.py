"""Gauges that are made when they are scraped: of each Canary, and of what is watched. `metrics.py` has the rest.

A tick only keeps four values of its Canary; nothing is formatted or locked for it.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple, Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from canary.api.status import Phase
from canary.kube.resources import Resource

from .fleet import Key

PHASES: Mapping[Phase, int] = {phase: number for number, phase in enumerate(Phase)}
"""What the gauge of a phase says: its place in the order of phases."""


class Standing(NamedTuple):
    """What is scraped of one Canary."""

    phase: Phase
    reason: str
    weight: int
    step: int


class Canaries(Collector):
    """Where each Canary stands: three series each, and how many stand alike."""

    def __init__(self) -> None:
        self.seen: dict[Key, Standing] = {}

    def collect(self) -> Iterable[Metric]:
        """All of them, as they are now; others may write meanwhile."""
        seen = self.seen.copy()
        phase = _gauge("canary_phase", "Phase of a Canary, as a number.", "namespace", "name")
        weight = _gauge("canary_weight_percent", "Meant weight of the canary.", "namespace", "name")
        step = _gauge("canary_step", "Step of the rollout; 0 at its start and at rest.", "namespace", "name")
        for key, one in seen.items():
            phase.add_metric(key, PHASES[one.phase])
            weight.add_metric(key, one.weight)
            step.add_metric(key, one.step)
        alike = _gauge("canary_canaries", "Canaries by phase and last reason.", "phase", "reason")
        for (name, reason), count in Tally((one.phase, one.reason) for one in seen.values()).items():
            alike.add_metric((name, reason), count)
        return phase, weight, step, alike


class Watched(Protocol):
    """One that follows a kind (`kube/reflector.py`)."""

    @property
    def resource(self) -> Resource:
        """What is followed."""

    @property
    def synced(self) -> bool:
        """Whether it has listed all there is, once."""

    @property
    def lists(self) -> int:
        """Whole lists that were begun."""

    @property
    def watches(self) -> int:
        """Watches that were opened."""

    @property
    def trouble(self) -> str | None:
        """Why it can't list or watch now."""

    @property
    def last_seen(self) -> float:
        """When the server last showed a sign of life, by the clock of `Watches`; infinitely long ago before that."""


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
