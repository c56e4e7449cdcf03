"""Moments and lengths of time as people read them."""

from datetime import datetime, timedelta, tzinfo

DAY, HOUR, MINUTE = 86_400, 3_600, 60


def clock(at: datetime, zone: tzinfo | None = None) -> str:
    """`12:04:05`, in `zone` or the local one."""
    return f"{at.astimezone(zone):%H:%M:%S}"


def day(at: datetime, zone: tzinfo | None = None) -> str:
    """`2026-01-31`, in `zone` or the local one."""
    return f"{at.astimezone(zone):%Y-%m-%d}"


def moment(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """The time of today, or the date and time of another day."""
    there, here = at.astimezone(zone), now.astimezone(zone)
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"


def lasting(length: timedelta) -> str:
    """The two largest units: `12s`, `1m12s`, `3h05m`, `2d04h`; nothing is negative."""
    seconds = max(round(length.total_seconds()), 0)
    if seconds < MINUTE:
        return f"{seconds}s"
    if seconds < HOUR:
        return _two(seconds, MINUTE, "m", 1, "s")
    if seconds < DAY:
        return _two(seconds, HOUR, "h", MINUTE, "m")
    return _two(seconds, DAY, "d", HOUR, "h")


def ago(at: datetime, now: datetime) -> str:
    """How long before now."""
    return f"{lasting(now - at)} ago"


def _two(seconds: int, large: int, name: str, small: int, rest: str) -> str:
    whole, left = divmod(seconds, large)
    return f"{whole}{name}{left // small:02d}{rest}" if left // small else f"{whole}{name}"
