"""After an outage that both versions share, what an increase needs is counted again.

Errors that stable had at the same time say nothing about the canary. But as long as they are among the counts of the
step, the canary seems to miss the objective, and a minute with 50% of errors takes an hour of health to make up for.
So all counts until the outage's end are left out where a high error rate is to be ruled out, and where a sign against
the canary delays an increase: the step is passed on requests after it, or not at all.

Only an increase is counted again. Evidence for a rollback has all requests of the rollout, also those left out
here, and so keeps its guarantee; a sign that the canary is worse than stable blocks an increase as before.

An outage is shared where stable misses the objective in the last two evaluations together, with as much evidence as
rolls a canary back, and the canary misses it as well. Stable at its objective gives that evidence in at most alpha of
such pairs (Ville), so a canary that errs alone hardly ever has its errors left out. Two evaluations, since the two
versions are scraped apart: one of them may show an end or a beginning of the outage that the other doesn't.
"""

from math import log

import numpy as np

from . import objective
from .special import Flags
from .state import Design, Look, State, Sums


def shared(last: Look, before: Look, design: Design) -> Flags:
    """Lanes with an outage of both versions in the last two evaluations, over (..., lanes)."""
    y, n_c, x, n_b = map(np.add, last, before)
    found = design.judged & (y > design.least * n_c) & (x > design.least * n_b)
    if found.any():  # stable at its objective, or below it, gives none
        found &= objective.log_evidence_above(x, n_b - x, design.limits) >= -log(design.alpha)
    return np.asarray((found[..., None, :] & design.together).any(axis=-1))


def left_out(state: State, sums: Sums, began: Flags, outage: Flags) -> Sums:
    """What doesn't count for an increase after an evaluation that led from this state to these sums; where a step has
    `began`, stable's counts did as well."""
    return Sums(*np.where(outage, sums, state.recount.left_out.begun(began)))
