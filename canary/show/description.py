"""What `canary describe` tells beside the status (`summary.py`): what a Canary object wants, and its Events."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from canary.api.canary import Canary, CanarySpec
from canary.api.status import Message, Status

from . import times
from .checks import LABEL
from .screen import PLAIN, Line, Screen, Span

EVENTS = 10
"""The latest ones are shown."""


def wish_lines(canary: Canary, status: Status, screen: Screen = PLAIN) -> list[str]:
    """The spec in short, with where its analysis comes from."""
    return [screen.paint(line) for line in _wish(canary, status)]


def event_lines(events: Sequence[Message], now: datetime, screen: Screen = PLAIN) -> list[str]:
    """The latest Events, oldest first; nothing without any."""
    return [screen.paint(line) for line in _events(events[-EVENTS:], now, screen)]


def _wish(canary: Canary, status: Status) -> Iterable[Line]:
    spec = canary.spec
    yield _row("Canary", f"{canary.metadata.namespace}/{canary.metadata.name}")
    yield _row("target", " ".join((spec.target_ref.kind, spec.target_ref.name, *spec.virtual_services)))
    yield _row("version", f"{spec.version or 'none'}{' (suspended)' if spec.suspend else ''}")
    for label, value in (("stable", spec.stable), ("host", spec.host), ("routes", ", ".join(spec.routes))):
        if value:
            yield _row(label, value)
    yield _row("analysis", _analysis(spec))
    if status.observed_generation < canary.metadata.generation:
        yield (Span(f"{'':<{LABEL}} "), Span("the controller hasn't seen this spec yet", "warn"))
    yield ()


def _analysis(spec: CanarySpec) -> str:
    """Where it comes from; the Canary's own fields win."""
    ref, own = spec.policy_ref, spec.analysis or spec.canary_analysis
    guards = f", {len(spec.guards)} guard{'s' * (len(spec.guards) > 1)}" if spec.guards else ""
    if ref is None:
        return f"its own{guards}" if own else f"none{guards}"
    fields = ", ".join(sorted(own.model_dump(exclude_unset=True, by_alias=True))) if own else ""
    return f"{ref.kind} {ref.name}{f', its own {fields}' if fields else ''}{guards}"


def _events(events: Sequence[Message], now: datetime, screen: Screen) -> Iterable[Line]:
    if not events:
        return
    yield ()
    yield (Span("events", "dim"),)
    for one in events:
        at = times.moment(one.at, now, screen.zone)
        yield (
            Span(f"{at}  ", "dim"),
            Span(f"{one.reason}  ", "warn" if one.type == "Warning" else ""),
            Span(one.message),
        )


def _row(label: str, value: str) -> Line:
    return (Span(f"{label:<{LABEL}} ", "dim"), Span(value))
