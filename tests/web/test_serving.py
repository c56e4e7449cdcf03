"""Metrics and probes over real sockets: what is answered, and who can't keep others from an answer."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from canary.engine.errors import Invalid
from canary.web import DEFAULT, LONGEST, MOST, Serving, parsed
from tests.parts.patience import Stopwatch
from tests.parts.processes import wait_for

Start = Callable[..., Serving]


@pytest.fixture
def start() -> Iterator[Start]:
    """A server that is stopped after the test."""
    started: list[Serving] = []

    def begin(
        metrics: Callable[[], bytes] = lambda: b"canary_leader 1\n",
        healthy: tuple[str, ...] = (),
        ready: tuple[str, ...] = (),
        **more: Any,
    ) -> Serving:
        started.append(Serving("127.0.0.1:0", metrics, lambda: healthy, lambda: ready, **more))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def ask(serving: Serving, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    with closing(HTTPConnection("127.0.0.1", serving.port, timeout=30)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}


def slow(serving: Serving, sent: bytes = b"GET /metr") -> socket.socket:
    """Someone who begins a request and doesn't end it."""
    connection = socket.create_connection(("127.0.0.1", serving.port), timeout=30)
    connection.sendall(sent)
    return connection


def threads() -> set[str]:
    return {one.name for one in threading.enumerate() if one is not threading.main_thread()}


def test_metrics_are_served_in_prometheus_own_format(start: Start) -> None:
    """With the version of the format, which a scraper needs."""
    status, body, headers = ask(start(), "/metrics")
    assert (status, body) == (200, "canary_leader 1\n")
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "words"), [("/healthz", "not healthy"), ("/readyz", "not ready")], ids=["healthz", "readyz"]
)
def test_a_probe_says_what_is_wrong_in_one_line(start: Start, path: str, words: str) -> None:
    """`kubectl describe pod` shows it."""
    assert ask(start(), path)[:2] == (200, "ok\n")
    wrong = ("no list of Canaries yet", "the API server\nis away")
    serving = start(healthy=wrong, ready=wrong)
    assert ask(serving, path)[:2] == (503, f"{words}: no list of Canaries yet; the API server is away\n")


def test_health_and_readiness_are_two_answers(start: Start) -> None:
    """A replica that waits for leadership is healthy."""
    serving = start(ready=("no list of Canaries yet",))
    assert (ask(serving, "/healthz")[0], ask(serving, "/readyz")[0]) == (200, 503)


def test_head_is_the_same_without_a_body(start: Start) -> None:
    """With the length that a GET would have."""
    status, body, headers = ask(start(), "/metrics", "HEAD")
    assert (status, body, headers["content-length"]) == (200, "", str(len("canary_leader 1\n")))


def test_an_unknown_path_says_which_there_are(start: Start) -> None:
    """In one line."""
    assert ask(start(), "/debug")[:2] == (404, "there is only /metrics, /healthz, /readyz\n")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_nothing_can_be_changed(start: Start, method: str) -> None:
    """With any method."""
    status, body, _ = ask(start(), "/metrics", method)
    assert (status, body) == (501, "Not Implemented\n")


