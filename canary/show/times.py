"""Moments and lengths of time as people read them."""

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def clock(at: datetime, zone: tzinfo | None = None) -> str:
    """`12:04:05`, in `zone` or the local one."""
    return f"{_there(at, zone):%H:%M:%S}"


def day(at: datetime, zone: tzinfo | None = None) -> str:
    """`2026-01-31`, in `zone` or the local one."""
    return f"{_there(at, zone):%Y-%m-%d}"


def moment(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """The time of today, or the date and time of another day."""
    there, here = _there(at, zone), _there(now, zone)
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"


def lasting(length: timedelta) -> str:
    """The two largest units: `12s`, `1m12s`, `3h05m`, `2d04h`; nothing is negative."""
    seconds = max(round(length.total_seconds()), 0)
    for (large, name), (small, rest) in pairwise(UNITS):
        whole, left = divmod(seconds, large)
        if whole:
            return f"{whole}{name}{left // small:02d}{rest}" if left // small else f"{whole}{name}"
    return f"{seconds}s"


def ago(at: datetime, now: datetime) -> str:
    """How long before now."""
    return f"{lasting(now - at)} ago"


def _there(at: datetime, zone: tzinfo | None) -> datetime:
    """In UTC if the local zone is none that exists, such as TZ=UTC+99."""
    try:
        return at.astimezone(zone)
    except (ValueError, OverflowError):
        return at.astimezone(UTC)
