"""Single users and single callers: which routes are theirs and stay as they are."""

from collections.abc import Mapping
from typing import Any

PERSONAL = ("queryParams", "sourceLabels", "sourceNamespace")
"""Conditions that pick single users or callers, beside headers."""
_OF_THE_URL = ("uri", "scheme", "method", "authority")
"""Istio ignores these among the headers of a match."""


def names_users(route: Mapping[str, Any]) -> bool:
    """Whether any alternative of the route's match is for single users; they would move with all others."""
    return any(_picks(one) for one in route.get("match") or ())


def _picks(match: Mapping[str, Any]) -> bool:
    headers = (name for name in match.get("headers") or {} if name not in _OF_THE_URL and not name.startswith(":"))
    return any(True for _ in headers) or any(match.get(one) for one in PERSONAL)
