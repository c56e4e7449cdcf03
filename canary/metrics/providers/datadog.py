"""Datadog's timeseries: https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points."""

from typing import Any

from canary.engine.observed import Cause, Value

from .question import NoAnswer, ProviderQuestion, ProviderWire, empty, foreign, number, several

SPAN = 10
"""Windows that are asked for, so that there is a complete point however coarse the series is."""


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The newest point of the one series whose time is over; the point after it isn't complete yet."""
    end = question.at.timestamp()
    params = {"query": question.text, "from": str(int(end - SPAN * question.seconds)), "to": str(int(end))}
    headers = {
        "DD-API-KEY": question.key("datadog_api_key"),
        "DD-APPLICATION-KEY": question.key("datadog_application_key"),
    }
    document = wire.json("GET", "/api/v1/query", params=params, headers=headers)
    match document:
        case {"status": "error", "error": str(why)}:
            raise NoAnswer(Cause.INVALID, wire.scrubbed(why)[:300])
        case {"series": []}:
            raise empty()
        case {"series": [dict(series)]}:
            return Value(number(_newest(series, end)))
        case {"series": list(found)}:
            raise several(len(found))
    raise foreign("Datadog")


def _newest(series: dict[str, Any], end: float) -> object:
    length = series.get("interval")
    seconds = float(length) if isinstance(length, int | float) else 0.0
    points = series.get("pointlist")
    if not isinstance(points, list):
        raise foreign("Datadog")
    complete = []
    for point in points:
        match point:
            case [int() | float() as at, value]:
                if value is not None and at / 1000 + seconds <= end:
                    complete.append(value)
            case _:
                raise foreign("Datadog")
    if not complete:
        raise empty("the query has no complete point yet")
    return complete[-1]
