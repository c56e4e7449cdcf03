"""Istio's objects of a Canary: a DestinationRule for each version, and the VirtualService whose weights move.

`virtual_service` is for a Service that has no routes yet. Where there are some, `adopted` points those that send
requests to the Service at both versions, and leaves the rest as it is.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from canary.api.canary import Canary
from canary.api.duration import brief
from canary.api.service import MESH, Service, ServiceMetadata
from canary.istio.destinations import CLUSTER_DOMAIN, resolve, spelled
from canary.istio.managed import is_ours
from canary.istio.weights import weighed

from .names import UNRECONCILED, Data, Names, Object, metadata, service_of
from .services import ports
from .workload import selector_label

API_VERSION = "networking.istio.io/v1"
KINDS = ("http", "tcp")
"""Kinds of routes that can be a Service's."""


def destination_rules(canary: Canary) -> tuple[Object, Object]:
    """(primary, canary), each with the manifest's traffic policy. Raises Invalid without a service."""
    names, service = Names.of(canary), service_of(canary)
    return _rule(canary, service, names.primary_host), _rule(canary, service, names.canary_host)


def virtual_service(canary: Canary, target: Data) -> Object:
    """All of the Service's requests to the primary. Raises Invalid, as `selector_label` does."""
    names, service = Names.of(canary), service_of(canary)
    own = {} if _is_service(canary) else {selector_label(target)[0]: names.apex}
    given = service.apex or ServiceMetadata()
    where: Object = {}
    if not service.delegation:
        where = {"hosts": _hosts(service, names.apex), "gateways": list(service.gateways) or [MESH]}
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": metadata(canary, names.apex, {**given.labels, **own}, {**given.annotations, **UNRECONCILED}),
        "spec": {**where, _kind(service): [{**_settings(service), "route": _both(service, names)}]},
    }


def _is_service(canary: Canary) -> bool:
    """Whether the target is the Service itself, which has its own ports."""
    return canary.spec.target_ref.kind == "Service"


def _kind(service: Service) -> str:
    """Which routes of a VirtualService are the Service's."""
    return "tcp" if service.is_tcp else "http"


def _rule(canary: Canary, service: Service, host: str) -> Object:
    policy = {"trafficPolicy": deepcopy(service.traffic_policy)} if service.traffic_policy else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "DestinationRule",
        "metadata": metadata(canary, host),
        "spec": {"host": host, **policy},
    }


def _hosts(service: Service, apex: str) -> list[str]:
    known = apex in service.hosts or "*" in service.hosts
    return [*service.hosts, *(() if known else (apex,))]


def _settings(service: Service) -> Object:
    """What the manifest says of the route beside its destinations."""
    rewrite = service.rewrite.but(type=None).wire() if service.rewrite else {}
    given: Object = {
        "match": [dict(one) for one in service.match],
        "rewrite": rewrite,
        "timeout": "" if service.timeout is None else brief(service.timeout),
        "retries": service.retries.wire() if service.retries else {},
        "headers": service.headers,
        "corsPolicy": service.cors_policy,
    }
    return {field: deepcopy(value) for field, value in given.items() if value}


def _both(service: Service, names: Names) -> list[Object]:
    """A gateway doesn't know which of several ports a request was for."""
    outside = service.delegation or (service.gateways and service.gateways[0] != MESH)
    port = {"port": {"number": service.port}} if service.port_discovery and outside else {}
    return [
        {"destination": {"host": names.primary_host, **port}, "weight": 100},
        {"destination": {"host": names.canary_host, **port}, "weight": 0},
    ]


def adopted(existing: Data, canary: Canary, target: Data, domain: str = CLUSTER_DOMAIN) -> Object:
    """A VirtualService whose routes to the Service go to primary and canary, and that is otherwise the same.

    Routes are those of HTTP, or of TCP where connections are shared out. The Service's share of a route becomes the
    primary's. Only a port that the versions' Services have is pointed at them. Subsets end here: the primary is all
    that serves. Adopting twice changes nothing more.
    """
    made: Object = deepcopy(dict(existing))
    spec, kind = made.get("spec") or {}, _kind(service_of(canary))
    if spec.get(kind):
        adoption = _Adoption(existing, canary, target, domain)
        spec[kind] = [one if is_ours(one) else adoption.route(one) for one in spec[kind]]
    return made


def noted(existing: Data) -> Object:
    """What `returned` needs to know of a VirtualService that is adopted."""
    spec = existing.get("spec") or {}
    return {kind: spec.get(kind) or [] for kind in KINDS if kind == "http" or spec.get(kind)}


