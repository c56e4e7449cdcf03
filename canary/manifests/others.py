"""Objects that are none of ours: a chart's output and a folder of manifests are full of them, and none is looked at.

What may be ours is kept, so that a slip is told: our kinds in any group, a group that is like ours or Flagger's, and
whatever says no apiVersion.
"""

from typing import Any

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from canary.engine.checks import Problem
from canary.engine.nearest import nearest

from .validation import FLAGGER, UNREAD

_NEAR = (API_VERSION.partition("/")[0], FLAGGER.rstrip("/"))


def other(data: Any) -> bool:
    """Whether the document is an object of somebody else's."""
    version = data.get("apiVersion") if isinstance(data, dict) else None
    if not isinstance(version, str) or not version or data.get("kind") in (*KINDS, *UNREAD):
        return False
    return nearest(version.partition("/")[0], _NEAR) is None and not _within(data)


def unopened(data: Any) -> Problem | None:
    """What to say of a list, as `kubectl get -o yaml` prints several objects, that has some of ours in it."""
    if not isinstance(data, dict) or data.get("apiVersion") != "v1" or not _within(data):
        return None
    return Problem(("items",), "has objects of canary's in it; write each as a document of its own, parted by ---")


def _within(data: dict[str, Any]) -> bool:
    items = data.get("items")
    return isinstance(items, list) and any(_versioned(one) and not other(one) for one in items)


def _versioned(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("apiVersion"), str)
