"""Servers are shown what they want, others never see it, and no message of any kind holds it."""

import base64
import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Sample, Subject, Value
from canary.metrics.credentials import Credentials, Secret, address, from_environment
from canary.metrics.prometheus import Prometheus as Adapter
from tests.addresses import ASKED, NOT_ASKED
from tests.metrics.server import Server, serve, vector
from tests.parts.processes import free_port

AT = datetime(2026, 1, 1, tzinfo=UTC)
ONE = vector(({}, "1"))
SECRET = "hunter2/ö+% "


def query(server: str | None = None) -> Query:
    """Any question."""
    return Query("mine", timedelta(minutes=1), Subject("web", "shop"), text="up", server=server)


def ask(source: Adapter, server: str | None = None) -> Sample:
    """The answer to it."""
    return source.measure([query(server)], AT)[query(server)]


@pytest.fixture
def prometheus() -> Iterator[Server]:
    """A server that answers everybody."""
    with serve((200, ONE)) as server:
        yield server


@pytest.mark.parametrize(
    ("environment", "header", "value"),
    [
        ({"PROMETHEUS_USERNAME": "ann", "PROMETHEUS_PASSWORD": "pa:ss"}, "Authorization", "Basic YW5uOnBhOnNz"),
        ({"PROMETHEUS_TOKEN": "abc"}, "Authorization", "Bearer abc"),
        ({"PROMETHEUS_TENANT": "shop|cart"}, "X-Scope-OrgID", "shop|cart"),
        ({"PROMETHEUS_HEADERS": "X-Team: a, b\n\nX-Key:k:1"}, "X-Team", "a, b"),
        ({"PROMETHEUS_HEADERS": "X-Team: a, b\n\nX-Key:k:1"}, "X-Key", "k:1"),
    ],
)
def test_what_the_environment_says_is_shown(
    prometheus: Server, environment: Mapping[str, str], header: str, value: str
) -> None:
    """Each variable becomes its header."""
    with closing(Adapter(prometheus.url, from_environment(environment))) as source:
        assert ask(source) == Value(1)
    assert prometheus.asked[0].headers[header] == value


def test_a_url_may_hold_user_and_password(prometheus: Server) -> None:
    """They are taken out of it, and sent as they were meant."""
    url = prometheus.url.replace("http://", "http://ann:p%40ss@")
    with closing(Adapter(url)) as source:
        assert ask(source) == Value(1)
        assert "p%40ss" not in repr(source)
    assert prometheus.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()


def test_a_query_cannot_carry_credentials_elsewhere(prometheus: Server) -> None:
    """A manifest may name any server; only the configured one is shown anything."""
    with serve((200, ONE)) as stranger:
        with closing(Adapter(prometheus.url, Credentials(token=Secret("mine")))) as source:
            for server in (None, prometheus.url + "/", stranger.url):
                assert ask(source, server) == Value(1)
        assert [asked.headers["Authorization"] for asked in prometheus.asked] == ["Bearer mine"] * 2
        assert "Authorization" not in stranger.asked[0].headers


def test_a_redirect_is_not_followed(prometheus: Server) -> None:
    """Headers would go along to wherever it points."""
    with serve((302, "")) as server:
        server.headers = {"Location": prometheus.url}
        with closing(Adapter(server.url, Credentials(headers=(("X-Key", Secret("k")),)))) as source:
            answer = ask(source)
    assert isinstance(answer, Missing)
    assert (answer.cause, prometheus.asked) == (Cause.RUBBISH, [])


def test_files_are_read_again_when_they_change(prometheus: Server, tmp_path: Path) -> None:
    """As Kubernetes replaces them: through a link to another folder. One that is gone or empty is said so."""
    token = tmp_path / "token"
    for name in ("old", "new"):
        (tmp_path / name).write_text(f"{name}\n")
    token.symlink_to(tmp_path / "old")
    with closing(Adapter(prometheus.url, from_environment({"PROMETHEUS_TOKEN_FILE": str(token)}))) as source:
        ask(source)
        ask(source)
        (tmp_path / "link").symlink_to(tmp_path / "new")
        os.replace(tmp_path / "link", token)
        ask(source)
        (tmp_path / "new").write_text("")
        empty = ask(source)
        token.unlink()
        gone = ask(source)
    assert [asked.headers["Authorization"] for asked in prometheus.asked] == ["Bearer old"] * 2 + ["Bearer new"]
    assert empty == Missing(Cause.DENIED, f"{token}: is empty")
    assert gone == Missing(Cause.DENIED, f"{token}: No such file or directory")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PROMETHEUS_TOKEN": "t0k", "PROMETHEUS_USERNAME": "ann"}, "a token or a user name"),
        ({"PROMETHEUS_TOKEN": "t0k", "PROMETHEUS_TOKEN_FILE": "/t"}, "are both set"),
        ({"PROMETHEUS_KEY_FILE": "/key"}, "a key needs its certificate"),
        ({"PROMETHEUS_HEADERS": "X-Fine: 1\nt0k"}, "line 2 of PROMETHEUS_HEADERS"),
    ],
)
def test_what_contradicts_itself_is_refused(environment: Mapping[str, str], sentence: str) -> None:
    """At the start, in a sentence that shows no value."""
    with pytest.raises(Invalid, match=sentence) as raised:
        from_environment(environment)
    assert "t0k" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "prometheus:9090",
        "ftp://u:hunter2@x",
        "http://",
        "http://u:hunter2@h:port",
        "http://h?token=hunter2",
        *NOT_ASKED,
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    """It isn't shown: it may hold a password."""
    with pytest.raises(Invalid, match="looks like http://") as raised:
        address(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ASKED)
