"""The Service of clients, where it was there before its Canary: what is noted of it, and how it gets that back. Pure.

What canary adds is taken away by server-side apply. What it writes over isn't known to the API server any more, so it
is noted, and written again before the rest goes.
"""

import json
from collections.abc import Mapping
from typing import Any

from .names import Data, Object

LISTED = ("selector", "ports")
"""Noted whether they differ or not: what is deleted in between may be written as a whole."""
_FIXED = ("clusterIP",)
"""The API server refuses another one."""
_ABOUT = ("labels", "annotations")


def noted(found: Data, made: Data) -> str:
    """What `made` will write over in the Service as it was found, as JSON."""
    spec, wanted = found.get("spec") or {}, made["spec"]
    others = [one for one in wanted if one not in (*LISTED, *_FIXED)]
    kept: Object = {"selector": spec.get("selector") or {}, "ports": spec.get("ports") or []}
    kept |= {field: spec[field] for field in others if spec.get(field) not in (None, wanted[field])}
    for field in _ABOUT:
        own, over = (found.get("metadata") or {}).get(field) or {}, made["metadata"].get(field) or {}
        replaced = {key: own[key] for key, value in over.items() if own.get(key, value) != value}
        kept |= {field: replaced} if replaced else {}
    return json.dumps(kept)


def given_back(found: Data, before: Data) -> list[Mapping[str, Any]]:
    """A patch that gives the Service what was noted of it; empty where it has that.

    Ports that its owner has added or removed since stay added or removed.
    """
    spec, about = found.get("spec") or {}, found.get("metadata") or {}
    ports = {_key(one): one for one in before.get("ports") or ()}
    wanted = {field: value for field, value in before.items() if field not in (*LISTED, *_ABOUT)}
    wanted |= {"selector": before.get("selector") or {}}
    wanted |= {"ports": [ports.get(_key(one), one) for one in spec.get("ports") or ()]}
    made: list[Mapping[str, Any]] = []
    for field, value in wanted.items():
        if value and spec.get(field) != value:
            made.append({"op": "add", "path": f"/spec/{field}", "value": value})
        elif not value and spec.get(field):
            made.append({"op": "remove", "path": f"/spec/{field}"})
    for field in _ABOUT:
        whole = {**(about.get(field) or {}), **before.get(field, {})}
        if whole != (about.get(field) or {}):
            made.append({"op": "add", "path": f"/metadata/{field}", "value": whole})
    return made


def _key(port: Data) -> tuple[Any, str]:
    return port.get("port"), str(port.get("protocol") or "TCP")
