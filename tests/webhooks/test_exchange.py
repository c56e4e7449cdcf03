"""One call of a webhook against a real server: what is sent, what a yes is, and what a hostile server costs."""

import base64
import hmac
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from canary import cutoff
from canary.api.webhooks import HookRequest
from canary.engine.errors import Invalid
from canary.webhooks.credentials import NONE, HookCredentials
from canary.webhooks.exchange import HookExchange, Response
from tests.parts.certificates import authority
from tests.parts.dripping import ENDLESS, raw
from tests.parts.patience import Patience
from tests.parts.processes import free_port, wait_for
from tests.webhooks.server import HookServer, Reply, serve

WITHIN = 0.4


@pytest.fixture
def server() -> Iterator[HookServer]:
    with serve() as found:
        yield found


def exchange(url: str, credentials: HookCredentials = NONE, within: float = 5.0, **more: Any) -> HookExchange:
    request = HookRequest(url=url, timeout=timedelta(seconds=within)).but(disable_tls=more.pop("disable_tls", False))
    return HookExchange(request, {"name": "web", "phase": "Progressing"}, "1/x", credentials, **more)


def secret(**data: str | bytes) -> HookCredentials:
    """Of a Secret with these keys; `_` stands for a dot."""
    values = {key: value if isinstance(value, bytes) else value.encode() for key, value in data.items()}
    encoded = {key.replace("_", "."): base64.b64encode(one).decode() for key, one in values.items()}
    return HookCredentials.of("hook", {"data": encoded})


def test_no_thread_for_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer as well, else a gate would wait for one without an end; the next attempt has a deadline again."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cutoff, "_deadlines", cutoff._Deadlines())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert exchange("http://127.0.0.1:1/").call() == Response(False, "can't be called (RuntimeError)", again=True)
    assert exchange("http://127.0.0.1:1/").call() == Response(False, "connection refused", again=True)


def test_what_is_sent(server: HookServer) -> None:
    """JSON, with a key by which a server knows a call again."""
    assert exchange(f"{server.url}/gate?to=web").call() == Response(passed=True, detail="HTTP 200")
    [posted] = server.posted
    assert (posted.path, posted.payload) == ("/gate?to=web", {"name": "web", "phase": "Progressing"})
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.headers["Idempotency-Key"] == "1/x"
    assert "Authorization" not in posted.headers


@pytest.mark.parametrize(
    ("status", "passed", "again"),
    [(200, True, False), (201, True, False), (202, True, False), (204, False, False), (206, False, False),
     (400, False, False), (403, False, False), (429, False, True), (500, False, True), (501, False, False),
     (503, False, True)],
)  # fmt: skip
def test_a_yes_is_what_flagger_takes_for_one(server: HookServer, status: int, passed: bool, again: bool) -> None:
    """200 to 202; 429 and 5xx but 501 are worth another attempt."""
    server.replies["/"] = Reply(status)
    assert exchange(server.url).call() == Response(passed, f"HTTP {status}", again)


def test_what_a_server_says_is_shown_only_if_it_may_be(server: HookServer) -> None:
    """In one line, without secrets, and not much of it."""
    server.replies["/"] = Reply(500, b"no:\n\x1b[31m t0ken of " + b"x" * 10_000)
    assert exchange(server.url).call().detail == "HTTP 500"
    said = exchange(server.url, secret(token="t0ken"), quoted=True).call().detail
    assert said.startswith("HTTP 500: no: [31m *** of xxx")
    assert len(said) < 200


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ({"token": "t0ken\n"}, {"Authorization": "Bearer t0ken"}),
        ({"username": "ada", "password": "pass:word"},
         {"Authorization": f"Basic {base64.b64encode(b'ada:pass:word').decode()}"}),
    ],
)  # fmt: skip
def test_credentials(server: HookServer, data: dict[str, str], headers: dict[str, str]) -> None:
    assert exchange(server.url, secret(**data)).call().passed
    assert server.posted[0].headers.items() >= headers.items()


def test_credentials_that_a_server_repeats(server: HookServer) -> None:
    """As they were sent, and those of the URL too."""
    pair = base64.b64encode(b"ada:pass:word").decode()
    server.replies["/"] = Reply(500, f"Authorization: Basic {pair} of ada, pass:word".encode())
    said = "HTTP 500: Authorization: Basic *** of ada, ***"
    kept = secret(username="ada", password="pass:word")
    assert exchange(server.url, kept, quoted=True).call().detail == said
    assert exchange(server.url.replace("//", "//ada:pass%3Aword@"), quoted=True).call().detail == said


