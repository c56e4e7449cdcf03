"""What a schema can't say and the API server can check all the same: CEL over the fields of one model each.

Only what lint calls an error is here, in lint's words; what takes more than one object, or a parser of PromQL or of
guards, is left to lint and to the controller, which says it in a condition. Bounds of lists and texts are in the
models: the API server refuses rules whose cost it can't reckon.
"""

from collections.abc import Mapping

from canary.api.action import ActionSpec
from canary.api.analysis import Analysis, Metric, Range, SessionAffinity, StepSpec
from canary.api.canary import (
    Canary,
    CanaryPolicySpec,
    CanarySpec,
    EnvoyProxy,
    MetricTemplateSpec,
    TargetRef,
    TemplateProvider,
)
from canary.api.model import Model
from canary.api.plan import Gate, Match, Patience, StringMatch
from canary.api.providers import PROVIDERS
from canary.api.webhooks import Webhook
from canary.engine.pairs import (
    IN_CLUSTER,
    KINDS,
    PAIRS,
    PROVIDER_NAMES,
    STANDALONE,
    USUAL,
    TargetType,
)
from canary.engine.policy_merge import RISING
from canary.engine.validation import (
    guards,
    metrics,
    providers,
    strategy,
    target,
    timing,
    traffic,
    webhooks,
)
from canary.engine.validation.problem import on_the_wire

from .cel import (
    BLOCKS,
    BUILTIN_NAMES,
    Rule,
    address,
    any_of,
    at_most_one,
    countable,
    empty,
    exactly_one,
    filled,
    gate_name,
    lasting,
    longer_than_nothing,
    object_name,
    unless,
)
from .cel_pairs import in_cluster, unable


def _same(field: str) -> str:
    here, before = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"has({here}) == has({before}) && (!has({here}) || {here} == {before})"


