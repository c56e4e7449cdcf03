"""Alice has the Role that `canary run --print-rbac` prints, and nothing else."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.bookinfo.site import CANARY, STEPS, Site
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

RBAC = "rbac.authorization.k8s.io"
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
Rules = list[dict[str, Any]]


@pytest.fixture
def as_alice(site: Site, control_plane: ControlPlane) -> Iterator[Site]:
    """The same bookinfo, for alice."""
    made = Site(site.mesh, control_plane.kubeconfig("alice"), site.folder)
    yield made
    made.stop()


def printed(manifest: Path, *options: str) -> dict[str, Any]:
    """The Role, as anybody gets it without a cluster."""
    environment = {**os.environ, "KUBECONFIG": "/nowhere"}
    argv = (*CANARY, "run", "-f", str(manifest), "--print-rbac", *options)
    text = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout
    role: dict[str, Any] = YAML(typ="safe").load(text)
    return role


def allow(site: Site, role: dict[str, Any], until: Callable[[], bool]) -> None:
    """Gives alice the Role, and waits until it counts."""
    ref = {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]}
    subject = {"kind": "User", "name": "alice", "apiGroup": RBAC}
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": "alice"}}
    site.mesh.apply(role, {**binding, "roleRef": ref, "subjects": [subject]})
    wait_for(until, "the Role to count", within=SLOWLY)


def may(site: Site, verb: str, resource: str, group: str = "", name: str = "") -> bool:
    """What the API server thinks of alice."""
    asked = {"namespace": site.mesh.namespace, "verb": verb, "resource": resource, "group": group, "name": name}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    answer = site.mesh.kube.create(REVIEW, {**review, "spec": {"user": "alice", "resourceAttributes": asked}})
    return bool(answer["status"]["allowed"])


def test_the_printed_role_is_enough_for_a_whole_rollout(site: Site, as_alice: Site) -> None:
    """Nothing that it lacks is asked for: not even in vain, which would be reported."""
    site.write(steps=STEPS)
    role = printed(site.manifest)
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", site.mesh.namespace)
    allow(site, role, lambda: may(site, "list", "pods") and may(site, "delete", "configmaps"))
    run = as_alice.run()
    assert run.ends() == 0, run.text
    assert "may not" not in run.text


def test_the_role_is_for_the_namespace_that_is_meant(site: Site, control_plane: ControlPlane) -> None:
    """The manifest's own, else --namespace, else that of the credentials; without any, `default`."""
    text = site.manifest
    site.write(steps=STEPS)
    text.write_text(text.read_text().replace(f', "namespace": "{site.mesh.namespace}"', ""))
    assert printed(text, "--namespace", "shop")["metadata"]["namespace"] == "shop"
    assert printed(text)["metadata"]["namespace"] == "default"
    config = site.folder / "config"
    found = json.loads(control_plane.kubeconfig("admin").read_text())
    found["contexts"][0]["context"]["namespace"] = "here"
    config.write_text(json.dumps(found))
    assert printed(text, "--kubeconfig", str(config))["metadata"]["namespace"] == "here"


ISTIO = "networking.istio.io"
MISSING = {
    "virtualservices": ("get", ISTIO, 4, "alice may not get virtualservices.networking.istio.io"),
    "destinationrules": ("list", ISTIO, 4, "alice may not list destinationrules.networking.istio.io"),
    "pods": ("list", "", 4, "alice may not list pods"),
    "leases": ("get", "coordination.k8s.io", 1, "alice may not get leases.coordination.k8s.io"),
    "configmaps": ("list", "", 1, "alice may not list configmaps"),
}
"""By what the Role lacks. A read that may be allowed later is waited for (4 is the time-out of the test)."""


@pytest.mark.parametrize("resource", MISSING)
def test_without_a_rule_the_sentence_names_the_permission(site: Site, as_alice: Site, resource: str) -> None:
    """Verb, resource and namespace, from the first moment; nothing moves."""
    verb, group, code, sentence = MISSING[resource]
    site.write(steps=STEPS)
    role, before = printed(site.manifest), site.object()
    role["rules"] = [one for one in role["rules"] if resource not in one["resources"]]
    name = {"virtualservices": "reviews", "leases": "canary-virtualservice-reviews"}.get(resource, "")
    allow(site, role, lambda: may(site, "get", "services") and not may(site, verb, resource, group, name))
    run = as_alice.run("--timeout", "4s")
    assert run.ends() == code, run.text
    assert f"{sentence} in namespace {site.mesh.namespace}" in run.text
    assert site.object() == before
