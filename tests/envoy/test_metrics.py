"""Evidence from a real Envoy: counts that are exact against what the client and the backends counted themselves."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.envoy.admin import Admin
from canary.envoy.stats import BEYOND
from canary.metrics.envoy import EnvoyCounters
from tests.envoy.world import GRPC_FILTER, ROUTER_FILTER, World, response, route, weighted
from tests.parts.processes import wait_for

Start = Callable[..., World]
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Looks:
    """Takes looks a minute apart on a clock of its own: each counts what came since the one before."""

    def __init__(self, admin: Admin) -> None:
        self.now = NOON
        self.counters = EnvoyCounters(admin, now=lambda: self.now)
        self.look("v1")

    def look(self, cluster: str, *edges: float) -> Sample:
        """Counts of the last minute."""
        return self.ask(Query("requests", MINUTE, Subject(cluster), Shape.COUNTS, edges=edges))

    def ask(self, query: Query) -> Sample:
        self.now += MINUTE
        return self.again(query)

    def again(self, query: Query) -> Sample:
        """Asks for the same time once more."""
        return self.counters.measure([query], self.now)[query]

    def value(self, metric: str, cluster: str = "v2") -> float:
        """A builtin's value of the minute that was looked at last."""
        sample = self.again(Query(metric, MINUTE, Subject(cluster)))
        assert isinstance(sample, Value), sample
        return sample.value


def flushed(world: World, cluster: str, count: int) -> None:
    """Returns once Envoy's histograms have `count` times of clients in them, which lags behind the counters."""
    name = f"cluster.{cluster}.external.upstream_rq_time"

    def times() -> int:
        blocks = world.admin.stats(name, histogram_buckets="detailed")["stats"]
        details = [one for block in blocks for one in block.get("histograms", {}).get("details", [])]
        return sum(entry["count"] for one in details if one["name"] == name for entry in one["totals"])

    wait_for(lambda: times() == count, f"{count} times of {cluster}")


@pytest.fixture
def shop(start: Start) -> World:
    """A route to each kind of trouble."""
    retry: dict[str, Any] = {"retry_policy": {"retry_on": "5xx,reset,connect-failure", "num_retries": 2}}
    return start(
        route("/dead", cluster="dead"),
        route("/empty", cluster="empty"),
        route("/retried", cluster="v2", **retry),
        route("/mirrored", cluster="v1", request_mirror_policies=[{"cluster": "v2"}]),
        route("/half", **weighted(v1=1, v2=1), request_mirror_policies=[{"cluster": "v2"}]),
        route("/v1", cluster="v1"),
        route("/", cluster="v2", timeout="0.2s"),
    )


@pytest.fixture
def looks(shop: World) -> Iterator[Looks]:
    """Begun before any request."""
    found = Looks(shop.admin)
    yield found
    found.counters.close()


def trouble(name: str, value: Any) -> Callable[[World], None]:
    """Puts a backend into a state."""
    return lambda world: setattr(world.backends["v2"], name, value)


