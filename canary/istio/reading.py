"""The traffic state that VirtualServices are in, relative to a pair of versions. Pure.

`routes.py` says which routes count; `patch.py` makes the patches that ask for another state.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from canary.api.plan import Traffic
from canary.api.status import Unmoved
from canary.engine.did_you_mean import did_you_mean
from canary.engine.observed import RouteSeen
from canary.engine.split import shares

from . import managed, routes, sticky
from .destinations import DestinationNames, Pair, resolve, short, subsets
from .routes import Route
from .scope import Scope, missing, parts, ref_of
from .weights import Order

Data = Mapping[str, Any]


def read(
    virtual_services: Sequence[Data],
    destination_rules: Sequence[Data] | None,
    scope: Scope,
    stable: str | None,
    canary: str,
) -> RouteSeen:
    """The state of the routes that move. `stable` is None while it isn't known which version serves;
    then all routes count that could move. `destination_rules` is None where they can't be read."""
    token = token_of(virtual_services, scope)
    found = routes.found(parts(virtual_services, scope), scope)
    why = unclear(virtual_services, destination_rules, scope, stable, canary)
    if why:
        return RouteSeen(token, {}, None, why)
    names = routes.names_for(found, destination_rules, scope, stable, canary)
    moving = (
        _could_move(found, names, canary) if stable is None else routes.moving(found, names, Pair(stable, canary))
    )
    each = [] if stable is None else [_state(route, names, Pair(stable, canary)) for route in moving]
    traffic, described = _undecided(moving, names, canary) if stable is None else _agreed(moving, each, canary)
    partly = tuple(one for one in each if isinstance(one, Traffic)) if traffic is None else ()
    if not moving:
        described = nothing_moves(found, names, scope, stable, canary)
    defined = _defined(moving, names, destination_rules)
    return RouteSeen(
        token=token,
        shares=_mean(moving, names),
        traffic=traffic,
        described=described,
        partly=partly if len(partly) == len(each) else (),
        destinations=defined,
        unmoved=_unmoved(found, moving, names, None if stable is None else Pair(stable, canary)),
        mixed=stable is None and names.host is None,
        hosts={name: names.host or names.resolved(name) for name in (stable, canary) if name is not None},
    )


def token_of(virtual_services: Sequence[Data], scope: Scope) -> str:
    """Which objects of the target these are, in which versions."""
    metadata = {ref_of(one): one.get("metadata") or {} for one in virtual_services}
    refs = [part.ref for part in parts(virtual_services, scope)]
    return ",".join(f"{ref}@{metadata[ref].get('resourceVersion', '')}" for ref in sorted(refs))


def unclear(
    virtual_services: Sequence[Data], rules: Sequence[Data] | None, scope: Scope, stable: str | None, canary: str
) -> str:
    """Why the state of the target is unknown; empty if it is known."""
    gone = missing(virtual_services, scope)
    if gone:
        return f"there is no VirtualService {', '.join(str(ref) for ref in gone)}"
    found = routes.found(parts(virtual_services, scope), scope)
    asked = [name for name in (canary, stable) if name is not None]
    hosts = routes.several_hosts(found, rules, scope, asked)
    if not hosts:
        return ""
    called = ", ".join(short(host, scope.namespace, scope.domain) for host in hosts)
    known = {name for host in hosts for name in subsets(rules or (), host, scope.namespace, scope.domain)}
    if stable is None and rules is not None and canary not in known:
        return f"spec.version: none of {called} has a subset {canary}{did_you_mean(canary, known)}"
    return f"spec.host is missing: {scope} routes to several hosts with such subsets; write one of {called}"


def nothing_moves(
    found: Sequence[Route], names: DestinationNames, scope: Scope, stable: str | None, canary: str
) -> str:
    """Why no route moves."""
    wrong = _wrong_word(found, scope)
    if wrong:
        return wrong
    whole = [route for route in found if any(names.is_whole(one, route.ref.namespace) for one in route.destinations)]
    if whole and names.host:
        label, host = whole[0].label(False), short(names.host, names.namespace, names.domain)
        return f"{label} sends requests to {host} without a subset, that is to all versions at once; name a subset"
    only = f"of {', '.join(scope.routes)} " if scope.routes else ""
    to = f"{stable} or {canary}" if stable is not None else "versions"
    for_users = ", but those for single users," if any(route.personal for route in found) else ""
    return f"no route {only}of {scope}{for_users} sends requests to {to}"


def _wrong_word(found: Sequence[Route], scope: Scope) -> str:
    """The field of the scope that names something missing, with a suggestion; empty if none does."""
    known = sorted({str(route.data["name"]) for route in found if route.data.get("name")})
    for name in scope.routes:
        if name not in known:
            there = f"; there are {', '.join(known)}" if known else "; its routes have no names"
            return f"spec.routes: {scope} has no route {name}{did_you_mean(name, known) or there}"
    if scope.host is None:
        return ""
    resolved = resolve(scope.host, scope.namespace, scope.domain)
    hosts = {
        resolve(one.get("host") or "", route.ref.namespace, scope.domain)
        for route in found
        for one in route.destinations
    }
    if resolved in hosts:
        return ""
    called = sorted(short(host, scope.namespace, scope.domain) for host in hosts)
    there = f"; there are {', '.join(called)}" if called else ""
    return f"spec.host: no route of {scope} sends requests to {scope.host}{did_you_mean(scope.host, called) or there}"


