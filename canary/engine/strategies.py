"""Every front end of a plan: Flagger's short forms and explicit steps, each a function to the same `Plan`.

The table `STRATEGIES` names them in the order in which they are looked for. `checks.py` says what is wrong with
an analysis; here it is read as well as it can be.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

from canary.api.analysis import Analysis, StepSpec
from canary.api.plan import Plan, Step, Traffic

START = Step(traffic=Traffic(), looks=0)
"""Step 0: nobody meets the canary, and nothing is judged."""


def explicit(analysis: Analysis) -> tuple[Step, ...]:
    """`steps`: each entry is a complete traffic state."""
    return tuple(_step(spec) for spec in analysis.steps or ())


def weights(analysis: Analysis) -> tuple[Step, ...]:
    """`stepWeight` up to `maxWeight`, or `stepWeights`; with `mirror`, one look at copied requests first."""
    rising = analysis.step_weights or _evenly(analysis.step_weight or 100, analysis.max_weight or 100)
    steps = tuple(Step(traffic=Traffic(weight=weight)) for weight in rising)
    return (Step(traffic=Traffic(mirror=mirrored(analysis))), *steps) if analysis.mirror else steps


def iterations(analysis: Analysis) -> tuple[Step, ...]:
    """`iterations`: blue/green at weight 0 (mirrored or not), or A/B with `match`."""
    traffic = Traffic(mirror=mirrored(analysis) if analysis.mirror else 0, match=analysis.match or ())
    return (Step(traffic=traffic, looks=analysis.iterations or 1),)


STRATEGIES: tuple[tuple[str, Callable[[Analysis], tuple[Step, ...]]], ...] = (
    ("steps", explicit),
    ("step_weights", weights),
    ("step_weight", weights),
    ("iterations", iterations),
)
"""(the field of an analysis that chooses it, the front end)."""

STRATEGY_FIELDS = frozenset(
    {"steps", "step_weights", "step_weight", "max_weight", "step_weight_promotion"}
    | {"iterations", "match", "mirror", "mirror_weight"}
)
"""The fields that make up a strategy: a Canary and its policy never contribute to one together."""


def plan_of(analysis: Analysis, skip_analysis: bool = False) -> Plan:
    """The plan of an analysis; without a strategy, or with `skipAnalysis`, straight from the start to 100%."""
    chosen = next((make for field, make in STRATEGIES if getattr(analysis, field)), None)
    steps = () if skip_analysis or chosen is None else chosen(analysis)
    return Plan(steps=(START, *steps), promotion=_promotion(analysis, steps))


def mirrored(analysis: Analysis) -> int:
    """Share of requests to copy, in per cent; all of them unless `mirrorWeight` says otherwise."""
    return 100 if analysis.mirror_weight is None else analysis.mirror_weight


def _promotion(analysis: Analysis, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """From the last analysed step to exactly 100%, in raises of `stepWeightPromotion`, one an interval."""
    last = steps[-1].traffic if steps else Traffic()
    if last == Traffic(weight=100):
        return ()
    raises = range(last.weight, 100, analysis.step_weight_promotion or 100)
    hold = analysis.interval or timedelta(minutes=1)
    between = [Step(traffic=Traffic(weight=weight), hold=hold, looks=0) for _, weight in pairwise(raises)]
    return (*between, Step(traffic=Traffic(weight=100), looks=0))


def _evenly(step: int, highest: int) -> tuple[int, ...]:
    """step, 2 × step, … and `highest` itself last. (Flagger overshoots: 30 up to 50 goes to 60.)"""
    return (*range(step, highest, step), highest)


def _step(spec: StepSpec) -> Step:
    traffic = Traffic(weight=spec.weight, mirror=spec.mirror, match=spec.match)
    looks = 1 if spec.looks is None else spec.looks
    return Step(traffic=traffic, hold=spec.hold or timedelta(), looks=looks, gates=spec.gates)
