"""How our own additions to a route are known again: a mark in the route's metadata, gone when they are gone.

Envoy keeps metadata that no filter asks for, and shows it in /config_dump, where `routes.py` reads it.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

KEY = "canary-controller.dev"
"""Under `metadata.filter_metadata`."""

SINGLE = "single"
"""The route had a single `cluster`, and gets one again."""
ADDED = "added"
"""Name of the cluster whose entry was added to the user's weighted clusters."""
FACTOR = "factor"
"""What the user's weights were multiplied by."""
MIRROR = "mirror"
"""Name of the cluster that a policy of ours mirrors to."""
MATCH = "match"
"""The whole route is ours: it catches single users for the route behind it."""

_MADE = "made"
"""The outermost of the mappings around the mark that wasn't there before."""


def of(route: Mapping[str, Any]) -> dict[str, Any]:
    """The mark of a route, empty where it has none."""
    filters = (route.get("metadata") or {}).get("filter_metadata") or {}
    mark = filters.get(KEY) or {}
    return {name: value for name, value in mark.items() if name != _MADE}


def put(route: MutableMapping[str, Any], mark: Mapping[str, Any]) -> None:
    """Marks the route in place; an empty mark takes away all that an earlier one brought."""
    made = _remove(route)
    if not mark:
        return
    if "metadata" not in route:
        made = "metadata"
    elif made is None and "filter_metadata" not in route["metadata"]:
        made = "filter_metadata"
    filters = route.setdefault("metadata", {}).setdefault("filter_metadata", {})
    filters[KEY] = {**mark, **({_MADE: made} if made else {})}


def _remove(route: MutableMapping[str, Any]) -> str | None:
    """Takes the mark away, and the mappings that were made for it if they are empty; returns the outermost."""
    filters = (route.get("metadata") or {}).get("filter_metadata") or {}
    if KEY not in filters:
        return None
    made: str | None = filters.pop(KEY).get(_MADE)
    if made and not filters:
        del route["metadata"]["filter_metadata"]
    if made == "metadata" and not route["metadata"]:
        del route["metadata"]
    return made
