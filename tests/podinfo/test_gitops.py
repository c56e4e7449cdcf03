"""Manifests that a GitOps tool applies again in a rollout: what canary has changed is what the docs let it ignore.

Argo CD is played by server-side apply. Flux's part is done by Flux's own code (tests/parts/flux.py).
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.plan import Traffic
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.flux import Flux
from tests.podinfo.controlled import HOLDS, ControlledSite
from tests.podinfo.site import NAME

pytestmark = pytest.mark.cluster

Object = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs" / "deployments.md"
APPLY = "application/apply-patch+yaml"
SELECTOR = "/spec/template/spec/nodeSelector"
SCALE_TO_ZERO = "canary-controller.dev/scale-to-zero"


def example(field: str) -> Any:
    """What the example of the docs that begins with this field has in it."""
    text = DOCS.read_text()
    found = text[text.index(f"```yaml\n{field}:") :].removeprefix("```yaml\n").partition("```")[0]
    return YAML(typ="safe").load(found)[field]


def ignored() -> Mapping[str, set[str]]:
    """By kind: the fields in the example for Argo CD."""
    return {one["kind"]: set(one["jsonPointers"]) for one in example("ignoreDifferences")}


def originals(image: str) -> tuple[Object, ...]:
    """What is in the user's repository."""
    route = {"timeout": "7s", "route": [{"destination": {"host": NAME}}]}
    return (
        bookinfo.deployment(NAME, {"app": NAME}, 2, image),
        bookinfo.service(NAME, 9898, "web"),
        bookinfo.virtual_service(NAME, route),
    )


def path(site: ControlledSite, given: Object) -> str:
    return site.mesh.path(given["apiVersion"], given["kind"], NAME)


def different(site: ControlledSite, given: Object) -> Iterator[str]:
    """Fields of a manifest's spec that the cluster has with another value; the server's defaults are none."""
    found = site.mesh.kube.read(path(site, given))
    for field, value in given["spec"].items():
        if not _covers(found["spec"].get(field), value):
            yield f"/spec/{field}"


def _covers(found: Any, given: Any) -> bool:
    if isinstance(given, dict):
        return isinstance(found, dict) and all(_covers(found.get(key), one) for key, one in given.items())
    if isinstance(given, list):
        whole = isinstance(found, list) and len(found) == len(given)
        return whole and all(map(_covers, found, given))
    return bool(found == given)


def synced(site: ControlledSite, image: str) -> None:
    """As Argo CD with RespectIgnoreDifferences: what is ignored is applied as the cluster has it."""
    for one in originals(image):
        given, found = deepcopy(one), site.mesh.kube.read(path(site, one))
        for pointer in ignored()[one["kind"]]:
            given["spec"][pointer.removeprefix("/spec/")] = found["spec"][pointer.removeprefix("/spec/")]
        query = {"fieldManager": "argocd-controller", "force": "true", "fieldValidation": "Strict"}
        answer = site.mesh.kube.request("PATCH", path(site, one), given, content_type=APPLY, **query)
        assert answer.ok, answer.text


def test_the_original_manifests_are_applied_again(bare: ControlledSite) -> None:
    """In mid-rollout, and after it: the tool sees no difference beyond the fields of the docs, and moves nothing."""
    seen = {kind: set[str]() for kind in ignored()}

    def compared(image: str) -> None:
        for one in originals(image):
            seen[one["kind"]] |= set(different(bare, one))
        assert all(found <= ignored()[kind] for kind, found in seen.items()), seen

    bare.mesh.apply(*originals("podinfo:1"))
    bare.mesh.ready(NAME)
    bare.controller()
    bare.settle(steps=HOLDS)
    compared("podinfo:1")
    synced(bare, "podinfo:2")
    bare.until_weight(50)
    bare.mesh.wait_loaded()
    before = [bare.object(), bare.object("Service", "v1"), bare.podinfo.replicas(), bare.status.rollout]
    compared("podinfo:2")
    synced(bare, "podinfo:2")
    after = [bare.object(), bare.object("Service", "v1"), bare.podinfo.replicas(), bare.status.rollout]
    assert after[:3] == before[:3]
    bare.act("promote")
    bare.ends("Succeeded", 1)
    bare.podinfo.at_rest("2")
    compared("podinfo:2")
    synced(bare, "podinfo:2")
    bare.settle()
    bare.podinfo.at_rest("2")
    assert (bare.status.rollouts, bare.traffic, bare.failed) == (1, Traffic(), 0)
    assert {kind: found for kind, found in seen.items()} == dict(ignored())


def test_without_these_fields_the_canary_gets_no_users(bare: ControlledSite, control_plane: ControlPlane) -> None:
    """Applied whole in mid-rollout, Service and routes lead to the primary again: drift, and no error.

    The Service's port keeps its name: one that is renamed has no endpoints until Kubernetes has renamed it in the
    EndpointSlices, which it doesn't here.
    """
    bare.mesh.apply(*originals("podinfo:1"))
    bare.mesh.ready(NAME)
    bare.controller()
    bare.settle(steps=HOLDS)
    bare.mesh.apply(*originals("podinfo:2"))
    bare.until_weight(50)

    def drifted() -> bool:
        """Until canary knows that its weight is in place, the state before is its own, too: then it isn't drift, and
        the weight comes back, also after a status that speaks of drift."""
        found = (bare.status.reason, bare.traffic) == ("TrafficDrift", Traffic())
        if not found:
            bare.mesh.apply(*originals("podinfo:2")[1:])
        return found

    with control_plane.controller_manager.frozen():
        bare.when(drifted, "drift", every=0.5)
        bare.mesh.wait_loaded()
        service = bare.object("Service", "v1")["spec"]
        assert service["selector"] == {"app": "podinfo-primary"}
        assert [one["name"] for one in service["ports"]] == ["web"]
        assert {one.image for one in bare.mesh.ask(NAME, 20).answers} == {"podinfo:1"}
    bare.act("rollback")
    bare.ends("Failed", 1)
    bare.podinfo.at_rest("1")
    assert bare.failed == 0