_STRATEGIES = tuple(on_the_wire(Analysis, name) for name in strategy.CHOICES)
_POLICY_OR_NONE = "has(self.policyRef) || (has(self.skipAnalysis) && self.skipAnalysis)"
_CHOSEN = [" || ".join(f"(has(self.{block}) && has(self.{block}.{one}))" for block in BLOCKS) for one in _STRATEGIES]
_NAMED_ONCE = "!has(self.guards) || self.guards.all(one, self.guards.exists_one(other, other.name == one.name))"
_GUARDS = Rule(_NAMED_ONCE, guards.ONE_NAME_EACH, "guards")
_COMPARISONS = tuple(StringMatch.model_fields)
_HOOKS = ", ".join(f"'{name}'" for name in webhooks.HOOKS)
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
        *(Rule(f"{unless(one)} || has(self.envoy)", target.NO_ENVOY.format(one), "envoy") for one in STANDALONE),
        *(
            Rule(f"{unless(one)} || {filled('version')}", one.no_version, "version")
            for one in USUAL
            if one.no_version
        ),
        *(rule for one in IN_CLUSTER for rule in in_cluster(one)),
        Rule(f"{_POLICY_OR_NONE} || {any_of(*BLOCKS)}", strategy.no_analysis(), "analysis"),
        Rule(
            f"{_POLICY_OR_NONE} || !({any_of(*BLOCKS)}) || {' || '.join(_CHOSEN)}", strategy.no_strategy(), "analysis"
        ),
        Rule(
            f"!has(self.analysis) || !has(self.canaryAnalysis)"
            f" || [{', '.join(_CHOSEN[: len(RISING)])}].filter(given, given).size() <= 1",
            strategy.only_one_of(strategy.CHOICES),
        ),
        *(rule for one in PAIRS for rule in unable(one)),
        Rule(f"!has(self.provider) || self.provider in {list(PROVIDER_NAMES)}", target.NO_PROVIDER, "provider"),
        _GUARDS,
        address("metricsServer"),
        Rule(
            "self.targetRef.kind == oldSelf.targetRef.kind && self.targetRef.name == oldSelf.targetRef.name",
            "targetRef can't be changed; delete the Canary and create another",
            "targetRef",
        ),
    ),
    TargetRef: (
        *(
            Rule(
                f"self.kind != '{one.kind}' || !has(self.apiVersion) || self.apiVersion in {list(one.api_versions)}",
                target.not_served(one),
                "apiVersion",
            )
            for one in IN_CLUSTER
            if one.type is not TargetType.PRIMARY
        ),
        Rule(f"self.kind in {list(KINDS)}", target.NO_KIND, "kind"),
        *(
            Rule(f"self.kind != '{one.kind}' || ({object_name('self.name')})", target.no_object(one), "name")
            for one in IN_CLUSTER
            if one.given_pods  # the name of a Service has to leave room for a suffix, which is checked above
        ),
    ),
    CanaryPolicySpec: (_GUARDS,),
    Analysis: (
        Rule(at_most_one(*_STRATEGIES), strategy.only_one_of(strategy.CHOICES)),
        Rule("!has(self.steps) || size(self.steps) > 0", strategy.NO_STEPS, "steps"),
        Rule("!has(self.stepWeights) || size(self.stepWeights) > 0", strategy.NO_WEIGHTS, "stepWeights"),
        Rule(f"!has(self.steps) || {_WEIGHTS}.isSorted()", strategy.MAY_ONLY_RISE, "steps"),
        Rule("!has(self.stepWeights) || self.stepWeights.isSorted()", strategy.MAY_ONLY_RISE, "stepWeights"),
        Rule(
            "!has(self.stepWeight) || !has(self.maxWeight) || self.stepWeight <= self.maxWeight",
            f"is {strategy.ABOVE_HIGHEST}",
            "stepWeight",
        ),
        Rule(f"!has(self.steps) || !{filled('match')}", strategy.MATCH_BESIDE_STEPS, "match"),
        Rule("!has(self.steps) || !has(self.mirror) || !self.mirror", strategy.MATCH_BESIDE_STEPS, "mirror"),
        Rule(
            f"{empty('match')} || !has(self.mirror) || !self.mirror || !({any_of('stepWeight', 'stepWeights')})",
            strategy.MIRROR_OF_MATCHING,
            "mirror",
        ),
        Rule(lasting("interval", ">= duration('1s')"), timing.TOO_SHORT, "interval"),
        Rule(lasting("interval", "<= duration('168h')"), timing.TOO_LONG, "interval"),
        longer_than_nothing("deadline"),
        longer_than_nothing("scrapeInterval"),
        *countable("settle", "drain", "unreadyGrace"),
    ),
    SessionAffinity: (
        Rule(f'self.cookieName.matches(r"^{traffic.COOKIE}$")', traffic.NO_COOKIE, "cookieName"),
        Rule(
            f'!has(self.primaryCookieName) || self.primaryCookieName.matches(r"^{traffic.COOKIE}$")',
            traffic.NO_COOKIE,
            "primaryCookieName",
        ),
        Rule(
            "!has(self.primaryCookieName) || self.primaryCookieName != self.cookieName",
            traffic.ONE_COOKIE_EACH,
            "primaryCookieName",
        ),
        *(
            Rule(
                f'{empty(field)} || self.{field}.matches(r"^{traffic.ATTRIBUTE}$")',
                traffic.NO_ATTRIBUTE,
                field,
            )
            for field in ("domain", "path")
        ),
    ),
    StepSpec: (
        Rule(
            f"!has(self.gates) || self.gates.all(a, self.gates.exists_one(b, {gate_name('a')} == {gate_name('b')}))",
            traffic.ONE_NAME_EACH.format(name="the same"),
            "gates",
        ),
        *countable("hold"),
    ),
    Gate: (Rule(exactly_one("approval", "webhook", "opa"), traffic.NOTHING_OPENS), *countable("timeout")),
    Patience: countable("after"),
    EnvoyProxy: (address("admin"),),
    MetricTemplateSpec: (
        Rule("!has(self.query) || !has(self.counts)", metrics.QUERY_AND_COUNTS, "counts"),
        Rule(any_of("query", "counts"), metrics.QUERY_OR_COUNTS),
    ),
    TemplateProvider: (
        address("address"),
        *(
            Rule(
                f"!has(self.type) || !(self.type in {[one for one in PROVIDERS if field in PROVIDERS[one].needs]})"
                f" || has(self.{field})",
                providers.MISSING,
                field,
            )
            for field in dict.fromkeys(field for facts in PROVIDERS.values() for field in facts.needs)
        ),
    ),
    Match: (
        Rule(
            " || ".join(filled(field) for field in ("headers", "queryParams", "sourceLabels")), traffic.NO_CONDITION
        ),
    ),
    StringMatch: (
        Rule(any_of(*_COMPARISONS), traffic.NO_COMPARISON),
        Rule(at_most_one(*_COMPARISONS), traffic.ONE_COMPARISON),
    ),
    Metric: (
        Rule("!has(self.query) || !has(self.templateRef)", metrics.TWO_QUERIES, "templateRef"),
        Rule(f"{any_of('query', 'templateRef')} || self.name in [{BUILTIN_NAMES}]", metrics.NO_QUERY, "name"),
        Rule(any_of("thresholdRange", "threshold"), metrics.NO_RANGE),
        Rule(
            "self.name != 'request-success-rate'"
            " || (has(self.thresholdRange) ? !has(self.thresholdRange.min) || self.thresholdRange.min <= 100.0"
            " : !has(self.threshold) || self.threshold <= 100.0)",
            metrics.NOT_REACHED,
        ),
        longer_than_nothing("interval"),
    ),
    Range: (
        Rule(any_of("min", "max"), metrics.NO_RANGE),
        Rule("!has(self.min) || !has(self.max) || self.min <= self.max", f"min is above max; {metrics.SWAPPED}"),
    ),
    Webhook: (
        Rule(
            f"!has(self.type) || self.type in [{_HOOKS}]",
            f"{webhooks.NO_HOOK}; there are {', '.join(webhooks.HOOKS)}",
            "type",
        ),
        *countable("timeout"),
    ),
    ActionSpec: (Rule("self == oldSelf", "an action is never changed; create another one"),),
}
"""By model; each holds wherever the model is."""
