"""How much of a status is kept: the oldest summaries make way for what is going on. For stores. Pure."""

import json

from canary.api.status import Status

LIMIT = 16 * 1024
"""Bytes of a status, as JSON."""


def fitting(status: Status) -> Status:
    """At most LIMIT, as far as history can make way; what is left is saved in any case."""
    while status.history and len(text(status).encode()) > LIMIT:
        status = status.but(history=status.history[:-1])
    return status


def text(status: Status) -> str:
    """As JSON, on one line."""
    return json.dumps(status.wire(), separators=(",", ":"), ensure_ascii=False)
