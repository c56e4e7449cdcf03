"""Flagger's manifests to ours: another apiVersion, and a comment at each field that means something else here.

With `rewrite` a Canary is in our own form (`modern`): steps in full with gates, one block of analysis, ranges instead
of thresholds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from canary.api.analysis import Analysis
from canary.api.canary import API_VERSION
from canary.api.plan import Step
from canary.engine.errors import Invalid
from canary.engine.policy_merge import BUILTINS
from canary.engine.strategies import plan_of
from canary.engine.validation import Problem, dotted
from canary.manifests.documents import Document, documents
from canary.manifests.others import UNRENDERED, raw, theirs
from canary.manifests.validation import FLAGGER

from .commented import Imported, Note, commented, joined, lines, written
from .differences import differences

KINDS = ("Canary", "MetricTemplate", "AlertProvider")
KEPT = ("name", "namespace", "labels", "annotations")
"""What is kept of the metadata of an object that comes from a cluster."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def flagger(text: str, name: str, rewrite: bool = False) -> Imported:
    """The text of a file with its Flagger objects converted; the rest of the text stays.

    `name` is the file's in messages. With `rewrite`, each Flagger object is written in our own form. Objects with a
    status, and lists, are written again in any case. Without such objects the count is 0. Raises Invalid.
    """
    found = _documents(text, name)
    if any(_written_again(one.data, rewrite) for one in found):
        pieces = [piece for one in found for piece in _pieces(one, rewrite)]
        return flagger_text(joined(pieces), name)
    return flagger_text(text, name)


def flagger_objects(found: Iterable[Mapping[str, Any]], rewrite: bool = False) -> Imported:
    """The same for objects of a cluster."""
    return flagger_text(joined(_object(one, rewrite) for one in found), "the cluster")


def flagger_text(text: str, name: str) -> Imported:
    """Converts text in place. Raises Invalid."""
    notes: list[tuple[Document, Note]] = []
    made, count = lines(text), 0
    for document in _documents(text, name):
        if not _is_flagger(document.data):
            continue
        line, column = document.place(("apiVersion",))
        start = made[line - 1][: column - 1]
        rest = made[line - 1][column - 1 :]
        made[line - 1] = start + re.sub(rf"{re.escape(FLAGGER)}\w+", API_VERSION, rest, count=1)
        notes += [(document, note) for note in differences(document.data)]
        count += 1
    return Imported(commented("".join(made), notes), count=count)


def _documents(text: str, name: str) -> list[Document]:
    found = list(documents(text, theirs))
    wrong = [f"{name}:{line}:{column}: {_sentence(one, problem)}"
             for one in found for (line, column), problem in one.problems]  # fmt: skip
    if wrong:
        raise Invalid("\n".join(wrong))
    return found


def _sentence(document: Document, problem: Problem) -> str:
    if raw(document.text):
        return UNRENDERED.replace("lint", "import flagger")
    field = dotted(problem.field)
    return f"{field}: {problem.sentence}" if field else problem.sentence


def _is_flagger(data: Any) -> bool:
    return (
        isinstance(data, dict) and str(data.get("apiVersion", "")).startswith(FLAGGER) and data.get("kind") in KINDS
    )


def _packed(data: Any) -> Iterator[Mapping[str, Any]]:
    """Flagger's objects in a list, as `kubectl get -o yaml` prints several."""
    items = data.get("items") if isinstance(data, dict) else None
    return (one for one in (items if isinstance(items, list) else ()) if _is_flagger(one))


def _live(data: Mapping[str, Any]) -> bool:
    return "status" in data or "uid" in (data.get("metadata") or {})


def _written_again(data: Any, rewrite: bool) -> bool:
    return any(_packed(data)) or (_is_flagger(data) and (rewrite or _live(data)))


def _pieces(document: Document, rewrite: bool) -> Iterator[str]:
    packed = list(_packed(document.data))
    if packed:
        others = [one for one in document.data["items"] if not _is_flagger(one)]
        yield from (_object(one, rewrite) for one in packed)
        yield from (written(one) for one in others if isinstance(one, dict))
    elif _written_again(document.data, rewrite):
        yield _object(document.data, rewrite)
    else:
        yield re.sub(r"\A(?:[ \t]*\n)*---[ \t]*\n", "", document.text)