def test_an_address_that_lint_lets_through(url: str) -> None:
    """It can be asked, or an evaluation would have no one to ask."""
    assert urlsplit(address(url)[0]).hostname


def test_no_message_holds_a_secret(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """With any failure and any answer of the server: answers, logs, representations are searched."""
    caplog.set_level(logging.DEBUG)
    user = f"ann:{SECRET}"
    shown = base64.b64encode(user.encode()).decode()
    basic = Credentials(username="ann", password=Secret(SECRET), headers=(("X-Key", Secret("k3y-of-mine")),))
    token = Credentials(token=Secret("t0ken-of-mine"))
    said: list[object] = []
    for credentials, echo in ((basic, f"{user} {shown} k3y-of-mine"), (token, "Bearer t0ken-of-mine")):
        said.append(repr(credentials))
        for reply in (
            (401, f"denied: {echo}"),
            (200, f"<html>{echo}"),
            (500, "x" * 75 + echo),
            (422, f'{{"status":"error","error":"{"x" * 295}{echo}"}}'),
            (200, vector(warnings=[echo])),
        ):
            with serve(reply) as server, closing(Adapter(server.url, credentials)) as source:
                said += [ask(source), source]
        for url in (f"http://127.0.0.1:{free_port()}", "https://prometheus.invalid", "http://127.0.0.1:1/\x7f"):
            with closing(Adapter(url, credentials)) as source:
                said += [ask(source), source]
    url = f"http://ann:t0ken-of-mine@127.0.0.1:{free_port()}"
    with closing(Adapter(url)) as source:
        said += [ask(source), ask(source, url.replace("ann", "bob")), source]
    text = "\n".join(map(repr, said)) + "\n".join(map(str, said)) + caplog.text
    assert all(isinstance(answer, Missing | Adapter | str) for answer in said)
    assert "***" in text
    assert [word for word in ("hunter2", "t0ken", "k3y-of", shown) if word in text] == []


ESCAPED = [
    "{}",
    "\\{}",
    "\\\\\\{}",
    "&#{0:d};",
    "&amp;#x{0:04x};",
    "\\u{0:04x}",
    "\\\\u{0:04x}",
    "\\x{0:02x}",
    "%{0:02X}",
    "%25{0:02x}",
]


@pytest.mark.parametrize("written", ESCAPED)
@pytest.mark.parametrize("secret", ["hunter2", "a\\b", "\\\\a\\", 't0k<en>&"of mine"', "\\" * 9 + "n"])
def test_an_escaped_secret_is_masked(secret: str, written: str) -> None:
    text = "".join(written.format(char if "{}" in written else ord(char)) for char in secret)
    assert Credentials(token=Secret(secret)).scrubbed(f"It's {text}, {secret}.") == "It's ***, ***."


@pytest.mark.parametrize("page", ["\\", "&amp;", "%25", "\\u", "&#0", "0"])
def test_a_page_of_one_escape_is_read_in_one_go(page: str) -> None:
    """A pattern that tries each way to part a run of them would take longer than any time limit."""
    shown = Credentials(headers=(("A", Secret("\\" * 20 + "x")), ("B", Secret("x" + "&%" * 20))))
    assert shown.scrubbed(page * 8192) == page * 8192


@pytest.fixture
def secured(keys: Path) -> Iterator[Server]:
    """A server that speaks TLS only, to those who show a certificate of its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    context.load_verify_locations(keys / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with serve((200, ONE), context) as server:
        yield server


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        pytest.param(("ca.pem", "client.pem", "client.key"), Value(1), id="authority and client certificate"),
        pytest.param(("", "client.pem", "client.key"), "tls: self-signed certificate", id="authority not known"),
        pytest.param(("ca.pem", "", ""), "tls", id="no client certificate"),
        pytest.param(("names", "client.pem", "client.key"), "tls", id="a file that is no certificate"),
        pytest.param(("none.pem", "", ""), "no such file", id="a file that isn't there"),
    ],
)
def test_tls(secured: Server, keys: Path, files: tuple[str, str, str], answer: Sample | str) -> None:
    """Verified in both directions, never skipped, and a failure says what it was."""
    ca, certificate, key = files
    named = {"CA": ca, "CERT": certificate, "KEY": key}
    environment = {f"PROMETHEUS_{name}_FILE": str(keys / file) for name, file in named.items() if file}
    with closing(Adapter(secured.url, from_environment(environment))) as source:
        given = ask(source)
    if isinstance(answer, str):
        assert isinstance(given, Missing)
        assert given.cause is Cause.DENIED
        assert answer in given.detail.lower()
    else:
        assert given == answer
