"""What is wrong with a state that was read, in a few words for a person; all stores say it so."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN = 3
"""Fields that are named; a state of something else has all of them wrong."""


def wrong_fields(error: ValidationError) -> str:
    """Which fields, and why where that is a matter of ours."""
    found = [_words(one) for one in error.errors(include_url=False)]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"wrong: {', '.join(found[:SHOWN])}{more}"


def _words(one: ErrorDetails) -> str:
    name = ".".join(str(part) for part in one["loc"]) or "status"
    if one["type"] == "json_invalid":
        return f"{name}, which isn't JSON"
    return f"{name}, {one['ctx']['error']}" if one["type"] == "value_error" else name
