"""A model to a structural schema, the only form that the API server takes.

What users write (`strict`) is described in full, without defaults: what the API server filled in would be in objects
as if their authors had written it, and a later default could start a rollout. Null isn't allowed either, and the
server drops what isn't: `field: null` is as good as absent. Unknown fields are dropped as well, so that strict
validation, which kubectl asks for, refuses a typo.

What we write (`lenient`) has types only, and keeps unknown fields at each level. A controller may be newer than the
definitions in its cluster, and older than the one that wrote the status: neither must cost a status its life.
"""

from collections.abc import Mapping
from typing import Any

from canary.api.model import Model

from .rules import RULES

Schema = dict[str, Any]

_KEPT = (
    *("type", "format", "pattern", "enum", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
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
    return made | _entries(node.get("additionalProperties"), defs)


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
    """In one line, with what is meant where nothing is written."""
    words = " ".join(node.get("description", "").split())
    default = node.get("default")
    if words and default not in (None, "", [], {}, False) and not isinstance(default, dict) and "unless" not in words:
        words += f" Unless given: {default}."
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
