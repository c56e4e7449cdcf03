"""The state of one rollout as JSON, rounded: about 600 bytes a lane. What is read again is what was kept."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

from .burst import Burst
from .dispersion import Spread
from .relative import Relative
from .special import Floats
from .state import Look, Recount, State, Sums

LOWEST = -9999.0
"""Stands for the logarithm of 0, which JSON doesn't have."""


def rounded(state: State) -> State:
    """With the precision that is kept: a hundredth in logarithms."""
    recount = state.recount
    spread, own, lasting = (Spread(*one) for one in np.array((state.spread, state.own, recount.spread)).round(4))
    log_past, without, *proof = _logs(np.array((state.log_past, recount.log_past, *state.proof)))
    return replace(
        state,
        relative=Relative(_logs(state.relative.log_s), state.relative.looks),
        spread=spread,
        own=own,
        log_past=log_past,
        proof=Burst(*proof),
        recount=Recount(recount.left_out, without, lasting),
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
    """The state that was dumped. An older form, without `own`, has another dispersion, which is learned again."""
    zero = [0.0] * len(data["past"])
    nothing = {"counts": dict.fromkeys(Sums._fields, zero), "past": data["past"], "spread": data["spread"]}
    again = data.get("recount", nothing)
    spreads = [data["spread"], data["own"], again["spread"]] if "own" in data else [[zero] * 4] * 3
    counts, left_out = ([sums[name] for name in Sums._fields] for sums in (data["counts"], again["counts"]))
    single = data["looks"], data["past"], again["past"]
    several = data["last"], data["before"], counts, data["proof"], data["errors"], *spreads, left_out
    rows = iter(np.array([*single, *chain.from_iterable(several)], np.float64))  # as fast as an array of one row
    looks, log_past, lasting_log_past = islice(rows, 3)
    return State(
        relative=Relative(np.array(data["relative"], np.float64), looks),
        last=Look(*islice(rows, 4)),
        before=Look(*islice(rows, 4)),
        sums=Sums(*islice(rows, 6)),
        log_past=log_past,
        step=np.asarray(data["step"]),
        proof=Burst(*islice(rows, 2)),
        errors=Burst(*islice(rows, 2)),
        spread=Spread(*islice(rows, 4)),
        own=Spread(*islice(rows, 4)),
        recount=Recount(spread=Spread(*islice(rows, 4)), left_out=Sums(*islice(rows, 6)), log_past=lasting_log_past),
    )


def _by_name(sums: Sums) -> dict[str, Any]:
    return {name: one.tolist() for name, one in sums._asdict().items()}


def _lists(arrays: Iterable[Floats]) -> list[Any]:
    return [one.tolist() for one in arrays]


def _logs(values: Floats) -> Floats:
    return np.asarray(np.minimum(np.maximum(values, LOWEST), -LOWEST).round(2))