@pytest.fixture
def flux(bare: ControlledSite) -> Flux:
    """The Deployment and the Service are made by Flux, not by the test."""
    made = Flux(bare.environment["KUBECONFIG"], bare.mesh.namespace)
    for kind in ("Deployment", "Service"):
        bare.mesh.delete(kind, NAME)
    return made


def annotated(image: str) -> tuple[Object, ...]:
    """The originals as the docs advise for a Flux without `ignore`."""
    deployment, service, routes = originals(image)
    del deployment["spec"]["replicas"]
    routes["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}
    return deployment, service, routes


def test_flux_applies_the_original_manifests_again(bare: ControlledSite, flux: Flux) -> None:
    """At rest, in mid-rollout and after it: with either way of the docs, nothing moves but the image."""
    rules = {"ignore": example("ignore")}

    def state() -> list[Any]:
        return [bare.object()["spec"], bare.object("Service", "v1"), bare.podinfo.replicas(), bare.status.rollout]

    def nothing_moves(image: str) -> None:
        before = state()
        assert flux.reconcile(*originals(image), spec=rules)["Service"] == "skipped"
        assert state() == before
        done = flux.reconcile(*annotated(image))
        assert (done["Service"], done["VirtualService"]) == ("skipped", "skipped")
        assert state() == before

    assert set(flux.reconcile(*originals("podinfo:1"), spec=rules).values()) == {"created"}
    bare.mesh.ready(NAME)
    bare.controller()
    bare.settle(steps=HOLDS)
    nothing_moves("podinfo:1")
    assert flux.reconcile(*originals("podinfo:2"), spec=rules)["Deployment"] == "configured"
    bare.until_weight(50)
    bare.mesh.wait_loaded()
    nothing_moves("podinfo:2")
    bare.act("promote")
    bare.ends("Succeeded", 1)
    bare.podinfo.at_rest("2")
    nothing_moves("podinfo:2")
    bare.settle()
    bare.podinfo.at_rest("2")
    assert (bare.status.rollouts, bare.traffic, bare.failed) == (1, Traffic(), 0)


def test_flux_without_the_advice(bare: ControlledSite, flux: Flux) -> None:
    """It starts pods of a target at rest, and takes the users from the canary; they go on to be served."""
    flux.reconcile(*originals("podinfo:1"))
    bare.mesh.ready(NAME)
    flux.reconcile(*annotated("podinfo:1"))
    assert bare.podinfo.replicas() == 1  # Kubernetes' default for what no manifest says any more
    flux.reconcile(*originals("podinfo:1"))
    bare.mesh.ready(NAME)
    bare.controller()
    bare.settle(steps=HOLDS)
    done = flux.reconcile(*originals("podinfo:1"))
    assert done == {"Service": "skipped", "Deployment": "configured", "VirtualService": "configured"}
    assert (bare.podinfo.replicas(), bare.traffic) == (2, None)
    bare.when(
        lambda: bare.traffic == Traffic() and bare.resting, "the routes to be adopted and the pods to be stopped"
    )
    flux.reconcile(*annotated("podinfo:1"))
    assert bare.podinfo.replicas() == 0  # canary has written it since
    flux.reconcile(*originals("podinfo:2"))
    bare.until_weight(50)
    flux.reconcile(*originals("podinfo:2"))
    bare.until("TrafficDrift")
    bare.mesh.wait_loaded()
    assert {one.image for one in bare.mesh.ask(NAME, 20).answers} == {"podinfo:1"}
    bare.act("rollback")
    bare.ends("Failed", 1)
    bare.podinfo.at_rest("1")
    assert bare.failed == 0


def test_flux_and_the_node_selector_of_a_daemon_set(control_plane: ControlPlane, namespace: str) -> None:
    """A manifest that has one takes canary's entry away, unless the whole node selector is ignored."""
    flux, kube = Flux(control_plane.kubeconfig(), namespace), control_plane.kube
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{NAME}"
    rules = {"ignore": [{"target": {"kind": "DaemonSet", "name": NAME}, "paths": [SELECTOR]}]}

    def manifest(image: str, selector: Mapping[str, str] | None = None) -> Object:
        made = {**bookinfo.deployment(NAME, {"app": NAME}, 0, image), "kind": "DaemonSet"}
        del made["spec"]["replicas"]
        made["spec"]["template"]["spec"] |= {"nodeSelector": selector} if selector else {}
        return made

    def stopped() -> bool:
        return SCALE_TO_ZERO in (kube.read(path)["spec"]["template"]["spec"].get("nodeSelector") or {})

    def stop() -> None:
        kube.merge(path, {"spec": {"template": {"spec": {"nodeSelector": {SCALE_TO_ZERO: "true"}}}}})

    flux.reconcile(manifest("podinfo:1"))
    stop()
    assert (flux.reconcile(manifest("podinfo:2")), stopped()) == ({"DaemonSet": "configured"}, True)
    flux.reconcile(manifest("podinfo:2", {"disk": "ssd"}))
    assert not stopped()
    stop()
    assert (flux.reconcile(manifest("podinfo:3", {"disk": "ssd"}), spec=rules), stopped()) == (
        {"DaemonSet": "configured"},
        True,
    )
