"""One account for each of the chart's roles, and what it asks of a real API server."""

from dataclasses import dataclass

import requests

from canary.api.canary import API_VERSION
from tests.chart.helm import Data
from tests.chart.release import username
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane

KINDS = f"/apis/{API_VERSION}"
GROUPS = {
    **dict.fromkeys(("virtualservices", "destinationrules"), f"/apis/{bookinfo.ISTIO}"),
    **dict.fromkeys(
        ("deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"), "/apis/apps/v1"
    ),
    **dict.fromkeys(("services", "pods", "secrets", "configmaps"), "/api/v1"),
}
"""Where the plurals are that aren't ours."""
ROLES = {"viewer": "canary-viewer", "approver": "canary-approver", "operator": "canary-operator"}
AGGREGATED = {"view": "view", "edit": "edit"}
PATCH = "application/merge-patch+json"

SHOP: Data = {
    "apiVersion": API_VERSION,
    "kind": "Canary",
    "metadata": {"name": "shop"},
    "spec": {
        "targetRef": {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "shop"},
        "version": "v2",
        "analysis": {"steps": [{"weight": 50}]},
    },
}


STATUS: Data = {"phase": "Failed", "failed": {"name": "v2"}}


@dataclass(frozen=True)
class Team:
    """One account for each role, in a namespace with a Canary whose rollout failed."""

    plane: ControlPlane
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        space = "" if plural.startswith("cluster") else f"/namespaces/{self.namespace}"
        return f"{GROUPS.get(plural, KINDS)}{space}/{plural}/{name}".rstrip("/")

    def may(self, who: str, verb: str, plural: str) -> bool:
        """Whether the server lets it through; nothing is kept."""
        return self.ask(who, verb, plural).status_code != 403

    def ask(self, who: str, verb: str, plural: str) -> requests.Response:
        """A request of someone's to an object that may be there or not."""
        plural, _, sub = plural.partition("/")
        one = f"{self.path(plural, 'shop')}/{sub}".rstrip("/")
        method, path = {
            "list": ("GET", self.path(plural)),
            "create": ("POST", self.path(plural)),
            "update": ("PUT", one),
            "patch": ("PATCH", one),
            "delete": ("DELETE", one),
        }.get(verb, ("GET", one))
        body: Data | None = None if method == "GET" else self.action(who) if verb == "create" else {}
        kind = PATCH if verb == "patch" else "application/json"
        query = {} if method == "GET" else {"dryRun": "All"}
        return self.plane.kube.request(method, path, body, user=self.user(who), content_type=kind, **query)

    def act(self, who: str, author: str, name: str = "") -> requests.Response:
        """An action of theirs, in a name."""
        body = self.action(who, author, name)
        return self.plane.kube.request("POST", self.path("canaryactions"), body, user=self.user(who))

    def action(self, who: str, author: str = "", name: str = "") -> Data:
        """By default their own."""
        metadata = {"name": name} if name else {"generateName": "shop-pause-"}
        spec = {"canary": "shop", "verb": "pause", "author": author or self.name(who)}
        return {"apiVersion": API_VERSION, "kind": "CanaryAction", "metadata": metadata, "spec": spec}

    def user(self, who: str) -> str:
        """As the control plane has their token."""
        return who if who == "admin" else f"{self.namespace}-{who}"

    def name(self, who: str) -> str:
        """As the API server knows them."""
        return who if who == "admin" else username(self.namespace, who)
