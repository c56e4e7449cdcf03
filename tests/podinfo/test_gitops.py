"""Manifests that a GitOps tool applies again in a rollout: what canary has changed is what the docs let it ignore."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.plan import Traffic
from tests.mesh import bookinfo
from tests.podinfo.controlled import HOLDS, ControlledSite
from tests.podinfo.site import NAME

pytestmark = pytest.mark.cluster

Object = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs" / "deployments.md"
APPLY = "application/apply-patch+yaml"


def ignored() -> Mapping[str, set[str]]:
    """By kind: the fields in the example for Argo CD."""
    text = DOCS.read_text()
    example = text[text.index("ignoreDifferences:") :].partition("```")[0]
    found = YAML(typ="safe").load(example)["ignoreDifferences"]
    return {one["kind"]: set(one["jsonPointers"]) for one in found}


def originals(image: str) -> tuple[Object, ...]:
    """What is in the user's repository."""
    route = {"timeout": "7s", "route": [{"destination": {"host": NAME}}]}
    return (
        bookinfo.deployment(NAME, {"app": NAME}, 2, image),
        bookinfo.service(NAME, 9898, "http-web"),
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


def test_without_these_fields_the_canary_gets_no_users(bare: ControlledSite) -> None:
    """Applied whole in mid-rollout, Service and routes lead to the primary again: drift, and no error."""
    bare.mesh.apply(*originals("podinfo:1"))
    bare.mesh.ready(NAME)
    bare.controller()
    bare.settle(steps=HOLDS)
    bare.mesh.apply(*originals("podinfo:2"))
    bare.until_weight(50)
    bare.mesh.apply(*originals("podinfo:2")[1:])
    bare.until("TrafficDrift")
    bare.mesh.wait_loaded()
    assert bare.traffic == Traffic()
    assert bare.object("Service", "v1")["spec"]["selector"] == {"app": "podinfo-primary"}
    assert {one.image for one in bare.mesh.ask(NAME, 20).answers} == {"podinfo:1"}
    bare.act("rollback")
    bare.ends("Failed", 1)
    bare.podinfo.at_rest("1")
    assert bare.failed == 0
