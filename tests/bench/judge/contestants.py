"""The judges that are compared, with their settings. All have the same weights, objective and scrapes."""

from collections.abc import Callable, Mapping

from canary.api.canary import Canary
from canary.characteristics.plan import stages_of
from canary.characteristics.requests import Grid
from canary.characteristics.rollouts import Rollouts, weights_of
from canary.characteristics.sequential import SequentialRollouts
from canary.engine.resolved import ResolvedSpec, resolve_spec

from .argo import ArgoRollouts
from .flagger import FlaggerRollouts
from .kayenta import KayentaRollouts
from .rules import SLOWEST, SUCCESS

WEIGHTS = (5, 10, 20, 30, 40, 50)
TICK = 5.0
"""Seconds; a scrape comes each third tick."""
OURS, FLAGGER = "sequential", "Flagger 60 s × 5"
ANALYSIS = {
    "judge": "sequential",
    "interval": "30s",
    "scrapeInterval": "15s",
    "stepWeights": list(WEIGHTS),
    "metrics": [
        {"name": "request-success-rate", "thresholdRange": {"min": SUCCESS}},
        {"name": "request-duration", "thresholdRange": {"max": SLOWEST}},
    ],
}
"""Of the manifest that the judge `sequential` gets; everything else has its default."""


def spec(**analysis: object) -> ResolvedSpec:
    """The manifest, with other fields of the analysis in place of its own."""
    target = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2"}
    fields = {"metadata": {"name": "shop"}, "spec": {**target, "analysis": {**ANALYSIS, **analysis}}}
    return resolve_spec(Canary.model_validate(fields))


def sequential(grid: Grid, count: int, **analysis: object) -> Rollouts:
    """Rollouts by the product's own judge."""
    resolved = spec(**analysis)
    return SequentialRollouts(resolved.policy, resolved.plan, grid, count)


def grid() -> Grid:
    """All weights that occur, and Istio's edges of the histogram."""
    return Grid(weights_of(stages_of(spec().plan)), TICK)


CONTESTANTS: Mapping[str, Callable[[Grid, int], Rollouts]] = {
    OURS: sequential,
    FLAGGER: lambda grid, count: FlaggerRollouts(WEIGHTS, grid, count, interval=60, threshold=5),
    "Flagger 10 s × 5": lambda grid, count: FlaggerRollouts(WEIGHTS, grid, count, interval=10, threshold=5),
    "Argo, limit 0": lambda grid, count: ArgoRollouts(WEIGHTS, grid, count, failure_limit=0),
    "Argo, limit 3": lambda grid, count: ArgoRollouts(WEIGHTS, grid, count, failure_limit=3),
    "Kayenta": lambda grid, count: KayentaRollouts(WEIGHTS, grid, count),
}
"""In the order of the tables."""
