"""The state of one rollout as JSON, rounded: about 600 bytes a lane. What is read again is what was kept."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import dispersion
from .burst import Burst
from .dispersion import Spread
from .relative import Relative
from .special import Floats
from .state import Look, Recount, State, Sums

LOWEST = -9999.0
"""Stands for the logarithm of 0, which JSON doesn't have."""


def rounded(state: State) -> State:
    """With the precision that is kept: a hundredth in logarithms."""
    log_s = _logs(state.relative.log_s)
    recount = state.recount
    return replace(
        state,
        relative=Relative(log_s, state.relative.looks),
        spread=_spread(state.spread),
        own=_spread(state.own),
        log_past=_logs(state.log_past),
        proof=Burst(*_logs(np.array(state.proof))),
        recount=replace(recount, log_past=_logs(recount.log_past), spread=_spread(recount.spread)),
    )


def dumped(state: State) -> dict[str, Any]:
    """JSON-ready data of a state that is `rounded`; with a `recount` only once there was a shared outage."""
    recount = state.recount
    again = {
        "counts": _by_name(recount.left_out),
        "past": recount.log_past.tolist(),
        "spread": _lists(recount.spread),
    }
    return {
        "relative": state.relative.log_s.tolist(),
        "looks": state.relative.looks.tolist(),
        "spread": _lists(state.spread),
        "own": _lists(state.own),
        "last": _lists(state.last),
        "before": _lists(state.before),
        "counts": _by_name(state.sums),
        "past": state.log_past.tolist(),
        "step": int(state.step),
        "proof": _lists(state.proof),
        "errors": _lists(state.errors),
    } | ({"recount": again} if recount.left_out.total.any() else {})


def loaded(data: Mapping[str, Any]) -> State:
    """The state that was dumped."""
    log_past = _floats(data["past"])
    known = "own" in data  # an older form has the dispersion of other sums, and of stable only: it is learned again
    fresh = dispersion.fresh(*log_past.shape)
    spread, own = (Spread(*_floats(data[name])) if known else fresh for name in ("spread", "own"))
    none = Recount(Sums(*[np.zeros(log_past.shape)] * 6), log_past, spread)
    return State(
        relative=Relative(_floats(data["relative"]), _floats(data["looks"])),
        spread=spread,
        own=own,
        last=Look(*_floats(data["last"])),
        before=Look(*_floats(data["before"])),
        sums=_sums(data["counts"]),
        log_past=log_past,
        step=np.asarray(data["step"]),
        proof=Burst(*_floats(data["proof"])),
        errors=Burst(*_floats(data["errors"])),
        recount=_recount(data["recount"], None if known else fresh) if "recount" in data else none,
    )


def _recount(data: Mapping[str, Any], spread: Spread | None) -> Recount:
    return Recount(_sums(data["counts"]), _floats(data["past"]), spread or Spread(*_floats(data["spread"])))


def _sums(data: Mapping[str, Any]) -> Sums:
    return Sums(*_floats([data[name] for name in Sums._fields]))


def _by_name(sums: Sums) -> dict[str, Any]:
    return {name: one.tolist() for name, one in sums._asdict().items()}


def _lists(arrays: Iterable[Floats]) -> list[Any]:
    return [one.tolist() for one in arrays]


def _spread(spread: Spread) -> Spread:
    return Spread(*np.array(spread).round(4))


def _logs(values: Floats) -> Floats:
    return np.asarray(np.minimum(np.maximum(values, LOWEST), -LOWEST).round(2))


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float64)
