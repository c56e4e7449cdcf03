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

from dataclasses import replace
from math import log

import numpy as np

from . import dispersion, objective
from .special import Flags, Floats
from .state import Design, Recount, State, Sums


def going(state: State) -> Sums:
    """The counts that an increase is decided on."""
    whole, out = state.sums, state.recount.left_out
    return Sums(*(all_ - before for all_, before in zip(vars(whole).values(), vars(out).values(), strict=True)))


def ongoing(state: State) -> Flags:
    """Lanes with a shared outage after which nothing was counted yet, over (..., lanes)."""
    out = state.recount.left_out.total
    return np.asarray((out > 0) & (out == state.total))


def in_step(state: State) -> Flags:
    """Lanes in which requests of the present step are left out, over (..., lanes)."""
    return np.asarray(state.recount.left_out.step_total > 0)


def shared(state: State, design: Design) -> Flags:
    """Lanes with an outage of both versions in the last two evaluations, over (..., lanes)."""
    y, n_c, x, n_b = (
        last + before for last, before in zip(vars(state.last).values(), vars(state.before).values(), strict=True)
    )
    missed = objective.log_evidence_above(x, n_b - x, design.limits) >= -log(design.alpha)
    found = design.judged & missed & (y > design.least * n_c)
    return np.asarray((found[..., None, :] & design.together).any(axis=-1))


def counted(before: State, after: State, began: Flags, design: Design) -> State:
    """The second state with its recount, after an evaluation that led to it from the first one; where a step has
    `began`, stable's counts did as well."""
    outage = shared(after, design)
    kept = before.recount.left_out
    stable = (np.where(began, 0.0, one) for one in (kept.stable_bad, kept.stable_total))
    same = Sums(kept.bad, kept.total, kept.step_bad, kept.step_total, *stable)
    pairs = zip(vars(after.sums).values(), vars(same).values(), strict=True)
    skipped = outage | ongoing(before)  # the last evaluation is part of an outage, or next to it
    spread = dispersion.seen(before.recount.spread, before.last.x, before.last.n_b)
    spreads = zip(vars(before.recount.spread).values(), vars(spread).values(), strict=True)
    recount = Recount(
        left_out=Sums(*(np.where(outage, now, then) for now, then in pairs)),
        log_past=before.recount.log_past,
        spread=dispersion.Spread(*(np.where(skipped, old, new) for old, new in spreads)),
    )
    return replace(after, recount=recount)


def next_step(recount: Recount, new: Flags, log_past: Floats) -> Recount:
    """Without what was left out of the last step, where another one begins."""
    out = recount.left_out
    left_out = replace(out, step_bad=np.where(new, 0.0, out.step_bad), step_total=np.where(new, 0.0, out.step_total))
    return replace(recount, left_out=left_out, log_past=log_past)
