"""What a DaemonSet lacks as a target: replicas to set to zero, and a name for its template that they don't change.

A DaemonSet runs nowhere while its pods ask for nodes with a label that no node has, as in Flagger. That is a change
of its pod template. So its build is a digest of the template without that label, and of each build there may be two
ControllerRevisions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from hashlib import sha256
from typing import Any

from canary.kube.projections import NOWHERE

from .names import Data, Object

DIGITS = 10
ON_DELETE = "OnDelete"


def without_nowhere(template: Data) -> Object:
    """The pod template that runs on the nodes that its owner asks for."""
    made: Object = deepcopy(dict(template))
    spec = made.get("spec") or {}
    asked = {key: value for key, value in (spec.get("nodeSelector") or {}).items() if key not in NOWHERE}
    spec.pop("nodeSelector", None)
    if asked:
        spec["nodeSelector"] = asked
    return made


def build(template: Data) -> str:
    """What a pod template is called, whether it runs or not."""
    made = without_nowhere(template)
    made["metadata"] = {key: value for key, value in (made.get("metadata") or {}).items() if value is not None}
    return sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:DIGITS]


def template_of(revision: Data) -> Object:
    """The pod template in a ControllerRevision of a DaemonSet, which is a patch."""
    held = ((revision.get("data") or {}).get("spec") or {}).get("template") or {}
    return without_nowhere({key: value for key, value in held.items() if not key.startswith("$")})


def found_of(revisions: Iterable[Data], wanted: str) -> Object | None:
    """The pod template of a build, of the newest of its ControllerRevisions."""
    in_order = sorted(revisions, key=_number, reverse=True)
    return next((template for one in in_order if build(template := template_of(one)) == wanted), None)


def newest(revisions: Sequence[Data]) -> tuple[str, frozenset[str]]:
    """The newest build, and the hashes by which its pods are labelled; empty where there is none."""
    last = max(revisions, key=_number, default=None)
    if last is None:
        return "", frozenset()
    wanted = build(template_of(last))
    labels = [(one.get("metadata") or {}).get("labels") or {} for one in revisions if _is(one, wanted)]
    return wanted, frozenset(str(one.get("controller-revision-hash")) for one in labels)


def scaled(found: Data, runs: bool) -> list[Mapping[str, Any]]:
    """The patch that lets a DaemonSet run, or nowhere; empty if it does so already."""
    spec = found["spec"]["template"]["spec"]
    asked = spec.get("nodeSelector") or {}
    rest = {key: value for key, value in asked.items() if key not in NOWHERE}
    if runs == (rest == asked):
        return []
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}
    path = "/spec/template/spec/nodeSelector"
    if not runs:
        return [guard, {"op": "add", "path": path, "value": {**asked, NOWHERE[0]: "true"}}]
    return [guard, {"op": "replace", "path": path, "value": rest} if rest else {"op": "remove", "path": path}]


def as_scaled(found: Data, template: Data) -> Object:
    """A pod template that runs nowhere if the DaemonSet doesn't run."""
    made = without_nowhere(template)
    asked = (found["spec"]["template"].get("spec") or {}).get("nodeSelector") or {}
    nowhere = {key: asked[key] for key in NOWHERE if key in asked}
    if nowhere:
        made["spec"]["nodeSelector"] = {**(made["spec"].get("nodeSelector") or {}), **nowhere}
    return made


def _is(revision: Data, wanted: str) -> bool:
    return build(template_of(revision)) == wanted


def _number(revision: Data) -> int:
    return int(revision.get("revision") or 0)
