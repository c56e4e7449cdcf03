"""The chart on a real API server: it knows every field, and Helm installs, tests, upgrades and uninstalls it.

kwok plays the kubelet, so pods are ready though no one has their image.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from tests.chart.helm import CHART, Data, Helm
from tests.chart.release import Release, installed
from tests.chart.team import SHOP
from tests.chart.test_render import SETS
from tests.parts.cluster import ControlPlane
from tests.parts.kube import Kube

SERVED = {sentence: values for sentence, values in SETS.items() if "monitor" not in values}
"""Without those that need the kinds of Prometheus' operator."""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def path(kube: Kube, one: Data) -> str:
    """Where the API server has an object, by what it says that it serves."""
    root = f"/apis/{one['apiVersion']}" if "/" in one["apiVersion"] else f"/api/{one['apiVersion']}"
    served = kube.read(root)["resources"]
    found = next(each for each in served if each["kind"] == one["kind"] and "/" not in each["name"])
    space = f"/namespaces/{one['metadata']['namespace']}" if found["namespaced"] else ""
    return f"{root}{space}/{found['name']}/{one['metadata']['name']}"


_TRIED: dict[str, str] = {}
"""By object, as JSON: values leave the definitions as they are, and the API server takes seconds to compile them."""


def tried(kube: Kube, one: Data) -> str:
    """What the API server has against an object, warnings included; nothing is kept."""
    key = json.dumps(one, sort_keys=True)
    if key not in _TRIED:
        rules = {"fieldValidation": "Strict", "dryRun": "All", "fieldManager": "test", "force": "true"}
        kind = "application/apply-patch+yaml"
        answer = kube.request("PATCH", path(kube, one), one, content_type=kind, **rules)
        _TRIED[key] = answer.headers.get("Warning", "") if answer.ok else answer.text
    return _TRIED[key]


def placed(values: Data, namespace: str) -> Data:
    """The same, for a namespace that is there."""
    watch = values.get("watch", {})
    return {**values, "watch": {**watch, "namespace": namespace}} if "namespace" in watch else values


@pytest.mark.parametrize("values", SERVED.values(), ids=list(SERVED))
def test_the_api_server_knows_every_field(
    helm: Helm, control_plane: ControlPlane, namespace: str, values: Data
) -> None:
    """Each object passes Strict validation, and the CEL of the policy compiles."""
    objects = helm.render(placed(values, namespace), "-n", namespace, "--include-crds")
    found = {f"{one['kind']} {one['metadata']['name']}": tried(control_plane.kube, one) for one in objects}
    assert {name: said for name, said in found.items() if said} == {}
    assert len(found) > 10


def test_a_field_that_is_not_known_is_named(helm: Helm, control_plane: ControlPlane, namespace: str) -> None:
    """The test above can fail."""
    service = next(one for one in helm.render({}, "-n", namespace) if one["kind"] == "Service")
    service["spec"]["portz"] = []
    assert "portz" in tried(control_plane.kube, service)


def test_its_pods_are_let_into_a_restricted_namespace(release: Release) -> None:
    """Two of them, and each has the account's token."""
    kube = release.control_plane.kube
    chosen = "app.kubernetes.io/component=controller"
    pods = kube.request("GET", f"/api/v1/namespaces/{release.namespace}/pods", labelSelector=chosen).json()["items"]
    assert [one["status"]["phase"] for one in pods] == ["Running"] * 2
    assert {one["spec"]["serviceAccountName"] for one in pods} == {release.name}
    sources = [next(v for v in one["spec"]["volumes"] if v["name"].startswith("kube-api-access")) for one in pods]
    assert all("serviceAccountToken" in source["projected"]["sources"][0] for source in sources)


def test_helm_test_runs_its_job_to_the_end(release: Release) -> None:
    """The Job is let in and ends; what it asks, only a real kubelet could tell."""
    reported = release.helm.run("test", release.name, "-n", release.namespace, "--timeout", "2m")
    assert "Phase:          Succeeded" in reported
    jobs = release.control_plane.kube.read(f"/apis/batch/v1/namespaces/{release.namespace}/jobs")
    assert jobs["items"] == []


def test_an_upgrade_changes_what_is_there(control_plane: ControlPlane, kinds: None, helm_binary: Path) -> None:
    """By the command of docs/install.md: what was given at the installation stays."""
    with installed(control_plane, helm_binary, "canary-up", {"lease": {"duration": "6s"}}) as release:
        before = settings(release)
        reported = ("-n", release.namespace, "--reset-then-reuse-values", "--wait", "--timeout", "2m")
        release.helm.run("upgrade", release.name, str(CHART), *reported, "--set", "replicas=3,workers=4")
        assert release.deployment["status"]["availableReplicas"] == 3
        assert settings(release) == {**before, "CANARY_WORKERS": "4"}
        assert before["CANARY_LEASE_DURATION"] == "6s"


def settings(release: Release) -> dict[str, Any]:
    """Of its pods."""
    return {one["name"]: one.get("value", "") for one in release.container()["env"]}


def test_nothing_but_definitions_and_canaries_outlives_it(
    control_plane: ControlPlane, kinds: None, helm_binary: Path, namespace: str
) -> None:
    """Uninstalled, everything that it made is gone, and every Canary is what it was."""
    kube, canaries = control_plane.kube, f"/apis/{API_VERSION}/namespaces/{namespace}/canaries"
    with installed(control_plane, helm_binary, "canary-gone") as gone:
        made = kube.create(canaries, SHOP)
        objects = gone.helm.render({}, "-n", gone.namespace, "--no-hooks", name=gone.name)
        paths = [path(kube, one) for one in objects]
        assert [one for one in paths if not kube.request("GET", one).ok] == []
        gone.uninstall()
        assert [one for one in paths if kube.request("GET", one).status_code != 404] == []
    assert kube.read(f"{canaries}/shop") == made
    groups = [one["spec"]["group"] for one in kube.read(CRDS)["items"]]
    assert groups.count("canary-controller.dev") == len(KINDS)
