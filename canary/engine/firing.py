"""Alerts that other systems report: what their messages say, and which Canaries they ask to roll back. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.analysis import AlertMatch
from canary.api.status import Outcome, RolloutSummary, Status

from .errors import Invalid
from .outcome import clipped

MOST = 1000
"""Alerts of one message."""


@dataclass(frozen=True)
class FiringAlert:
    """One alert that fires."""

    name: str
    labels: Mapping[str, str]
    message: str
    at: datetime
    """Since when it fires."""


def from_alertmanager(data: Any, now: datetime) -> tuple[FiringAlert, ...]:
    """Of Alertmanager's webhook, version 4. What is resolved isn't returned. Raises Invalid."""
    found = []
    for index, one in enumerate(_items(_mapping(data, "the message").get("alerts"), "alerts")):
        where = f"alerts[{index}]"
        alert = _mapping(one, where)
        if alert.get("status") != "firing":
            continue
        labels = _texts(alert.get("labels"), f"{where}.labels")
        notes = _texts(alert.get("annotations") or {}, f"{where}.annotations")
        message = notes.get("summary") or notes.get("description") or ""
        found.append(_alert(labels.get("alertname"), labels, message, alert.get("startsAt"), now, where))
    return tuple(found)


def from_falco(data: Any, now: datetime) -> tuple[FiringAlert, ...]:
    """Of falcosidekick's webhook: the rule is the alert; its fields and priority are labels. Raises Invalid."""
    event = _mapping(data, "the message")
    fields = event.get("output_fields")
    labels = {str(key): str(value) for key, value in fields.items()} if isinstance(fields, dict) else {}
    labels |= {key: str(event[key]) for key in ("priority", "source", "hostname") if key in event}
    if "k8s.ns.name" in labels:
        labels.setdefault("namespace", labels["k8s.ns.name"])
    return (_alert(event.get("rule"), labels, str(event.get("output") or ""), event.get("time"), now, "rule"),)


def from_generic(data: Any, now: datetime) -> tuple[FiringAlert, ...]:
    """Of `{"alert", "labels", "message", "startsAt"}`, or of several in `alerts`. Raises Invalid."""
    given = _mapping(data, "the message")
    several = given.get("alerts")
    entries = [given] if several is None else _items(several, "alerts")
    return tuple(_generic(one, f"alerts[{index}]" if several else "", now) for index, one in enumerate(entries))


def _generic(data: Any, where: str, now: datetime) -> FiringAlert:
    alert = _mapping(data, where or "the message")
    labels = _texts(alert.get("labels") or {}, f"{where}.labels".lstrip("."))
    return _alert(alert.get("alert"), labels, str(alert.get("message") or ""), alert.get("startsAt"), now, where)


def _alert(name: Any, labels: Mapping[str, str], message: str, at: Any, now: datetime, where: str) -> FiringAlert:
    if not isinstance(name, str) or not name:
        raise Invalid(f"{where or 'alert'}: the name of the alert is missing")
    return FiringAlert(clipped(name), labels, clipped(" ".join(message.split())), _time(at, now))


def _time(text: Any, now: datetime) -> datetime:
    """When it began; now if that isn't said, and never later."""
    try:
        found = datetime.fromisoformat(str(text)) if text else now
    except ValueError:
        return now
    return min(found if found.tzinfo else found.replace(tzinfo=UTC), now)


def _mapping(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Invalid(f"{where} must be a JSON object")
    return data


def _items(data: Any, where: str) -> Sequence[Any]:
    if not isinstance(data, list):
        raise Invalid(f"{where} must be a list")
    if len(data) > MOST:
        raise Invalid(f"{where} has more than {MOST} entries")
    return data


def _texts(data: Any, where: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in _mapping(data, where).items()}


def asks(rules: Iterable[AlertMatch], alerts: Iterable[FiringAlert], since: datetime) -> Iterator[FiringAlert]:
    """The alerts that ask for a rollback of a rollout that runs since then: an older one isn't its fault."""
    named = tuple(rules)
    for alert in alerts:
        if alert.at >= since and any(_matches(rule, alert) for rule in named):
            yield alert


def _matches(rule: AlertMatch, alert: FiringAlert) -> bool:
    return rule.alert == alert.name and rule.labels.items() <= alert.labels.items()


def promoted_lately(status: Status, within: timedelta, now: datetime) -> RolloutSummary | None:
    """The last rollout, if it was promoted at most so long ago; None also for one that only went back.

    A promotion that takes back the one before it isn't watched: alerts would send the traffic to and fro.
    """
    last, *earlier = status.history or (None,)
    if status.rollout is not None or last is None or last.outcome is not Outcome.PROMOTED:
        return None
    if within <= timedelta() or now > last.ended + within:
        return None
    before = next((one for one in earlier if one is not None and one.outcome is Outcome.PROMOTED), None)
    return None if before is not None and _takes_back(last, before) else last


def _takes_back(last: RolloutSummary, before: RolloutSummary) -> bool:
    """Versions are known by their names; a primary and its target have two, and are known by their revisions."""
    names = (last.canary.name, last.stable.name) == (before.stable.name, before.canary.name)
    revisions = (last.canary.revision, last.stable.revision) == (before.stable.revision, before.canary.revision)
    return names or revisions
