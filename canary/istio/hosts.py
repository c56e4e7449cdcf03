"""Hosts of Kubernetes services in their many spellings, compared by what they resolve to, never by a first label.

Istio completes names without a dot from the namespace of the object that they stand in
(`ResolveShortnameToFQDN` in pilot/pkg/model/config.go). `name.namespace` and `name.namespace.svc` are completed
here as well, because people write them in manifests. `destinations.py` builds on this.
"""

CLUSTER_DOMAIN = "cluster.local"
"""The domain of cluster services, unless the cluster was set up with another."""
MESH = "mesh"
"""The name under which VirtualServices list all sidecars among their gateways."""


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
