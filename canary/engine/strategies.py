"""Every front end of a plan: Flagger's short forms and explicit steps, each a function to the same `Plan`.

The table `STRATEGIES` names them in the order in which they are looked for. `validation/strategy.py` says what is
wrong with an analysis; here it is read as well as it can be.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise

from canary.api.analysis import Analysis, StepSpec
from canary.api.plan import Match, Plan, Step, StringMatch, Traffic

from .pairs import TargetType

START = Step(traffic=Traffic(), iterations=0)
"""Step 0: no request reaches the canary, and nothing is judged."""


def explicit(analysis: Analysis) -> tuple[Step, ...]:
    """`steps`: each entry is a complete traffic state."""
    return tuple(_step(spec) for spec in analysis.steps or ())


def weights(analysis: Analysis) -> tuple[Step, ...]:
    """`stepWeight` up to `maxWeight`, or `stepWeights`; with `mirror`, one evaluation of copied requests first. With
    `match`, they share out only the requests that match, as in Flagger."""
    rising = analysis.step_weights or _evenly(analysis.step_weight or 100, analysis.max_weight or 100)
    match = matched(analysis.match or ())
    steps = tuple(Step(traffic=_of_matching(match, weight) if match else Traffic(weight=weight)) for weight in rising)
    return (Step(traffic=Traffic(mirror=mirrored(analysis))), *steps) if analysis.mirror else steps


def iterations(analysis: Analysis) -> tuple[Step, ...]:
    """`iterations`: blue/green at weight 0 (mirrored or not), or A/B with `match`."""
    traffic = Traffic(mirror=mirrored(analysis) if analysis.mirror else 0, match=matched(analysis.match or ()))
    return (Step(traffic=traffic, iterations=analysis.iterations or 1),)


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


def plan_of(analysis: Analysis, skip_analysis: bool = False, target: TargetType = TargetType.VERSIONS) -> Plan:
    """The plan of an analysis; without a strategy, or with `skipAnalysis`, straight to the promotion."""
    chosen = next((make for field, make in STRATEGIES if getattr(analysis, field)), None)
    steps = () if skip_analysis or chosen is None else chosen(analysis)
    return Plan(steps=(START, *steps), promotion=PROMOTIONS[target](analysis, steps))


def without_labels(analysis: Analysis) -> Analysis:
    """An analysis for requests that come through gateways: none has a caller with labels, and Istio would ignore
    `sourceLabels` there, so that a match by them would catch other users. If it is the only one, it stays, and the
    router refuses it."""
    steps = tuple(step.but(match=_unlabelled(step.match)) for step in analysis.steps or ())
    return analysis.but(match=_unlabelled(analysis.match or ()) or None, steps=steps or None)


def _unlabelled(matches: tuple[Match, ...]) -> tuple[Match, ...]:
    return tuple(match for match in matches if not match.source_labels) or matches


def mirrored(analysis: Analysis) -> int:
    """Share of requests to copy, in per cent; all of them unless `mirrorWeight` says otherwise."""
    return 100 if analysis.mirror_weight is None else analysis.mirror_weight


def matched(matches: tuple[Match, ...]) -> tuple[Match, ...]:
    """In the words that every router has and gives back as they are: Istio knows no suffix."""
    return tuple(
        match.but(
            headers={name: _comparison(how) for name, how in match.headers.items()},
            query_params={name: _comparison(how) for name, how in match.query_params.items()},
        )
        for match in matches
    )


def _comparison(how: StringMatch) -> StringMatch:
    return how if how.suffix is None else StringMatch(regex=f".*{re.escape(how.suffix)}")


def to_canary(analysis: Analysis, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """From the last analysed step to exactly 100%, in raises of `stepWeightPromotion`, one an interval."""
    last = steps[-1].traffic if steps else Traffic()
    if last == Traffic(weight=100):
        return ()
    raises = range(last.weight, 100, analysis.step_weight_promotion or 100)
    hold = analysis.interval or timedelta(minutes=1)
    between = [Step(traffic=Traffic(weight=weight), hold=hold, iterations=0) for _, weight in pairwise(raises)]
    return (*between, Step(traffic=Traffic(weight=100), iterations=0))


def through_primary(analysis: Analysis, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The copy to the primary while the last step's traffic stays, then back to the primary: at once, or in decreases
    of `stepWeightPromotion`, one an interval.

    Blue/green has no traffic to keep. There the canary gets all requests and one evaluation before the copy, as in
    Flagger.
    """
    last = steps[-1].traffic if steps else Traffic()
    ahead: tuple[Step, ...] = ()
    if steps and not last.weight and not last.match:
        last = Traffic(weight=100)
        ahead = (Step(traffic=last),)
    hold = analysis.interval or timedelta(minutes=1)
    lower = range(last.weight, 0, -(analysis.step_weight_promotion or 100))
    between = [Step(traffic=Traffic(weight=weight), hold=hold, iterations=0) for weight in lower[1:]]
    copy = Step(traffic=last, iterations=0, copies=True)
    # The last step copies as well, so that a rollout that has gone there early still waits for the primary.
    return (*ahead, copy, *between, Step(iterations=0, copies=True))


PROMOTIONS: Mapping[TargetType, Callable[[Analysis, tuple[Step, ...]], tuple[Step, ...]]] = {
    TargetType.VERSIONS: to_canary,
    TargetType.PRIMARY: through_primary,
}
"""What follows the analysed steps, by type of target."""


def _evenly(step: int, highest: int) -> tuple[int, ...]:
    """step, 2 × step, … and `highest` itself last. (Flagger overshoots: 30 up to 50 goes to 60.)"""
    return (*range(step, highest, step), highest)


def _of_matching(match: tuple[Match, ...], weight: int) -> Traffic:
    """A share of the requests that match; of 100 there is one way to write it, and of 0."""
    return Traffic(match=match if weight else (), match_weight=weight if 0 < weight < 100 else None)


def _step(spec: StepSpec) -> Step:
    match = _of_matching(
        matched(spec.match), 100 if spec.match_weight is None or not spec.match else spec.match_weight
    )
    traffic = match.but(weight=spec.weight, mirror=spec.mirror)
    iterations = 1 if spec.iterations is None else spec.iterations
    return Step(traffic=traffic, hold=spec.hold or timedelta(), iterations=iterations, gates=spec.gates)