def test_query_strings_are_neither_logged_nor_answered(
    start: Start, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """They may hold a token; also where the request is none."""
    serving = start()
    with caplog.at_level(logging.DEBUG):
        answers = [ask(serving, "/metrics?token=s3cret"), ask(serving, "/none?token=s3cret")]
        with slow(serving, b"GET /metrics?token=s3cret HTTP/nine\r\n\r\n") as connection:
            refused = connection.recv(4096).decode()
    assert answers[0][0] == 200
    assert refused == "Bad Request\n"
    captured = capfd.readouterr()
    assert "s3cret" not in f"{answers}{refused}{caplog.text}{captured.out}{captured.err}"


def test_a_page_that_raises_is_logged_and_the_next_one_answers(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback."""

    def broken() -> bytes:
        raise ValueError("no such series")

    serving = start(broken)
    with closing(socket.create_connection(("127.0.0.1", serving.port), timeout=30)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert connection.recv(1) == b""
    wait_for(lambda: "no such series" in caplog.text, "the traceback", within=30)
    assert ask(serving, "/healthz")[0] == 200


def test_a_client_that_goes_away_is_no_news(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Before it has read an answer that doesn't fit into the kernel's buffers."""
    serving, before = start(lambda: b"x" * 2**24), len(threads())
    connection = slow(serving, b"GET /metrics HTTP/1.0\r\n\r\n")
    connection.recv(1)
    connection.close()
    wait_for(lambda: len(threads()) <= before, "the end of its thread", within=30)
    assert caplog.text == ""


def test_slow_clients_delay_no_other_client(start: Start) -> None:
    """As many as ever may be connected; the oldest of them give way."""
    serving = start(longest=3600.0)
    crowd = [slow(serving) for _ in range(2 * MOST)]
    assert ask(serving, "/healthz")[0] == 200
    assert crowd[0].recv(1) == b""
    wait_for(lambda: len(threads()) <= MOST + 2, "the end of those that gave way", within=30)
    for one in crowd:
        one.close()


def test_who_takes_too_long_is_cut_off(start: Start) -> None:
    """However regularly a byte arrives."""
    serving = start(longest=0.3)
    with slow(serving) as connection:
        connection.settimeout(0.05)

        def over() -> bool:
            try:
                connection.sendall(b"i")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_for(over, "the end of the connection", within=30)


def test_stopping_ends_open_connections_and_leaves_no_thread(start: Start) -> None:
    """Long before a slow client would be cut off."""
    before = threads()
    serving = start()
    crowd = [slow(serving) for _ in range(5)]
    wait_for(lambda: len(threads()) >= len(before) + 6, "the threads of five clients", within=30)
    began = Stopwatch()
    serving.stop()
    assert began.seconds < LONGEST / 2
    assert threads() == before
    assert [one.recv(1) for one in crowd] == [b""] * 5
    for one in crowd:
        one.close()


def test_the_port_is_free_again_after_a_stop(start: Start) -> None:
    """For the next process; stopping twice does nothing."""
    first = start()
    port = first.port
    ask(first, "/healthz")
    first.stop()
    first.stop()
    second = Serving(f"127.0.0.1:{port}", lambda: b"", tuple, tuple)
    second.start()
    assert ask(second, "/healthz")[0] == 200
    second.stop()


def test_a_taken_port_is_reported_in_a_sentence(start: Start) -> None:
    """With where it is."""
    port = start().port
    with pytest.raises(Invalid, match=f"can't listen on 127.0.0.1 port {port}: address already in use"):
        Serving(f"127.0.0.1:{port}", lambda: b"", tuple, tuple).start()


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (DEFAULT, ("127.0.0.1", 8080)),
        (":9090", ("", 9090)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
    ],
    ids=["the default", "every interface", "IPv6", "any free port"],
)
def test_an_address_is_a_host_and_a_port(address: str, where: tuple[str, int]) -> None:
    """The host may be empty."""
    assert parsed(address) == where


@pytest.mark.parametrize("address", ["8080", "localhost", "localhost:http", "::1", "127.0.0.1:70000", "", "a:²"])
def test_what_is_no_address_is_reported_in_a_sentence(address: str) -> None:
    """With an example of one."""
    with pytest.raises(Invalid, match=r"is not an address to listen on; write HOST:PORT, such as 127\.0\.0\.1:8080"):
        parsed(address)


def test_ipv6_is_served(start: Start) -> None:
    """Clusters have it alone, or both."""
    serving = Serving("[::1]:0", lambda: b"", tuple, tuple)
    serving.start()
    with closing(HTTPConnection("::1", serving.port, timeout=30)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    serving.stop()
