"""What one route sends where: weights of a pair and of third clusters, and copies. Pure; edits in place.

`routes.py` says which routes. The arithmetic is `engine/split.py`'s; shapes that are made here are marked, and
put back as they were once the canary has nothing or everything.
"""

from collections.abc import Mapping
from typing import Any

from canary.engine.errors import Rejected
from canary.engine.split import Split, split

from . import marks

Data = dict[str, Any]

WHOLE = 100
"""The weight of a single cluster once it is written as weighted clusters."""
ROUNDING = 1e-4
"""By how many per cent a share may be off where weights are too large to be scaled."""
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


def send(route: Data, stable: str, canary: str, percent: int) -> None:
    """Gives the canary `percent` of what the pair has together. Raises Rejected for a cluster that stands twice."""
    action, mark = route["route"], marks.of(route)
    if "cluster" in action:
        action["weighted_clusters"] = {"clusters": [{"name": action.pop("cluster"), "weight": WHOLE}]}
        mark[marks.SINGLE] = True
    weighted = action["weighted_clusters"]
    _scale_back(weighted, mark, (stable, canary))
    for cluster in (stable, canary):
        _complete(weighted["clusters"], cluster, mark)
    _share(weighted, mark, (stable, canary), percent)
    if percent in (0, 100):
        _close(action, mark, winner=canary if percent else stable, loser=stable if percent else canary)
    marks.put(route, mark)


def copied(route: Mapping[str, Any], canary: str) -> int:
    """Per cent of requests that a policy of ours copies to the canary."""
    if marks.of(route).get(marks.MIRROR) != canary:
        return 0
    policy = next((one for one in _policies(route) if _is_copy(one, canary)), {})
    return int(policy.get("runtime_fraction", {}).get("default_value", {}).get("numerator", 0))


def copy(route: Data, canary: str, percent: int) -> None:
    """Copies `percent` of the requests to the canary by one policy of ours; the user's policies stay."""
    action, mark = route["route"], marks.of(route)
    policies = list(_policies(route))
    ours = mark.pop(marks.MIRROR, None)
    if ours is not None:
        mine = next((index for index, one in enumerate(policies) if _is_copy(one, ours)), None)
        policies = [one for index, one in enumerate(policies) if index != mine]
    if percent:
        fraction = {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}
        policies.insert(0, {"cluster": canary, "runtime_fraction": fraction})
        mark[marks.MIRROR] = canary
    if policies:
        action["request_mirror_policies"] = policies
    elif ours is not None:
        action.pop("request_mirror_policies", None)
    marks.put(route, mark)


def mirrors_to(route: Mapping[str, Any], cluster: str) -> bool:
    """Whether a policy, the user's or ours, copies requests to the cluster."""
    return any(one.get("cluster") == cluster for one in _policies(route))


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
        raise Rejected(f"a route names the cluster {cluster} {count} times; which one should move can't be told")
    if count == 0:
        entries.insert(0, {"name": cluster, "weight": 0})
        if marks.SINGLE not in mark:
            mark[marks.ADDED] = cluster


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
        mark[marks.FACTOR] = shared.factor


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
    """Takes the factor back; weights that somebody changed so that it doesn't divide them stay as they are."""
    factor = int(mark.pop(marks.FACTOR, 1))
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
    single, added = mark.pop(marks.SINGLE, False), mark.pop(marks.ADDED, None)
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
