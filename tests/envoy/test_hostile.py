"""Any answer at the admin address is bounded in time and size, and no evidence."""

import socket
import threading
from contextlib import closing

import pytest

from canary.engine.observed import Cause
from canary.envoy.admin import Admin, Unanswered
from tests.parts.dripping import ENDLESS, OK, raw
from tests.parts.patience import Patience
from tests.parts.processes import wait_for

CONTINUE = ("responses such as 100 Continue", "http", b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def refused(url: str, within: float = 5.0) -> Unanswered:
    """Why there is no answer."""
    with closing(Admin(url, within=within)) as admin, pytest.raises(Unanswered) as caught:
        admin.stats("^x$")
    return caught.value


@pytest.mark.parametrize(
    ("scheme", "begin", "more"), [pytest.param(*row, id=name) for name, *row in [*ENDLESS, CONTINUE]]
)
# See tests/metrics/test_hostile.py: Python leaves a socket unclosed where the handshake has not begun.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_what_drips_is_cut_off(scheme: str, begin: bytes, more: bytes) -> None:
    """At the deadline, wherever it drips; each byte came within the time-out of a read."""
    with raw(begin, more) as server:
        patience = Patience(5.0)
        found = refused(f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}", within=0.4)
        assert not patience.over
        assert found.missing.cause is Cause.TIMED_OUT
        wait_for(server.left.is_set, "the connection to be closed")
        timers = lambda: not any(type(one) is threading.Timer for one in threading.enumerate())  # noqa: E731
        wait_for(timers, "the thread that cuts it off to end")


def test_a_kept_connection_is_cut_off_too() -> None:
    """The second answer of a connection drips."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(OK + b'Content-Length: 12\r\n\r\n{"stats":[]}')
                connection.recv(65536)
                connection.sendall(OK + b"Content-Length: 12\r\n\r\n{")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(Admin(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=9, within=0.3)) as admin:
            assert admin.stats("^x$") == {"stats": []}
            with pytest.raises(Unanswered, match="didn't answer within"):
                admin.stats("^x$")
        thread.join()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b'{"stats":[' + b"[]," * 500_000 + b"[]]}", "lists and objects", id="empty lists"),
        pytest.param(b'{"stats":[' + b"1," * 2_000_000 + b"1]}", "values", id="numbers"),
        pytest.param(b'{"stats":"' + b"x" * 17 * 2**20 + b'"}', "larger than 16 MiB", id="a text"),
        pytest.param(b"[" * 200_000, "answered [[[", id="deep lists"),
    ],
)
def test_what_is_huge_is_not_parsed(body: bytes, sentence: str) -> None:
    """A megabyte of lists takes thirty."""
    plain = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for answer in (plain, chunked):
        with raw(OK + answer) as server:
            assert sentence in str(refused(f"http://127.0.0.1:{server.socket.getsockname()[1]}"))
