"""Go durations (`90s`, `1m30s`, `1.5h`), as Kubernetes, Istio and Flagger write them."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2562047 * 3600
"""Whole hours in an int64 of nanoseconds, which is what Go counts in."""
LONGER = "is longer than a duration can be"
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_SPELT = re.compile(
    r"(?P<number>[0-9]+(\.[0-9]+)?) ?(?P<unit>|ms(ecs?)?|millis(econds?)?|s(ecs?|econds?)?|m(ins?|inutes?)?"
    r"|h(rs?|ours?)?|d(ays?)?)",
    re.IGNORECASE,
)
"""How durations are written elsewhere."""
PATTERN = rf"^(0|({_PART.pattern})+)$"
"""For schemas: all that `parse` reads, and little that it doesn't."""


def parse(text: str) -> timedelta:
    """The duration that Go's `time.ParseDuration` would read; ValueError with a sentence otherwise."""
    if text == "0":
        return timedelta()
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m{_meant(text)}")
    parts = [float(n) * _SECONDS[unit] for n, unit in _PART.findall(text)]
    if sum(parts) > _LONGEST:
        raise ValueError(f"{text!r} {LONGER}, which is 2562047h")
    return sum((timedelta(seconds=part) for part in parts), timedelta())


def _meant(text: str) -> str:
    """Of one number, with a unit in words or none."""
    given = _SPELT.fullmatch(text)
    if given is None:
        return ""
    unit = given["unit"].lower()
    if unit.startswith("d"):
        return "; write days in hours"
    return f"; did you mean {given['number']}{'ms' if unit.startswith(('ms', 'mil')) else unit[:1] or 's'}?"


def brief(value: timedelta) -> str:
    """The shortest exact Go form: `1h`, `1m30s`, `250ms`, `0s`."""
    micros = value // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    hours, rest = divmod(micros, 3_600_000_000)
    minutes, rest = divmod(rest, 60_000_000)
    seconds, sub = divmod(rest, 1_000_000)
    if not (hours or minutes or seconds) and sub:
        return f"{sign}{sub // 1000}ms" if sub % 1000 == 0 else f"{sign}{sub}µs"
    tail = f"{seconds}.{sub:06d}".rstrip("0").rstrip(".") if sub else str(seconds)
    parts = ((hours, f"{hours}h"), (minutes, f"{minutes}m"), (seconds or sub, f"{tail}s"))
    return sign + ("".join(part for amount, part in parts if amount) or "0s")


def _read(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse(value)
    hint = f"; did you mean {value}s?" if isinstance(value, int) and not isinstance(value, bool) else ""
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    raise ValueError(f"{shown} is not a duration such as 30s, 5m or 1h30m{hint}")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(brief, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 64, "pattern": PATTERN}),
]
