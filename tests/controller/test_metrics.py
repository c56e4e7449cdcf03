"""What Prometheus scrapes: real turns of the engine counted, three series a Canary, names that promtool accepts."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, Status
from canary.controller.metrics import PHASES, ControllerMetrics, Watched
from canary.kube.client import Client
from canary.kube.reflector import Reflector
from canary.kube.resources import DEPLOYMENTS, SERVICES, Resource
from canary.rollout.reconcile import Turn
from tests.show.turns import BAD, Play

PER_CANARY = {"canary_phase", "canary_weight_percent", "canary_step"}


def samples(metrics: ControllerMetrics) -> dict[tuple[str, ...], float]:
    """Values by name and the values of labels, in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def of(metrics: ControllerMetrics, namespace: str, name: str) -> dict[str, float]:
    """What is said of one Canary."""
    return {key[0]: value for key, value in samples(metrics).items() if key[1:] == (name, namespace)}


def reconciled(
    metrics: ControllerMetrics, *turns: Turn, name: str = "reviews", seconds: float = 0.01, late: float = 0.0
) -> None:
    for turn in turns:
        metrics.reconciled(("shop", name), turn, seconds, late)


def test_a_canary_has_three_series_with_phase_weight_and_step() -> None:
    """As they are after the last reconcile."""
    metrics, play = ControllerMetrics(), Play()
    reconciled(metrics, *play.turns(0, 5, 5))
    assert play.status.rollout is not None
    assert of(metrics, "shop", "reviews") == {"canary_phase": 3, "canary_weight_percent": 10, "canary_step": 1}
    assert samples(metrics)["canary_canaries", "Progressing", play.status.reason] == 1


def test_each_phase_has_the_number_that_alerts_know() -> None:
    """A new phase must come last, or dashboards lie."""
    numbers = {phase.value: number for phase, number in PHASES.items()}
    assert numbers == {
        "Initializing": 0,
        "Initialized": 1,
        "Waiting": 2,
        "Progressing": 3,
        "WaitingPromotion": 4,
        "Promoting": 5,
        "Finalising": 6,
        "Succeeded": 7,
        "Failed": 8,
        "Terminating": 9,
    }


def test_canaries_are_counted_by_phase_and_reason() -> None:
    """An alert on a reason needs no series of each Canary."""
    metrics = ControllerMetrics()
    for name in ("a", "b"):
        metrics.stands(("shop", name), Status(phase=Phase.FAILED, reason=Reason.ALREADY_FAILED))
    metrics.stands(("shop", "c"), Status(phase=Phase.INITIALIZED, reason=Reason.INVALID_SPEC))
    found = samples(metrics)
    assert found["canary_canaries", "Failed", "AlreadyFailed"] == 2
    assert found["canary_canaries", "Initialized", "InvalidSpec"] == 1


@pytest.mark.parametrize(
    ("canary", "outcome"), [(None, Outcome.PROMOTED), (BAD, Outcome.ROLLED_BACK)], ids=["promoted", "rolled back"]
)
def test_a_whole_rollout_is_counted_and_timed(canary: dict[str, float] | None, outcome: Outcome) -> None:
    """Begun and over once, with how long it took."""
    metrics, play = ControllerMetrics(), Play()
    play.canary = canary or play.canary
    turns = play.whole()
    reconciled(metrics, *turns)
    found, last = samples(metrics), turns[-1].decision.status.history[0]
    assert last.outcome is outcome
    assert found[("canary_rollouts_started_total",)] == 1
    ended = {one: found["canary_rollouts_ended_total", one.value] for one in Outcome}
    assert {one for one, count in ended.items() if count} == {outcome}
    lasted = found["canary_rollout_duration_seconds_sum", outcome.value]
    assert lasted == (last.ended - last.started).total_seconds() > 0


def test_looks_and_checks_are_counted_by_what_they_said() -> None:
    """Three looks of two metrics, one of which fails each time; the third rolls back."""
    metrics, play = ControllerMetrics(), Play()
    play.canary = BAD
    turns = play.whole()
    reconciled(metrics, *turns)
    found = samples(metrics)
    assert sum(turn.decision.evaluated for turn in turns) == 3
    looks = {verdict: found["canary_evaluations_total", verdict] for verdict in ("pass", "hold", "rollback")}
    assert looks == {"pass": 0, "hold": 2, "rollback": 1}
    checks = {result: found["canary_checks_total", result] for result in ("passed", "failed", "missing")}
    assert checks == {"passed": 3, "failed": 3, "missing": 0}


def test_reconciles_are_counted_by_result_and_timed() -> None:
    """One that raised has neither a length nor a lateness."""
    metrics, play = ControllerMetrics(), Play()
    reconciled(metrics, play.turn(), seconds=0.2, late=1.5)
    reconciled(metrics, play.turn(5, trouble=["the store is away"]), seconds=0.02, late=-0.1)
    metrics.crashed(("shop", "reviews"), ValueError())
    found = samples(metrics)
    assert [found["canary_controller_reconcile_total", one] for one in ("ok", "trouble", "error")] == [1, 1, 1]
    assert found[("canary_controller_reconcile_duration_seconds_sum",)] == pytest.approx(0.22)
    assert found[("canary_controller_reconcile_lateness_seconds_sum",)] == 1.5
    assert found["canary_controller_reconcile_lateness_seconds_bucket", "1.0"] == 1


