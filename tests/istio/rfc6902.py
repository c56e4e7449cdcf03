"""Applies a JSON patch as the API server does: all of it, or nothing. Only the operations that we send."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any


class TestFailed(Exception):
    """A `test` found something else, or nothing."""

    __test__ = False


def apply(document: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A patched copy. Raises TestFailed, or KeyError and IndexError for a patch that doesn't fit."""
    patched: dict[str, Any] = deepcopy(dict(document))
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent: Any = patched
        for part in way:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        _one(operation, parent, last)
    return patched


def _one(operation: Mapping[str, Any], parent: Any, last: str) -> None:
    key: Any = last
    if isinstance(parent, list):
        key = len(parent) if last == "-" else int(last)
    match operation["op"]:
        case "test":
            there = key < len(parent) if isinstance(parent, list) else key in parent
            if not there or parent[key] != operation["value"]:
                raise TestFailed(operation["path"])
        case "add" if isinstance(parent, list):
            if key > len(parent):
                raise IndexError(operation["path"])
            parent.insert(key, deepcopy(operation["value"]))
        case "add":
            parent[key] = deepcopy(operation["value"])
        case "replace":
            parent[key]  # what is replaced must be there
            parent[key] = deepcopy(operation["value"])
        case "remove":
            del parent[key]
        case other:
            raise ValueError(f"no operation of ours: {other}")
