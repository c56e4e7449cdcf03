"""What each of Flagger's five services is sent: a card with the same fields, and the severity as its colour. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from canary.engine.alerts import AlertCard

from .receiver import Receiver

COLORS = {"info": "#2eb886", "warn": "#daa038", "error": "#a30200"}
SLACK = {"info": "good", "warn": "warning", "error": "danger"}
SIGNS = {"info": "🟢", "warn": "🟡", "error": "🔴"}
ADAPTIVE = {"info": "good", "warn": "warning", "error": "attention"}
_WORKFLOWS = (".logic.azure.com", ".api.powerplatform.com")
"""Hosts of Power Automate, which takes adaptive cards where the older connectors of Teams take MessageCards."""
SHORT = 40
"""Characters of a value that stands beside another one."""


@dataclass(frozen=True)
class HttpRequest:
    """The HTTP request of one alert."""

    url: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def request_for(receiver: Receiver, card: AlertCard) -> HttpRequest:
    """The request that shows the card."""
    make = {"msteams": _teams, "gchat": _chat}.get(receiver.type, _attachment)
    headers = {"Authorization": f"Bearer {receiver.token}"} if receiver.token else {}
    return HttpRequest(_url(receiver), make(receiver, card), headers)


def _url(receiver: Receiver) -> str:
    """Discord takes what Slack does under a path of its own."""
    if receiver.type != "discord" or urlsplit(receiver.address).path.endswith("/slack"):
        return receiver.address
    base, question, query = receiver.address.partition("?")
    return f"{base.rstrip('/')}/slack{question}{query}"


def _attachment(receiver: Receiver, card: AlertCard) -> Mapping[str, Any]:
    """Slack, Rocket.Chat and Discord."""
    colors = SLACK if receiver.type == "slack" else COLORS
    attachment = {
        "fallback": f"{card.title}: {card.text}",
        "color": colors[card.severity],
        "author_name": card.title,
        "text": card.text,
        "mrkdwn_in": ["text"],
        "fields": [{"title": name, "value": value, "short": len(value) <= SHORT} for name, value in card.fields],
    }
    channel = {"channel": receiver.channel} if receiver.channel else {}
    return {**channel, "username": receiver.username, "attachments": [attachment]}


def _teams(receiver: Receiver, card: AlertCard) -> Mapping[str, Any]:
    host = urlsplit(receiver.address).hostname or ""
    return _adaptive(card) if host.endswith(_WORKFLOWS) else _message_card(card)


def _message_card(card: AlertCard) -> Mapping[str, Any]:
    facts = [{"name": name, "value": value} for name, value in card.fields]
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": COLORS[card.severity].lstrip("#"),
        "summary": f"{card.title}: {card.text}",
        "sections": [{"activityTitle": card.text, "activitySubtitle": card.title, "facts": facts}],
    }


def _adaptive(card: AlertCard) -> Mapping[str, Any]:
    facts = [{"title": name, "value": value} for name, value in card.fields]
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": card.title, "weight": "bolder", "size": "medium"},
            {"type": "TextBlock", "text": card.text, "wrap": True, "color": ADAPTIVE[card.severity]},
            {"type": "FactSet", "facts": facts},
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    return {"type": "message", "attachments": [attachment]}


def _chat(receiver: Receiver, card: AlertCard) -> Mapping[str, Any]:
    """Google Chat has no colour for a card, so the text has it."""
    text = {"textParagraph": {"text": f'<font color="{COLORS[card.severity]}">{_escaped(card.text)}</font>'}}
    fields = [
        {"decoratedText": {"topLabel": name, "text": _escaped(value), "wrapText": True}}
        for name, value in card.fields
    ]
    shown = {
        "header": {"title": card.title, "subtitle": f"{SIGNS[card.severity]} {card.severity}"},
        "sections": [{"widgets": [text, *fields]}],
    }
    return {"text": f"{SIGNS[card.severity]} {card.title}", "cardsV2": [{"cardId": "canary", "card": shown}]}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
