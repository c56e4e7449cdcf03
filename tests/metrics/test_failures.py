"""Any failure is a Missing with its cause: never an exception, never a zero, never later than the deadline."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics.credentials import Credentials, Secret
from canary.metrics.limits import RefusedAnswer
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.promql import Dialect
from tests.metrics.server import Reply, serve, vector
from tests.parts.patience import Stopwatch
from tests.parts.processes import free_port, get, wait_for
from tests.parts.prometheus import Prometheus

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEB = Subject("web", "shop")
COUNTS = Query("requests", MINUTE, WEB, Shape.COUNTS)
RATE = Query("request-success-rate", MINUTE, WEB)
CUSTOM = Query("mine", MINUTE, WEB, text="sum(up)")
ROW = {"destination_workload": "web", "destination_workload_namespace": "shop", "reporter": "destination"}
OK = {**ROW, "response_code": "200"}


@contextmanager
def adapter(url: str | None, timeout: float = 5.0) -> Iterator[Adapter]:
    """An adapter that is closed at the end."""
    made = Adapter(url, timeout=timeout)
    made.quoted = lambda _: True
    try:
        yield made
    finally:
        made.close()


def ask(url: str | None, *queries: Query, timeout: float = 5.0) -> list[Sample]:
    """The answers, in order."""
    with adapter(url, timeout) as source:
        answers = source.measure(queries, AT)
    return [answers[query] for query in queries]


def error(kind: str, words: str, more: str = "") -> str:
    """An answer of Prometheus' that is an error."""
    return f'{{"status":"error","errorType":"{kind}","error":"{words}"{more}}}'


HTML = "<html><body>Sign in</body></html>"
TIMEOUT = error("timeout", "query timed out in expression evaluation")
TOO_MUCH = error("execution", "too many samples")
REPLIES: list[tuple[str, Reply, Cause, str]] = [
    ("a login page", (200, HTML), Cause.RUBBISH, "Sign in"),
    ("nothing", (200, ""), Cause.RUBBISH, "an empty body"),
    ("a list", (200, "[]"), Cause.RUBBISH, "[]"),
    ("bytes", (200, b"\xff\xfe\x00"), Cause.RUBBISH, "HTTP 200"),
    ("endless nesting", (200, "[" * 100_000), Cause.INVALID, "rows"),
    ("success without data", (200, '{"status":"success"}'), Cause.RUBBISH, "success"),
    ("an error as a success", (200, error("internal", "boom", ',"data":{"result":[]}')), Cause.RUBBISH, "boom"),
    ("rows that aren't rows", (200, vector().replace("[]", "[1]")), Cause.RUBBISH, "rows"),
    ("half a request", (200, vector((OK, "0.5"))), Cause.RUBBISH, "0.5"),
    ("a negative count", (200, vector((OK, "-3"))), Cause.RUBBISH, "-3"),
    ("not a number", (200, vector((OK, "NaN"))), Cause.NAN, "nan"),
    ("no rows", (200, vector()), Cause.EMPTY, "no series istio_requests_total of shop/web"),
    ("rows of others", (200, vector(({**OK, "destination_workload": "cart"}, "5"))), Cause.EMPTY, "shop/web"),
    ("a store that was down", (200, vector((OK, "5"), warnings=["store a: down"])), Cause.PARTIAL, "store a: down"),
    ("half of a cluster", (200, vector((OK, "5"), isPartial=True)), Cause.PARTIAL, "parts are missing"),
    ("a redirect", (302, ""), Cause.RUBBISH, "redirect"),
    ("no such path", (404, "404 page not found"), Cause.RUBBISH, "404"),
    ("no credentials", (401, "Unauthorized"), Cause.DENIED, "401"),
    ("forbidden", (403, "RBAC: access denied"), Cause.DENIED, "RBAC: access denied"),
    ("too many", (429, "slow down"), Cause.UNAVAILABLE, "slow down"),
    ("internal", (500, "oops"), Cause.UNAVAILABLE, "oops"),
    ("starting", (503, "Service Unavailable"), Cause.UNAVAILABLE, "Service Unavailable"),
    ("its own time-out", (503, TIMEOUT), Cause.TIMED_OUT, "query timed out"),
    ("a gateway's time-out", (504, ""), Cause.TIMED_OUT, "504"),
    ("a bad query", (400, error("bad_data", "1:7: parse error")), Cause.INVALID, "1:7"),
    ("too much", (422, TOO_MUCH), Cause.INVALID, "too many"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "words"), [pytest.param(*row, id=sentence) for sentence, *row in REPLIES])
