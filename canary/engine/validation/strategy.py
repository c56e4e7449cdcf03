"""Checks of how traffic moves: one strategy, and steps that rise. `traffic.py` checks each step."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from canary.api.analysis import Analysis

from ..next_traffic import exposed
from ..policy_merge import RISING, conflicts, unused_iterations
from ..strategies import STRATEGIES, STRATEGY_FIELDS, plan_of
from .problem import Case, Problem, Severity, on_the_wire
from .webhooks import rollout_hooks

CHOICES = tuple(name for name, _ in STRATEGIES)
_BELONGS = {
    "max_weight": ("step_weight",),
    "step_weight_promotion": ("step_weight", "step_weights", "steps"),
    "mirror": ("step_weight", "step_weights", "iterations"),
    "match": ("iterations", "step_weight", "step_weights"),
}
"""Fields that only mean something beside one of these."""

MAY_ONLY_RISE = "weights may only stay or rise"
NO_WEIGHTS = "is empty: write weights such as [10, 30, 60]"
NO_STEPS = "is empty: write at least one step such as {weight: 10, hold: 5m}"
MIRROR_OF_MATCHING = (
    "would copy all requests, not only those that match; remove it, or write steps with mirror, match and matchWeight"
)
"""In Flagger, both narrow each other."""
MATCH_BESIDE_STEPS = "isn't used with steps; write it in a step"
ABOVE_HIGHEST = "more than maxWeight"


def one_strategy(case: Case) -> Iterator[Problem]:
    """Only one strategy can be followed, whether one block or two have them."""
    sentence = only_one_of(CHOICES)
    blocks = {"analysis": case.spec.analysis, "canaryAnalysis": case.spec.canary_analysis}
    within = [(block, _chosen(found)) for block, found in blocks.items() if found is not None]
    for block, names in within:
        for name in names[1:]:
            yield Problem(("spec", block, _wire(name)), f"can't be used together with {_wire(names[0])}; {sentence}")
    if all(len(names) <= 1 for _, names in within):
        names = _chosen(case.analysis)
        for name in names[1:]:
            yield case.problem(name, f"can't be used together with {_wire(names[0])}; {sentence}")


def some_strategy(case: Case) -> Iterator[Problem]:
    """Without a strategy the canary would get everything at once."""
    if _chosen(case.analysis) or case.spec.skip_analysis or case.policy_missing:
        return
    field = ("spec", case.block() or "analysis")
    stray = sorted(case.analysis.written().keys() & STRATEGY_FIELDS)
    replaces = "" if case.policy is None or not stray else f"; {_wire(stray[0])} takes the policy's place"
    if case.block() is None and case.policy is None:
        yield Problem(field, no_analysis())
    else:
        yield Problem(field, f"{no_strategy()}{replaces}")


def two_blocks(case: Case) -> Iterator[Problem]:
    """`canaryAnalysis` fills in what `analysis` lacks; where both speak they must agree."""
    for name, ours, older in conflicts(case.spec):
        yield Problem(
            ("spec", "analysis", _wire(name)),
            f"is {_shown(name, ours)}, and spec.canaryAnalysis.{_wire(name)} is {_shown(name, older)}; "
            "write it once, in analysis",
        )
    if unused_iterations(case.spec):
        ours = case.spec.analysis is not None and "iterations" in case.spec.analysis.written()
        block, other = ("analysis", "canaryAnalysis") if ours else ("canaryAnalysis", "analysis")
        used = _wire(next(name for name in RISING if case.written(name)))
        yield Problem(
            ("spec", block, "iterations"),
            f"isn't used, because spec.{other}.{used} says how traffic moves",
            Severity.WARNING,
        )


def strays(case: Case) -> Iterator[Problem]:
    """A field without effect is a mistake."""
    chosen = _chosen(case.analysis)
    for name, partners in _BELONGS.items():
        if chosen and getattr(case.analysis, name) and not set(partners) & set(chosen):
            yield _stray(case, name, chosen[0], partners)
    if case.written("mirror_weight") and not case.analysis.mirror:
        yield case.warning("mirror_weight", "isn't used without `mirror: true`")
    if case.analysis.match and case.analysis.mirror and {"step_weight", "step_weights"} & set(chosen):
        yield case.problem("mirror", MIRROR_OF_MATCHING)
    for index, step in enumerate(case.analysis.steps or ()):
        if step.match_weight is not None and not step.match:
            yield case.warning("steps", "isn't used without match", index, "matchWeight")


def _stray(case: Case, name: str, chosen: str, partners: tuple[str, ...]) -> Problem:
    if chosen == "steps" and name in ("match", "mirror"):
        return case.problem(name, MATCH_BESIDE_STEPS)
    sentence = f"isn't used with {_wire(chosen)}, only with {_all(partners)}"
    return case.warning(name, sentence)


def rising(case: Case) -> Iterator[Problem]:
    """Steps go up; the way down is a rollback."""
    weights = case.analysis.step_weights
    if weights is not None:
        yield from _rising(case, "step_weights", weights)
        if not weights:
            yield case.problem("step_weights", NO_WEIGHTS)
    steps = case.analysis.steps
    if steps is not None:
        yield from _rising(case, "steps", [step.weight for step in steps], "weight")
        if not steps:
            yield case.problem("steps", NO_STEPS)


def _rising(case: Case, name: str, weights: Iterable[int], *rest: str) -> Iterator[Problem]:
    for index, (before, after) in enumerate(pairwise(weights), start=1):
        if after < before:
            yield case.problem(name, f"goes down from {before} to {after}; {MAY_ONLY_RISE}", index, *rest)


def reachable(case: Case) -> Iterator[Problem]:
    """A step above the highest weight is a slip."""
    step, highest = case.analysis.step_weight, case.analysis.max_weight
    if step is not None and highest is not None and step > highest:
        yield case.problem("step_weight", f"is {step}, {ABOVE_HIGHEST}, which is {highest}")


def without_requests(case: Case) -> Iterator[Problem]:
    """Looks at a step that sends nothing to the canary find nothing."""
    weights, chosen = case.analysis.step_weights or (), _chosen(case.analysis)
    for index, step in enumerate(case.analysis.steps or ()):
        if not (step.weight or step.mirror or step.match or step.iterations == 0):
            sentence = "sends nothing to the canary, so there is nothing to judge; write weight, match or mirror"
            yield case.warning("steps", sentence, index)
    for index in (index for index, weight in enumerate(weights) if weight == 0):
        yield case.warning("step_weights", "is 0: there will be nothing to judge", index)
    quiet = not rollout_hooks(case.analysis) and not any(
        exposed(step.traffic) for step in plan_of(case.analysis).steps
    )
    if chosen == ("iterations",) and quiet:
        yield case.warning(
            "iterations",
            "without match or mirror no request reaches the canary, so there is nothing to judge; write one of "
            "them, or a webhook of type rollout"
            if case.capabilities.mirror
            else "no connection reaches the canary, so there is nothing to judge; write a webhook of type rollout",
        )


def no_analysis() -> str:
    """For a Canary that neither has an analysis nor refers to a policy."""
    return f"is missing: write one with {_all(CHOICES)}, or a policyRef"


def no_strategy() -> str:
    """For an analysis without any of the fields that choose a strategy."""
    return f"doesn't say how traffic moves: write {_all(CHOICES)}"


def only_one_of(names: tuple[str, ...]) -> str:
    """The way out for an analysis with several of these fields, by Python name."""
    return f"write only one of {_all(names)}"


def _chosen(analysis: Analysis) -> tuple[str, ...]:
    written: Mapping[str, Any] = analysis.written()
    return tuple(name for name in CHOICES if name in written)


def _wire(name: str) -> str:
    return on_the_wire(Analysis, name)


def _all(names: tuple[str, ...]) -> str:
    wire = [_wire(name) for name in names]
    return f"{', '.join(wire[:-1])} or {wire[-1]}" if len(wire) > 1 else wire[0]


def _shown(name: str, value: Any) -> str:
    """The value as a manifest writes it, cut where it is long."""
    wire = Analysis.model_construct(_fields_set={name}, **{name: value}).wire()[_wire(name)]
    text = wire if isinstance(wire, str) else str(wire).replace("'", "")
    return text if len(text) <= 60 else f"{text[:57]}..."


CHECKS = (one_strategy, some_strategy, two_blocks, strays, rising, reachable, without_requests)
