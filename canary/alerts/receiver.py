"""Who gets an alert: an AlertProvider with its Secret, or a URL that a run was given."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from canary.api.canary import API_VERSION, AlertProvider
from canary.engine.did_you_mean import did_you_mean
from canary.engine.errors import Invalid, Rejected
from canary.engine.validation import check_provider
from canary.engine.validation.alerts import address
from canary.kube.client import Client
from canary.kube.errors import NotFound
from canary.kube.resources import ALERT_PROVIDERS, SECRETS
from canary.manifests.validation import resource

TYPES = ("slack", "msteams", "discord", "rocket", "gchat", "apprise")
SENDER = "canary"
_KNOWN = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "chat.googleapis.com": "gchat",
    ".webhook.office.com": "msteams",
    ".logic.azure.com": "msteams",
    ".api.powerplatform.com": "msteams",
}
"""Hosts whose webhooks say of what type they are; those with a dot are ends."""


@dataclass(frozen=True)
class Receiver:
    """Where and how an alert is sent."""

    type: str
    address: str = field(repr=False)
    token: str = field(default="", repr=False)
    channel: str = ""
    username: str = SENDER
    proxy: str = field(default="", repr=False)
    templates: Mapping[str, str] = field(default_factory=dict)


def of_url(text: str) -> Receiver:
    """The receiver of `--notify`: an apprise URL, a known webhook, or `TYPE:URL`. Raises Invalid, without the URL."""
    kind, colon, rest = text.partition(":")
    if colon and not rest.startswith("//"):
        if kind not in TYPES:
            hint = did_you_mean(kind, TYPES) or f"; there are {', '.join(TYPES)}"
            raise Invalid(f"{kind!r} is no type of receiver{hint}")
        return _checked(kind, rest)
    if kind not in ("http", "https"):
        return _checked("apprise", text)
    host = _host(text)
    found = next((each for end, each in _KNOWN.items() if host == end or (end[0] == "." and host.endswith(end))), "")
    if not found:
        raise Invalid(f"can't tell what {host or 'the URL'} expects; write TYPE:URL, such as slack:https://…")
    return _checked(found, text)


def _checked(kind: str, text: str) -> Receiver:
    if why := address(kind, text):
        raise Invalid(f"the address of {kind} {why}")
    return Receiver(kind, text)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def of_provider(client: Client, namespace: str, name: str) -> Receiver:
    """The receiver that an AlertProvider names now, with its Secret. Raises Rejected or Unreachable."""
    what = f"the AlertProvider {namespace}/{name}"
    try:
        data = client.get(ALERT_PROVIDERS, namespace, name)
    except NotFound:
        raise Rejected(f"{what} doesn't exist") from None
    found, problems = resource({**data, "apiVersion": API_VERSION, "kind": "AlertProvider"}, extra="ignore")
    if not isinstance(found, AlertProvider):
        raise Rejected(f"in {what}, {'; '.join(map(str, problems))}")
    wrong = [each for each in check_provider(found) if each.field[:2] != ("spec", "templates")]
    if wrong:
        raise Rejected(f"in {what}, {wrong[0]}")
    spec = found.spec
    secret = _secret(client, namespace, spec.secret_ref.name) if spec.secret_ref else {}
    where = secret.get("address") or spec.address or ""
    if why := address(spec.type, where):
        raise Rejected(f"the address of {what} {why}")
    return Receiver(
        type=spec.type,
        address=where,
        token=secret.get("token", ""),
        channel=spec.channel or "",
        username=spec.username or SENDER,
        proxy=spec.proxy or "",
        templates=spec.templates,
    )


def _secret(client: Client, namespace: str, name: str) -> Mapping[str, str]:
    """The two keys that are used. Raises Rejected or Unreachable."""
    try:
        data = client.get(SECRETS, namespace, name).get("data") or {}
    except NotFound:
        raise Rejected(f"the Secret {namespace}/{name} doesn't exist") from None
    try:
        return {
            key: base64.b64decode(data[key], validate=True).decode().strip()
            for key in ("address", "token")
            if key in data
        }
    except (binascii.Error, ValueError):
        raise Rejected(f"the Secret {namespace}/{name} isn't text") from None
