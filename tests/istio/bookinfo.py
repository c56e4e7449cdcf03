"""Istio's example as tests need it: reviews in three versions, short ways to write routes, and a small API server."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from canary.api.plan import Traffic
from canary.engine.observed import RouteSeen
from canary.istio.destinations import Pair
from canary.istio.patch import write
from canary.istio.reading import read
from canary.istio.scope import Scope, ref_of

from . import rfc6902

Data = dict[str, Any]

REVIEWS = Scope("default", ("reviews",))
JASON: Data = {
    "match": [{"headers": {"end-user": {"exact": "jason"}}}],
    "route": [{"destination": {"host": "reviews", "subset": "v2"}}],
}


def to(version: str, weight: int | None = None, host: str = "reviews", **more: Any) -> Data:
    """A destination with a subset; a version with a dash is a host of its own."""
    destination = {"host": version} if "-" in version else {"host": host, "subset": version}
    port = {"port": {"number": more.pop("port")}} if "port" in more else {}
    return {"destination": {**destination, **port}, **({} if weight is None else {"weight": weight}), **more}


def route(*entries: Data, **more: Any) -> Data:
    return {**more, "route": list(entries)}


def service(*http: Data, name: str = "reviews", namespace: str = "default", **spec: list[Any]) -> Data:
    """A VirtualService as the API server has it."""
    routes = {"http": list(http)} if http else {}
    metadata = {"name": name, "namespace": namespace, "resourceVersion": "1", "labels": {"app": "reviews"}}
    return {"kind": "VirtualService", "metadata": metadata, "spec": {"hosts": [name], **routes, **spec}}


def rule(*versions: str, host: str = "reviews", namespace: str = "default") -> Data:
    return {
        "metadata": {"name": host, "namespace": namespace},
        "spec": {"host": host, "subsets": [{"name": one, "labels": {"version": one}} for one in versions]},
    }


RULES = [rule("v1", "v2", "v3")]


class Cluster:
    """Holds VirtualServices, takes patches, counts their versions up."""

    def __init__(self, *services: Data, scope: Scope = REVIEWS, rules: Sequence[Data] | None = None) -> None:
        self.services = [deepcopy(one) for one in services]
        self.scope = scope
        self.rules = RULES if rules is None else rules

    def read(self, stable: str | None, canary: str) -> RouteSeen:
        return read(self.services, self.rules, self.scope, stable, canary)

    def send(self, weight: int = 0, pair: str = "v1 v2", **more: Any) -> None:
        """Asks for a traffic state; `pair` is stable and canary."""
        self.ask(Traffic(weight=weight, **more), Pair(*pair.split()))

    def ask(self, traffic: Traffic, pair: Pair) -> None:
        kept = deepcopy(self.services)
        patches = write(self.services, self.rules, self.scope, pair, traffic)
        assert self.services == kept, "what is given is not changed"
        for patch in patches:
            index = [ref_of(one) for one in self.services].index(ref_of({"metadata": vars(patch)}))
            self.services[index] = rfc6902.apply(self.services[index], patch.operations)
            version = self.services[index]["metadata"]["resourceVersion"]
            self.services[index]["metadata"]["resourceVersion"] = str(int(version) + 1)

    def routes(self, kind: str = "http", service: int = 0) -> list[Data]:
        found: list[Data] = self.services[service]["spec"][kind]
        return found

    def sent(self, kind: str = "http", service: int = 0) -> list[str]:
        """Each route in short: `v1 90, v2 10`; a weight that isn't written is left out."""
        return [", ".join(map(_short, one.get("route", ()))) for one in self.routes(kind, service)]


def plain(services: Sequence[Mapping[str, Any]]) -> list[Data]:
    """Without what the API server counts."""
    copies = deepcopy([dict(one) for one in services])
    for one in copies:
        one["metadata"].pop("resourceVersion")
    return copies


def _short(entry: Data) -> str:
    name = entry["destination"].get("subset") or entry["destination"]["host"]
    return f"{name} {entry['weight']}" if "weight" in entry else str(name)
