"""Confidence intervals for what simulations measure. Pure."""

import math

Z95 = 1.959963984540054
"""The normal quantile of both sides of 95%."""


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share, 0 to 1; (0, 1) without trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if not trials:
        return 0.0, 1.0
    share, weight = hits / trials, Z95**2 / trials
    middle = (share + weight / 2) / (1 + weight)
    half = Z95 / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    # Of no hits, and of hits only, the difference is 0 but for rounding.
    return max(middle - half, 0.0) if hits else 0.0, min(middle + half, 1.0) if hits < trials else 1.0
