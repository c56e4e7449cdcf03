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

from . import dispersion, objective
from .special import Flags
from .state import Design, Recount, State, Sums


def shared(state: State, design: Design) -> Flags:
    """Lanes with an outage of both versions in the last two evaluations, over (..., lanes)."""
    y, n_c, x, n_b = map(np.add, state.last, state.before)
    found = design.judged & (y > design.least * n_c) & (x > design.least * n_b)
    if found.any():  # stable at its objective, or below it, gives none
        found &= objective.log_evidence_above(x, n_b - x, design.limits) >= -log(design.alpha)
    return np.asarray((found[..., None, :] & design.together).any(axis=-1))


def counted(before: State, after: State, began: Flags, design: Design) -> Recount:
    """After an evaluation that led from the first state to the second one; where a step has `began`, stable's counts
    did as well."""
    outage, kept = shared(after, design), before.recount
    stable = (np.where(began, 0.0, one) for one in (kept.left_out.stable_bad, kept.left_out.stable_total))
    same = Sums(*kept.left_out[:4], *stable)
    skipped = outage | before.ongoing  # the last evaluation is part of an outage, or next to it
    n_b = np.where(skipped, 0.0, before.last.n_b)
    return Recount(
        left_out=Sums(*(np.where(outage, now, then) for now, then in zip(after.sums, same, strict=True))),
        log_past=kept.log_past,
        spread=dispersion.seen(kept.spread, after.last.x, after.last.n_b, before.last.x, n_b),
    )
