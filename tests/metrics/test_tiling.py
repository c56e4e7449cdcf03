"""Windows over histories that go wrong in every way, against a count of the same samples one by one.

`World` makes pods that begin, restart, fail to be scraped and vanish, with a fixed seed. promtool writes their
samples into blocks, so a Prometheus has hours of them at once. `Oracle` reads docs/metrics.md, not our PromQL.
"""

import random
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject
from canary.metrics.prometheus import Prometheus as Adapter
from tests.parts.prometheus import Prometheus, find

SCRAPE, LOOKBACK = 15.0, 3600.0
LONG = 3.5 * 3600.0
"""Seconds of a history."""
EDGE = 500.0
EVALUATIONS = (
    1800.0,
    1920.5,
    2000.0,
    2300.25,
    2360.0,
    2420.0,
    2480.0,
    2540.0,
    2900.0,
    2960.0,
    3500.0,
    3560.0,
    5000.0,
)
"""When workloads with late samples are evaluated."""
OLDEST = 900.0
"""No last sample before a window is older: some arrive late, and some scrapes fail."""
STALLS = ((1920.5, 2010.0), (2360.0, 2600.0))
"""When no sample arrived of one of them, each from an evaluation to after a later one."""
Points = list[tuple[float, int]]


@dataclass
class Target:
    """A pod's place: what was scraped there, and what really happened."""

    workload: str
    name: str
    up: Points = field(default_factory=list)
    series: dict[str, Points] = field(default_factory=dict)
    """Samples by response code, and by `le`."""
    happened: list[tuple[float, bool]] = field(default_factory=list)
    """(when, whether it failed), of each request."""
    restarted: bool = False


