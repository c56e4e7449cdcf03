"""One kind's CustomResourceDefinition: names, scope, the columns that `kubectl get` prints, and its schema."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from canary.api.status import Status

from .structural import Schema, lenient, strict

GROUP, VERSION = API_VERSION.split("/")
CATEGORY = "canary-controller"
"""`kubectl get canary-controller` lists the objects of all kinds."""
HEADER = "# Made by `make crds` from the models in canary/api; change those.\n"
WIDTH = 4096
"""Nothing is folded: a line of a description is a line of a diff."""


@dataclass(frozen=True)
class Column:
    """What `kubectl get` prints."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    """Only with `-o wide`."""

    def wire(self) -> dict[str, Any]:
        """An entry of `additionalPrinterColumns`."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True)
class Names:
    """How a kind is spelt and shown."""

    plural: str
    columns: tuple[Column, ...]
    short: tuple[str, ...] = ()
    scope: str = "Namespaced"


AGE = Column("Age", ".metadata.creationTimestamp", "date")
_POLICY = (
    Column("Interval", ".spec.analysis.interval"),
    Column("Threshold", ".spec.analysis.threshold", "integer"),
    Column("Deadline", ".spec.analysis.deadline"),
    AGE,
)
NAMES: Mapping[str, Names] = {
    "Canary": Names(
        "canaries",
        (
            Column("Target", ".spec.targetRef.name"),
            Column("Version", ".spec.version"),
            Column("Phase", ".status.phase"),
            Column("Weight", ".status.canaryWeight", "integer"),
            Column("Step", ".status.step"),
            Column("Reason", ".status.reason"),
            Column("Failed", ".status.failedChecks", "integer", wide=True),
            Column("Message", ".status.message", wide=True),
            AGE,
        ),
        short=("cny",),
    ),
    "CanaryPolicy": Names("canarypolicies", _POLICY),
    "ClusterCanaryPolicy": Names("clustercanarypolicies", _POLICY, scope="Cluster"),
    "MetricTemplate": Names(
        "metrictemplates",
        (Column("Server", ".spec.provider.address"), Column("Query", ".spec.query", wide=True), AGE),
    ),
    "CanaryAction": Names(
        "canaryactions",
        (
            Column("Canary", ".spec.canary"),
            Column("Verb", ".spec.verb"),
            Column("Step", ".spec.step", "integer", wide=True),
            Column("Author", ".spec.author"),
            Column("Comment", ".spec.comment", wide=True),
            AGE,
        ),
    ),
}


def definition(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of one of `KINDS`."""
    names = NAMES[kind]
    spelt: dict[str, Any] = {
        "kind": kind,
        "plural": names.plural,
        "singular": kind.lower(),
        "listKind": f"{kind}List",
    }
    spelt |= {"shortNames": list(names.short)} if names.short else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": names.scope,
            "names": {**spelt, "categories": [CATEGORY]},
            "versions": [_version(kind, names)],
        },
    }


def file_name(kind: str) -> str:
    """Where the chart keeps it."""
    return f"{NAMES[kind].plural}.yaml"


def text(kind: str) -> str:
    """As YAML, with a line that says where it comes from."""
    yaml = YAML()
    yaml.width = WIDTH
    stream = io.StringIO()
    yaml.dump(definition(kind), stream)
    return HEADER + stream.getvalue()


def _version(kind: str, names: Names) -> dict[str, Any]:
    watched: dict[str, Any] = {"subresources": {"status": {}}} if "status" in KINDS[kind].model_fields else {}
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        **watched,
        "additionalPrinterColumns": [column.wire() for column in names.columns],
        "schema": {"openAPIV3Schema": _schema(kind)},
    }


def _schema(kind: str) -> Schema:
    """Of the whole object; what every Kubernetes object has is the API server's to check."""
    schema = strict(KINDS[kind])
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string"}
    properties["kind"] = {"type": "string"}
    properties["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    if "status" in properties:
        properties["status"] = _status()
    return schema


def _status() -> Schema:
    """Conditions are a map by type, as everywhere in Kubernetes, so that others can add theirs."""
    status = lenient(Status)
    conditions = status["properties"]["conditions"]
    conditions["items"]["required"] = ["type"]
    return status | {
        "properties": status["properties"]
        | {"conditions": {**conditions, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}}
    }