def test_answers_that_are_none(reply: Reply, kind: Cause, words: str) -> None:
    """Each is distinguished, with the server's own words."""
    with serve(reply) as server:
        [answer] = ask(server.url, COUNTS)
    assert isinstance(answer, Missing)
    assert answer.cause is kind
    assert words in answer.detail


def test_two_lengths_of_one_answer() -> None:
    """Headers that contradict each other are the server's fault, and not said to be that of our credentials."""
    with serve((200, vector((OK, "5")))) as server:
        server.headers = {"Content-Length": "5"}
        [answer] = ask(server.url, COUNTS)
    assert isinstance(answer, Missing)
    assert (answer.cause, "contradict each other" in answer.detail) == (Cause.RUBBISH, True)


def test_a_name_that_envoy_cuts() -> None:
    """Envoy's metrics know a cluster `v2.blue` as `v2`; a query that finds nothing says so."""
    query = Query("requests", MINUTE, Subject("v2.blue"), Shape.COUNTS)
    with serve((200, vector())) as server, closing(Adapter(server.url, dialect=Dialect("envoy"))) as source:
        answer = source.measure([query], AT)[query]
    series = "no series envoy_cluster_upstream_rq_xx of v2.blue in the window"
    assert answer == Missing(Cause.EMPTY, f"{series}; names are cut at '.' in these metrics")


def test_hints_are_no_loss() -> None:
    """Some Prometheus versions put remarks about the query among the warnings."""
    with serve((200, vector((OK, "5"), warnings=["PromQL info: metric might not be a counter"]))) as server:
        assert ask(server.url, COUNTS) == [Counts(5, 0)]


def test_a_body_that_drips() -> None:
    """Each packet comes in time and the whole never does."""
    with serve((200, vector())) as server:
        server.drip = threading.Event()
        begin = Stopwatch()
        answers = ask(server.url, COUNTS, CUSTOM, timeout=0.5)
        taken = begin.seconds
        server.drip.set()
    assert [answer.cause for answer in answers if isinstance(answer, Missing)] == [Cause.TIMED_OUT] * 2
    assert taken < 2


def test_headers_that_never_come() -> None:
    """Even where the client library can't be stopped, `measure` returns."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = Stopwatch()
        [answer] = ask(f"http://127.0.0.1:{silent.getsockname()[1]}", COUNTS, timeout=0.3)
        assert begin.seconds < 2
    assert answer == Missing(Cause.TIMED_OUT, answer.detail if isinstance(answer, Missing) else "")


def test_a_huge_answer() -> None:
    """What is larger than any honest answer isn't read to its end; to one number it is less than to builtins."""
    with serve((200, b" " * 2**22)) as server:
        answers = ask(server.url, COUNTS, CUSTOM)
    said = [answer.detail.partition(";")[0] for answer in answers if isinstance(answer, Missing)]
    assert said == ["the answer is larger than 1.06 MiB", "the answer is larger than 1 MiB"]


def test_an_answer_that_breaks_off() -> None:
    """The connection ends before the body does."""
    with serve((200, vector())) as server:
        server.drip = threading.Event()
        server.drip.set()
        [answer] = ask(server.url, COUNTS, timeout=0.5)
    assert isinstance(answer, Missing)
    assert answer.cause in (Cause.RUBBISH, Cause.TIMED_OUT)


