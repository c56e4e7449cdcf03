"""Splunk Observability (SignalFx), in SignalFlow: https://dev.splunk.com/observability/reference/api/signalflow/latest.

The answer of `execute` is a stream of server-sent events, which ends when the computation does.
"""

import json
from collections.abc import Iterator

from canary.engine.observed import Cause, Value

from ..limits import MIB, Bounds
from .question import NoAnswer, ProviderQuestion, ProviderWire, empty, foreign, number, several

_BOUNDS = Bounds(MIB, 2000)


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The last value of the one time series that the program publishes."""
    end = int(question.at.timestamp() * 1000)
    params = {"start": str(end - int(question.seconds * 1000)), "stop": str(end), "immediate": "true"}
    headers = {"X-SF-Token": question.key("sf_token_key"), "Content-Type": "text/plain"}
    body = wire.body(
        "POST",
        "/v2/signalflow/execute",
        params=params,
        data=question.text.encode(),
        headers=headers,
        bounds=_BOUNDS,
    )
    found: dict[str, object] = {}
    for kind, data in _events(body.decode(errors="replace")):
        if kind == "error":
            raise NoAnswer(Cause.INVALID, "the program failed on the server")
        if kind == "data":
            found |= _values(data)
    if not found:
        raise empty()
    if len(found) > 1:
        raise several(len(found))
    return Value(number(next(iter(found.values()))))


def _events(text: str) -> Iterator[tuple[str, object]]:
    """The kind of each event, with its document."""
    kind, lines = "", list[str]()
    for line in [*text.splitlines(), ""]:
        name, _, value = line.partition(":")
        if name == "event":
            kind = value.strip()
        elif name == "data":
            lines.append(value.removeprefix(" "))
        elif not line and lines:
            try:
                yield kind, json.loads("\n".join(lines))
            except (ValueError, RecursionError):
                raise foreign("SignalFlow") from None
            kind, lines = "", []
        elif not line:
            kind = ""
    if "event:" not in text:
        raise foreign("SignalFlow")


def _values(document: object) -> dict[str, object]:
    """By time series."""
    match document:
        case {"data": list(points)}:
            pairs = [(one.get("tsId"), one.get("value")) for one in points if isinstance(one, dict)]
            return {str(series): value for series, value in pairs if value is not None}
    raise foreign("SignalFlow")
