"""What an account may do, asked of a real API server: each verb by a request that changes nothing."""

from dataclasses import dataclass

from canary.kube.resources import Resource
from tests.chart.helm import Data
from tests.parts.kube import Kube

CLUSTER_WIDE = (
    "clustercanarypolicies",
    "clusterroles",
    "namespaces",
    "nodes",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)
NO_OBJECT = "no-object-has-this-name"
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
OF_LISTS = ("list", "watch", "create", "deletecollection")


@dataclass(frozen=True)
class Asking:
    """One account, in one namespace."""

    kube: Kube
    user: str
    namespace: str

    def may(self, verb: str, resource: Resource, subresource: str = "", name: str = NO_OBJECT) -> bool:
        """RBAC is asked before anything else, so any answer but 403 means that it was allowed."""
        plural = resource.plural
        space = "" if plural in CLUSTER_WIDE else f"/namespaces/{self.namespace}"
        path = f"{resource.root}{space}/{plural}"
        if verb not in OF_LISTS:
            path += "/".join(("", name, subresource)).rstrip("/")
        method = METHODS[verb]
        body: Data | None = {} if method in ("POST", "PUT", "PATCH") else None
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        query = {} if method == "GET" else {"dryRun": "All"}
        if verb == "watch":
            query = {"watch": "true", "resourceVersion": "none"}  # which ends with 400
        answer = self.kube.request(method, path, body, user=self.user, content_type=kind, **query)
        return answer.status_code != 403

    def verbs(self, resource: Resource, subresource: str = "", name: str = NO_OBJECT) -> set[str]:
        """All that it may do."""
        asked = [verb for verb in METHODS if not (subresource and verb in OF_LISTS)]
        return {verb for verb in asked if self.may(verb, resource, subresource, name)}
