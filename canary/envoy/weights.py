"""What one route sends where: weights of a pair and of third clusters, and copies. Pure; edits in place.

`routes.py` says which routes. The arithmetic is `engine/split.py`'s; shapes that are made here are marked in the
route's metadata, and put back as they were once the canary has nothing or everything. Envoy keeps metadata that no
filter asks for, and shows it in /config_dump.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from canary.engine.errors import Rejected
from canary.engine.split import Split, split

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


def mark_of(route: Mapping[str, Any]) -> dict[str, Any]:
    """The mark of a route, empty where it has none."""
    filters = (route.get("metadata") or {}).get("filter_metadata") or {}
    mark = filters.get(KEY) or {}
    return {name: value for name, value in mark.items() if name != _MADE}


def put_mark(route: MutableMapping[str, Any], mark: Mapping[str, Any]) -> None:
    """Marks the route in place; an empty mark takes away all that an earlier one brought."""
    made = _remove_mark(route)
    if not mark:
        return
    if "metadata" not in route:
        made = "metadata"
    elif made is None and "filter_metadata" not in route["metadata"]:
        made = "filter_metadata"
    filters = route.setdefault("metadata", {}).setdefault("filter_metadata", {})
    filters[KEY] = {**mark, **({_MADE: made} if made else {})}


def _remove_mark(route: MutableMapping[str, Any]) -> str | None:
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


Data = dict[str, Any]

WHOLE = 100
"""The weight of a single cluster once it is written as weighted clusters."""
ROUNDING = 1e-4
"""By how many per cent a share may be off where weights are too large to be scaled."""
RUNTIME = ("runtime_key_prefix", "runtimeKeyPrefix")
"""Both spellings of the field that lets Envoy's runtime replace weights."""
PLUGINS = ("cluster_specifier_plugin", "inline_cluster_specifier_plugin")
LARGEST = 2**32 - 1
"""What the weights of one route may sum up to: envoy.config.route.v3.WeightedCluster has uint32."""


def weights_of(route: Mapping[str, Any]) -> dict[str, int]:
    """Weight by cluster; a single cluster has all. Empty for routes that answer or redirect by themselves."""
    action = route.get("route") or {}
    if "cluster" in action:
        return {action["cluster"]: WHOLE}
    weights: dict[str, int] = {}
    for entry in (action.get("weighted_clusters") or {}).get("clusters") or ():
        if "name" in entry:
            weights[entry["name"]] = weights.get(entry["name"], 0) + int(entry.get("weight", 0))
    return weights


def runtime_prefix(route: Mapping[str, Any]) -> str:
    """Under which keys Envoy's runtime replaces the weights of the route; empty where it replaces none."""
    weighted = (route.get("route") or {}).get("weighted_clusters") or {}
    return next((str(weighted[key]) for key in RUNTIME if weighted.get(key)), "")


def chosen_by(route: Mapping[str, Any]) -> str:
    """What chooses the cluster where the route doesn't name it: a header of the request, or a plugin of Envoy's."""
    action = route.get("route") or {}
    entries = (action.get("weighted_clusters") or {}).get("clusters") or ()
    header = next((one["cluster_header"] for one in (action, *entries) if one.get("cluster_header")), "")
    return f"header {header}" if header else "a plugin" if any(action.get(name) for name in PLUGINS) else ""


def send(route: Data, stable: str, canary: str, percent: int) -> None:
    """Gives the canary `percent` of what the pair has together. Raises Rejected for a cluster that stands twice."""
    action, mark = route["route"], mark_of(route)
    if "cluster" in action:
        action["weighted_clusters"] = {"clusters": [{"name": action.pop("cluster"), "weight": WHOLE}]}
        mark[SINGLE] = True
    weighted = action["weighted_clusters"]
    for key in RUNTIME:  # `routes.py` lets it pass only where the canary is taken to nothing
        weighted.pop(key, None)
    _scale_back(weighted, mark, (stable, canary))
    for cluster in (stable, canary):
        _complete(weighted["clusters"], cluster, mark)
    _share(weighted, mark, (stable, canary), percent)
    if percent in (0, 100):
        _close(action, mark, winner=canary if percent else stable, loser=stable if percent else canary)
    put_mark(route, mark)


def copied(route: Mapping[str, Any], canary: str) -> int:
    """Per cent of requests that a policy of ours copies to the canary."""
    if mark_of(route).get(MIRROR) != canary:
        return 0
    policy = next((one for one in _policies(route) if _is_copy(one, canary)), {})
    return int(policy.get("runtime_fraction", {}).get("default_value", {}).get("numerator", 0))


def copy(route: Data, canary: str, percent: int) -> None:
    """Copies `percent` of the requests to the canary by one policy of ours; the user's policies stay."""
    action, mark = route["route"], mark_of(route)
    policies = list(_policies(route))
    ours = mark.pop(MIRROR, None)
    if ours is not None:
        mine = next((index for index, one in enumerate(policies) if _is_copy(one, ours)), None)
        policies = [one for index, one in enumerate(policies) if index != mine]
    if percent:
        fraction = {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}
        policies.insert(0, {"cluster": canary, "runtime_fraction": fraction})
        mark[MIRROR] = canary
    if policies:
        action["request_mirror_policies"] = policies
    elif ours is not None:
        action.pop("request_mirror_policies", None)
    put_mark(route, mark)


