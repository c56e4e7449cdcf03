"""Istio's example application, as small as tests need it: reviews in three versions, ratings, and some policies."""

from typing import Any

Data = dict[str, Any]

VERSIONS = ("v1", "v2", "v3")
ISTIO = "networking.istio.io/v1"
SECURITY = "security.istio.io/v1"
JASON: Data = {
    "name": "jason",
    "match": [{"headers": {"end-user": {"exact": "jason"}}}],
    "route": [{"destination": {"host": "reviews", "subset": "v2"}}],
}


def objects(replicas: int = 2, versions: tuple[str, ...] = VERSIONS) -> list[Data]:
    """All of it: workloads, services, routes (everything to v1), and policies that must stay as they are."""
    found = [deployment(f"reviews-{one}", {"app": "reviews", "version": one}, replicas) for one in versions]
    found += [deployment("ratings-v1", {"app": "ratings", "version": "v1"}, 1)]
    found += [service("reviews"), service("ratings"), destination_rule("reviews", VERSIONS), reviews(v1=100)]
    return [*found, *security()]


def deployment(name: str, labels: Data, replicas: int, image: str = "", **spec: Any) -> Data:
    """A Deployment whose pods have the labels; its image is of the labels' version unless one is given."""
    image = image or f"{labels.get('app', name)}:{labels.get('version', 'latest')}"
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def service(name: str, port: int = 9080, port_name: str = "http", **selector: str) -> Data:
    """A Service for the pods that are labelled with its name, or with the selector."""
    ports = [{"name": port_name, "port": port}]
    spec = {"selector": selector or {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def destination_rule(host: str, versions: tuple[str, ...]) -> Data:
    """A subset for each version, by its label."""
    subsets = [{"name": one, "labels": {"version": one}} for one in versions]
    spec = {"host": host, "subsets": subsets}
    return {"apiVersion": ISTIO, "kind": "DestinationRule", "metadata": {"name": host}, "spec": spec}


def virtual_service(name: str, *http: Data, **spec: Any) -> Data:
    """A VirtualService for the host of its name."""
    body = {"hosts": [name], **({"http": list(http)} if http else {}), **spec}
    return {"apiVersion": ISTIO, "kind": "VirtualService", "metadata": {"name": name}, "spec": body}


def to(host: str, **weights: int) -> list[Data]:
    """Destinations by subset."""
    return [{"destination": {"host": host, "subset": one}, "weight": weight} for one, weight in weights.items()]


def reviews(**weights: int) -> Data:
    """The VirtualService of reviews: jason sees v2, all others what the weights say."""
    return virtual_service("reviews", JASON, {"name": "default", "route": to("reviews", **weights)})


def security() -> list[Data]:
    """Policies beside the routes, which no one who moves traffic may touch."""
    selector = {"matchLabels": {"app": "reviews"}}
    issuer = {"issuer": "https://issuer.example", "jwksUri": "https://issuer.example/keys"}
    allowed = {"from": [{"source": {"namespaces": ["default"]}}], "to": [{"operation": {"methods": ["GET"]}}]}
    specs = {
        "PeerAuthentication": {"mtls": {"mode": "STRICT"}},
        "RequestAuthentication": {"selector": selector, "jwtRules": [issuer]},
        "AuthorizationPolicy": {"selector": selector, "action": "ALLOW", "rules": [allowed]},
    }
    return [
        {"apiVersion": SECURITY, "kind": kind, "metadata": {"name": "reviews"}, "spec": spec}
        for kind, spec in specs.items()
    ]
