"""Any service that apprise knows, by its URL, in a process that may hang and reads no file for a Secret's author."""

import pytest

from canary.alerts.apprise_child import refusal
from canary.alerts.apprise_url import send
from canary.alerts.canary_alerts import deliver
from canary.alerts.receiver import Receiver
from canary.engine.errors import Rejected, Unreachable
from tests.alerts.cards import FIELDS, a_card
from tests.alerts.endpoint import endpoint
from tests.parts.dripping import raw
from tests.parts.patience import Stopwatch


def test_a_service_by_its_url_shows_all_fields_and_the_severity() -> None:
    """With apprise itself: json:// is one of its services."""
    with endpoint() as at:
        deliver(Receiver("apprise", f"{at.url.replace('http', 'json', 1)}/T0"), a_card("error"))
    (posted,) = at.posted
    assert posted.path.strip("/") == "T0"
    assert posted.body["type"] == "failure"
    assert posted.body["title"] == "web.shop: RolledBack"
    lines = posted.body["message"].splitlines()
    assert lines[0] == "v1 serves everything again"
    assert {f"{name}: {value}" for name, value in FIELDS} <= set(lines)


def test_a_failure_is_reported_without_the_url() -> None:
    """And may be over later."""
    with endpoint((500, "no")) as at, pytest.raises(Unreachable) as found:
        deliver(Receiver("apprise", f"{at.url.replace('http', 'json', 1)}/T0"), a_card())
    assert str(found.value) == "the service didn't take it, or can't be reached"


def test_a_service_that_never_ends_its_answer_is_cut_off() -> None:
    """With the process."""
    with raw(b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.1) as server:
        began = Stopwatch()
        with pytest.raises(Unreachable, match="no answer within 3 s"):
            send(f"json://127.0.0.1:{server.socket.getsockname()[1]}/T0", a_card(), within=3)
        assert began.seconds < 30


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("syslog://", "syslog:// is for one machine, and can't be used here"),
        (
            "workflows://h/w/s?template=/var/run/secrets/token",
            "a parameter of the apprise URL names a file, which can't be used here",
        ),
        (
            "mailto://a:b@c?pgpkey=%2Fetc%2Fpasswd",
            "a parameter of the apprise URL names a file, which can't be used here",
        ),
        ("json://shop.example/x?a=b", ""),
    ],
)
def test_what_would_read_or_write_here_is_refused(url: str, words: str) -> None:
    """The author of a Secret has no account on this machine."""
    assert refusal(url) == words


def test_an_unknown_scheme_is_said() -> None:
    """No retry helps."""
    with pytest.raises(Rejected, match=r"apprise doesn't understand a URL that begins with nothing://"):
        send("nothing://T0", a_card())
