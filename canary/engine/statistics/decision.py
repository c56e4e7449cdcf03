"""The sequential judge in numbers: evidence of all metrics, one evaluation after another, and the verdicts.

`state.py` says what lanes are, and the shapes of arrays.

Evidence of several lanes is their weighted average, which is evidence under any dependence between them (Vovk and
Wang, E-values: calibration, combination and applications, 2021).

The two versions are scraped up to a scrape apart, so the last requests that the canary has counted may be from a time
that stable has not counted yet, and the beginning of an outage that both share looks like the canary's. Therefore an
evaluation waits for the next one: where stable has more errors before or after it than chance explains, what exceeds
that counts, if it is more than its own. Until then as many of the canary's errors are left out as it had requests in
one scrape, unless it had as many in the evaluation before. Where one scrape has the counts of both (`Design.skew` is
0), nothing waits, and nothing is left out.

Errors come in clusters, so one evaluation alone proves little (`burst.py`), and the logarithm of evidence against
stable is divided by the dispersion of stable's or of the canary's errors, whichever is higher (`dispersion.py`). All
of this only takes evidence of a lane away, so what is proved of it stays true. Counts that are held against the
objective are divided by the same dispersion: where it is above 1, that is a heuristic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import burst, dispersion, objective, recount, relative
from .dispersion import Spread
from .relative import Relative
from .special import Flags, Floats, log0
from .state import Design, Look, Recount, State, Sums, ongoing

BLAME = np.log(3.0)
"""Evidence against stable at the same time, without which an objective that is missed is no fault of the canary."""
DOUBT = np.log(3.0)
"""No increase with this much evidence for a rollback. A higher bar lets more bad canaries through, a lower one makes
good ones wait where traffic is low."""
CHANCE = 2.0
"""A difference of two counts by so many standard deviations may be chance: a one-sided test at about 2.5%."""


def fold(state: State, look: Look, step: NDArray[np.int64] | int, design: Design) -> State:
    """After one more evaluation, taken in this step (1 is the first that is analysed)."""
    state = _in_step(state, np.asarray(step), design)
    began = _counted(look) & (state.sums.step_total == 0)
    against, accounted = _confirmed(state, look, design)
    sums = state.sums.begun(began).added(look)
    outage = recount.shared(look, state.last, design)
    left_out = recount.left_out(state, sums, began, outage)
    spread, own, lasting = _spreads(state, look, outage, ongoing(sums, left_out))
    return State(
        relative=against,
        spread=spread,
        own=own,
        last=look,
        before=state.last,
        sums=sums,
        log_past=state.log_past,
        step=state.step,
        proof=burst.seen(state.proof, accounted),
        errors=burst.seen(state.errors, burst.part(look.y, look.n_c)),
        recount=Recount(left_out, state.recount.log_past, lasting),
    )


def _spreads(state: State, look: Look, outage: Flags, left_out: Flags) -> tuple[Spread, Spread, Spread]:
    """`State.spread`, `State.own` and `Recount.spread` after one more evaluation, all at once."""
    last = state.last
    own = np.where(left_out | state.ongoing, 0.0, last.n_c)
    lasting = np.where(outage | state.ongoing, 0.0, last.n_b)  # neither an evaluation in an outage nor beside one
    spread, own_spread, lasting_spread = dispersion.parts(
        dispersion.seen(
            dispersion.stacked(state.spread, state.own, state.recount.spread),
            np.array((look.x, look.y, look.x)),
            np.array((look.n_b, look.n_c, look.n_b)),
            np.array((last.x, last.y, last.x)),
            np.array((last.n_b, own, lasting)),
        )
    )
    return spread, own_spread, lasting_spread


@dataclass(frozen=True)
class Weighed:
    """The numbers behind a verdict, over (...) unless they say otherwise; evidence as its logarithm."""

    relative: Floats
    """Against stable, as it counts for a rollback."""
    objective: Floats
    """Against the objective."""
    proved: Floats
    """The same of lanes in which stable does better, which alone roll back: what the canary and stable share is no
    fault of the canary, though it does worse in something else."""
    suspected: Floats
    """The highest evidence that there may be, which blocks an increase."""
    roll_back: Flags
    shared: Flags
    """Both versions err, or the objective is missed, but stable is no better."""
    advance: Flags
    """Nothing speaks against an increase, and enough is known."""
    rejected: Floats
    """Evidence that the rate isn't as high as `limit`, over (..., lanes)."""
    limit: Floats
    """The error rate that is to be ruled out, over (..., lanes)."""
    phi: Floats
    """The dispersion of stable's errors, over (..., lanes)."""
    lately: Floats
    """The same without shared outages, which are no clusters and may not keep a good canary waiting."""
    by_lane: Floats
    """Evidence against stable, over (..., lanes)."""
    missed: Floats
    """Evidence against the objective, over (..., lanes); 0 where a lane has none."""
    blamed: Flags
    """Lanes in which stable does better, or can't be compared with, over (..., lanes)."""
    doubted: Flags
    """There is a sign, though no proof, that the canary is worse."""