NO_TROUBLE = trouble("delay", 0.0)
FAULTS = {
    "good answers": (NO_TROUBLE, "/", "v2", 50, 0),
    "a tenth of 500s": (trouble("error_share", 0.1), "/", "v2", 50, 5),
    "time-outs": (trouble("hangs", True), "/", "v2", 5, 5),
    "resets": (trouble("resets", True), "/", "v2", 20, 20),
    "an endpoint that is down": (lambda world: world.backends["v2"].stop(), "/", "v2", 20, 20),
    "an endpoint that never was": (NO_TROUBLE, "/dead", "dead", 20, 20),
    "no endpoint": (NO_TROUBLE, "/empty", "empty", 20, 20),
    "failures after retries count once": (trouble("error_share", 1.0), "/retried", "v2", 20, 20),
    "what a retry saved is good": (trouble("error_share", 0.5), "/retried", "v2", 20, 0),
    "resets after retries": (trouble("resets", True), "/retried", "v2", 20, 20),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_counts_are_the_clients(shop: World, looks: Looks, fault: str) -> None:
    """Each request once, as the client saw it end."""
    happens, path, cluster, count, bad = FAULTS[fault]
    happens(shop)
    answers = shop.get(count, path)
    assert sum(found for (status, _), found in answers.items() if status >= 500) == bad
    assert looks.look(cluster) == Counts(count, bad)
    assert looks.value("requests", cluster) == count
    assert looks.value("request-success-rate", cluster) == pytest.approx(100 * (count - bad) / count)


def test_copies_are_not_counted_beside_clients(shop: World, looks: Looks) -> None:
    """They fail for no one: the canary is judged by those whom it answered."""
    answers = shop.get(60, "/half")
    wait_for(lambda: shop.backends["v2"].met == 60 + answers[200, "v2"], "the copies to arrive")
    assert looks.look("v2") == Counts(answers[200, "v2"], 0)
    assert looks.look("v1") == Counts(0, 0)


def test_copies_judge_a_canary_that_has_nothing_else(shop: World, looks: Looks) -> None:
    """Otherwise a step that only mirrors would never have evidence."""
    shop.backends["v2"].error_share = 0.5
    shop.get(40, "/mirrored")
    counted = "cluster.v2.internal.upstream_rq_completed"
    wait_for(lambda: shop.admin.stats(counted)["stats"][0].get("value") == 40, "the copies to be answered")
    assert looks.look("v2") == Counts(40, 20)
    assert looks.look("v1") == Counts(0, 0)


def test_windows_tile(shop: World, looks: Looks) -> None:
    """Look after look, no request is lost or counted twice; asked again, the answer is the same."""
    for count in (3, 0, 5):
        shop.get(count)
        expected = Counts(count, 0)
        assert looks.look("v2") == expected
        shop.get(2)  # after the evaluation: they are the next one's
        assert looks.again(Query("requests", MINUTE, Subject("v2"), Shape.COUNTS)) == expected
        assert looks.look("v2") == Counts(2, 0)
    whole = Query("requests", 6 * MINUTE, Subject("v2"), Shape.COUNTS)
    assert looks.again(whole) == Counts(14, 0)


def test_an_envoy_that_starts_again_counts_on(shop: World, looks: Looks) -> None:
    """What it was seen to reach, and all of its new life; while it is down, nothing is known."""
    shop.get(10)
    assert looks.look("v2") == Counts(10, 0)
    shop.envoy.kill()
    down = looks.look("v2")
    assert isinstance(down, Missing)
    assert down.cause is Cause.REFUSED
    shop.envoy.start()
    shop.get(30)
    assert looks.ask(Query("requests", 3 * MINUTE, Subject("v2"), Shape.COUNTS)) == Counts(40, 0)
    shop.envoy.kill()
    shop.envoy.start()
    shop.get(4)
    assert looks.look("v2") == Counts(4, 0)


class Restarting(Admin):
    """Answers as an Envoy that starts again at each call."""

    lives = 0

    def dump(self, **query: str) -> list[dict[str, Any]]:
        self.lives += 1
        return [{"last_updated": self.lives}]

    def stats(self, pattern: str, **query: str) -> Any:
        return {"stats": [{"name": "cluster.v2.membership_total", "value": 1}]}


def test_counters_that_are_read_over_a_restart_are_thrown_away() -> None:
    """They may be of either life, and would be counted twice."""
    counters = EnvoyCounters(Restarting("http://127.0.0.1:1"), now=lambda: NOON)
    query = Query("requests", MINUTE, Subject("v2"))
    assert counters.measure([query], NOON)[query] == Missing(
        Cause.UNAVAILABLE, "Envoy restarted while its counters were read"
    )


def test_p99_is_the_delay(shop: World, looks: Looks) -> None:
    """Within the two digits that Envoy keeps; the slow two in a hundred are what a p99 is about."""
    backend = shop.backends["v2"]
    shop.get(98, "/retried")  # without the short time-out
    backend.delay = 0.5
    start = time.monotonic()
    shop.get(2, "/retried")
    slowest = 1000 * (time.monotonic() - start - backend.delay)  # if the other one took no longer than it had to
    flushed(shop, "v2", 100)
    assert looks.look("v2", 400, 5000) == Counts(100, 0, ((400, 2), (5000, 0)), timed=100)
    assert 500 <= looks.value("request-duration") <= slowest + 10  # a bin is 10 ms wide there
    backend.delay = 0.06
    shop.get(20, "/retried")
    flushed(shop, "v2", 120)
    assert looks.look("v2", 20, 60, 5000) == Counts(20, 0, ((20, 20), (60, 20), (5000, 0)), timed=20)


def test_a_hanging_canary_is_slow(shop: World, looks: Looks) -> None:
    """Envoy has no time for a request that ran into its time-out: it is slower than everything."""
    shop.get(20)
    shop.backends["v2"].hangs = True
    shop.get(2)
    flushed(shop, "v2", 20)
    assert looks.look("v2", 100) == Counts(22, 2, ((100, 2),), timed=22)
    assert looks.value("request-duration") == BEYOND


@pytest.mark.parametrize(
    ("status", "bad"), [pytest.param(13, 10, id="INTERNAL fails"), pytest.param(5, 0, id="NOT_FOUND doesn't")]
)
def test_grpc_fails_by_its_status(start: Start, status: int, bad: int) -> None:
    """With the filter grpc_stats, which counts what HTTP calls a 200."""
    world = start(route(cluster="v2"), http={"http_filters": [GRPC_FILTER, ROUTER_FILTER]})
    looks = Looks(world.admin)
    world.backends["v2"].grpc_status = status
    world.get(10, "/shop.Cart/Get", content_type="application/grpc")
    assert looks.look("v2") == Counts(10, bad)


def test_grpc_calls_without_an_answer_count_once(start: Start) -> None:
    """They fail in Envoy's HTTP counters and in those of grpc_stats."""
    world = start(route(cluster="dead"), http={"http_filters": [GRPC_FILTER, ROUTER_FILTER]})
    looks = Looks(world.admin)
    world.get(10, "/shop.Cart/Get", content_type="application/grpc")
    assert looks.look("dead") == Counts(10, 10)


def test_counts_under_a_load_while_routes_change(shop: World, looks: Looks) -> None:
    """Exact at any moment at which the load pauses: 20 changes of the route under four clients."""
    answers: list[int] = []
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            answers.append(sum(shop.get(20).values()))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    for number in range(20):
        shop.put(response([route(cluster="v2", timeout=f"{5 + number}s")]))
        wait_for(lambda number=number: f"{5 + number}s" in shop.admin.text("/config_dump"), "the route")  # type: ignore[misc]
    over.set()
    for one in clients:
        one.join()
    assert looks.look("v2") == Counts(sum(answers), 0)


def test_counts_of_two_versions_are_of_one_snapshot(shop: World, looks: Looks) -> None:
    """What is asked together, and for the same window, was read by one request to Envoy."""
    shop.get(5, "/v1")
    shop.get(5)
    looks.now += MINUTE
    both = [Query("requests", MINUTE, Subject(name), Shape.COUNTS) for name in ("v1", "v2")]
    stable, canary = looks.counters.measure(both, looks.now).values()
    assert (stable, canary) == (Counts(5, 0), Counts(5, 0))
    assert isinstance(stable, Counts)
    assert isinstance(canary, Counts)
    assert stable.snapshots == canary.snapshots == (looks.now - MINUTE, looks.now)


UNKNOWN = {
    "a cluster that isn't there": (Query("requests", MINUTE, Subject("v9")), Cause.ABSENT),
    "no request": (Query("request-duration", MINUTE, Subject("v2")), Cause.EMPTY),
    "a window before the first snapshot": (Query("requests", 60 * MINUTE, Subject("v2")), Cause.NOT_YET),
    "a metric that Envoy doesn't count": (Query("cpu", MINUTE, Subject("v2")), Cause.INVALID),
    "PromQL": (Query("requests", MINUTE, Subject("v2"), text="sum(x)"), Cause.INVALID),
}


@pytest.mark.parametrize(("query", "kind"), [pytest.param(*case, id=name) for name, case in UNKNOWN.items()])
def test_what_is_not_known_is_missing(shop: World, looks: Looks, query: Query, kind: Cause) -> None:
    """Never a zero."""
    missing = looks.ask(query)
    assert isinstance(missing, Missing)
    assert missing.cause is kind


def test_the_thread_takes_snapshots_by_itself(shop: World) -> None:
    """A window may begin at a time at which no one looked; closing ends the thread."""
    query = Query("requests", timedelta(milliseconds=300), Subject("v2"), Shape.COUNTS)
    looked: list[datetime] = []

    def covered() -> bool:
        looked.append(datetime.now(UTC))
        return counters.measure([query], looked[-1])[query] == Counts(0, 0)

    with EnvoyCounters(shop.admin, timedelta(milliseconds=20)) as counters:
        wait_for(covered, "a covered window")
        shop.get(5)
        # Longer than the first one: on a busy machine requests, and the snapshot before them, take their time.
        ended = datetime.now(UTC)
        query = Query("requests", ended - looked[-1] + query.window, Subject("v2"), Shape.COUNTS)
        assert counters.measure([query], ended)[query] == Counts(5, 0)
    assert "envoy-counters" not in {thread.name for thread in threading.enumerate()}
