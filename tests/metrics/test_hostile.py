"""A hostile or broken server costs one question its answer: no thread, no socket, little memory, and not the lead."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from canary.controller.metrics import ControllerMetrics
from canary.controller.process import ControllerProcess
from canary.engine.observed import Cause, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics.credentials import Credentials, Secret
from canary.metrics.limits import Bounds, Excess, RefusedAnswer
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.prometheus import Threads
from tests.metrics.server import serve, vector
from tests.parts.dripping import ENDLESS, raw
from tests.parts.patience import Patience
from tests.parts.processes import wait_for

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEB = Subject("web", "shop")
COUNTS = Query("requests", MINUTE, WEB, Shape.COUNTS)
MINE = Query("mine", MINUTE, WEB, text="up")
WITHIN = 0.4


def ask(
    url: str, *queries: Query, timeout: float = 5.0, reported: Callable[[Missing | None], object] = id
) -> list[Sample]:
    """The answers."""
    with closing(Adapter(url, timeout=timeout, on_request=reported)) as source:
        found = source.measure(queries, AT)
    return [found[query] for query in queries]


def asking() -> list[str]:
    """Threads that a question left behind, the one that cuts it off included."""
    return [one.name for one in threading.enumerate() if one.name == "canary-metrics" or type(one) is threading.Timer]


@pytest.mark.parametrize(("scheme", "begin", "more"), [pytest.param(*row, id=name) for name, *row in ENDLESS])
# Python's `SSLSocket._create` leaves its socket to the garbage collector where the connection is reset before the
# handshake, as on a busy machine whose deadline falls there.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_what_drips_is_cut_off(scheme: str, begin: bytes, more: bytes) -> None:
    """At the deadline, wherever it drips; the server sees the connection closed, and no thread is left."""
    with raw(begin, more) as server:
        patience = Patience(2.0)
        [answer] = ask(f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}", COUNTS, timeout=WITHIN)
        assert not patience.over
        assert isinstance(answer, Missing)
        assert answer.cause is Cause.TIMED_OUT
        wait_for(server.left.is_set, "the connection to be closed")
        wait_for(lambda: not asking(), "the threads to end")


def test_endless_informational_responses() -> None:
    """They come as fast as they can, and would spin until the deadline."""
    reported: list[Missing | None] = []
    with raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, pause=0) as server:
        [answer] = ask(f"http://127.0.0.1:{server.socket.getsockname()[1]}", COUNTS, reported=reported.append)
        wait_for(server.left.is_set, "the connection to be closed")
    assert isinstance(answer, RefusedAnswer)
    assert (answer.cause, answer.excess, reported) == (Cause.RUBBISH, Excess.HEADERS, [answer])


NESTED = b"[" + b"[]," * (62 * 2**20 // 3) + b"[]]"


def test_a_small_answer_that_is_huge() -> None:
    """62 MiB of empty lists in 65 kB: refused as soon as more was unpacked than an honest answer has."""
    reported: list[Missing | None] = []
    with serve((200, gzip.compress(NESTED))) as server:
        server.headers = {"Content-Encoding": "gzip"}
        answers = ask(server.url, COUNTS, MINE, reported=reported.append)
    assert all(isinstance(answer, RefusedAnswer) and answer.excess is Excess.SIZE for answer in [*answers, *reported])


LISTS = b'{"status":"success","data":{"resultType":"vector","result":[%s]}}'
MANY: list[tuple[str, bytes]] = [
    ("empty lists", LISTS % (b"[]," * 300_000 + b"[]")),
    ("empty objects", LISTS % (b"{}," * 300_000 + b"{}")),
    ("deep lists", LISTS % (b"[" * 500_000)),
    ("numbers", LISTS % (b"1," * 500_000 + b"1")),
    ("rows", LISTS % b",".join([b'{"metric":{},"value":[1,"1"]}'] * 9000)),
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in MANY])
def test_too_many_rows_are_refused_before_they_are_parsed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the text is no larger than an honest answer may be."""
    from canary.metrics import answers

    monkeypatch.setattr(answers, "from_json", lambda _: pytest.fail("it was parsed"))
    assert len(body) <= Bounds.of(0).size
    with serve((200, body)) as server:
        [answer] = ask(server.url, MINE)
    assert isinstance(answer, RefusedAnswer)
    assert (answer.cause, answer.excess) == (Cause.INVALID, Excess.ROWS)


def dated(kind: str, *values: object) -> str:
    """An answer of this type with these values."""
    rows = [{"metric": {}, "value": value} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": rows}})


NOW, LATER = AT.timestamp(), AT.timestamp() + 3600
FOREIGN: list[tuple[str, str, Sample]] = [
    ("in time", dated("vector", [NOW, "5"]), Value(5)),
    ("a second off", dated("vector", [NOW + 1, "5"]), Value(5)),
    ("an hour late", dated("vector", [LATER, "5"]), RefusedAnswer(Cause.RUBBISH, "", Excess.DATE)),
    ("an hour old", dated("vector", [NOW - 3600, "5"]), RefusedAnswer(Cause.RUBBISH, "", Excess.DATE)),
    ("a time beyond all floats", dated("vector", [10**400, "5"]), RefusedAnswer(Cause.RUBBISH, "", Excess.DATE)),
    ("no time", dated("vector", [float("nan"), "5"]), RefusedAnswer(Cause.RUBBISH, "", Excess.DATE)),
    ("a matrix", dated("matrix", [NOW, "5"]), RefusedAnswer(Cause.INVALID, "", Excess.TYPE)),
    ("a string", json.dumps({"status": "success", "data": {"resultType": "string", "result": [NOW, "5"]}}),
     RefusedAnswer(Cause.INVALID, "", Excess.TYPE)),
    ("an old scalar", json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [5, "5"]}}),
     RefusedAnswer(Cause.RUBBISH, "", Excess.DATE)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*row, id=name) for name, *row in FOREIGN])
