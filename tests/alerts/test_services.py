"""Each of Flagger's five services shows all fields, and the severity as a colour, on a server that plays it."""

import json
import socket
from typing import Any

import pytest

from canary.alerts.canary_alerts import deliver
from canary.alerts.payloads import request_for
from canary.alerts.post import post
from canary.alerts.receiver import Receiver
from canary.engine.errors import Rejected, Unreachable
from tests.alerts.cards import FIELDS, a_card
from tests.alerts.endpoint import Endpoint, endpoint, field_of
from tests.parts.dripping import ENDLESS, raw
from tests.parts.patience import Stopwatch

SERVICES = ("slack", "rocket", "discord", "msteams", "gchat")


def delivered(kind: str, at: Endpoint, severity: str = "error", **more: Any) -> dict[str, Any]:
    """What the server was sent."""
    deliver(Receiver(kind, f"{at.url}/hook/T0", **more), a_card(severity))
    return at.posted[-1].body


@pytest.mark.parametrize("kind", SERVICES)
def test_all_fields_the_text_and_the_title_arrive(kind: str) -> None:
    """In the form of each service."""
    with endpoint() as at:
        text = json.dumps(delivered(kind, at), ensure_ascii=False)
    for words in ("web.shop", "v1 serves everything again", *(word for pair in FIELDS for word in pair)):
        assert words in text


@pytest.mark.parametrize("kind", SERVICES)
def test_each_severity_has_a_colour_of_its_own(kind: str) -> None:
    """A person sees at once how bad it is."""
    with endpoint() as at:
        sent = [json.dumps(delivered(kind, at, severity)) for severity in ("info", "warn", "error")]
    assert len(set(sent)) == 3


def test_slack_gets_channel_user_colour_and_short_fields() -> None:
    """As Flagger sends them."""
    with endpoint() as at:
        body = delivered("slack", at, channel="ops", username="bot")
    assert (body["channel"], body["username"]) == ("ops", "bot")
    (attachment,) = body["attachments"]
    assert attachment["color"] == "danger"
    assert field_of(body, "Command") == "canary retry web -n shop"
    assert attachment["fields"][0] == {"title": "Canary", "value": "web.shop", "short": True}


def test_a_token_is_shown_to_slacks_api_which_may_refuse_with_200() -> None:
    """Its word is reported, because it is one of Slack's."""
    with (
        endpoint((200, '{"ok": false, "error": "channel_not_found"}')) as at,
        pytest.raises(Rejected, match="the service refused it: channel_not_found"),
    ):
        delivered("slack", at, token="xoxb-1")
    assert at.posted[0].headers["Authorization"] == "Bearer xoxb-1"


@pytest.mark.parametrize(
    ("given", "path"),
    [("/hook/T0", "/hook/T0/slack"), ("/hook/T0/slack", "/hook/T0/slack"), ("/hook?x=1", "/hook/slack?x=1")],
)
def test_discord_is_asked_in_slacks_form(given: str, path: str) -> None:
    """Under a path of its own."""
    with endpoint() as at:
        deliver(Receiver("discord", at.url + given), a_card())
    assert at.posted[0].path == path


def test_teams_gets_an_adaptive_card_where_power_automate_listens() -> None:
    """The older connectors take a MessageCard."""
    new = request_for(Receiver("msteams", "https://prod-1.westeurope.logic.azure.com/workflows/x"), a_card())
    old = request_for(Receiver("msteams", "https://shop.webhook.office.com/webhookb2/x"), a_card())
    assert new.body["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert old.body["@type"] == "MessageCard"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((500, "x"), Unreachable, "HTTP 500"),
        ((429, "rate_limited"), Unreachable, "HTTP 429: rate_limited"),
        ((404, "no_service"), Rejected, "HTTP 404: no_service"),
        ((403, "the token T0 is wrong"), Rejected, "HTTP 403"),
        ((302, ""), Rejected, "HTTP 302, a redirect; give the final address"),
    ],
)
def test_a_refusal_is_final_and_a_failure_is_not(answer: tuple[int, str], error: type[Exception], words: str) -> None:
    """What is said of it never has the address, nor what might be a secret."""
    with endpoint(answer) as at, pytest.raises(error) as found:
        delivered("slack", at)
    assert str(found.value) == words
    assert len(at.posted) == 1


@pytest.mark.parametrize(("where", "scheme", "begin", "more"), ENDLESS, ids=[one[0] for one in ENDLESS])
def test_an_answer_without_end_is_cut_off(where: str, scheme: str, begin: bytes, more: bytes) -> None:
    """Wherever it drips."""
    with raw(begin, more) as server:
        url = f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/T0"
        began = Stopwatch()
        with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
            post(request_for(Receiver("slack", url), a_card()), within=0.3)
        assert began.seconds < 5


def test_no_listener_is_reported_without_the_address() -> None:
    """A port that was just free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable) as found:
        deliver(Receiver("slack", f"http://127.0.0.1:{port}/T0"), a_card())
    assert str(found.value) == "can't connect, or the connection broke"


def test_a_proxy_is_used() -> None:
    """It is asked for the whole address."""
    with endpoint() as proxy:
        deliver(Receiver("slack", "http://chat.example/T0", proxy=proxy.url), a_card())
    assert proxy.posted[0].path == "http://chat.example/T0"
