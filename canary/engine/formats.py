"""Measured numbers as people read them, with the same digits in a sentence and in a table; times as people read and
write them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import floor

UNITS = {"request-success-rate": "%", "request-duration": "ms"}
"""Units of the builtin metrics."""
WITHIN = "within "
"""A metric whose name begins so is a share of requests, such as `within 500ms`."""
LARGEST = 1e15
"""From here on a number stands for infinity, which JSON doesn't have."""
FIRST, LAST = 1970, 2999
"""Years of times that people write. Beyond them a window or a deadline may leave the calendar."""


def shown(metric: str, number: float, bounds: Iterable[float | None] = ()) -> str:
    """With its unit; with as many digits as tell it from its bounds. A rate is rounded down: only 100% is 100%."""
    unit = "%" if metric.startswith(WITHIN) else UNITS.get(metric, "")
    if abs(number) >= LARGEST:
        return f"infinite{unit}"
    usual = _digits(unit, number)
    others = [bound for bound in bounds if bound is not None and bound != number]
    digits = next((d for d in range(usual, 7) if all(_text(unit, number, d) != _text(unit, b, d) for b in others)), 7)
    return _text(unit, number, digits) + unit


def _digits(unit: str, number: float) -> int:
    return 0 if abs(number) >= 1000 or (unit == "ms" and abs(number) >= 10) else 2


def _text(unit: str, number: float, digits: int) -> str:
    if unit == "%":
        number = floor(number * 10**digits + 1e-9) / 10**digits
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(time: datetime, now: datetime) -> str:
    """A time in its shortest form."""
    if time.date() == now.date():
        return f"{time:%H:%M:%S} UTC"
    tomorrow = time.date() == (now + timedelta(days=1)).date()
    return f"tomorrow {time:%H:%M} UTC" if tomorrow else f"{time:%Y-%m-%d %H:%M} UTC"


def utc(time: datetime) -> datetime:
    """A time in UTC, which is meant if no zone is given. Raises ValueError for years out of reach."""
    if not FIRST <= time.year <= LAST:
        raise ValueError(f"the year {time.year} is not from {FIRST} to {LAST}")
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
