"""`canary import flagger` reads what is in a cluster, and changes nothing there."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.cli.app import run
from tests.parts.cluster import ControlPlane

from .test_flagger import spec

GROUP = "/apis/flagger.app/v1beta1/namespaces"


def crd(kind: str, plural: str) -> str:
    """As large as Flagger's objects need it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return json.dumps({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.flagger.app"},
        "spec": {"group": "flagger.app", "scope": "Namespaced", "versions": [version],
                 "names": {"kind": kind, "plural": plural, "singular": kind.lower()}},
    })  # fmt: skip


def ask(plane: ControlPlane, namespace: str) -> int:
    """The exit code."""
    kubeconfig = str(plane.kubeconfig("admin"))
    return run(["import", "flagger", "-n", namespace, "--kubeconfig", kubeconfig])


def test_a_cluster_is_read(control_plane: ControlPlane, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Templates first; without what the server and Flagger added. A kind that isn't served is left out."""
    kube, namespace = control_plane.kube, control_plane.kube.create_namespace()
    assert ask(control_plane, namespace) == 2
    assert f"there are no objects of Flagger in namespace {namespace}" in capsys.readouterr().err
    kube.create_crds([crd("Canary", "canaries"), crd("MetricTemplate", "metrictemplates")])
    template: dict[str, Any] = {"provider": {"type": "prometheus", "address": "http://p:9090"}, "query": "vector(1)"}
    objects: dict[str, dict[str, Any]] = {
        "canaries": spec() | {"status": {"phase": "Succeeded"}},
        "metrictemplates": {"kind": "MetricTemplate", "metadata": {"name": "errors"}, "spec": template},
    }
    for plural, one in objects.items():
        metadata = one["metadata"] | {"namespace": namespace}
        body = one | {"apiVersion": "flagger.app/v1beta1", "metadata": metadata}
        kube.create(f"{GROUP}/{namespace}/{plural}", body)
    before = kube.read(f"{GROUP}/{namespace}/canaries")["items"]
    assert ask(control_plane, namespace) == 0
    printed = capsys.readouterr()
    assert printed.err == "converted 2 objects; no errors to correct in the output\n"
    made, canary = YAML(typ="safe", pure=True).load_all(printed.out)
    assert made["spec"] == template
    assert (canary["metadata"], "status" in canary) == ({"name": "podinfo", "namespace": namespace}, False)
    assert kube.read(f"{GROUP}/{namespace}/canaries")["items"] == before
    file = tmp_path / "made.yaml"
    file.write_text(printed.out)
    assert run(["simulate", "-f", str(file)]) == 0
