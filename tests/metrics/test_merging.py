"""What can be asked together is: the number of requests doesn't grow with the number of canaries."""

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from canary.engine.observed import Counts, Query, Sample, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.sources import Sources
from tests.metrics.conftest import Watched
from tests.metrics.server import Reply, serve, vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def all_of(subject: Subject, window: timedelta = MINUTE) -> list[Query]:
    """Every builtin of one subject."""
    return [
        Query("request-success-rate", window, subject),
        Query("request-duration", window, subject),
        Query("requests", window, subject, Shape.COUNTS, edges=(500.0,)),
    ]


def requests_for(queries: Sequence[Query]) -> int:
    """How many HTTP requests they take."""
    with serve((200, vector())) as server:
        source = Adapter(server.url)
        source.measure(queries, AT)
        source.close()
        return len(server.asked)


@pytest.mark.parametrize("count", [1, 2, 200])
def test_one_request_whatever_the_number_of_workloads(count: int) -> None:
    """All builtins of one window, canary and stable together, are one request."""
    subjects = [Subject(f"web-{number}", f"team-{number % 7}") for number in range(count)]
    assert requests_for([query for subject in subjects for query in all_of(subject)]) == 1


def test_what_is_asked_apart() -> None:
    """Each window, and each query of the user's that isn't equal to another when its words are filled in."""
    web, cart = Subject("web", "shop"), Subject("cart", "shop")
    same = [Query(name, MINUTE, web, text="up{job='{{ target }}'}") for name in ("a", "b")]
    other = Query("a", MINUTE, cart, text="up{job='{{ target }}'}")
    assert requests_for([*all_of(web), *all_of(cart, 2 * MINUTE), *same, other]) == 4


def test_each_workload_gets_its_own_rows(watched: Watched) -> None:
    """The regular expressions select namespaces × workloads; what nobody asked for is nobody's."""
    start = watched.seen()
    for number in range(3):
        watched.pods.start(f"merged-{number}.v1").serve(number + 1, "503" if number == 2 else "200")
    end = watched.seen()
    asked = {number: Subject(f"merged-{number}.v1", "shop") for number in range(3)}
    queries = {number: Query("requests", end - start, subject, Shape.COUNTS) for number, subject in asked.items()}
    elsewhere = Query("requests", end - start, Subject("merged-0.v1", "elsewhere"), Shape.COUNTS)
    anywhere = Query("requests", end - start, Subject("merged-1.v1"), Shape.COUNTS)
    answers = watched.adapter.measure([*queries.values(), elsewhere, anywhere], end)
    assert [answers[queries[number]] for number in range(3)] == [Counts(1, 0), Counts(2, 0), Counts(3, 3)]
    assert not isinstance(answers[elsewhere], Counts)
    assert answers[anywhere] == Counts(2, 0)


def test_template_words_are_filled_in(watched: Watched) -> None:
    """Flagger's functions: from the query's names, its subject and its window."""
    pod = watched.pods.start("templated")
    start = watched.seen()
    pod.serve(12)
    end = watched.seen()
    text = (
        'sum(last_over_time(istio_requests_total{destination_workload_namespace="{{ namespace }}",'
        'destination_workload=~"{{ target }}",response_code="{{ variables.code }}"}[{{ interval }}]))'
    )
    window = timedelta(minutes=1, seconds=30)
    names = (("namespace", "unused"), ("variables.code", "200"))
    query = Query("mine", window, Subject("templated", "shop"), text=text, names=names)
    assert watched.one(query, end) == Value(12)
    assert start < end


def test_requests_run_side_by_side() -> None:
    """Slow queries wait for each other only in the server."""
    together = threading.Barrier(4, timeout=10)

    def reply(_: str) -> Reply:
        together.wait()
        return 200, vector(({}, "1"))

    queries = [Query("mine", MINUTE, Subject("web"), text=f"vector({number})") for number in range(4)]
    with serve(reply) as server:
        source = Adapter(server.url, timeout=20)
        answers = source.measure(queries, AT)
        source.close()
    assert list(answers.values()) == [Value(1)] * 4


def test_requests_are_bodies() -> None:
    """Proxies cap URLs at 8 KB; the time is the one that was asked for, and the server is told the deadline."""
    with serve((200, vector())) as server:
        source = Adapter(f"{server.url}/prometheus/", timeout=3)
        source.measure([Query("mine", MINUTE, Subject("web"), text="up")], AT)
        source.close()
    [asked] = server.asked
    assert asked.path == "/prometheus/api/v1/query"
    assert asked.form["query"] == "up"
    assert asked.form["time"] == f"{AT.timestamp():.3f}"
    assert asked.form["timeout"].endswith("ms")
    assert 2000 < int(asked.form["timeout"].removesuffix("ms")) < 3000


def test_two_sources_as_one() -> None:
    """Builtins come from the counters, what has PromQL or names a server from Prometheus."""

    class Echo:
        def __init__(self, value: float) -> None:
            self.value = value

        def measure(self, queries: Iterable[Query], at: datetime) -> dict[Query, Sample]:
            return {query: Value(self.value) for query in queries}

    builtin, custom = Query("requests", MINUTE, Subject("v2")), Query("mine", MINUTE, Subject("v2"), text="up")
    elsewhere = Query("requests", MINUTE, Subject("v2"), server="http://prometheus:9090")
    answers = Sources(Echo(1), Echo(2)).measure([builtin, custom, elsewhere], AT)
    assert answers == {builtin: Value(1), custom: Value(2), elsewhere: Value(2)}
