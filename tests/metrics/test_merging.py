"""What can be asked together is: the number of requests doesn't grow with the number of canaries."""

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.sources import Sources
from tests.examples import examples
from tests.metrics.conftest import Watched
from tests.metrics.server import Reply, serve, vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


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
        source = Adapter(server.url, timeout=60)
        source.measure(queries, AT)
        source.close()
        return len(server.asked)


@pytest.mark.parametrize("count", [1, 2, 200])
def test_one_request_for_any_number_of_workloads(count: int) -> None:
    """All builtins of one window, canary and stable together, are one request."""
    subjects = [Subject(f"web-{number}", f"team-{number % 7}") for number in range(count)]
    assert requests_for([query for subject in subjects for query in all_of(subject)]) == 1


@pytest.mark.parametrize(("windows", "requests"), [(1, 1), (12, 1), (20, 1), (60, 3)])
def test_requests_grow_with_windows_only(windows: int, requests: int) -> None:
    """200 Canaries whose steps began at other times: twenty windows a request, however many ask."""
    subjects = [Subject(f"web-{number}", f"team-{number % 7}") for number in range(200)]
    asked = [query for number, one in enumerate(subjects) for query in all_of(one, (1 + number % windows) * SECOND)]
    assert requests_for(asked) == requests


def test_too_many_workloads_for_one_request() -> None:
    """Those of all windows count together."""
    subjects = [Subject(f"web-{number}", "shop") for number in range(300)]
    assert requests_for([query for one in subjects for w in (1, 2) for query in all_of(one, w * MINUTE)]) == 2


def test_what_is_asked_apart() -> None:
    """Each query of the user's that isn't equal to another when its words are filled in."""
    web, cart = Subject("web", "shop"), Subject("cart", "shop")
    same = [Query(name, MINUTE, web, text="up{job='{{ target }}'}") for name in ("a", "b")]
    other = Query("a", MINUTE, cart, text="up{job='{{ target }}'}")
    assert requests_for([*all_of(web), *all_of(cart, 2 * MINUTE), *same, other]) == 3


def test_each_workload_gets_its_own_rows(watched: Watched) -> None:
    """The regular expressions select namespaces × workloads; what no one asked for is no one's."""
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


@pytest.fixture(scope="module")
def storied(watched: Watched) -> tuple[datetime, list[Query]]:
    """Equal names in two namespaces, a restart and a new pod, asked about over several windows of one end."""
    old = watched.pods.start("storied")
    other = watched.pods.start("storied")
    other.labels["destination_workload_namespace"] = "elsewhere"
    moments = [watched.seen()]
    for turn in range(4):
        old.serve(3 + turn)
        other.serve(50 + turn, "503", ms=400)
        if turn == 1:
            old.restart()
            old.serve(2, "503")
        if turn == 2:
            watched.pods.start("storied").serve(7, "500")
        moments.append(watched.seen())
    end = moments.pop()
    subjects = [Subject("storied", name, f"storied.{name}") for name in ("shop", "elsewhere")]
    return end, [query for start in moments for one in subjects for query in all_of(one, end - start)]


def test_windows_together_answer_as_each_alone(watched: Watched, storied: tuple[datetime, list[Query]]) -> None:
    """For any of them, in one request: no row of one window, or of one namespace, is another's."""
    end, queries = storied
    alone = {query: watched.one(query, end) for query in queries}
    assert len({repr(answer) for answer in alone.values()}) > len(queries) / 2

    @settings(max_examples=examples(25), deadline=None)
    @given(st.sets(st.sampled_from(range(len(queries))), min_size=2))
    def same(some: set[int]) -> None:
        reported: list[object] = []
        source = Adapter(watched.prometheus.url, timeout=60, on_request=reported.append)
        asked = [queries[number] for number in some]
        assert source.measure(asked, end) == {query: alone[query] for query in asked}
        source.close()
        assert reported in ([None], [None, None])

    same()


def counted(workload: str, value: str) -> tuple[dict[str, str], str]:
    """A row of requests with 200, as the adapter groups them."""
    labels = {"reporter": "destination", "destination_workload_namespace": "shop", "response_code": "200"}
    return {**labels, "destination_workload": workload}, value


@pytest.mark.parametrize(
    ("again", "expected"),
    [((200, vector(counted("new", "3"))), Counts(3, 0)), ((401, "{}"), Cause.DENIED)],
    ids=["answered", "refused"],
)
def test_only_what_has_new_series_is_asked_again(again: Reply, expected: Counts | Cause) -> None:
    """With `up`, which takes an hour of all targets; the others keep their answers, also if it fails."""

    def reply(text: str) -> Reply:
        return again if "up[" in text else (200, vector(counted("old", "5"), counted("new", "-Inf")))

    old, new = (Query("requests", MINUTE, Subject(name, "shop"), Shape.COUNTS) for name in ("old", "new"))
    with serve(reply) as server:
        source = Adapter(server.url, timeout=60)
        answers = source.measure([old, new], AT)
        source.close()
        assert ['"old"' in one.form["query"] for one in server.asked[1:]] == [False]
    assert answers[old] == Counts(5, 0)
    answer = answers[new]
    assert (answer.cause if isinstance(answer, Missing) else answer) == expected


def test_what_was_there_before_is_asked_once(watched: Watched) -> None:
    """Also where a pod was restarted in the window, without a word of `up`; a new pod takes a second request."""
    pod = watched.pods.start("steady")
    pod.serve(1)
    start = watched.seen()
    pod.serve(4)
    middle = watched.seen()
    pod.restart()
    pod.serve(2)
    end = watched.seen()
    watched.pods.start("steady").serve(7)
    last = watched.seen()
    reported: list[object] = []
    source = Adapter(watched.prometheus.url, timeout=60, on_request=reported.append)
    requests = []
    for began, ended in ((start, middle), (start, end), (middle, end), (end, last)):
        query = Query("requests", ended - began, Subject("steady", "shop"), Shape.COUNTS)
        requests.append((source.measure([query], ended)[query], len(reported)))
        reported.clear()
    source.close()
    assert requests == [(Counts(4, 0), 1), (Counts(2, 0), 1), (Counts(2, 0), 1), (Counts(7, 0), 2)]


def test_windows_are_divided_first() -> None:
    """One window that is too much for the server leaves the others their answers."""

    def reply(text: str) -> Reply:
        return (422, "{}") if "[4m]" in text else (200, vector())

    web = Subject("web", "shop")
    queries = [Query("requests", number * MINUTE, web, Shape.COUNTS) for number in (1, 2, 3, 4)]
    with serve(reply) as server:
        source = Adapter(server.url, timeout=60)
        answers = source.measure(queries, AT)
        source.close()
        assert len(server.asked) == 5  # 4; 2 and 2; 1 and 1
    kinds = [answer.cause for answer in answers.values() if isinstance(answer, Missing)]
    assert kinds == [Cause.EMPTY, Cause.EMPTY, Cause.EMPTY, Cause.INVALID]


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
    """Proxies cap URLs at 8 KB; the time is the one that was asked for, and the server gets the deadline."""
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