def mirrored(route: Mapping[str, Any]) -> list[str]:
    """The clusters that the user's policies copy requests to; a policy of ours isn't among them."""
    found = copied_to(route.get("route") or {})
    ours = mark_of(route).get(MIRROR)
    if ours in found:
        found.remove(ours)
    return found


def copied_to(place: Mapping[str, Any]) -> list[str]:
    """The clusters of the mirrors that stand at a route's action, a virtual host or a whole configuration."""
    return [str(one["cluster"]) for one in place.get("request_mirror_policies") or () if one.get("cluster")]


def _policies(route: Mapping[str, Any]) -> list[Data]:
    return (route.get("route") or {}).get("request_mirror_policies") or []


def _is_copy(policy: Mapping[str, Any], cluster: str) -> bool:
    fraction = policy.get("runtime_fraction") or {}
    return (
        policy.get("cluster") == cluster
        and set(policy) == {"cluster", "runtime_fraction"}
        and set(fraction) == {"default_value"}
    )


def _complete(entries: list[Data], cluster: str, mark: Data) -> None:
    """Sees to it that the cluster has one entry; an added one stands in front."""
    count = sum(entry.get("name") == cluster for entry in entries)
    if count > 1:
        raise Rejected(f"a route names the cluster {cluster} {count} times; it isn't clear which one should move")
    if count == 0:
        entries.insert(0, {"name": cluster, "weight": 0})
        if SINGLE not in mark:
            mark[ADDED] = cluster


def _share(weighted: Data, mark: Data, pair: tuple[str, str], percent: int) -> None:
    """Writes the pair's weights; all weights grow by one whole factor where that makes the share exact."""
    stable, canary = (_entry(weighted, cluster) for cluster in pair)
    others = [entry for entry in weighted["clusters"] if entry is not stable and entry is not canary]
    total = int(stable["weight"]) + int(canary["weight"])
    whole = total + sum(int(entry.get("weight", 0)) for entry in others)
    shared = _split(total, percent, whole)
    stable["weight"], canary["weight"] = shared.stable, shared.canary
    _multiply(weighted, others, shared.factor)
    if shared.factor > 1:
        mark[FACTOR] = shared.factor


def _split(total: int, percent: int, whole: int) -> Split:
    """Exact, unless the weights are so large that the factor would not fit: then to the nearest weight."""
    shared = split(total, percent)
    if whole * shared.factor <= LARGEST:
        return shared
    canary = round(total * percent / 100)
    if abs(100 * canary / total - percent) > ROUNDING:
        raise Rejected(f"the weights of a route sum up to {whole}, too much to give {percent}% of {total} exactly")
    return Split(total - canary, canary)


def _scale_back(weighted: Data, mark: Data, pair: tuple[str, str]) -> None:
    """Removes the factor; weights that another client changed so that it doesn't divide them stay as they are."""
    factor = int(mark.pop(FACTOR, 1))
    ours = [entry for entry in weighted["clusters"] if entry.get("name") in pair]
    others = [entry for entry in weighted["clusters"] if entry.get("name") not in pair]
    total = sum(int(entry["weight"]) for entry in ours)
    if factor == 1 or any(weight % factor for weight in (total, *(int(entry.get("weight", 0)) for entry in others))):
        return
    for entry in others:
        entry["weight"] = int(entry["weight"]) // factor
    for index, entry in enumerate(ours):
        entry["weight"] = 0 if index else total // factor
    if "total_weight" in weighted:
        weighted["total_weight"] = int(weighted["total_weight"]) // factor


def _multiply(weighted: Data, others: list[Data], factor: int) -> None:
    if factor == 1:
        return
    for entry in others:
        entry["weight"] = int(entry.get("weight", 0)) * factor
    if "total_weight" in weighted:
        weighted["total_weight"] = int(weighted["total_weight"]) * factor


def _close(action: Data, mark: Data, winner: str, loser: str) -> None:
    """The canary has nothing or everything: the route gets the shape back that it came in."""
    entries = action["weighted_clusters"]["clusters"]
    single, added = mark.pop(SINGLE, False), mark.pop(ADDED, None)
    if single and {entry.get("name") for entry in entries} == {winner, loser}:
        del action["weighted_clusters"]
        action["cluster"] = winner
    elif added in (winner, loser):
        total = _entry(action["weighted_clusters"], winner)["weight"]
        entries.remove(_entry(action["weighted_clusters"], added))
        users = next(entry for entry in entries if entry.get("name") in (winner, loser))
        users.update(name=winner, weight=total)


def _entry(weighted: Data, cluster: str) -> Data:
    found: Data = next(entry for entry in weighted["clusters"] if entry.get("name") == cluster)
    return found
