"""Times that people write: in UTC, and in years with which the engine can reckon."""

from datetime import UTC, datetime

FIRST, LAST = 1970, 2999
"""Years. Beyond them a window or a deadline may leave the calendar."""


def utc(time: datetime) -> datetime:
    """The same in UTC, which is meant if no zone is given. Raises ValueError for years out of reach."""
    if not FIRST <= time.year <= LAST:
        raise ValueError(f"the year {time.year} is not from {FIRST} to {LAST}")
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