def weigh(state: State, design: Design) -> Weighed:
    """The verdicts that this state amounts to."""
    phi, lately, own = dispersion.dispersion(dispersion.stacked(state.spread, state.recount.spread, state.own))
    bar = -log(design.alpha)
    against, both, suspicion, in_step = _beside_stable(state, design, lately, own)
    limit = _limit(state, design)
    shares = _shares(state, design, phi, lately, own, limit)
    missed, missing = each = _objective(state, design, shares)
    overall, open_ = _average(each + design.log_shares) if design.objectives else np.zeros((2, *both.shape))
    worse = (both >= BLAME)[..., None] & (against >= BLAME)
    alone = _alone(state, design, phi, shares.stable)[..., None]
    proved = _fault(missed, missing, worse, alone, design)
    roll_back = (both >= bar) | (proved >= bar)
    rejected = shares.rejected
    known = (~design.gates | (rejected >= bar)).all(axis=-1)
    signs = np.maximum(in_step, np.where(design.judged, shares.doubt, 0.0))  # one may be wrong, and only delays
    doubt = np.maximum(np.maximum(suspicion, signs.max(axis=-1)), open_)
    doubted = doubt >= DOUBT
    return Weighed(
        relative=both,
        objective=overall,
        proved=proved,
        suspected=doubt,
        roll_back=roll_back,
        shared=((open_ >= DOUBT) | state.ongoing.any(axis=-1)) & ~roll_back & (proved < DOUBT),
        advance=~roll_back & known & ~doubted,
        rejected=rejected,
        limit=limit,
        phi=phi,
        lately=lately,
        by_lane=against,
        missed=missed,
        blamed=worse | alone,
        doubted=~roll_back & doubted,
    )


