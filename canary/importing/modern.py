"""A Flagger Canary in our own form: steps in full with gates, one block of analysis, ranges instead of thresholds.

Hooks of the type `confirm-promotion` are gates of the last step. Those of other types have no step: `confirm-rollout`
and the first `confirm-traffic-increase` are asked before the first one.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from canary.api.analysis import Analysis
from canary.api.plan import Step
from canary.engine.policy_merge import BUILTINS
from canary.engine.strategies import plan_of

SHORT = ("stepWeight", "stepWeights", "maxWeight", "iterations", "match", "mirror", "mirrorWeight")
"""The fields that `steps` replaces."""


def modern(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same Canary; other kinds, and an analysis that can't be read, stay as they are."""
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
