"""Routes that a VirtualService leaves to another one. Pure; one level, as in Istio."""

from collections.abc import Iterable, Iterator

from .snapshot import Data

# What a delegate's route takes from the root's where it says nothing itself.
_INHERITED = (
    *("rewrite", "directResponse", "timeout", "retries", "fault", "mirror", "mirrors", "mirrorPercent"),
    *("mirrorPercentage", "corsPolicy", "headers"),
)


def flattened(virtual: Data, others: Iterable[Data]) -> Iterator[tuple[Data, str]]:
    """The http routes in order, each with the namespace in which its hosts are resolved.

    A delegate's routes stand in the place of the root's; those that contradict it are left out.
    """
    namespace = virtual["metadata"]["namespace"]
    others = list(others)
    for route in virtual["spec"].get("http") or ():
        if "delegate" not in route:
            yield route, namespace
            continue
        place = route["delegate"].get("namespace") or namespace
        for each in _delegate(others, route["delegate"]["name"], place):
            merged = _merged(route, each)
            if merged is not None:
                yield merged, place


def _delegate(others: list[Data], name: str, namespace: str) -> list[Data]:
    for one in others:
        if one["metadata"] == {"name": name, "namespace": namespace} and not one["spec"].get("hosts"):
            return list(one["spec"].get("http") or ())
    return []


def _merged(root: Data, leaf: Data) -> Data | None:
    matches = _matches(root.get("match") or [], leaf.get("match") or [])
    if matches is None:
        return None
    inherited = {key: root[key] for key in _INHERITED if key in root}
    name = "-".join(one["name"] for one in (root, leaf) if one.get("name"))
    return {**inherited, **leaf, **({"match": matches} if matches else {}), **({"name": name} if name else {})}


def _matches(roots: list[Data], leaves: list[Data]) -> list[Data] | None:
    """Each of the leaf's with each of the root's that it is a part of; None where one is a part of none."""
    if not roots or not leaves:
        return roots or leaves
    out: list[Data] = []
    for leaf in leaves:
        fitting = [_both(root, leaf) for root in roots if not _conflict(root, leaf)]
        if not fitting:
            return None
        out += fitting
    return out


def _both(root: Data, leaf: Data) -> Data:
    out = {**root, **leaf}
    for key in ("headers", "withoutHeaders", "queryParams", "sourceLabels"):
        if key in root or key in leaf:
            out[key] = {**root.get(key, {}), **leaf.get(key, {})}
    return out


def _conflict(root: Data, leaf: Data) -> bool:
    pairs = [(root.get(key), leaf.get(key)) for key in ("uri", "scheme", "method", "authority")]
    for key in ("headers", "queryParams"):
        pairs += [(root.get(key, {}).get(name), one) for name, one in leaf.get(key, {}).items()]
    pairs += [(root.get("headers", {}).get(name), one) for name, one in leaf.get("withoutHeaders", {}).items()]
    if any(_outside(one, other) for one, other in pairs):
        return True
    if root.get("ignoreUriCase", False) != leaf.get("ignoreUriCase", False):
        return True
    return bool(root.get("port") and leaf.get("port") and root["port"] != leaf["port"])


def _outside(root: Data | None, leaf: Data | None) -> bool:
    """Whether the leaf's text isn't a part of what the root's allows."""
    match root, leaf:
        case (None, _) | (_, None):
            return False
        case {"exact": one}, {"exact": other}:
            return bool(one != other)
        case {"prefix": one}, {"prefix": other} | {"exact": other}:
            return not other.startswith(one)
        case _:
            return True