def returned(existing: Data, before: Data, canary: Canary, target: Data) -> Object:
    """The spec of an adopted VirtualService as it was: what was adopted goes to the Service again.

    `before` is what was noted of it. Where routes were added or removed since, their places say nothing, and each
    goes to the Service as a whole. What canary put in front of them goes.
    """
    spec, adoption = existing.get("spec") or {}, _Adoption(existing, canary, target, CLUSTER_DOMAIN)
    back = {kind: adoption.ended(spec[kind], before.get(kind) or ()) for kind in KINDS if spec.get(kind)}
    return {**spec, **back}


class _Adoption:
    """One VirtualService that is adopted: which of its destinations are meant, and what they become."""

    def __init__(self, existing: Data, canary: Canary, target: Data, domain: str) -> None:
        self.names, self.domain = Names.of(canary), domain
        self.home = canary.metadata.namespace
        self.namespace = str((existing.get("metadata") or {}).get("namespace") or self.home)
        own = (target.get("spec") or {}).get("ports") or ()
        self.ports = {one["port"] for one in (own if _is_service(canary) else ports(service_of(canary), target))}

    def route(self, given: Data) -> Object:
        """The route with the Service's share at the primary; weights between the two versions stay."""
        entries: Sequence[Data] = given.get("route") or ()
        hosts = [self._host(entry) for entry in entries]
        apex, primary, canary = (
            [index for index, host in enumerate(hosts) if host == name]
            for name in (self.names.apex, self.names.primary_host, self.names.canary_host)
        )
        if not (apex or primary) or (not apex and len(primary) == len(canary) == 1):
            return dict(given)
        weights = weighed(entries)
        replaced = sorted((*apex, *primary))
        stable = self._entry(entries[replaced[0]], self.names.primary_host, sum(weights[one] for one in replaced))
        share = sum(weights[one] for one in canary)
        other = self._entry(entries[(*canary, replaced[0])[0]], self.names.canary_host, share)
        made: list[Object] = []
        for index, entry in enumerate(entries):
            if index == replaced[0]:
                made += [stable, other]
            elif index not in (*replaced, *canary):
                made.append(dict(entry))
        return {**given, "route": made}

    def ended(self, given: Sequence[Data], original: Sequence[Data]) -> list[Object]:
        """Routes of one kind, with the Service in place of both versions."""
        routes = [one for one in given if not is_ours(one)]
        before: Sequence[Data] = original if len(routes) == len(original) else [{}] * len(routes)
        return [
            {**route, "route": was.get("route") or self.whole(route)} if self.covers(route) else dict(route)
            for route, was in zip(routes, before, strict=True)
        ]

    def covers(self, route: Data) -> bool:
        """Whether a route sends requests to one of the versions."""
        versions = (self.names.primary_host, self.names.canary_host)
        return any(self._host(entry) in versions for entry in route.get("route") or ())

    def whole(self, route: Data) -> list[Object]:
        """The route's destinations with the Service in place of both versions."""
        entries: Sequence[Data] = route.get("route") or ()
        versions = (self.names.primary_host, self.names.canary_host)
        weights, ours = weighed(entries), [self._host(entry) in versions for entry in entries]
        share = sum(weight for weight, own in zip(weights, ours, strict=True) if own)
        first = ours.index(True)
        kept = [dict(entry) for entry, own in zip(entries, ours, strict=True) if not own]
        return [self._entry(entries[first], self.names.apex, share), *kept]

    def _host(self, entry: Data) -> str | None:
        """Which of the names a destination has; None for others, and for ports that the versions don't have."""
        destination = entry.get("destination") or {}
        number = (destination.get("port") or {}).get("number")
        if number and number not in self.ports:
            return None
        host = resolve(destination.get("host") or "", self.namespace, self.domain)
        every = (self.names.apex, self.names.primary_host, self.names.canary_host)
        return next((name for name in every if resolve(name, self.home, self.domain) == host), None)

    def _entry(self, like: Data, host: str, weight: int) -> Object:
        """A destination in the shape of another, spelled as that is."""
        destination: Mapping[str, Any] = like.get("destination") or {}
        kept = {field: value for field, value in destination.items() if field != "subset"}
        written = str(destination.get("host") or "")
        full = resolve(host, self.home, self.domain)
        return {
            **like,
            "destination": {**kept, "host": spelled(full, host, written, self.namespace, self.domain)},
            "weight": weight,
        }
