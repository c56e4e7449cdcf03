"""What someone could do with the controller's token to targets that have a primary, on a real API server."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.plan import Affinity, Cookie, Traffic
from canary.istio.destinations import Pair
from canary.istio.patch import write as patches
from canary.istio.scope import Scope
from canary.kube.projections import NOWHERE
from canary.kube.requests import APPLY, JSON_PATCH
from canary.primary.configs import Config, copy_of
from canary.primary.kept import revision_object
from canary.primary.names import MARK, ORIGINAL
from canary.primary.provisioning import MADE
from canary.primary.routes import adopted, destination_rules, virtual_service
from canary.primary.services import services
from canary.primary.workload import primary
from tests.chart.helm import Data
from tests.chart.release import Release
from tests.chart.test_account import ROUTES, WITHIN, Token
from tests.mesh import bookinfo
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

PRIMARIES = (
    "the controller writes primaries that it made, and of other Deployments and DaemonSets the pod template only"
)
SERVICES = "the controller writes Services that it made, and of others the selector"
RULES = "the controller writes DestinationRules that it made only"
SCALERS = "the controller writes scalers that it made, and pauses others only"
GROUPS = {
    **dict.fromkeys(("deployments", "daemonsets", "controllerrevisions"), "apis/apps/v1"),
    **dict.fromkeys(("virtualservices", "destinationrules"), "apis/networking.istio.io/v1"),
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    **dict.fromkeys(("services", "configmaps", "secrets"), "api/v1"),
}
PLURALS = {"Deployment": "deployments", "Service": "services", "DestinationRule": "destinationrules",
           "VirtualService": "virtualservices", "ControllerRevision": "controllerrevisions",
           "ConfigMap": "configmaps", "Secret": "secrets"}  # fmt: skip
TARGET: Data = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "podinfo", "uid": "1", "labels": {"app": "podinfo"}},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "podinfo"}},
        "template": {
            "metadata": {"labels": {"app": "podinfo"}},
            "spec": {"containers": [{"name": "main", "image": "podinfo:1"}]},
        },
    },
}
DAEMON_SET: Data = {
    **TARGET,
    "kind": "DaemonSet",
    "spec": {field: value for field, value in TARGET["spec"].items() if field != "replicas"},
}
SERVICE: Data = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "podinfo", "labels": {"team": "shop"}},
    "spec": {"selector": {"app": "podinfo"}, "ports": [{"name": "http", "port": 80}]},
}
RULE: Data = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "theirs"},
    "spec": {"host": "theirs"},
}
SCALER: Data = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "podinfo"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 9}},
            }
        ],
    },
}
HISTORY: Data = {
    "apiVersion": "apps/v1",
    "kind": "ControllerRevision",
    "metadata": {"name": "theirs"},
    "revision": 1,
    "data": {"a": "b"},
}
SETTINGS: Data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "b"}}
PASSWORD: Data = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "data": {"a": "Yg=="}}
ROUTE = bookinfo.virtual_service("podinfo", {"name": "default", "route": [{"destination": {"host": "podinfo"}}]})
THEIRS = {"deployments": TARGET, "daemonsets": DAEMON_SET, "services": SERVICE, "destinationrules": RULE,
          "virtualservices": ROUTE, "horizontalpodautoscalers": SCALER, "controllerrevisions": HISTORY,
          "configmaps": SETTINGS, "secrets": PASSWORD}  # fmt: skip
"""A user's objects."""


class Holder(Token):
    """Anyone who holds the account's token."""

    def path(self, resource: str, name: str = "") -> str:
        return f"/{GROUPS[resource]}/namespaces/{self.namespace}/{resource}{'/' if name else ''}{name}"

    def apply(self, made: Data) -> str:
        """As the controller does; a history and copies are written once."""
        path = self.path(PLURALS[made["kind"]], made["metadata"]["name"])
        if made["kind"] in ("ControllerRevision", "ConfigMap", "Secret"):
            return self.send("POST", self.path(PLURALS[made["kind"]]), made)
        return self.send("PATCH", f"{path}?fieldManager=canary&force=true", made, APPLY)

    def become(self, resource: str, name: str, change: Callable[[Data], Any]) -> str:
        """Replaces metadata and spec by what the change makes of them; its own controller may write it too."""
        answer = written = "the object has been modified"
        while written in answer:
            after = copy.deepcopy(self.read(resource, name))
            change(after)
            whole = [{"op": "replace", "path": f"/{part}", "value": after[part]} for part in ("metadata", "spec")]
            answer = self.send("PATCH", self.path(resource, name), whole, JSON_PATCH)
        return answer

    @property
    def canary(self) -> Canary:
        spec = {"targetRef": {"kind": "Deployment", "name": "podinfo"}, "service": {"port": 80}, "analysis": {}}
        about = {"name": "podinfo", "namespace": self.namespace}
        return Canary.model_validate({"metadata": about, "spec": spec})


