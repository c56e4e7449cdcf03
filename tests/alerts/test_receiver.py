"""Who gets an alert: by the URL of a run, or by an AlertProvider and its Secret."""

import base64
from typing import Any

import pytest

from canary.alerts.receiver import of_provider, of_url
from canary.engine.errors import Invalid, Rejected
from canary.kube.client import Client
from tests.controller.serving import Server
from tests.parts.fences import unfenced


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("https://hooks.slack.com/services/T/B/X", "slack", "https://hooks.slack.com/services/T/B/X"),
        ("https://discord.com/api/webhooks/1/x", "discord", "https://discord.com/api/webhooks/1/x"),
        ("https://shop.webhook.office.com/webhookb2/x", "msteams", "https://shop.webhook.office.com/webhookb2/x"),
        ("https://chat.googleapis.com/v1/spaces/x", "gchat", "https://chat.googleapis.com/v1/spaces/x"),
        ("rocket:http://chat.shop:3000/hooks/x", "rocket", "http://chat.shop:3000/hooks/x"),
        ("mailto://me:secret@shop.example", "apprise", "mailto://me:secret@shop.example"),
        ("apprise:jsons://shop.example/x", "apprise", "jsons://shop.example/x"),
    ],
)
def test_a_url_says_what_it_is(url: str, kind: str, address: str) -> None:
    """Or its prefix does."""
    found = of_url(url)
    assert (found.type, found.address) == (kind, address)
    assert address not in repr(found)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://chat.shop/hooks/T0", "can't tell what chat.shop expects; write TYPE:URL, such as slack:https://…"),
        ("slak:https://chat.shop/hooks/T0", "'slak' is no type of receiver; did you mean slack?"),
        ("slack:chat.shop/T0", "the address of slack must be a URL such as https://hooks.slack.com/services/T/B/X"),
        ("T0", "the address of apprise must be an apprise URL such as mailto://user:password@example.com"),
    ],
)
def test_a_wrong_url_is_explained_without_it(url: str, words: str) -> None:
    """It holds a token."""
    with pytest.raises(Invalid) as found:
        of_url(url)
    assert str(found.value) == words


def provider(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "on-call", "namespace": "ops"}
    return {"kind": "AlertProvider", "metadata": metadata, "spec": {"type": "slack", **spec}}


def secret(**data: str) -> dict[str, Any]:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": "chat", "namespace": "ops"}, "data": coded}


def cluster(*objects: dict[str, Any]) -> Client:
    server = Server()
    server.put(*objects)
    return Client(server, fence=unfenced)


def test_the_address_comes_from_a_secret_beside_the_provider() -> None:
    """It wins over the one in the open."""
    given = provider(
        secretRef={"name": "chat"}, address="https://open.example/", channel="ops", username="bot", proxy="http://p:1",
        templates={"default": "{{ message }}!"},
    )  # fmt: skip
    found = of_provider(cluster(given, secret(address="https://chat.example/T0\n", token="xoxb")), "ops", "on-call")
    assert (found.type, found.address, found.token) == ("slack", "https://chat.example/T0", "xoxb")
    assert (found.channel, found.username, found.proxy) == ("ops", "bot", "http://p:1")
    assert found.templates == {"default": "{{ message }}!"}
    assert "T0" not in repr(found)
    assert "xoxb" not in repr(found)


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], "the AlertProvider ops/on-call doesn't exist"),
        ([provider(secretRef={"name": "chat"})], "the Secret ops/chat doesn't exist"),
        (
            [provider(secretRef={"name": "chat"}), secret(token="xoxb")],
            "the address of the AlertProvider ops/on-call must be a URL such as https://hooks.slack.com/services/T/B/X",
        ),
        (
            [provider()],
            "in the AlertProvider ops/on-call, spec.secretRef: is missing; name a Secret whose key `address` holds "
            "the webhook's URL",
        ),
        ([provider(type="pager")], "in the AlertProvider ops/on-call, spec.type: 'pager' is not slack, msteams"),
    ],
)
def test_what_is_missing_is_said(objects: list[dict[str, Any]], words: str) -> None:
    """It may be created later, so that the alert is tried again."""
    with pytest.raises(Rejected) as found:
        of_provider(cluster(*objects), "ops", "on-call")
    assert str(found.value).startswith(words)