def test_names_and_addresses_in_any_language(server: HookServer) -> None:
    """HTTP has ASCII only."""
    made = replace(exchange(f"{server.url}/größe/%C3%A4?q=→&a=b"), id="7/webhook/größe → 2")
    assert made.call().passed
    [posted] = server.posted
    assert posted.path == "/gr%C3%B6%C3%9Fe/%C3%A4?q=%E2%86%92&a=b"
    assert posted.headers["Idempotency-Key"] == "7/webhook/gr%C3%B6%C3%9Fe %E2%86%92 2"


def test_credentials_in_the_url(server: HookServer) -> None:
    """As curl and Flagger have it."""
    assert exchange(server.url.replace("//", "//ada:a%40b@")).call().passed
    assert server.posted[0].headers["Authorization"] == f"Basic {base64.b64encode(b'ada:a@b').decode()}"


def test_a_signature(server: HookServer) -> None:
    """Over the timestamp and the body, so that neither can be changed or sent again later."""
    assert exchange(server.url, secret(hmacKey=b"\x00key"), clock=lambda: 1700000000.9).call().passed
    [posted] = server.posted
    signed = hmac.new(b"\x00key", b"1700000000." + posted.body, sha256).hexdigest()
    assert posted.headers["X-Canary-Timestamp"] == "1700000000"
    assert posted.headers["X-Canary-Signature"] == f"sha256={signed}"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"data": {"user": "YQ=="}}, "has none of the keys token, username"),
        ({"data": {"token": "YQ==", "username": "YQ=="}}, "has token and username"),
        ({"data": {"tls.key": "YQ=="}}, "has tls.key without tls.crt"),
        ({"data": {"token": "no base64!"}}, "can't be decoded"),
        ({"type": "kubernetes.io/service-account-token", "data": {"token": "YQ=="}}, "service-account-token"),
    ],
)  # fmt: skip
def test_a_secret_that_cant_be_used(found: dict[str, Any], why: str) -> None:
    """A token of a service account is for the API server, and goes nowhere else."""
    with pytest.raises(Invalid, match=why):
        HookCredentials.of("hook", found)


def test_redirects(server: HookServer) -> None:
    """To the same server, with method and body; to no other one, and not for ever."""
    with serve() as other:
        server.replies |= {
            "/same": Reply(307, headers={"Location": "/there"}),
            "/other": Reply(308, headers={"Location": f"{other.url}/"}),
            "/get": Reply(302, headers={"Location": "/there"}),
            "/loop": Reply(307, headers={"Location": "/loop"}),
            "/odd": Reply(307, headers={"Location": "file:///etc/passwd"}),
        }
        assert exchange(f"{server.url}/same").call().passed
        details = {path: exchange(f"{server.url}/{path}").call() for path in ("other", "get", "loop", "odd")}
        assert other.posted == []
    assert server.on("/there")[0].payload["name"] == "web"
    assert len(server.on("/there")) == 1
    assert {path: (one.passed, one.detail) for path, one in details.items()} == {
        "other": (False, "HTTP 308, a redirect to another server"),
        "get": (False, "HTTP 302, a redirect; write the final URL"),
        "loop": (False, "too many redirects"),
        "odd": (False, "its URL can't be called; write one such as http://loadtester.test/gate/check"),
    }


def test_a_url_that_may_not_be_called(server: HookServer) -> None:
    """Also where a server that may be called redirects there."""
    server.replies["/a"] = Reply(307, headers={"Location": "/b"})
    refused = exchange(f"{server.url}/a", refusal=lambda url: "not there" if url.endswith("/b") else "").call()
    assert (refused, server.on("/b")) == (Response(passed=False, detail="not there"), [])


@pytest.mark.parametrize(("scheme", "begin", "more"), [pytest.param(*row, id=name) for name, *row in ENDLESS])
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # see tests/metrics/test_hostile.py
def test_what_drips_is_cut_off(scheme: str, begin: bytes, more: bytes) -> None:
    """At the deadline; where only the body drips, its status is the answer. No thread is left."""
    with raw(begin, more) as hostile:
        patience = Patience(2.0)
        answer = exchange(f"{scheme}://127.0.0.1:{hostile.socket.getsockname()[1]}", within=WITHIN).call()
        assert not patience.over
        expected = "HTTP 200" if b"\r\n\r\n" in begin else f"no answer within {WITHIN:g}s"
        assert (answer.passed, answer.detail) == (expected == "HTTP 200", expected)
        assert hostile.left.wait(10)
    wait_for(lambda: not any(type(one) is threading.Timer for one in threading.enumerate()), "the timer to end")