def test_a_deleted_canary_leaves_no_series() -> None:
    """Twice does no harm; others stay."""
    metrics, play = ControllerMetrics(), Play()
    reconciled(metrics, play.turn())
    reconciled(metrics, play.turn(5), name="ratings")
    metrics.forgot(("shop", "reviews"))
    metrics.forgot(("shop", "reviews"))
    assert of(metrics, "shop", "reviews") == {}
    assert set(of(metrics, "shop", "ratings")) == PER_CANARY


def test_only_the_leader_tells_of_canaries() -> None:
    """Else each would be there twice, once as it was an hour ago."""
    metrics = ControllerMetrics()
    metrics.leading(True)
    reconciled(metrics, Play().turn())
    assert samples(metrics)[("canary_leader",)] == 1
    metrics.leading(False)
    assert samples(metrics)[("canary_leader",)] == 0
    assert of(metrics, "shop", "reviews") == {}


def test_requests_are_added_up() -> None:
    """As the client counts them, attempts by verb and kind."""
    metrics = ControllerMetrics()
    metrics.requests({"get Deployment": 2, "patch VirtualService": 1})
    metrics.requests({"get Deployment": 3})
    metrics.queries({"ok": 4, "timed out": 1})
    found = samples(metrics)
    assert found["canary_api_requests_total", "Deployment", "get"] == 5
    assert found["canary_api_requests_total", "VirtualService", "patch"] == 1
    assert (found["canary_queries_total", "ok"], found["canary_queries_total", "timed out"]) == (4, 1)


@dataclass
class Following:
    """Something that follows a kind."""

    resource: Resource
    lists: int = 1
    watches: int = 1
    trouble: str | None = None
    last_seen: float = -math.inf
    synced: bool = True


def test_watches_are_asked_when_they_are_scraped() -> None:
    """Several of one kind count together, and the worst of them is reported."""
    metrics = ControllerMetrics(clock=lambda: 100.0)
    deployments = Following(DEPLOYMENTS, 2, 7, last_seen=98.5)
    other = Following(DEPLOYMENTS, 1, 1, "deployments can't be listed: away", 40.0)
    metrics.watches(lambda: [deployments, other, Following(SERVICES, 1, 0, synced=False)])
    found = samples(metrics)
    assert found["canary_watch_lists_total", "Deployment"] == 3
    assert found["canary_watches_total", "Deployment"] == 8
    assert found["canary_watch_trouble", "Deployment"] == 1
    assert found["canary_watch_silence_seconds", "Deployment"] == 60
    assert [found["canary_watch_synced", kind] for kind in ("Deployment", "Service")] == [1, 0]
    assert ("canary_watch_silence_seconds", "Service") not in found
    other.trouble = None
    assert samples(metrics)["canary_watch_trouble", "Deployment"] == 0


def test_a_reflector_can_be_asked() -> None:
    """The real one, which has followed nothing yet."""

    def nowhere() -> Iterator[Watched]:
        yield Reflector[str](Client(None), DEPLOYMENTS, str, print)  # type: ignore[arg-type] # it sends nothing

    metrics = ControllerMetrics()
    metrics.watches(nowhere)
    assert samples(metrics)["canary_watch_synced", "Deployment"] == 0


def test_promtool_finds_nothing_to_say_about_names(promtool: Path) -> None:
    """Units, suffixes, help and types, of everything at once."""
    metrics, play = ControllerMetrics(), Play()
    reconciled(metrics, *play.whole())
    metrics.requests({"get Deployment": 1})
    metrics.queries({"ok": 1})
    metrics.watches(lambda: [Following(DEPLOYMENTS, last_seen=0.0)])
    done = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_ten_thousand_canaries_are_thirty_thousand_series() -> None:
    """And nothing else grows with them."""
    metrics, turns = ControllerMetrics(), Play().whole()
    reconciled(metrics, *turns)
    few = len(samples(metrics))
    for number in range(10_000):
        metrics.reconciled((f"team-{number % 200}", f"service-{number}"), turns[number % len(turns)], 0.01, 0.0)
    phases = {(turn.decision.status.phase, turn.decision.status.reason) for turn in turns}
    assert len(samples(metrics)) <= few + 30_000 + len(phases)
    assert len(metrics.exposition()) < 2.5e6


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hectic")
def test_a_scrape_bears_canaries_that_come_and_go() -> None:
    """Reconciles don't wait for it."""
    metrics, turn, over = ControllerMetrics(), Play().turn(), threading.Event()

    def come_and_go() -> None:
        number = 0
        while not over.is_set():
            metrics.reconciled(("shop", str(number % 200)), turn, 0.01, 0.0)
            metrics.forgot(("shop", str((number + 100) % 200)))
            number += 1

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        assert all(b"canary_phase" in metrics.exposition() for _ in range(50))
    finally:
        over.set()
        thread.join()
