"""Canaries that want to move the same routes: the older acts, the other waits and says so. Pure."""

from collections.abc import Iterable

from .seen import CanarySeen

Key = tuple[str, str]
"""Namespace and name."""


def older(key: Key, mine: CanarySeen, others: Iterable[tuple[Key, CanarySeen]]) -> Key | None:
    """The oldest Canary that moves what this one wants to move, if it is older than this one."""
    rivals = [(one.created, other) for other, one in others if overlap(mine, one)]
    first = min(rivals, default=None)
    return first[1] if first is not None and first < (mine.created, key) else None


def overlap(one: CanarySeen, other: CanarySeen) -> bool:
    """Whether a route may be moved by both: they name a VirtualService, and hosts don't part them.

    Routes don't: one that is under way moves on, even where its Canary doesn't name it any more.
    """
    return bool(set(one.refs) & set(other.refs)) and not (one.host and other.host and one.host != other.host)