def test_answers_to_another_question(body: str, expected: Sample) -> None:
    """Of another time or another type: no evidence."""
    with serve((200, body)) as server:
        [answer] = ask(server.url, MINE)
    if isinstance(answer, RefusedAnswer):
        assert isinstance(expected, RefusedAnswer)
        assert (answer.cause, answer.excess) == (expected.cause, expected.excess)
    else:
        assert answer == expected


def test_builtins_take_no_scalar() -> None:
    """They ask for rows."""
    with serve(
        (200, json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [NOW, "5"]}}))
    ) as server:
        [answer] = ask(server.url, COUNTS)
    assert str(answer).startswith("refused the question (scalar where vector was due")


def test_refused_answers_are_counted() -> None:
    """By the controller, beside the questions that failed."""
    here = SimpleNamespace(metrics=ControllerMetrics())
    for missing in (None, RefusedAnswer(Cause.INVALID, "", Excess.ROWS), Missing(Cause.INVALID)):
        ControllerProcess._asked(here, missing)  # type: ignore[arg-type]
    text = here.metrics.exposition().decode()
    assert 'canary_answers_refused_total{limit="rows"} 1.0' in text
    assert 'canary_queries_total{result="refused the question"} 2.0' in text


def test_threads_that_hang_are_bounded() -> None:
    """As where a name server never answers: further questions get no thread until their deadline."""
    threads, over = Threads(3), threading.Event()
    before = threading.active_count()
    for _ in range(3):
        assert threads.run([over.wait] * 2, time.monotonic() + 0.05) == [None, None]
    assert threading.active_count() - before <= 3
    over.set()
    wait_for(lambda: threading.active_count() <= before, "the threads to end")
    assert threads.run([lambda: 5], time.monotonic() + 5) == [5]


PAGE = "<!DOCTYPE html><title>internal: db-password is swordfish</title>"
PAGES = [
    (502, PAGE, "HTTP 502: an HTML page"),
    (200, PAGE, "HTTP 200 with an HTML page"),
    (404, "swordfish", "HTTP 404: a page that isn't JSON"),
    (200, '{"password": "swordfish", "error": "swordfish"}', "HTTP 200 with JSON that isn't Prometheus'"),
    (500, "", "HTTP 500: an empty body"),
    (400, '{"error": "swordfish"}', "JSON that isn't Prometheus'"),
]


@pytest.mark.parametrize(("status", "page", "said"), PAGES)
def test_other_pages_are_shown_to_no_one(status: int, page: str, said: str) -> None:
    """Anyone who writes a Canary names an address, and reads the status; the controller reaches more than they do."""
    with serve((status, page)) as server:
        [answer] = ask(server.url, MINE)
        with closing(Adapter(server.url)) as source:
            source.quoted = lambda url: url == server.url
            shown = source.measure([MINE], AT)[MINE]
    assert isinstance(answer, Missing)
    assert answer.detail == f"{said}; {server.url}"
    assert ("swordfish" in str(shown)) is ("swordfish" in page)


ECHOES: list[tuple[str, Callable[[str], str]]] = [
    ("in upper case", str.upper),
    ("in base64", lambda token: base64.b64encode(token.encode()).decode()),
    ("in the base64 of URLs", lambda token: base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")),
    ("where the text is cut", lambda token: " " * 8180 + token),
    ("where letters of two bytes are cut", lambda token: "é" + " " * 8178 + token),
]


@pytest.mark.parametrize("echo", [pytest.param(echo, id=name) for name, echo in ECHOES])
def test_an_echo_holds_no_secret(echo: Callable[[str], str]) -> None:
    """In Prometheus' own words, in a page of a server that may be shown, or in a warning."""
    token = "t0k<en>&of?mine>>??+"
    said = echo(token)
    warned = {"status": "success", "warnings": [said], "data": {"resultType": "vector", "result": []}}
    for reply in ((400, json.dumps({"status": "error", "error": said})), (500, said), (200, json.dumps(warned))):
        with serve(reply) as server, closing(Adapter(server.url, Credentials(token=Secret(token)))) as source:
            source.quoted = lambda url: True
            answer = source.measure([MINE], AT)[MINE]
        assert isinstance(answer, Missing)
        assert not any(part in answer.detail for part in (said.strip("é ")[:6], token[:3])), answer


def test_labels_hold_no_secret() -> None:
    """A server that echoes what it was shown into the labels of several series, cut in the middle or not."""
    token = "t0k<en>&of/mine+" * 4
    rows = [({"a": "x" * 260 + token, "b": "1"}, "1"), ({"a": token}, "2")]
    shown = Credentials(token=Secret(token))
    with serve((200, vector(*rows))) as server, closing(Adapter(server.url, shown)) as source:
        answer = source.measure([MINE], AT)[MINE]
    assert isinstance(answer, Missing)
    assert ("2 series" in answer.detail, "***" in answer.detail, "t0k" in answer.detail) == (True, True, False)
