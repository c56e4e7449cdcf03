"""Server-side apply of one field manager, as far as `memory.py` needs it: who owns which field.

Labels and annotations are owned by key, ports of a Service by number and protocol, other fields of a spec as a whole.
tests/primary/test_given_back.py compares this with a real API server.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Object = dict[str, Any]
Path = tuple[Any, ...]
Fields = Mapping[Path, Any]


def fields(body: Mapping[str, Any]) -> dict[Path, Any]:
    """What can be owned of an object, with its value."""
    about, spec = body.get("metadata") or {}, body.get("spec") or {}
    found: dict[Path, Any] = {
        ("metadata", kind, key): value
        for kind in ("labels", "annotations")
        for key, value in (about.get(kind) or {}).items()
    }
    for field, value in spec.items():
        if field != "ports":
            found["spec", field] = value
            continue
        for one in value:
            place = (one.get("port"), one.get("protocol", "TCP"))
            found |= {("spec", "ports", place, key): each for key, each in one.items()}
    return found


def applied(before: Object, body: Object, ours: Fields, theirs: Fields) -> Object:
    """The object once `body` is applied by force: what was applied before as `ours`, and isn't in it, goes.

    What `theirs`, all other managers, have with the same value stays.
    """
    new, made = fields(body), {**fields(before)}
    for path, value in ours.items():
        if path not in new and made.get(path) == value and theirs.get(path) != value:
            del made[path]
    made |= new
    return _whole(before, made)


def _whole(before: Object, given: Fields) -> Object:
    about = {key: value for key, value in before["metadata"].items() if key not in ("labels", "annotations")}
    spec: Object = {}
    ports: dict[Path, Object] = {}
    for path, value in given.items():
        if path[0] == "metadata":
            about.setdefault(path[1], {})[path[2]] = value
        elif path[1] == "ports":
            ports.setdefault(path[2], {})[path[3]] = value
        else:
            spec[path[1]] = value
    spec |= {"ports": list(ports.values())} if ports else {}
    return deepcopy({**before, "metadata": about, "spec": spec})
