"""A version as a destination: a subset of one host, or a host by itself. Which is which, and whether it exists.

`DestinationNames` calls destinations by their versions, in the words that the caller asked with; `routes.py` looks
at routes through it. Hosts of Kubernetes services have many spellings; they are compared by what they resolve to,
never by a first label. Istio completes names without a dot from the namespace of the object that they stand in
(`ResolveShortnameToFQDN` in pilot/pkg/model/config.go). `name.namespace` and `name.namespace.svc` are completed
here as well, because people write them in manifests.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from canary.engine.did_you_mean import did_you_mean

CLUSTER_DOMAIN = "cluster.local"
"""The domain of cluster services, unless the cluster was set up with another."""


def resolve(host: str, namespace: str, domain: str = CLUSTER_DOMAIN) -> str:
    """The full name that `host` stands for in an object of `namespace`; wildcards and addresses stay as they are."""
    host = host.rstrip(".").lower()
    labels = host.split(".")
    if not host or "*" in host or ":" in host:
        return host
    match labels:
        case [_]:
            return f"{host}.{namespace}.svc.{domain}"
        case [_, _]:
            return f"{host}.svc.{domain}"
        case [_, _, "svc"]:
            return f"{host}.{domain}"
    return host


def service(resolved: str, domain: str = CLUSTER_DOMAIN) -> tuple[str, str] | None:
    """(name, namespace) of the service behind a full name; None for hosts outside of the cluster."""
    labels = resolved.removesuffix(f".svc.{domain}").split(".")
    return (labels[0], labels[1]) if resolved.endswith(f".svc.{domain}") and len(labels) == 2 else None


def short(resolved: str, namespace: str, domain: str = CLUSTER_DOMAIN) -> str:
    """What people in `namespace` call the host: `reviews`, `reviews.prod`, or the full name."""
    match service(resolved, domain):
        case (name, where):
            return name if where == namespace else f"{name}.{where}"
        case _:
            return resolved


def covers(pattern: str, resolved: str) -> bool:
    """Whether a resolved host, perhaps with a wildcard in front, speaks of another."""
    return pattern == resolved or (pattern.startswith("*") and resolved.endswith(pattern[1:]))


def spelled(resolved: str, written: str, like: str, namespace: str, domain: str = CLUSTER_DOMAIN) -> str:
    """The host for an object of `namespace`, as long as the neighbour `like` is spelled there.

    `written` is how the manifest has it. A name of two labels can be a host outside of the cluster, so beside
    another such name it stays as it was written.
    """
    known = service(resolved, domain)
    if known is None:
        return written
    match like.split("."):
        case [_]:
            return known[0] if known[1] == namespace else resolved
        case [_, _]:
            return written if "." in written else resolved
        case [_, _, "svc"]:
            return resolved.removesuffix(f".{domain}")
    return resolved


Data = dict[str, Any]


class Pair(NamedTuple):
    """The two that share."""

    stable: str
    canary: str


@dataclass(frozen=True)
class DestinationNames:
    """How destinations are called in one read or write."""

    namespace: str
    """Of the Canary: short names in its manifest are completed from here."""
    asked: tuple[str, ...]
    """Versions that the caller named; where one is a host, its spelling is kept."""
    host: str | None = None
    """The resolved host whose subsets are versions; None where versions are hosts."""
    domain: str = CLUSTER_DOMAIN

    def version(self, destination: Mapping[str, Any], namespace: str) -> str:
        """The version that a destination stands for, in an object of `namespace`."""
        host, subset = self._host(destination, namespace), destination.get("subset")
        if subset and host == self.host:
            return str(subset)
        called = short(host, self.namespace, self.domain)
        if subset:
            return f"{called}/{subset}"
        return next((name for name in self.asked if self.resolved(name) == host), called)

    def is_subset(self, destination: Mapping[str, Any], namespace: str) -> bool:
        """Whether it is a subset of the host whose subsets are versions."""
        return bool(destination.get("subset")) and self._host(destination, namespace) == self.host

    def is_whole(self, destination: Mapping[str, Any], namespace: str) -> bool:
        """Whether it is the host without a subset where versions are subsets: all versions at once."""
        return not destination.get("subset") and self._host(destination, namespace) == self.host

    def aimed(self, destination: Mapping[str, Any], version: str, namespace: str) -> Data:
        """A destination in the shape of a neighbour (spelling, port), but for another version."""
        if destination.get("subset"):
            return {**destination, "subset": version}
        like = destination.get("host") or ""
        return {**destination, "host": spelled(self.resolved(version), version, like, namespace, self.domain)}

    def resolved(self, version: str) -> str:
        """The full name of a version that is a host."""
        return resolve(version, self.namespace, self.domain)

    def _host(self, destination: Mapping[str, Any], namespace: str) -> str:
        return resolve(destination.get("host") or "", namespace, self.domain)


def subsets(
    rules: Iterable[Mapping[str, Any]], host: str, namespace: str, domain: str = CLUSTER_DOMAIN
) -> dict[str, dict[str, str]]:
    """Labels by subset of a resolved host, as DestinationRules define them for a VirtualService of `namespace`.

    As Istio looks them up: rules beside the VirtualService, else beside the service, else anywhere; of these the
    most specific host, and several rules for the same host taken together.
    """
    matching = [(rule, _host(rule, domain)) for rule in rules]
    matching = [(rule, pattern) for rule, pattern in matching if covers(pattern, host)]
    home = service(host, domain)
    near = (namespace, home[1] if home else "")
    for place in near:
        if any(_namespace(rule) == place for rule, _ in matching):
            matching = [(rule, pattern) for rule, pattern in matching if _namespace(rule) == place]
            break
    longest = max((_specific(pattern) for _, pattern in matching), default=None)
    chosen = [rule for rule, pattern in matching if _specific(pattern) == longest]
    return {one["name"]: dict(one.get("labels") or {}) for rule in chosen for one in _subsets(rule) if "name" in one}


def undefined(version: str, host: str, defined: Iterable[str]) -> str:
    """That there is no such subset, with a suggestion."""
    known = sorted(defined)
    there = f"; there are {', '.join(known)}" if known else ""
    return f"no DestinationRule defines the subset {version} of {host}{did_you_mean(version, known) or there}"


def _specific(pattern: str) -> tuple[bool, int]:
    return not pattern.startswith("*"), len(pattern)


def _host(rule: Mapping[str, Any], domain: str) -> str:
    return resolve((rule.get("spec") or {}).get("host") or "", _namespace(rule), domain)


def _namespace(rule: Mapping[str, Any]) -> str:
    return str((rule.get("metadata") or {}).get("namespace") or "default")


def _subsets(rule: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (rule.get("spec") or {}).get("subsets") or ()
