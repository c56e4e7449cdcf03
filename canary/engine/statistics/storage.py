"""The state of one rollout as JSON, rounded: about 400 bytes a lane. What is read again is what was kept."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .burst import Burst
from .dispersion import Spread
from .relative import Relative
from .special import Floats
from .state import Look, Recount, State, Sums

LOWEST = -9999.0
"""Stands for the logarithm of 0, which JSON doesn't have."""
COUNTS = ("bad", "total", "step_bad", "step_total", "stable_bad", "stable_total")


def rounded(state: State) -> State:
    """With the precision that is kept: a hundredth in logarithms."""
    log_s = _logs(state.relative.log_s)
    recount = state.recount
    return replace(
        state,
        relative=Relative(log_s, state.relative.looks),
        spread=_spread(state.spread),
        log_past=_logs(state.log_past),
        proof=Burst(*map(_logs, vars(state.proof).values())),
        recount=replace(recount, log_past=_logs(recount.log_past), spread=_spread(recount.spread)),
    )


def dumped(state: State) -> dict[str, Any]:
    """JSON-ready data of a state that is `rounded`; with a `recount` only once there was a shared outage."""
    recount = state.recount
    again = {
        "counts": {name: one.tolist() for name, one in vars(recount.left_out).items()},
        "past": recount.log_past.tolist(),
        "spread": [one.tolist() for one in vars(recount.spread).values()],
    }
    return {
        "relative": state.relative.log_s.tolist(),
        "looks": state.relative.looks.tolist(),
        "spread": [one.tolist() for one in vars(state.spread).values()],
        "last": [one.tolist() for one in vars(state.last).values()],
        "before": [one.tolist() for one in vars(state.before).values()],
        "counts": {name: getattr(state, name).tolist() for name in COUNTS},
        "past": state.log_past.tolist(),
        "step": int(state.step),
        "proof": [one.tolist() for one in vars(state.proof).values()],
        "errors": [one.tolist() for one in vars(state.errors).values()],
    } | ({"recount": again} if recount.left_out.total.any() else {})


def loaded(data: Mapping[str, Any]) -> State:
    """The state that was dumped."""
    log_past, spread = _floats(data["past"]), Spread(*map(_floats, data["spread"]))
    none = Recount(Sums(*[np.zeros(log_past.shape)] * 6), log_past, spread)
    return State(
        relative=Relative(_floats(data["relative"]), _floats(data["looks"])),
        spread=spread,
        last=Look(*map(_floats, data["last"])),
        before=Look(*map(_floats, data["before"])),
        **{name: _floats(data["counts"][name]) for name in COUNTS},
        log_past=log_past,
        step=np.asarray(data["step"]),
        proof=Burst(*map(_floats, data["proof"])),
        errors=Burst(*map(_floats, data["errors"])),
        recount=_recount(data["recount"]) if "recount" in data else none,
    )


def _recount(data: Mapping[str, Any]) -> Recount:
    left_out = Sums(**{name: _floats(one) for name, one in data["counts"].items()})
    return Recount(left_out, _floats(data["past"]), Spread(*map(_floats, data["spread"])))


def _spread(spread: Spread) -> Spread:
    return Spread(*(np.round(one, 4) for one in vars(spread).values()))


def _logs(values: Floats) -> Floats:
    return np.asarray(np.round(np.clip(values, LOWEST, -LOWEST), 2), np.float64)


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float64)