def test_a_gibibyte(server: HookServer) -> None:
    """None of it is kept, whether the answer is a yes or a no that is shown."""
    huge = b"x" * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for status, quoted in ((200, True), (500, True), (500, False)):
        begin = f"HTTP/1.1 {status} Here\r\nContent-Length: {2**30}\r\n\r\n".encode()
        with raw(begin, huge, pause=0.0) as hostile:
            found = exchange(f"http://127.0.0.1:{hostile.socket.getsockname()[1]}", quoted=quoted).call()
            assert (found.passed, found.detail[:8]) == (status == 200, f"HTTP {status}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


@pytest.mark.parametrize(
    ("begin", "detail"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "no HTTP answer"),
    ],
    ids=["another protocol", "many headers", "a long header"],
)
def test_no_http(begin: bytes, detail: str) -> None:
    with raw(begin) as hostile:
        answer = exchange(f"http://127.0.0.1:{hostile.socket.getsockname()[1]}", within=WITHIN).call()
    assert answer == Response(passed=False, detail=detail, again=True)


def test_no_listener() -> None:
    """A port without a server, a server that closes, and a name that doesn't exist."""
    closing = socket.create_server(("127.0.0.1", 0))

    def close() -> None:
        closing.accept()[0].close()

    threading.Thread(target=close, daemon=True).start()
    ports = (free_port(), closing.getsockname()[1])
    details = [exchange(f"http://127.0.0.1:{port}").call() for port in ports]
    closing.close()
    assert [one.detail for one in details] == ["connection refused", "the connection was closed without an answer"]
    unknown = exchange("http://no-such-host.invalid/").call()
    assert unknown == Response(passed=False, detail="no such host", again=True)
    assert all(one.again for one in details)


@pytest.mark.parametrize(
    ("body", "passed", "detail"),
    [
        (b'{"result": true}', True, "the policy allows it"),
        (b'{"result": {"allow": true}}', True, "the policy allows it"),
        (b'{"result": false}', False, "the policy says no"),
        (b'{"result": {"allow": false, "reason": "a\\nfreeze"}}', False, "the policy says no: a freeze"),
        (b'{"result": "true"}', False, "the policy says no"),
        (b"{}", False, "the policy is undefined"),
        (b'[{"result": true}]', False, "not a decision in JSON"),
        (b"<html>", False, "not a decision in JSON"),
        (b"[" * 60_000, False, "not a decision in JSON"),
        (b'{"result": true' + b" " * 2**20 + b"}", False, "not a decision in JSON"),
    ],
    ids=range(10),
)
def test_a_policy_decides(server: HookServer, body: bytes, passed: bool, detail: str) -> None:
    """As an Open Policy Agent answers at its data API; only a true is a yes."""
    server.replies["/"] = Reply(200, body)
    found = exchange(f"{server.url}/", decides=True, quoted=True).call()
    assert (found.passed, found.detail) == (passed, detail)
    server.replies["/"] = Reply(201, body)
    assert not exchange(f"{server.url}/", decides=True).call().passed
    server.replies["/"] = Reply(500, b"{}")
    assert not exchange(f"{server.url}/", decides=True).call().passed


# ---- TLS -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def secured(keys: Path) -> Iterator[HookServer]:
    """A server that speaks TLS only, to those who show a certificate of its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    context.load_verify_locations(keys / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    with serve(context) as server:
        yield server


def test_tls(secured: HookServer, keys: Path) -> None:
    """Verified by the authority of the Secret; a client certificate is shown; `disableTLS` verifies nothing."""
    files = {"ca_crt": "ca.pem", "tls_crt": "client.pem", "tls_key": "client.key"}
    data = {name: (keys / file).read_bytes() for name, file in files.items()}
    assert exchange(secured.url, secret(**data)).call().passed
    assert exchange(secured.url, disable_tls=True).call().passed
    unknown = exchange(secured.url).call()
    assert (unknown.passed, unknown.again, unknown.detail[:5]) == (False, False, "TLS: ")
    plain = exchange(secured.url.replace("https", "http"), within=WITHIN).call()
    assert not plain.passed
    broken = exchange(secured.url, secret(ca_crt="no certificate")).call()
    assert broken == Response(passed=False, detail="the certificates of its Secret can't be used")
