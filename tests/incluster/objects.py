"""What tests make of a site beside its Canary, and what they ask about it."""

from typing import Any, Protocol

import requests
from prometheus_client.parser import text_string_to_metric_families

from canary.api.canary import API_VERSION
from tests.bookinfo.site import NAME
from tests.incluster.site import Site
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh

GROUP = f"/apis/{API_VERSION}"
LEASE = "canary-virtualservice-reviews"


def make(site: Site, plural: str, name: str, spec: dict[str, Any]) -> None:
    """An object of our kinds that Canaries refer to, or another spec for it; of the cluster where its kind is."""
    kind = {"canarypolicies": "CanaryPolicy", "metrictemplates": "MetricTemplate"}.get(plural, "ClusterCanaryPolicy")
    space = "" if kind == "ClusterCanaryPolicy" else f"/namespaces/{site.mesh.namespace}"
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    there = site.mesh.kube.request("GET", f"{GROUP}{space}/{plural}/{name}")
    if there.status_code == 404:
        site.mesh.kube.create(f"{GROUP}{space}/{plural}", body)
        return
    body["metadata"] = {"name": name, "resourceVersion": there.json()["metadata"]["resourceVersion"]}
    answer = site.mesh.kube.request("PUT", f"{GROUP}{space}/{plural}/{name}", body)
    assert answer.ok, answer.text


def mark(site: Site, name: str = NAME, **annotations: str | None) -> None:
    """Annotates a Canary."""
    site.mesh.kube.merge(site.path("Canary", name), {"metadata": {"annotations": annotations}})


class OnMesh(Protocol):
    """A site of a run, or of a controller."""

    @property
    def mesh(self) -> Mesh: ...


def push(site: OnMesh, version: str, image: str, **spec: Any) -> None:
    """Another build of a version."""
    site.mesh.deploy(f"reviews-{version}", {"app": "reviews", "version": version}, 2, f"reviews:{image}", **spec)


def build(site: OnMesh, version: str = "v2") -> str:
    """What a Deployment's controller calls its newest build."""
    path, labels = site.mesh.path("apps/v1", "ReplicaSet"), f"app=reviews,version={version}"
    found = site.mesh.kube.request("GET", path, labelSelector=labels).json()["items"]
    newest = max(found, key=lambda one: int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    return str(newest["metadata"]["labels"]["pod-template-hash"])


def reported(site: Site, reason: str, name: str = NAME) -> list[tuple[str, str]]:
    """Type and message of the Events with a reason about this very Canary."""
    uid = site.found(name)["metadata"]["uid"]
    query = {"fieldSelector": f"involvedObject.uid={uid},reason={reason}"}
    found = site.mesh.kube.request("GET", site.mesh.path("v1", "Event"), **query).json()["items"]
    return [(one["type"], one["message"]) for one in found]


def until_reported(site: Site, reason: str, words: str = "", name: str = NAME) -> None:
    """Waits for an Event whose message has these words."""
    site.when(
        lambda: any(words in message for _, message in reported(site, reason, name)), f"an Event {reason} {words}"
    )


def truth(site: Site, kind: str, name: str = NAME) -> tuple[str, str]:
    """Status and reason of a condition."""
    found = {one.type: one for one in site.status_of(name).conditions}
    return (str(found[kind].status), found[kind].reason) if kind in found else ("", "")


def holder(site: Site, name: str = LEASE) -> str:
    """Who holds a target's Lease; empty where no one does."""
    answer = site.mesh.kube.request("GET", site.mesh.path("coordination.k8s.io/v1", "Lease", name))
    return "" if answer.status_code == 404 else str(answer.json()["spec"].get("holderIdentity") or "")


def generation(site: Site, name: str = NAME) -> int:
    """How often the routes have been written."""
    return int(site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", name))["metadata"]["generation"])


def is_gone(site: Site, name: str = NAME) -> bool:
    """Whether there is no such Canary."""
    return site.mesh.kube.request("GET", site.path("Canary", name)).status_code == 404


def reconciles(site: Site) -> float:
    """How many reconciles the newest replica has made."""
    answer = requests.get(f"http://127.0.0.1:{site.replicas[-1].port}/metrics", timeout=30)
    found = text_string_to_metric_families(answer.text)
    return sum(
        one.value for family in found for one in family.samples if one.name == "canary_controller_reconcile_total"
    )
