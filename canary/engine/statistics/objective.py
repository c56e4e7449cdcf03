"""Evidence for and against an objective: whether the share p of bad requests is above or below an allowed share p₀.

With s bad and f good requests, and a Beta(a, b) prior for p that is cut to (p₀, 1), the mixed likelihood ratio
against the point p₀ is

    ln E(p₀) = ln B(a+s, b+f) + ln(1 − I_p₀(a+s, b+f)) − ln B(a, b) − ln(1 − I_p₀(a, b)) − s·ln p₀ − f·ln(1−p₀)

For each p ≤ p₀ it is an e-process, as the ratio of the likelihoods only falls with p: it ever reaches 1/α with a
probability of at most α (Ville). The prior cut to (0, p₀) gives the mirror image for p ≥ p₀. All p₀ at which
E(p₀) stays below 1/α are an interval that holds p at all times with a probability of 1 − α.

Sources: Robbins, Statistical methods related to the law of the iterated logarithm, 1970 (the method of mixtures);
Howard and Ramdas, Sequential estimation of quantiles, Bernoulli 2022 (for shares of requests slower than an edge:
a quantile is a share).
"""

from bisect import bisect_left
from math import asin, exp, lgamma, log, log1p, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from .special import Floats, floats, log_beta, log_tails_of

PRIOR_BAD, PRIOR_GOOD = 1.0, 9.0
"""a and b: mostly small shares, and none excluded."""
PRIOR_LOG_BETA = float(log_beta(PRIOR_BAD, PRIOR_GOOD))
SMALLEST = 1e-9
"""Bounds are sought between this share and 1 minus it."""
NEWTON = 50
"""Steps of Newton's method at most; five are usual."""
CLOSE = 1e-3
"""They end with a step of less than this, in the logarithm of the odds: the next one would be its square."""
MORE = (0.0, *np.geomspace(1, 1e9, 200).tolist())
"""Numbers of further events, each about a tenth more than the one before."""


def log_evidence(bad: ArrayLike, good: ArrayLike, p0: ArrayLike) -> tuple[Floats, Floats]:
    """ln E for p > p₀ against p ≤ p₀, and for p < p₀ against p ≥ p₀, over broadcast axes.

    The counts may be divided by a dispersion.
    """
    bad, good, p0 = floats(bad, good, p0)
    whole = log_beta(PRIOR_BAD + bad, PRIOR_GOOD + good)
    below, above = log_tails_of(PRIOR_BAD + bad, PRIOR_GOOD + good, p0, whole)
    log_good = np.log1p(-p0)
    ratio = whole - PRIOR_LOG_BETA - bad * np.log(p0) - good * log_good
    prior = PRIOR_GOOD * log_good  # ln(1 − I_p₀(1, b)) in closed form
    return ratio + above - prior, ratio + below - np.log(-np.expm1(prior))


def log_evidence_above(bad: ArrayLike, good: ArrayLike, p0: ArrayLike) -> Floats:
    """The first of `log_evidence`: for p > p₀."""
    return log_evidence(bad, good, p0)[0]


def log_evidence_below(bad: ArrayLike, good: ArrayLike, p0: ArrayLike) -> Floats:
    """The second: for p < p₀."""
    return log_evidence(bad, good, p0)[1]


def bounds(bad: ArrayLike, good: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """The lowest and the highest share that E doesn't reject at level α on its side; 0 and 1 where it rejects none.

    Sought with the whole posterior in place of its part beyond p₀: the rest is next to nothing where E reaches 1/α.
    To 1% of the distance of the bound from s/(s+f) for α ≤ 5%, and to 2% for 10%.
    """
    bad, good = floats(bad, good)
    whole, total = log_beta(PRIOR_BAD + bad, PRIOR_GOOD + good), bad + good
    low, high = 1 / (1 + np.exp(-_odds_of_bounds(bad, total, whole - PRIOR_LOG_BETA + log(alpha))))
    return np.where(low < 2 * SMALLEST, 0.0, low), np.where(high > 1 - 2 * SMALLEST, 1.0, high)


def more_good(bad: float, good: float, p0: float, alpha: float, phi: float = 1.0) -> float | None:
    """About how many more good events make E for p < p₀ reach 1/α: one of `MORE`; None where none does.

    All counts are divided by φ. Where most events are better than p₀, the part of the mixture beyond p₀ has ratios of
    likelihoods below 1, so it adds at most its part of the prior. So the mixture over the whole prior is enough once
    it reaches as much more; and it only grows from there on.
    """
    above = exp(PRIOR_GOOD * log1p(-p0))
    bar = log((1 - above) / alpha + above) + PRIOR_LOG_BETA

    def enough(index: int) -> bool:
        s, f = bad / phi, (good + MORE[index]) / phi
        a, b = PRIOR_BAD + s, PRIOR_GOOD + f
        mixed = lgamma(a) + lgamma(b) - lgamma(a + b) - s * log(p0) - f * log1p(-p0)
        return bool(a <= p0 * (a + b) and mixed >= bar)

    found = bisect_left(range(len(MORE)), True, key=enough)
    return MORE[found] if found < len(MORE) else None


def _odds_of_bounds(bad: Floats, total: Floats, goal: Floats) -> Floats:
    """The logarithms of the odds of both bounds, over (2, ...): Newton's method for ln E = ln 1/α. The likelihood of
    the counts is to be as high as `goal`, in logarithms, but for the prior's part beyond p₀.

    In this unit ln E is convex and falls towards the observed share from either side, so that after one step no
    other one goes too far. It starts where the divergence from the observed share would be as large as needed if
    arcsin √p had a constant variance, as it nearly has.
    """
    share = np.minimum(np.maximum(bad / np.maximum(total, 1.0), SMALLEST), 1 - SMALLEST)
    fit = bad * np.log(share) + (total - bad) * np.log1p(-share)
    reach = np.sqrt(np.maximum(fit - goal, 0.0) / (2 * np.maximum(total, 1.0)))
    angle, end, most = np.arcsin(np.sqrt(share)), asin(sqrt(SMALLEST)), -log(SMALLEST)
    angles = np.array((np.maximum(angle - reach, end), np.minimum(angle + reach, pi / 2 - end)))
    odds, sign = 2 * np.log(np.tan(angles)), _sides(bad)
    for _ in range(NEWTON):
        log_good = -np.logaddexp(0.0, odds)
        p0, above = np.exp(odds + log_good), PRIOR_GOOD * log_good
        left = -np.expm1(np.minimum(above[1], -1e-300))
        found = goal - bad * odds - total * log_good - np.array((above[0], np.log(left)))
        prior = PRIOR_GOOD * p0
        prior[1] *= 1 - 1 / left
        slope = sign * np.maximum(sign * (total * p0 - bad + prior), 1e-9)
        before, odds = odds, np.minimum(np.maximum(odds - found / slope, -most), most)
        if np.abs(odds - before).max() < CLOSE:
            break
    return np.asarray(odds, np.float64)


def _sides(bad: Floats) -> Floats:
    """−1 for the lower bound and 1 for the upper one, along a new first axis."""
    return np.array((-1.0, 1.0)).reshape(2, *[1] * bad.ndim)