def _could_move(found: Sequence[Route], names: DestinationNames, canary: str) -> list[Route]:
    """Every route of the host; where versions are hosts those with the canary, or all where none has it."""
    movable = [route for route in found if route.movable(names)]
    if names.host is not None:
        return [
            route for route in movable if any(names.is_subset(one, route.ref.namespace) for one in route.destinations)
        ]
    return [route for route in movable if canary in route.weights(names)] or movable


def _undecided(moving: Sequence[Route], names: DestinationNames, canary: str) -> tuple[Traffic | None, str]:
    mean = {version: share for version, share in _mean(moving, names).items() if share}
    if set(mean) == {canary}:
        return Traffic(weight=100), ""
    return None, ", ".join(f"{version} has {share:g}%" for version, share in mean.items())


def _agreed(moving: Sequence[Route], states: Sequence[Traffic | str], canary: str) -> tuple[Traffic | None, str]:
    """The state that all of them are in; or None, and what each says."""
    if states and isinstance(states[0], Traffic) and all(state == states[0] for state in states):
        return states[0], ""
    apart = len({route.ref for route in moving}) > 1
    said = [state if isinstance(state, str) else _words(state, canary) for state in states]
    return None, "; ".join(f"{one.label(apart)}: {words}" for one, words in zip(moving, said, strict=True))


def _state(route: Route, names: DestinationNames, pair: Pair) -> Traffic | str:
    """What one route says of the pair, in words where that isn't a state that could have been asked for."""
    order = Order(pair, 0, names, route.ref.namespace)
    sent = route.weights(names)
    weight = 100 * sent.get(pair.canary, 0) / (sent.get(pair.canary, 0) + sent.get(pair.stable, 0))
    mirror = managed.copied(route.data, route.mark, order)
    matching = tuple(one for one in route.in_front if not managed.is_sticky(one))
    bare = sticky.without(route, order)
    caught = managed.matches_of(bare, route.mark, order, matching)
    affinity = sticky.affinity_of(route, order)
    if caught is None or not sticky.as_made(route, order, round(weight), affinity):
        return "another client changed a route of canary in front of it"
    if abs(weight - round(weight)) > 1e-4:  # more than rounding very large weights explains
        return f"{weight:.4g}% to {pair.canary}"
    if mirror != round(mirror):
        return f"{mirror:.4g}% copied"
    return caught.but(weight=round(weight), mirror=round(mirror), affinity=affinity)


def _words(traffic: Traffic, canary: str) -> str:
    words = [f"{traffic.weight}% to {canary}"]
    words += [f"{traffic.mirror}% copied"] if traffic.mirror else []
    share = "" if traffic.match_weight is None else f"{traffic.match_weight}% of "
    words += [f"{share}{len(traffic.match)} matches"] if traffic.match else []
    words += [f"cookie {traffic.affinity.canary.name}"] if traffic.affinity else []
    return ", ".join(words)


def _mean(moving: Sequence[Route], names: DestinationNames) -> dict[str, float]:
    each = [shares(route.weights(names)) for route in moving]
    versions = dict.fromkeys(version for one in each for version in one)
    return {version: sum(one.get(version, 0.0) for one in each) / len(each) for version in versions}


def _defined(moving: Sequence[Route], names: DestinationNames, rules: Sequence[Data] | None) -> frozenset[str] | None:
    """Subsets that are there wherever the routes stand."""
    if names.host is None or rules is None:
        return None
    places = {route.ref.namespace for route in moving} or {names.namespace}
    each = [frozenset(subsets(rules, names.host, place, names.domain)) for place in places]
    return frozenset.intersection(*each)


def _unmoved(
    found: Sequence[Route], moving: Sequence[Route], names: DestinationNames, pair: Pair | None
) -> tuple[Unmoved, ...]:
    """What reaches a version of the service without us: whole routes, shares in the routes that move, and mirrors."""
    ours, apart = {route.place for route in moving}, len({route.ref for route in found}) > 1
    listed: list[Unmoved] = []
    for one in found:
        label = one.label(apart)
        if one.place not in ours:
            versions = _concerned(one.reached, one, names, pair)
            listed += [Unmoved(route=label, version=version) for version in versions]
        elif pair is not None:
            others = [version for version, weight in one.weights(names).items() if weight]
            listed += [Unmoved(version=version) for version in others if version not in pair]
        if not (one.mark and one.mark.mirror):
            copies = _concerned(managed.mirrored(one.data), one, names, pair)
            listed += [Unmoved(route=label, version=version, copies=True) for version in copies]
    return tuple(dict.fromkeys(listed))


def _concerned(destinations: Sequence[Data], route: Route, names: DestinationNames, pair: Pair | None) -> list[str]:
    """The versions of the service among some destinations; empty text for the host that has them all."""
    found = []
    for one in destinations:
        version, place = names.version(one, route.ref.namespace), route.ref.namespace
        if names.is_whole(one, place):
            found.append("")
        elif names.is_subset(one, place) or (names.host is None and (pair is None or version in pair)):
            found.append(version)
    return found