def test_no_listener() -> None:
    """Refused, unknown host, an address that is none, no address."""
    kinds = {
        f"http://127.0.0.1:{free_port()}": Cause.REFUSED,
        "http://prometheus.invalid:9090": Cause.REFUSED,
    }
    for url, kind in kinds.items():
        [answer] = ask(url, COUNTS)
        assert isinstance(answer, Missing)
        assert (answer.cause, url in answer.detail) == (kind, True)
    elsewhere = Query("mine", MINUTE, WEB, text="up", server="prometheus:9090")
    nowhere, odd = ask(None, COUNTS, elsewhere)
    assert nowhere == Missing(Cause.INVALID, "there is no Prometheus to ask; metricsServer names one")
    assert isinstance(odd, Missing)
    assert odd.cause is Cause.INVALID


def test_questions_that_cannot_be_asked() -> None:
    """What is wrong with a query is said without asking anybody, and the others are asked all the same."""
    unknown = Query("request-sucess-rate", MINUTE, WEB)
    word = Query("mine", MINUTE, WEB, text="up{a='{{ nmae }}'}", names=(("name", "shop"),))
    counts = Query("mine", MINUTE, WEB, Shape.COUNTS, text="up")
    empty = Query("requests", timedelta(), WEB, Shape.COUNTS)
    with serve((200, vector((OK, "5")))) as server:
        *refused, fine = ask(server.url, unknown, word, counts, empty, COUNTS)
        assert len(server.asked) == 1
    assert fine == Counts(5, 0)
    said = [answer.detail for answer in refused if isinstance(answer, Missing) and answer.cause is Cause.INVALID]
    assert said[0] == "'request-sucess-rate' is no builtin and has no query; did you mean request-success-rate?"
    assert "name" in said[1]
    assert said[2:] == [
        "a query gives one number; counts take counters of all events and of the bad ones",
        "the window is empty",
    ]


def test_a_poisoned_workload_spoils_its_own_answer_only() -> None:
    """Where the server finds a request too much, its halves are asked, until the culprit is alone."""

    def reply(text: str) -> Reply:
        if "heavy" in text:
            return 422, TOO_MUCH
        names = [f"w{number}" for number in range(16) if f"w{number}|" in text or f'w{number}"' in text]
        return 200, vector(*[({**OK, "destination_workload": name}, "1") for name in names])

    subjects = [Subject(f"w{number}", "shop") for number in range(15)] + [Subject("heavy", "shop")]
    queries = [Query("requests", MINUTE, subject, Shape.COUNTS) for subject in subjects]
    with serve(reply) as server:
        *fine, heavy = ask(server.url, *queries)
        assert len(server.asked) == 9  # 16, 8, 4, 2, 1 with it, and four halves without it
    assert fine == [Counts(1, 0)] * 15
    assert isinstance(heavy, Missing)
    assert (heavy.cause, "too many samples" in heavy.detail) == (Cause.INVALID, True)


def test_a_server_that_refuses_everything_is_not_stormed() -> None:
    """However many workloads there are, halving ends."""
    subjects = [Subject(f"w{number}", "shop") for number in range(500)]
    queries = [Query("requests", MINUTE, subject, Shape.COUNTS) for subject in subjects]
    with serve((422, TOO_MUCH)) as server:
        answers = ask(server.url, *queries)
        assert len(server.asked) <= 65
    assert {answer.cause for answer in answers if isinstance(answer, Missing)} == {Cause.INVALID}


def test_slow_histograms_do_not_take_the_codes_along() -> None:
    """A request that times out is asked again in two, and what answers in time is used."""

    def reply(text: str) -> Reply:
        return (503, TIMEOUT) if "_bucket" in text else (200, vector((OK, "4")))

    with serve(reply) as server:
        rate, duration = ask(server.url, RATE, Query("request-duration", MINUTE, WEB))
    assert rate == Value(100)
    assert isinstance(duration, Missing)
    assert duration.cause is Cause.TIMED_OUT


def silent(prometheus: Prometheus) -> bool:
    """Whether it doesn't answer any more."""
    try:
        return not get(f"{prometheus.url}/-/ready", timeout=0.2)
    except TimeoutError:
        return True


