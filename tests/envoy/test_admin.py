"""The admin client: every way in which there is no answer has its kind, and connections are kept."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from canary.engine.errors import Invalid
from canary.engine.observed import Cause
from canary.envoy.admin import Admin, Unanswered, literal
from tests.envoy.world import World, route
from tests.parts.processes import free_port


@contextmanager
def serving(*answers: bytes) -> Iterator[int]:
    """A port that gives these answers, one a connection, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def http(status: int, body: str, length: int | None = None) -> bytes:
    """An answer."""
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body) if length is None else length}\r\n\r\n{body}".encode()


def asking(port: int) -> Admin:
    """A client for it."""
    return Admin(f"http://127.0.0.1:{port}")


ANSWERS = {
    "a page where JSON was due": (http(200, "<html>hello</html>"), Cause.RUBBISH),
    "JSON of another shape": (http(200, "[1]"), Cause.RUBBISH),
    "an answer cut short": (http(200, "{", 100), Cause.PARTIAL),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", Cause.RUBBISH),
    "nothing": (b"", Cause.REFUSED),
    "a server's failure": (http(503, "no"), Cause.UNAVAILABLE),
    "access denied": (http(403, "no"), Cause.DENIED),
    "a wrong question": (http(400, "bad regex"), Cause.INVALID),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_has_its_kind(name: str) -> None:
    """So that nothing that wasn't learned counts as learned."""
    answer, kind = ANSWERS[name]
    with serving(answer) as port, closing(asking(port)) as admin, pytest.raises(Unanswered) as caught:
        admin.stats("x")
    assert caught.value.missing.cause is kind, caught.value


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        pytest.param(f"127.0.0.1:{free_port()}", Cause.REFUSED, id="no one listens"),
        pytest.param("no-such-host.invalid:80", Cause.REFUSED, id="no such host"),
    ],
)
def test_no_listener(host: str, kind: Cause) -> None:
    """Refused, with a sentence."""
    with pytest.raises(Unanswered) as caught:
        Admin(f"http://{host}").json("/stats")
    assert caught.value.missing.cause is kind


def test_a_silent_server_times_out() -> None:
    """Each call has its time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        admin = Admin(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.05)
        with pytest.raises(Unanswered, match=r"didn't answer within 0.05s"):
            admin.json("/stats")


def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    """Envoy closes idle connections; that is no failure."""
    with serving(http(200, "[1]"), http(200, "[2]")) as port, closing(asking(port)) as admin:
        assert [admin.json("/"), admin.json("/")] == [[1], [2]]


def test_connections_are_kept(start: Callable[..., World]) -> None:
    """Twenty calls, one connection."""
    world = start(route(cluster="v1"))

    def connections() -> int:
        found: int = world.admin.stats("^listener.admin.downstream_cx_total$")["stats"][0]["value"]
        return found

    before = connections()
    for _ in range(20):
        world.admin.dump(resource="static_clusters")
    assert connections() == before


@pytest.mark.parametrize("url", ["127.0.0.1:9901", "ftp://x", "http://", ""])
def test_what_is_no_url_is_invalid(url: str) -> None:
    """The sentence shows what one looks like."""
    with pytest.raises(Invalid, match="such as http"):
        Admin(url)


def test_names_in_expressions() -> None:
    """Envoy writes a colon as `_` in the names of statistics; all else stands for itself."""
    assert literal("outbound|80||a.b:c") == r"outbound\|80\|\|a\.b_c"