def _object(data: Mapping[str, Any], rewrite: bool) -> str:
    """One of Flagger's objects without what the API server and controllers have written."""
    made = deepcopy({field: value for field, value in data.items() if field != "status"})
    if _live(data):
        given = made.get("metadata") or {}
        made["metadata"] = {field: given[field] for field in KEPT if given.get(field)}
        annotations = made["metadata"].get("annotations") or {}
        annotations.pop(LAST_APPLIED, None)
        if not annotations:
            made["metadata"].pop("annotations", None)
    return written(modern(made) if rewrite else made)


SHORT = ("stepWeight", "stepWeights", "maxWeight", "iterations", "match", "mirror", "mirrorWeight")
"""The fields that `steps` replaces."""


def modern(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same Canary in our own form; other kinds, and an analysis that can't be read, stay as they are.

    Hooks of the type `confirm-promotion` are gates of the last step. Those of other types have no step:
    `confirm-rollout` and the first `confirm-traffic-increase` are asked before the first one.
    """
    made = deepcopy(dict(data))
    spec = made.get("spec")
    if made.get("kind") != "Canary" or not isinstance(spec, dict):
        return made
    older, newer = spec.get("canaryAnalysis"), spec.get("analysis")
    if isinstance(older, dict) or isinstance(newer, dict):
        spec.pop("canaryAnalysis", None)
        spec["analysis"] = _analysis({**(older or {}), **(newer or {})})
    return made


def _analysis(given: dict[str, Any]) -> dict[str, Any]:
    strategy = {field: given[field] for field in SHORT if given.get(field) is not None}
    chosen = [field for field in ("stepWeight", "stepWeights", "iterations") if field in strategy]
    if len(chosen) != 1 or ("match" in strategy and "mirror" in strategy and chosen != ["iterations"]):
        return given  # lint says what to write
    try:
        read = Analysis.model_validate(strategy, by_alias=True, by_name=False)
    except ValidationError:
        return given
    steps = [_step(one, chosen) for one in plan_of(read).steps[1:]]
    gates, hooks = _gates(given.get("webhooks"))
    if gates:
        steps[-1]["gates"] = gates
    made: dict[str, Any] = {}
    for field, value in given.items():
        if field == chosen[0]:
            made["steps"] = steps
        elif field == "metrics" and isinstance(value, list):
            made[field] = [_metric(one) for one in value]
        elif field == "webhooks":
            made |= {field: hooks} if hooks or not gates else {}
        elif field not in SHORT:
            made[field] = value
    return made


def _step(step: Step, chosen: Sequence[str]) -> dict[str, Any]:
    written = step.traffic.wire()
    made = {field: value for field, value in written.items() if value}
    if step.traffic.match:  # a field without a value, such as queryParams, means the same as none
        made["match"] = [{field: value for field, value in one.items() if value} for one in written["match"]]
    if chosen == ["iterations"]:
        made["iterations"] = step.iterations
    return made or {"weight": 0}


def _gates(given: Any) -> tuple[list[dict[str, Any]], Any]:
    """The gates of the last step, and the hooks that are left. Like Flagger's, they have no time limit."""
    if not isinstance(given, list):
        return [], given
    gates: dict[str, dict[str, Any]] = {}
    hooks = []
    for one in given:
        name = str(one.get("name") or "") if isinstance(one, dict) else ""
        if not name or one.get("type") != "confirm-promotion" or one.get("muteAlert") or name in gates:
            hooks.append(one)
        else:
            called = {field: value for field, value in one.items() if field not in ("name", "type", "muteAlert")}
            gates[name] = {"name": name, "webhook": called, "onTimeout": "hold"}
    return list(gates.values()), hooks


def _metric(given: Any) -> Any:
    """With a range in place of Flagger's older threshold."""
    if not isinstance(given, dict) or given.get("threshold") is None or given.get("thresholdRange"):
        return given
    bound = "min" if given.get("name") == BUILTINS[0] else "max"
    return {
        ("thresholdRange" if field == "threshold" else field): ({bound: value} if field == "threshold" else value)
        for field, value in given.items()
    }