def test_a_prometheus_that_hangs_dies_and_returns(start_prometheus: Callable[..., Prometheus]) -> None:
    """One adapter lives through all of it, and each state has its kind."""
    prometheus = start_prometheus()
    one = Query("mine", MINUTE, WEB, text="vector(1)")

    def measure(source: Adapter) -> Sample:
        return source.measure([one], datetime.now(UTC))[one]

    with adapter(prometheus.url, timeout=1) as source:
        assert measure(source) == Value(1)
        prometheus.pause()
        wait_for(lambda: silent(prometheus), "every thread to be stopped")
        hung = measure(source)
        prometheus.resume()
        assert measure(source) == Value(1)
        prometheus.kill()
        dead = measure(source)
        prometheus.start()
        assert measure(source) == Value(1)
    assert isinstance(hung, Missing)
    assert (hung.cause, hung.detail.partition(";")[0]) == (Cause.TIMED_OUT, "no complete answer within 1s")
    assert dead == Missing(Cause.REFUSED, prometheus.url)


def test_a_prometheus_refuses_with_its_own_words(start_prometheus: Callable[..., Prometheus]) -> None:
    """What Prometheus says about a query reaches the person who wrote it."""
    prometheus = start_prometheus()
    broken = Query("mine", MINUTE, WEB, text="sum(up")
    several = Query("mine", MINUTE, WEB, text='label_replace(vector(1), "a", "x", "", "") or vector(2)')
    nan = Query("mine", MINUTE, WEB, text="0/0")
    scalar = Query("mine", MINUTE, WEB, text="scalar(vector(3))")
    words = Query("mine", MINUTE, WEB, text='"words"')
    empty = Query("mine", MINUTE, WEB, text="vector(1) > 2")
    infinite = Query("mine", MINUTE, WEB, text="1/0")
    with adapter(prometheus.url) as source:
        answers = source.measure([broken, several, nan, scalar, words, empty, infinite], datetime.now(UTC))
    assert answers[broken] == Missing(
        Cause.INVALID, f'invalid parameter "query": 1:7: parse error: unclosed left parenthesis; {prometheus.url}'
    )
    found = answers[several]
    assert isinstance(found, Missing)
    assert (found.cause, found.detail[-13:]) == (Cause.INVALID, ': {a="x"}, {}')
    assert answers[nan] == Missing(Cause.NAN, "0/0, as a ratio is where there was no traffic")
    assert answers[scalar] == Value(3)
    assert isinstance(answers[words], RefusedAnswer)
    assert str(answers[words]).startswith("refused the question (string where vector or scalar was due")
    found = answers[empty]
    assert isinstance(found, Missing)
    assert found.cause is Cause.EMPTY
    assert answers[infinite] == Missing(Cause.NAN, "+inf")


def test_credentials_that_no_header_can_hold() -> None:
    """A token with a line break is an answer, not an exception that shows it."""
    with serve((200, vector())) as server:
        source = Adapter(server.url, Credentials(token=Secret("s3cret\nX: y")))
        answer = source.measure([COUNTS], AT)[COUNTS]
        source.close()
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.DENIED
    assert "s3cret" not in str(answer)


def test_askers_side_by_side_keep_their_connections(caplog: pytest.LogCaptureFixture) -> None:
    """As many as ask at one time are made, and asked again; urllib3 would keep ten, and warn of each other one."""
    many, met = 32, threading.Barrier(32)

    def reply(_: str) -> Reply:
        met.wait(60)
        return 200, vector(({}, "1"))

    caplog.set_level("DEBUG", "urllib3.connectionpool")
    with serve(reply) as server, adapter(server.url, 60.0) as source, ThreadPoolExecutor(many) as askers:
        for _ in range(3):
            asked = [askers.submit(source.measure, [CUSTOM], AT) for _ in range(many)]
            assert [one.result()[CUSTOM] for one in asked] == [Value(1.0)] * many
    said = [one.getMessage() for one in caplog.records]
    assert sum(one.startswith("Starting new") for one in said) == many
    assert [one for one in said if "pool is full" in one] == []