@dataclass
class World:
    """Many workloads; each has its own troubles."""

    seed: int
    targets: list[Target] = field(default_factory=list)
    late: list[Target] = field(default_factory=list)
    """Whose samples reach Prometheus late, as by remote write: what really happened."""
    arrived: list[Target] = field(default_factory=list)
    """What had arrived of them at each evaluation, as a workload of its own."""
    away: tuple[float, float] = (5400.0, 10_000.0)
    """When Prometheus itself was away: longer than the look-back."""

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.targets.append(self._pod(chance, "steady", 0, {}))
        for number in range(20):
            troubles = {
                name: chance.random() < 0.5
                for name in ("fails", "restarts", "late", "early", "vain", "rare", "loops")
            }
            for pod in range(chance.choice((1, 1, 2, 3))):
                self.targets.append(self._pod(chance, f"web-{number}", pod, troubles))
        self.late.append(self._pod(chance, "stalled", 0, {}))
        for number, what in enumerate(((), ("fails",), ("restarts", "late"), ("loops", "fails"))):
            wrong = dict.fromkeys(what, True)
            self.late += [self._pod(chance, f"late-{number}", pod, wrong) for pod in range(1 + number % 2)]
        for one in self.late:
            self.arrived += self._arrived(one, self._arrivals(chance, one))

    def _arrivals(self, chance: random.Random, one: Target) -> dict[float, float]:
        """When each scrape reaches Prometheus: at once or minutes later, and those of a stall all at its end."""
        if one.workload == "stalled":
            return {at: max([at, *(end for begin, end in STALLS if begin < at <= end)]) for at, _ in one.up}
        return {at: at + (chance.uniform(0, 400) if chance.random() < 0.3 else 0.0) for at, _ in one.up}

    def _arrived(self, one: Target, arrivals: dict[float, float]) -> Iterator[Target]:
        for number, end in enumerate(EVALUATIONS):

            def there(points: Points, end: float = end) -> Points:
                return [(at, value) for at, value in points if arrivals[at] <= end and at > end - 2 * LOOKBACK]

            series = {name: there(points) for name, points in one.series.items()}
            yield Target(f"{one.workload}-{number}", f"{one.name}-{number}", there(one.up), series)

    def _pod(self, chance: random.Random, workload: str, number: int, troubles: dict[str, bool]) -> Target:
        pod = Target(workload, f"{workload}-{number}")
        begins = chance.uniform(0, LONG / 2) if troubles.get("late") else 0.0
        ends = chance.uniform(begins, LONG) if troubles.get("early") else LONG
        vain = begins + (LOOKBACK + 1200 if troubles.get("vain") and number == 0 else 0)
        rate = 0.02 if troubles.get("rare") else chance.choice((0.2, 2.0))
        counters, at, failing = self._fresh(chance, old=begins == 0), begins + chance.uniform(0, SCRAPE), 0.0
        while at < ends:
            if (troubles.get("loops") and chance.random() < 0.4) or (
                troubles.get("restarts") and chance.random() < 0.01
            ):
                pod.restarted, counters = True, self._fresh(chance, old=False)
            self._serve(chance, pod, counters, at, rate)
            if troubles.get("fails") and chance.random() < 0.02:
                failing = at + chance.choice((10.0, 40.0, 400.0))
            if not self.away[0] < at < self.away[1]:
                healthy = at >= max(failing, vain)
                pod.up.append((at, int(healthy)))
                for name, value in counters.items() if healthy else ():
                    pod.series.setdefault(name, []).append((at, value))
            at += SCRAPE
        return pod

    def _fresh(self, chance: random.Random, *, old: bool) -> dict[str, int]:
        """Counters of a process that has just begun, or began long ago."""
        return {"200": 100_000, "le=500": 99_000, "le=+Inf": 100_000} if old and chance.random() < 0.8 else {}

    def _serve(self, chance: random.Random, pod: Target, counters: dict[str, int], at: float, rate: float) -> None:
        for _ in range(int(chance.expovariate(1 / (rate * SCRAPE + 1e-9)))):
            failed, slow = chance.random() < 0.1, chance.random() < 0.2
            pod.happened.append((at, failed))
            names = ["503" if failed else "200", "le=+Inf", *([] if slow else ["le=500"])]
            for name in names:
                counters[name] = counters.get(name, 0) + 1
            counters.setdefault("le=500", 0)

    def happened(self, workload: str, end: float, *, scraped: bool = False) -> tuple[int, int]:
        """(all, failed) requests of a workload so far; or those that the last scrape had seen."""
        own = [one for one in self.targets + self.late if one.workload == workload]
        ends = {one.name: max((at for at, up in one.up if up and at <= end), default=0) for one in own}
        bad = [failed for one in own for at, failed in one.happened if at <= (ends[one.name] if scraped else end)]
        return len(bad), sum(bad)

    def openmetrics(self, begin: float) -> str:
        """All samples, by metric; those that arrive late arrive twice."""
        lines = ["# TYPE up gauge"]
        times = {one.name: 2 for one in self.arrived}
        every = self.targets + self.arrived
        for one in every:
            up = (f'up{{job="mesh",instance="{one.name}"}} {value} {begin + at:.3f}' for at, value in one.up)
            lines += [line for line in up for _ in range(times.get(one.name, 1))]
        for metric, bucket in (("istio_requests_total", False), ("istio_request_duration_milliseconds_bucket", True)):
            lines.append(
                f"# TYPE {metric.removesuffix('_total').removesuffix('_bucket')} "
                f"{'histogram' if bucket else 'counter'}"
            )
            for one in every:
                whose = (
                    f'job="mesh",instance="{one.name}",reporter="destination",destination_workload="{one.workload}",'
                    f'destination_workload_namespace="shop"'
                )
                for name, points in one.series.items():
                    if name.startswith("le=") == bucket:
                        own = f'le="{name[3:]}"' if bucket else f'response_code="{name}"'
                        own_lines = (f"{metric}{{{whose},{own}}} {value} {begin + at:.3f}" for at, value in points)
                        lines += [line for line in own_lines for _ in range(times.get(one.name, 1))]
        return "\n".join([*lines, "# EOF\n"])