@pytest.fixture(scope="module")
def holder(release: Release) -> Iterator[Holder]:
    """With the policies in force."""
    kube = release.control_plane.kube
    made = Holder(release, kube.create_namespace())
    for resource, body in THEIRS.items():
        made.put(resource, body)
    for resource in THEIRS:
        wait_for(partial(refused, made, resource), "the policies to be in force", within=SLOWLY)
    yield made
    kube.delete_namespace(made.namespace)


def refused(holder: Holder, resource: str) -> bool:
    """Whether an object without the mark may not be made."""
    body = {**THEIRS[resource], "metadata": {"name": "new"}}
    answer = holder.send("POST", f"{holder.path(resource)}?dryRun=All", body)
    return "the controller" in answer


def made_of(holder: Holder) -> list[Data]:
    """All that is made for a target that had nothing."""
    canary, template = holder.canary, TARGET["spec"]["template"]
    kept = {"apiVersion": "apps/v1", "kind": "ControllerRevision", **revision_object(canary, template, "a", 1, ())}
    target = {**TARGET, "metadata": {**TARGET["metadata"], "namespace": holder.namespace}}
    copies = [{**one, **copy_of(canary, Config(one["kind"], "theirs"), one)} for one in (SETTINGS, PASSWORD)]
    return [
        primary(canary, target, template, "a", None),
        *services(canary, target)[1:],
        *destination_rules(canary),
        kept,
        *copies,
    ]


def test_all_that_is_made_is_let_through(holder: Holder) -> None:
    """Made, changed and deleted; the target and the Service of clients as far as a promotion and a deletion need."""
    objects = made_of(holder)
    assert [holder.apply(one) for one in objects] == [""] * len(objects)
    changed = copy.deepcopy(objects[0])
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "podinfo:2"
    assert holder.apply(changed) == ""
    assert holder.apply(services(holder.canary, TARGET)[0]) == ""
    scale = f"{holder.path('deployments', 'podinfo')}/scale"
    assert holder.send("PATCH", scale, {"spec": {"replicas": 1}}) == ""
    template = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "podinfo:0"}]}}}}
    assert holder.send("PATCH", holder.path("deployments", "podinfo"), template) == ""
    nowhere = [{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {NOWHERE[0]: "true"}}]
    assert holder.send("PATCH", holder.path("daemonsets", "podinfo"), nowhere, JSON_PATCH) == ""
    for one in objects:
        path = holder.path(PLURALS[one["kind"]], one["metadata"]["name"])
        assert holder.send("DELETE", path, {}) == "", one["kind"]
    holder.put("services", SERVICE)


def test_a_virtual_service_is_made_adopted_and_given_back(holder: Holder) -> None:
    """What is adopted keeps all but the destinations of its routes."""
    kube, path = holder.release.control_plane.kube, holder.path("virtualservices", "podinfo")
    assert holder.send("DELETE", path, {}) != ""
    kube.request("DELETE", path)
    made = virtual_service(holder.canary, TARGET)
    made["metadata"]["annotations"][MADE] = "1"
    assert holder.send("POST", holder.path("virtualservices"), made) == ""
    assert holder.send("DELETE", path, {}) == ""
    holder.put("virtualservices", ROUTE)
    assert holder.become("virtualservices", "podinfo", partial(adopt, holder)) == ""
    affinity = Affinity(canary=Cookie(name="seen", value="a"), primary=Cookie(name="old", value="a"))
    for traffic in (Traffic(weight=10, affinity=affinity), Traffic()):
        assert holder.send("PATCH", path, moving(holder, traffic), JSON_PATCH) == ""
    assert WITHIN in holder.become("virtualservices", "podinfo", steal)
    assert holder.become("virtualservices", "podinfo", give_back) == ""
    assert holder.read("virtualservices", "podinfo")["spec"] == ROUTE["spec"]


def moving(holder: Holder, traffic: Traffic) -> list[Any]:
    """The patch that asks for this traffic."""
    found = holder.read("virtualservices", "podinfo")
    pair = Pair("podinfo-primary", "podinfo-canary")
    (patch,) = patches([found], None, Scope(holder.namespace, ("podinfo",)), pair, traffic)
    return patch.operations


def steal(found: Data) -> None:
    """Sends a secret along with the users' requests."""
    for entry in found["spec"]["http"][-1]["route"]:
        entry["headers"] = {"request": {"set": {"authorization": "mine"}}}