def _beside_stable(state: State, design: Design, phi: Floats, own: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Evidence against stable as it counts for a rollback, over (..., lanes) and averaged over the lanes; the highest
    average that there may be; and over (..., lanes) that of the sums of the present step, which is only a sign."""
    last, going, known = state.last, state.going, state.relative
    factors = relative.log_factors(
        np.array((*_provisional(state, design), going.step_bad)),
        np.array((*[last.n_c] * 3, going.step_total)),
        np.array((*[_beside(last, [state.before], design)] * 3, going.stable_bad)),
        np.array((*[last.n_b] * 3, going.stable_total)),
        design.effect,
    )
    later = relative.update(known, factors[:3], _counted(last))
    spent = np.full(known.looks.shape, relative.ALL_SPENT)  # of sums, only ratios are mixed, and no beginnings
    looks = np.array((known.looks, *[later.looks] * 3, spent))
    evidence = relative.log_evidence(Relative(np.array((known.log_s, *later.log_s, factors[3])), looks))
    confirmed, sparing, single, full, in_step = evidence
    excess = burst.excess(state.proof)
    against = np.maximum(confirmed, np.minimum(sparing, single + excess)) - excess
    suspected = np.maximum(np.maximum(confirmed, sparing), full)
    each = np.array((against, suspected))
    each = np.minimum(each, each / np.array((np.maximum(own, phi), phi)))  # only evidence against the canary
    both, suspicion = _average(each + design.log_weights)
    return each[0], both, suspicion, in_step


def _fault(missed: Floats, missing: Floats, worse: Flags, alone: Flags, design: Design) -> Floats:
    """Evidence against the objective, with and without an outage, of the lanes in which it is the canary's own fault.

    Where stable can't be compared with, it has met the objective in this step, but not in an outage before it. The
    lesser of the two is evidence as well.
    """
    own = np.where(worse, missed, np.where(alone, np.minimum(missed, missing), -np.inf))
    return _average(own + design.log_shares)


def shown(state: State, weighed: Weighed) -> tuple[Sums, Floats]:
    """The counts that people read, and their dispersion: those since a shared outage where there are any, and all for
    a rollback."""
    all_ = weighed.roll_back[..., None] | state.ongoing
    return Sums(*np.where(all_, state.sums, state.going)), np.where(all_, weighed.phi, weighed.lately)


def bounds(counts: Sums, phi: Floats, design: Design) -> tuple[Floats, Floats]:
    """The lowest and the highest rates of bad events in this step that aren't ruled out by the counts with this
    dispersion, over (2, ..., lanes): of the canary and of stable."""
    bad, total = np.array((counts.step_bad, counts.stable_bad)), np.array((counts.step_total, counts.stable_total))
    return objective.bounds(bad / phi, (total - bad) / phi, design.alpha)


def needed(state: State, weighed: Weighed, design: Design, lane: int) -> int | None:
    """For one rollout: about how many events in this step rule out the lane's limit, if no more of them are bad; None
    where it takes more than a billion."""
    phi, going = float(weighed.lately[lane]), state.going
    bad, total = float(going.step_bad[lane]), float(going.step_total[lane])
    more = objective.more_good(bad, total - bad, float(weighed.limit[lane]), design.alpha, phi)
    return None if more is None else ceil(total + more)


class _Shares(NamedTuple):
    """Evidence about shares of bad events, over (..., lanes); all but the last that one is above the objective."""

    whole: Floats
    """Of the canary in the whole rollout, over (2, ..., lanes): of all counts, and without those that were left out
    after a shared outage."""
    step: Floats
    """The same in the present step."""
    stable: Floats
    doubt: Floats
    """Of the canary in the present step without what was left out, as if errors were independent."""
    rejected: Floats
    """That the canary's in this step is below the limit, without what was left out."""


def _shares(state: State, design: Design, phi: Floats, lately: Floats, own: Floats, limit: Floats) -> _Shares:
    """All at once: numpy takes as long for an array of one number as for one of a hundred.

    The dispersions are those of stable's counts, of those that weren't left out, and of the canary's.
    """
    sums, going, excess = state.sums, state.going, _bursts(state)
    bad = np.array((sums.bad, going.bad, sums.step_bad, going.step_bad, sums.stable_bad, *[going.step_bad] * 2))
    bad[:2], bad[2:4] = np.maximum(bad[:2] - excess, 0.0), np.maximum(bad[2:4] - excess, 0.0)
    totals = (sums.total, going.total, sums.step_total, going.step_total, sums.stable_total, *[going.step_total] * 2)
    higher = np.maximum((phi, lately), own)
    by, p0 = np.array((*higher, *higher, phi, np.ones(phi.shape), lately)), np.empty(bad.shape)
    p0[:6], p0[6] = design.limits, limit
    above, below = objective.log_evidence(bad / by, (np.array(totals) - bad) / by, p0)
    return _Shares(above[:2], above[2:4], above[4], above[5], below[6])


def _in_step(state: State, step: NDArray[np.int64], design: Design) -> State:
    """With the counts of the step at 0 where it is another one, and what the last one led to put aside."""
    new = step != state.step
    if not new.any():
        return state
    again, started = new[..., None], (state.step > 0)[..., None]
    skipped = log0(np.maximum(step - state.step - 1, 0))[..., None]
    kept, before = state.recount, np.array((state.log_past, state.recount.log_past))
    ended = np.where(started, _step_evidence(state, design), -np.inf)
    log_past, lasting = np.where(again, np.logaddexp(np.logaddexp(before, ended), skipped), before)
    return replace(
        state,
        sums=state.sums.next_step(again),
        log_past=log_past,
        step=np.where(new, step, state.step),
        recount=Recount(kept.left_out.next_step(again), lasting, kept.spread),
    )


def _counted(look: Look) -> Flags:
    return (look.n_c > 0) & (look.n_b > 0)


def _confirmed(state: State, following: Look, design: Design) -> tuple[Relative, Floats]:
    """With the last evaluation, now that the one after it is known, and what its burst accounts for."""
    last, part = state.last, burst.part(state.last.y, state.last.n_c)
    y = np.array((last.y, last.y - part))
    x = _beside(last, [state.before, following], design)
    factors = relative.log_factors(y, last.n_c, x, last.n_b, design.effect)
    both = relative.update(state.relative, factors, _counted(last))
    confirmed = Relative(both.log_s[0], both.looks)
    if not part.any():
        return confirmed, np.zeros(part.shape)
    whole, rest = relative.log_evidence(both)
    return confirmed, whole - rest


def _bursts(state: State) -> Floats:
    """By how much the canary's bad events in its worst evaluation exceed those in the second worst, over
    (2, ..., lanes): of all counts, and of those that weren't left out; there it is 0 where some are, as the worst
    evaluation may be among these."""
    excess = burst.excess(state.errors)
    return np.array((excess, np.where(state.going.total == state.sums.total, excess, 0.0)))


def _beside(stable: Look, beside: Sequence[Look], design: Design) -> Floats:
    """Stable's errors in an evaluation, or those in one beside it, as far as these are surely more: there an outage
    begins or ends.

    Source: the difference of two Poisson counts, whose variances are estimated by the counts themselves (Gu, Ng, Tang
    and Schucany, Testing the ratio of two Poisson rates, 2008: W₁).
    """
    if not design.apart:
        return stable.x
    x, n_b = np.array([one.x for one in beside]), np.array([one.n_b for one in beside])
    scale = stable.n_b / np.maximum(n_b, 1.0)
    surely = x * scale - CHANCE * np.sqrt(x * scale**2 + stable.x)
    return np.where(design.skews > 0, np.maximum(stable.x, surely.max(axis=0)), stable.x)


def _provisional(state: State, design: Design) -> Floats:
    """The canary's errors in the last evaluation, over (3, ..., lanes): without those that a scrape may account for,
    if the one before had not as many; also without those that may be a burst; and all of them.

    A heuristic of ours, measured with the whole judge in docs/judge.md.
    """
    last, before = state.last, state.before
    left_out = design.shares_left_out.reshape(3, *[1] * (last.y.ndim - 1), -1)
    y = np.maximum(last.y - np.ceil(last.n_c * left_out), 0.0)
    alike = np.floor(before.y * np.minimum(last.n_c / np.maximum(before.n_c, 1.0), 1.0))
    y[:2] = np.maximum(y[:2], np.minimum(last.y, alike))
    y[1] = np.maximum(y[1], np.minimum(y[0], burst.FEW))
    return y


def _objective(state: State, design: Design, shares: _Shares) -> Floats:
    """Evidence against the objective by lane, with and without an outage: half of it on the whole rollout, half
    shared by its steps; 0 where a lane has no objective."""
    left = design.log_steps_left[np.minimum(state.step, design.steps)][..., None]
    past = np.array((state.log_past, state.recount.log_past))
    steps = np.logaddexp(np.logaddexp(past, shares.step), left)
    each = np.log(np.maximum(design.steps, state.step))[..., None]
    return np.where(design.judged, np.logaddexp(shares.whole, steps - each) - log(2), 0.0)


def _step_evidence(state: State, design: Design) -> Floats:
    """Evidence against the objective in the present step, over (2, ..., lanes): of all counts, and of those that
    weren't left out."""
    counts, spreads = (state.sums, state.going), dispersion.stacked(state.spread, state.recount.spread, state.own)
    bad, total = np.array([one.step_bad for one in counts]), np.array([one.step_total for one in counts])
    phi, bad = dispersion.dispersion(spreads), np.maximum(bad - _bursts(state), 0.0)
    by = np.maximum(phi[:2], phi[2])
    return objective.log_evidence_above(bad / by, (total - bad) / by, design.limits)


def _alone(state: State, design: Design, phi: Floats, stable: Floats) -> Flags:
    """Whether stable has too few requests to compare with, and has itself met the objective when it had them.

    If the canary's rate in this step lets so many errors be `expected` of stable's n_b requests, and it has none,
    evidence for a ratio above r₀ (`relative.py`) is at most e^(expected / (r₀·φ)), by ln(1+z) ≤ z for y errors in n_c
    requests with z = n_b / (r₀·n_c). Too few are those for which that is below `BLAME`. That stable needs fewer
    requests than the canary is a heuristic of ours, measured with the whole judge in docs/judge.md.
    """
    expected = state.last.n_b * state.sums.step_bad / np.maximum(state.sums.step_total, 1)
    few, fine = expected < design.effect * BLAME * phi, stable < BLAME
    sparse = state.last.n_b < state.last.n_c
    return np.asarray((sparse & (~design.judged | few & fine)).all(axis=-1))


def _limit(state: State, design: Design) -> Floats:
    """What is to be ruled out: the gate's rate, or more where the objective or stable itself is no better.

    Stable's rate is its mean under the prior Beta(1, 9) of `objective.py` and the counts: (x + 1) / (n + 10). That it
    counts from 100 requests on, and that 95% is the most, are heuristics of ours, measured with the whole judge in
    docs/judge.md.
    """
    going = state.going
    stable = (going.stable_bad + 1) / (going.stable_total + 10)
    least = np.where(going.stable_total >= 100, np.maximum(design.least, stable), design.least)
    rate = design.gate_rates[np.minimum(state.step, design.steps)][..., None]
    return np.minimum(np.maximum(rate, design.effect * least), 0.95)


def _average(logs: Floats) -> Floats:
    """ln Σ e^…, over lanes."""
    return np.asarray(np.logaddexp.reduce(logs, axis=-1))