@dataclass
class Oracle:
    """What docs/metrics.md says that a window holds, from the samples of one world."""

    world: World

    def counts(self, workload: str, start: float, end: float) -> Counts | Missing:
        """Missing where no series has a sample in the window; and where a histogram has as many observations after a
        restart as before, but others: no one can see that it is another one, and a bucket shrinks.
        """
        sums: dict[str, int] = {}
        for target in self.world.targets + self.world.arrived:
            if target.workload == workload:
                whole = target.series.get("le=+Inf", [])
                for name, points in target.series.items():
                    own = self._grown(target, points, whole if name.startswith("le=") else points, start, end)
                    if own is not None:
                        sums[name] = sums.get(name, 0) + own
        codes = [sums[name] for name in ("200", "503") if name in sums]
        if not codes or "le=+Inf" not in sums:
            return Missing(Cause.EMPTY)
        if min(sums.values()) < 0:
            return Missing(Cause.RUBBISH)
        timed = max(sums["le=+Inf"], sums.get("le=500", 0))
        return Counts(sum(codes), sums.get("503", 0), ((EDGE, timed - sums.get("le=500", 0)),), timed=timed)

    def _grown(self, target: Target, points: Points, whole: Points, start: float, end: float) -> int | None:
        inside = [value for at, value in points if start < at <= end]
        if not inside:
            return None
        before = [value for at, value in points if start - LOOKBACK < at <= start]
        reset = [value for at, value in whole if start - LOOKBACK < at <= start][-1:]
        reset += [value for at, value in whole if start < at <= end]
        if before and any(later < earlier for earlier, later in pairwise(reset)):
            return inside[-1]
        if before:
            return inside[-1] - before[-1]
        return inside[-1] if self._known(target, whole, start, end) else inside[-1] - min(inside)

    def _known(self, target: Target, whole: Points, start: float, end: float) -> bool:
        """Whether a new series is known to have begun from 0."""
        everything = self.world.targets + self.world.arrived
        hours = {one.name: [up for at, up in one.up if start - LOOKBACK < at <= start] for one in everything}
        own, watched = hours[target.name], max(len(one) for one in hours.values())
        began = watched >= 3 and not (own and not any(own) and len(own) >= watched - 1)
        scrapes = sum(value for at, value in target.up if start < at <= end)
        return began or sum(start < at <= end for at, _ in whole) < scrapes


@dataclass
class Reported:
    """A Prometheus that has a world's samples."""

    world: World
    begin: float
    adapter: Adapter

    def counts(self, start: float, end: float, names: Iterable[str] = ()) -> dict[str, Sample]:
        """By workload, over one window."""
        at = self.moment(end)
        window = at - self.moment(start)
        names = names or sorted({one.workload for one in self.world.targets})
        asked = {one: Query("requests", window, Subject(one, "shop"), Shape.COUNTS, edges=(EDGE,)) for one in names}
        answers = self.adapter.measure(asked.values(), at)
        return {name: answers[query] for name, query in asked.items()}

    def moment(self, at: float) -> datetime:
        return datetime.fromtimestamp(self.begin, UTC) + timedelta(seconds=at)


@pytest.fixture(scope="module", params=[2])
def reported(
    request: pytest.FixtureRequest, prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reported]:
    """One world in a Prometheus; its time is some hours ago."""
    folder = tmp_path_factory.mktemp("tiling")
    world, begin = World(request.param), float(int(datetime.now(UTC).timestamp() - 2 * LONG))
    (folder / "samples").write_text(world.openmetrics(begin))
    promtool = find("promtool")
    assert promtool is not None
    made: list[str | Path] = [
        promtool,
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        folder / "samples",
        folder / "own" / "data",
    ]
    prometheus = Prometheus(prometheus_binary, folder / "own")
    subprocess.run(made, check=True, capture_output=True)
    prometheus.start()
    adapter = Adapter(prometheus.url, timeout=60)
    try:
        yield Reported(world, begin, adapter)
    finally:
        adapter.close()
        prometheus.kill()


def looks(seed: int) -> list[float]:
    """The ends of windows that tile: mostly a minute, now and then a controller that was away for longer."""
    chance, ends = random.Random(seed), [LOOKBACK / 2]
    while ends[-1] < LONG:
        ends.append(round(ends[-1] + chance.choice((60.0, 300.0, 300.0, 1500.0)) + chance.random(), 3))
    return sorted([*ends, World.away[1] + SCRAPE / 2, World.away[1] + 20 * SCRAPE])