def adopt(holder: Holder, found: Data) -> None:
    """As the controller does."""
    found["spec"] = adopted(found, holder.canary, TARGET)["spec"]
    found["metadata"].setdefault("annotations", {}).update({MADE: "1", ORIGINAL: "{}"})


def give_back(found: Data) -> None:
    """The same after a deletion."""
    found["spec"] = copy.deepcopy(ROUTE["spec"])
    found["metadata"]["annotations"] = {}


def adopting(change: Callable[[Data], Any]) -> Callable[[Data], Any]:
    """A change in a write that pretends to adopt."""

    def both(found: Data) -> None:
        found["metadata"].setdefault("annotations", {})[MADE] = "2"
        change(found)

    return both


FORBIDDEN: dict[str, tuple[str, str, Callable[[Data], Any], str]] = {
    "replicas of a Deployment": ("deployments", "podinfo", lambda one: one["spec"].update(replicas=9), PRIMARIES),
    "its strategy": ("deployments", "podinfo", lambda one: one["spec"].update(paused=True), PRIMARIES),
    "its notes": (
        "deployments", "podinfo", lambda one: one["metadata"].update(annotations={"a": "b"}), PRIMARIES
    ),
    "its labels": ("deployments", "podinfo", lambda one: one["metadata"]["labels"].update(a="b"), PRIMARIES),
    "a DaemonSet's history": (
        "daemonsets", "podinfo", lambda one: one["spec"].update(revisionHistoryLimit=9), PRIMARIES
    ),
    "the mark of another's": (
        "deployments", "podinfo", lambda one: one["metadata"].update(annotations={MARK: "podinfo"}), PRIMARIES
    ),
    "a Service's type": ("services", "podinfo", lambda one: one["spec"].update(type="NodePort"), SERVICES),
    "its addresses": ("services", "podinfo", lambda one: one["spec"].update(externalIPs=["192.0.2.1"]), SERVICES),
    "a DestinationRule": ("destinationrules", "theirs", lambda one: one["spec"].update(host="bank"), RULES),
    "its mark": (
        "destinationrules", "theirs", lambda one: one["metadata"].update(annotations={MARK: "podinfo"}), RULES
    ),
    "a scaler": ("horizontalpodautoscalers", "podinfo", lambda one: one["spec"].update(maxReplicas=9), SCALERS),
    "a scaler's note": (
        "horizontalpodautoscalers", "podinfo", lambda one: one["metadata"].update(annotations={"a": "b"}), SCALERS
    ),
    "a host in an adoption": (
        "virtualservices", "podinfo", adopting(lambda one: one["spec"]["hosts"].append("bank")), ROUTES
    ),
    "a fault in an adoption": (
        "virtualservices", "podinfo",
        adopting(lambda one: one["spec"]["http"][0].update(fault={"abort": {"httpStatus": 500}})), WITHIN,
    ),
    "a route more in an adoption": (
        "virtualservices", "podinfo",
        adopting(lambda one: one["spec"]["http"].append({"route": [{"destination": {"host": "bank"}}]})), WITHIN,
    ),
    "two destinations without an adoption": (
        "virtualservices", "podinfo",
        lambda one: one["spec"]["http"][0].update(route=bookinfo.to("bank", a=50, b=50)), WITHIN,
    ),
    "the mark of a VirtualService": (
        "virtualservices", "podinfo", lambda one: one["metadata"].update(annotations={MARK: "podinfo"}), ROUTES
    ),
}  # fmt: skip


@pytest.mark.parametrize(("resource", "name", "change", "words"), FORBIDDEN.values(), ids=list(FORBIDDEN))
def test_nothing_else_of_a_users_object(
    holder: Holder, resource: str, name: str, change: Callable[[Data], Any], words: str
) -> None:
    """The server says what the account may do."""
    holder.put(resource, THEIRS[resource])
    assert words in holder.become(resource, name, change)


@pytest.mark.parametrize("resource", THEIRS)
def test_no_users_object_is_deleted(holder: Holder, resource: str) -> None:
    """Nor one that canary only adopted."""
    holder.put(resource, THEIRS[resource])
    assert "the controller" in holder.send("DELETE", holder.path(resource, THEIRS[resource]["metadata"]["name"]), {})


@pytest.mark.parametrize("resource", THEIRS)
def test_nothing_is_made_without_the_mark(holder: Holder, resource: str) -> None:
    """A Deployment isn't even with it, unless it is called as a primary is."""
    body = {**THEIRS[resource], "metadata": {"name": "new"}}
    assert "the controller" in holder.send("POST", holder.path(resource), body)
    if resource == "deployments":
        marked = {**body, "metadata": {"name": "new", "annotations": {MARK: "podinfo"}}}
        assert PRIMARIES in holder.send("POST", holder.path(resource), marked)
