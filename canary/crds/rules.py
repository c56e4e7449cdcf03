"""What a schema can't say and the API server can check all the same: CEL over the fields of one model each.

Only what lint calls an error is here, in lint's words; what takes more than one object, or a parser of PromQL, is
left to lint and to the controller, which says it in a condition. Bounds of lists and texts are in the models: the API
server refuses rules whose cost it can't reckon.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canary.api import address
from canary.api.action_resource import ActionSpec
from canary.api.analysis import Analysis, Metric, Range, StepSpec, Webhook
from canary.api.canary import Canary, CanarySpec, EnvoyProxy, TargetRef, TemplateProvider
from canary.api.duration import PATTERN
from canary.api.model import Model
from canary.api.plan import Gate, Match, StringMatch
from canary.engine.checks import metrics, strategy, target, timing, traffic, unread
from canary.engine.checks.problem import on_the_wire


@dataclass(frozen=True)
class Rule:
    """One validation."""

    expression: str
    """CEL that holds for what is right; `self` is the model's object."""
    sentence: str
    """Lint's, without the values: what may be of any length can't be put into a message."""
    field: str = ""
    """The field of the model that is at fault or missing, where the object as a whole isn't."""

    def wire(self) -> dict[str, Any]:
        """An entry of `x-kubernetes-validations`."""
        where = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.expression, "message": self.sentence, **where}


def _any(*fields: str) -> str:
    return " || ".join(f"has(self.{field})" for field in fields)


def _at_most_one(*fields: str) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(given, given).size() <= 1"


def _filled(field: str) -> str:
    return f"(has(self.{field}) && size(self.{field}) > 0)"


def _lasting(field: str, limit: str) -> str:
    """What is no duration at all is the pattern's to refuse."""
    given = f"self.{field}"
    return f"!has({given}) || !{given}.matches(r'{PATTERN}') || duration({given}) {limit}"


def _longer_than_nothing(field: str) -> Rule:
    return Rule(_lasting(field, "> duration('0s')"), timing.NOT_NOTHING, field)


def _named(gate: str) -> str:
    return f"(has({gate}.name) && {gate}.name != '' ? {gate}.name : 'approval')"


def _of_kind(kind: str) -> str:
    return f"self.targetRef.kind != '{kind}'"


def _address(field: str) -> Rule:
    return Rule(f"!has(self.{field}) || self.{field}.matches(r'{address.PATTERN}')", target.NO_ADDRESS, field)


def _same(field: str) -> str:
    here, before = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"has({here}) == has({before}) && (!has({here}) || {here} == {before})"


_STRATEGIES = tuple(on_the_wire(Analysis, name) for name in strategy.CHOICES)
_BUILTINS = ", ".join(f"'{name}'" for name in metrics.BUILTINS)
_HOOKS = ", ".join(f"'{name}'" for name in unread.HOOKS)
_WEIGHTS = "self.steps.map(step, has(step.weight) ? step.weight : 0)"

_AT_REST = "!has(oldSelf.status) || !has(oldSelf.status.rollout)"
_MOVED = ("virtualServices", "routes", "host")

RULES: Mapping[type[Model], tuple[Rule, ...]] = {
    Canary: tuple(
        Rule(
            f"{_AT_REST} || ({_same(field)})",
            f"{field} can't be changed in mid-rollout; wait for its end, or roll it back",
            f"spec.{field}",
        )
        for field in _MOVED
    ),
    CanarySpec: (
        Rule(f"{_of_kind('EnvoyRoute')} || has(self.envoy)", target.NO_ENVOY, "envoy"),
        Rule(f"{_of_kind('EnvoyRoute')} || {_filled('version')}", target.NO_CLUSTER, "version"),
        Rule(f"{_of_kind('VirtualService')} || {_filled('version')}", target.NO_SUBSET, "version"),
        Rule(f"{_of_kind('VirtualService')} || !has(self.envoy)", target.ENVOY_ELSEWHERE, "envoy"),
        _address("metricsServer"),
        Rule(
            "self.targetRef.kind == oldSelf.targetRef.kind && self.targetRef.name == oldSelf.targetRef.name",
            "targetRef can't be changed; delete the Canary and create another",
            "targetRef",
        ),
    ),
    TargetRef: (
        Rule(
            f"self.kind != 'VirtualService' || !has(self.apiVersion) || self.apiVersion.startsWith('{target.ISTIO}')",
            target.NOT_ISTIO,
            "apiVersion",
        ),
    ),
    Analysis: (
        Rule(_at_most_one(*_STRATEGIES), strategy.only_one_of(strategy.CHOICES)),
        Rule("!has(self.steps) || size(self.steps) > 0", strategy.NO_STEPS, "steps"),
        Rule("!has(self.stepWeights) || size(self.stepWeights) > 0", strategy.NO_WEIGHTS, "stepWeights"),
        Rule(f"!has(self.steps) || {_WEIGHTS}.isSorted()", strategy.MAY_ONLY_RISE, "steps"),
        Rule("!has(self.stepWeights) || self.stepWeights.isSorted()", strategy.MAY_ONLY_RISE, "stepWeights"),
        Rule(
            "!has(self.stepWeight) || !has(self.maxWeight) || self.stepWeight <= self.maxWeight",
            f"is {strategy.ABOVE_HIGHEST}",
            "stepWeight",
        ),
        Rule(f"!has(self.steps) || !{_filled('match')}", strategy.MATCH_BESIDE_STEPS, "match"),
        Rule(_lasting("interval", ">= duration('1s')"), timing.TOO_SHORT, "interval"),
        _longer_than_nothing("deadline"),
        _longer_than_nothing("scrapeInterval"),
    ),
    StepSpec: (
        Rule(
            f"!has(self.gates) || self.gates.all(a, self.gates.exists_one(b, {_named('a')} == {_named('b')}))",
            traffic.ONE_NAME_EACH.format(name="the same"),
            "gates",
        ),
    ),
    Gate: (Rule("has(self.approval)", traffic.NOTHING_OPENS),),
    EnvoyProxy: (_address("admin"),),
    TemplateProvider: (_address("address"),),
    Match: (
        Rule(
            " || ".join(_filled(field) for field in ("headers", "queryParams", "sourceLabels")), traffic.NO_CONDITION
        ),
    ),
    StringMatch: (
        Rule(_any("exact", "prefix", "regex"), traffic.NO_COMPARISON),
        Rule(_at_most_one("exact", "prefix", "regex"), traffic.ONE_COMPARISON),
    ),
    Metric: (
        Rule("!has(self.query) || !has(self.templateRef)", metrics.TWO_QUERIES, "templateRef"),
        Rule(f"{_any('query', 'templateRef')} || self.name in [{_BUILTINS}]", metrics.NO_QUERY, "name"),
        Rule(_any("thresholdRange", "threshold"), metrics.NO_RANGE),
        _longer_than_nothing("interval"),
    ),
    Range: (
        Rule(_any("min", "max"), metrics.NO_RANGE),
        Rule("!has(self.min) || !has(self.max) || self.min <= self.max", f"min is above max; {metrics.SWAPPED}"),
    ),
    Webhook: (
        Rule(
            f"!has(self.type) || self.type in [{_HOOKS}]",
            f"{unread.NO_HOOK}; there are {', '.join(unread.HOOKS)}",
            "type",
        ),
    ),
    ActionSpec: (Rule("self == oldSelf", "an action is never changed; create another one"),),
}
"""By model; each holds wherever the model is."""