def after_gaps(world: World) -> list[tuple[float, float]]:
    """The minutes in which pods are scraped again that couldn't be for longer than two."""
    ups = ([at for at, up in one.up if up] for one in world.targets)
    gaps = [(after - 50, after + 10) for own in ups for before, after in pairwise(own) if 120 < after - before < 600]
    return gaps[:4]


def test_each_window_is_what_its_samples_say(reported: Reported) -> None:
    """Pods, scrapes, Prometheus and the client may all fail or restart."""
    oracle, seen, gaps = Oracle(reported.world), set[Cause | None](), after_gaps(reported.world)
    assert gaps
    for start, end in [*pairwise(looks(1)), *gaps]:
        for name, answer in reported.counts(start, end).items():
            expected = oracle.counts(name, start, end)
            reported_ = replace(answer, detail="") if isinstance(answer, Missing) else answer
            assert reported_ == expected, (name, start, end)
            seen.add(answer.cause if isinstance(answer, Missing) else None)
    assert seen >= {Cause.EMPTY, None}


def test_windows_that_tile_invent_nothing(reported: Reported) -> None:
    """No more was counted at any time than had happened by then; and all of it of a pod without troubles.

    After a Missing the next window begins where that one did.
    """
    ends = looks(2)
    begun = {target.workload: ends[0] for target in reported.world.targets}
    sums = {name: Counts(0, 0) for name in begun}
    for end in ends[1:]:
        for start in sorted(set(begun.values())):
            names = [name for name, its in begun.items() if its == start]
            for name, answer in reported.counts(start, end, names).items():
                if isinstance(answer, Counts):
                    assert 0 <= answer.bad <= answer.total
                    assert 0 <= answer.slower[0][1] <= answer.timed
                    sums[name], begun[name] = plus(sums[name], answer), end
        for name, counted in sums.items():
            total, bad = reported.world.happened(name, end)
            assert (counted.total <= total, counted.bad <= bad) == (True, True), (name, end)
    seen = [reported.world.happened("steady", end, scraped=True) for end in (ends[0], ends[-1])]
    assert (sums["steady"].total, sums["steady"].bad) == (seen[1][0] - seen[0][0], seen[1][1] - seen[0][1])


def test_late_and_duplicate_samples_invent_nothing(reported: Reported) -> None:
    """Of each window its samples count that had arrived by its evaluation. Those that arrive after it are lost, and
    none is counted twice; but of a window in which none had arrived, all are in the next one."""
    oracle, names = Oracle(reported.world), sorted({one.workload for one in reported.world.late})
    begun, sums, missing = dict.fromkeys(names, EVALUATIONS[0]), {name: Counts(0, 0) for name in names}, 0
    for number, end in list(enumerate(EVALUATIONS))[1:]:
        for start in sorted(set(begun.values())):
            asked = {f"{name}-{number}": name for name, its in begun.items() if its == start}
            for own, answer in reported.counts(start, end, asked).items():
                reported_ = replace(answer, detail="") if isinstance(answer, Missing) else answer
                assert reported_ == oracle.counts(own, start, end), (own, start, end)
                missing += isinstance(answer, Missing)
                if isinstance(answer, Counts):
                    assert 0 <= answer.bad <= answer.total
                    assert 0 <= answer.slower[0][1] <= answer.timed
                    sums[asked[own]], begun[asked[own]] = plus(sums[asked[own]], answer), end
        for name, counted in sums.items():
            before, by_now = (
                reported.world.happened(name, EVALUATIONS[0] - OLDEST),
                reported.world.happened(name, end),
            )
            total, bad = (now - then for now, then in zip(by_now, before, strict=True))
            assert (counted.total <= total, counted.bad <= bad) == (True, True), (name, end)
    whole = {
        name: [reported.world.happened(name, at, scraped=True)[0] for at in (EVALUATIONS[0], EVALUATIONS[-1])]
        for name in names
    }
    assert sums["stalled"].total == whole["stalled"][1] - whole["stalled"][0]
    assert missing >= 2
    assert any(sums[name].total < whole[name][1] - whole[name][0] for name in names)


def plus(one: Counts, other: Counts) -> Counts:
    """Both together, without durations."""
    return Counts(one.total + other.total, one.bad + other.bad)
