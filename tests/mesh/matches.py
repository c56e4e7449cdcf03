"""Istio's HTTPMatchRequest → Envoy's RouteMatch. Pure; routes.py gives the matched requests an action."""

from typing import Any

from .hosts import Source, bound
from .snapshot import Data


def concerns(match: Data, source: Source, namespace: str, port: int) -> bool:
    """Whether a match can hold at all for this source and port; Istio leaves the others out of its configuration.

    Where gateways are named, labels and namespace of the source don't count.
    """
    if match.get("port", port) != port:
        return False
    if match.get("gateways"):
        return bound(match["gateways"], namespace, source)
    labels = match.get("sourceLabels", {})
    return labels.items() <= dict(source.labels).items() and match.get("sourceNamespace", source.namespace) in (
        "",
        source.namespace,
    )


def route_match(match: Data) -> Data:
    """All of its conditions."""
    headers = [header(name, one) for name, one in sorted(match.get("headers", {}).items())]
    headers += [_without(name, one) for name, one in sorted(match.get("withoutHeaders", {}).items())]
    for field in ("method", "authority", "scheme"):
        if field in match:
            headers.append(header(f":{field}", match[field]))
    query = [_query(name, one) for name, one in sorted(match.get("queryParams", {}).items())]
    return {
        **_path(match.get("uri") or {}),
        "case_sensitive": not match.get("ignoreUriCase", False),
        **({"headers": headers} if headers else {}),
        **({"query_parameters": query} if query else {}),
    }


def header(name: str, wanted: Data) -> Data:
    """A header: equal, begins with, matches fully, or only present."""
    if _any(wanted):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": _text(wanted)}


def _without(name: str, wanted: Data) -> Data:
    inverted = {**header(name, wanted), "invert_match": True}
    return inverted if _any(wanted) else {**inverted, "treat_missing_header_as_empty": True}


def _query(name: str, wanted: Data) -> Data:
    return {"name": name, "present_match": True} if _any(wanted) else {"name": name, "string_match": _text(wanted)}


def _any(wanted: Data) -> bool:
    """No condition, or Istio's own sign for it, which is no regular expression."""
    return not wanted or wanted.get("regex") == "*"


def _text(wanted: Data) -> Data:
    (kind, value), *_ = wanted.items()
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value}


def _path(uri: Data) -> dict[str, Any]:
    match uri:
        case {"exact": path}:
            return {"path": path}
        case {"regex": regex}:
            return {"safe_regex": {"regex": regex}}
        case _:
            return {"prefix": uri.get("prefix", "/")}
