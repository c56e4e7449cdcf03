"""The kinds as CustomResourceDefinitions, made from the models of `canary/api`: names, scope, the columns that
`kubectl get` prints, and the schema. Files of them lie in the chart; `canary crd` prints them.

The schema is structural, the only form that the API server takes. `cel_rules.py` has what it can't say.

What users write (`strict`) is described in full, without defaults: what the API server filled in would be in objects
as if their authors had written it, and a later default could start a rollout. Null isn't allowed either, and the
server drops what isn't: `field: null` is as good as absent. Unknown fields are dropped as well, so that strict
validation, which kubectl asks for, refuses a typo.

What we write (`lenient`) has types only, and keeps unknown fields at each level. A controller may be newer than the
definitions in its cluster, and older than the one that wrote the status: neither must cost a status its life.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from canary.api.model import Model
from canary.api.status import Status

from .cel_rules import RULES

Schema = dict[str, Any]

_KEPT = (
    *("type", "format", "pattern", "enum", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"),
)
_READ = {"$ref", "$defs", "anyOf", "const", "properties", "required", "items", "additionalProperties"}
_READ |= {"description", "default", "title", "readOnly"}
_RULES = {model.__name__: rules for model, rules in RULES.items()}


def strict(model: type[Model]) -> Schema:
    """The schema of what people write."""
    schema = model.model_json_schema(by_alias=True)
    return _node({**schema, "title": model.__name__}, schema.get("$defs", {}))


def lenient(model: type[Model]) -> Schema:
    """The schema of what the controller writes."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    return _types_only(_node(schema, schema.get("$defs", {})))


def _node(node: Schema, defs: Mapping[str, Schema]) -> Schema:
    """One level; `defs` are those of the whole schema. TypeError for what this doesn't understand."""
    node = _inlined(node, defs)
    unknown = node.keys() - _READ - set(_KEPT)
    if unknown:
        raise TypeError(f"a structural schema can't be made of {', '.join(sorted(unknown))}")
    made = _described(node) | {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        made["enum"] = [node["const"]]
    if "properties" in node:
        made["properties"] = {name: _node(inner, defs) for name, inner in node["properties"].items()}
        made |= {"required": node["required"]} if "required" in node else {}
        rules = _RULES.get(node.get("title", ""))
        made |= {"x-kubernetes-validations": [rule.wire() for rule in rules]} if rules else {}
    if "items" in node:
        made["items"] = _node(node["items"], defs)
    made |= _entries(node.get("additionalProperties"), defs)
    return made if "type" in made else _ruleless(made)


def _ruleless(node: Schema) -> Schema:
    """Without the rules in a field that has no type: the API server can't compile them there."""
    if "properties" in node:
        node["properties"] = {name: _ruleless(inner) for name, inner in node["properties"].items()}
    return {key: value for key, value in node.items() if key != "x-kubernetes-validations"}


def _inlined(node: Schema, defs: Mapping[str, Schema]) -> Schema:
    """The node with what it refers to, and without null as a choice; what stands in the node itself wins."""
    choices = [each for each in node.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) > 1:
        raise TypeError("a structural schema can't be made of a choice of types")
    rest = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    for choice in choices:
        return _inlined({**choice, **{key: value for key, value in rest.items() if key != "title"}}, defs)
    if "$ref" in node:
        return {**defs[node["$ref"].rpartition("/")[2]], **rest}
    return rest


def _described(node: Schema) -> Schema:
    """In one line, with the default."""
    words = " ".join(node.get("description", "").split())
    default = node.get("default")
    if words and default not in (None, "", [], {}, False) and not isinstance(default, dict) and "unless" not in words:
        words += f" Default: {default}."
    return {"description": words} if words else {}


def _entries(entries: Any, defs: Mapping[str, Schema]) -> Schema:
    """What a mapping holds: values of one type, or anything."""
    match entries:
        case True:
            return {"x-kubernetes-preserve-unknown-fields": True}
        case dict():
            return {"additionalProperties": _node(entries, defs)}
    return {}


def _types_only(node: Schema) -> Schema:
    made: Schema = {key: node[key] for key in ("description", "type") if key in node}
    if "properties" in node:
        made["properties"] = {name: _types_only(inner) for name, inner in node["properties"].items()}
    for inside in ("items", "additionalProperties"):
        made |= {inside: _types_only(node[inside])} if inside in node else {}
    if node.get("type") == "object" and "additionalProperties" not in node:
        made["x-kubernetes-preserve-unknown-fields"] = True
    return made


GROUP, VERSION = API_VERSION.split("/")
CATEGORY = "canary-controller"
"""`kubectl get canary-controller` lists the objects of all kinds."""
HEADER = "# Made by `make crds` from the models in canary/api; change those.\n"
WIDTH = 4096
"""Nothing is folded: a line of a description is a line of a diff."""


def _column(name: str, path: str, kind: str = "string", wide: bool = False) -> Schema:
    """What `kubectl get` prints, an entry of `additionalPrinterColumns`; `wide` only with `-o wide`."""
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})


@dataclass(frozen=True)
class ResourceNames:
    """How a kind is spelt and shown."""

    plural: str
    columns: tuple[Schema, ...]
    short: tuple[str, ...] = ()
    scope: str = "Namespaced"


AGE = _column("Age", ".metadata.creationTimestamp", "date")
_POLICY = (
    _column("Interval", ".spec.analysis.interval"),
    _column("Threshold", ".spec.analysis.threshold", "integer"),
    _column("Deadline", ".spec.analysis.deadline"),
    AGE,
)
NAMES: Mapping[str, ResourceNames] = {
    "Canary": ResourceNames(
        "canaries",
        (
            _column("Target", ".spec.targetRef.name"),
            _column("Version", ".spec.version"),
            _column("Phase", ".status.phase"),
            _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            _column("Weight", ".status.canaryWeight", "integer"),
            _column("Step", ".status.step"),
            _column("Reason", ".status.reason"),
            _column("Failed", ".status.failedChecks", "integer", wide=True),
            _column("Message", ".status.message", wide=True),
            AGE,
        ),
        short=("cny",),
    ),
    "CanaryPolicy": ResourceNames("canarypolicies", _POLICY),
    "ClusterCanaryPolicy": ResourceNames("clustercanarypolicies", _POLICY, scope="Cluster"),
    "MetricTemplate": ResourceNames(
        "metrictemplates",
        (_column("Server", ".spec.provider.address"), _column("Query", ".spec.query", wide=True), AGE),
    ),
    "AlertProvider": ResourceNames(
        "alertproviders", (_column("Type", ".spec.type"), _column("Channel", ".spec.channel"), AGE)
    ),
    "CanaryAction": ResourceNames(
        "canaryactions",
        (
            _column("Canary", ".spec.canary"),
            _column("Verb", ".spec.verb"),
            _column("Step", ".spec.step", "integer", wide=True),
            _column("Author", ".spec.author"),
            _column("Comment", ".spec.comment", wide=True),
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


def _version(kind: str, names: ResourceNames) -> dict[str, Any]:
    watched: dict[str, Any] = {"subresources": {"status": {}}} if "status" in KINDS[kind].model_fields else {}
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        **watched,
        "additionalPrinterColumns": list(names.columns),
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
