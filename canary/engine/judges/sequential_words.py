"""What people read of the judge `sequential`: sentences, the checks of an evaluation, and what is still needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp, isnan, log
from typing import TYPE_CHECKING, Any, NamedTuple

from canary.api.analysis import Range
from canary.api.evidence import CheckResult, ValueBounds, Weighing
from canary.api.pinned import Policy, SequentialPolicy
from canary.api.reason import Reason
from canary.engine.formats import WITHIN

from .sequential_lanes import Kind, Lane, LaneCounts

if TYPE_CHECKING:
    from canary.engine.statistics.decision import Weighed
    from canary.engine.statistics.special import Flags
    from canary.engine.statistics.state import Design, State, Sums

NOTHING = "no metric counts events, so nothing can be judged"
SEND = "; send requests to the canary, such as by a webhook of type rollout"
COLD = "the canary warms up: its latency doesn't count yet"
SHARED = "both versions {}; this looks like a shared outage"
MOST = 1e6
"""Greater evidence is shown as more than this."""
SECOND = timedelta(seconds=1)


class RateBounds(NamedTuple):
    """The rates of bad events that aren't ruled out, in per cent."""

    low: float
    high: float


@dataclass(frozen=True)
class Findings:
    """What an evaluation led to, in numbers."""

    chosen: tuple[Lane, ...]
    state: "State"
    counts: "Sums"
    """Those that are shown, by lane."""
    weighed: "Weighed"
    design: "Design"
    counted: LaneCounts
    slowest: float | None
    bounds: "tuple[tuple[RateBounds, RateBounds], ...]"
    """By lane, of the canary and of stable in this step: of bad events, in per cent."""
    hardest: int
    """The lane that needs the most."""
    needed: int | None
    """About how many requests it needs in this step, if no more of them fail; None where no number does."""


def known(
    policy: Policy, chosen: tuple[Lane, ...], state: "State", design: "Design", counted: LaneCounts
) -> Findings:
    """Weighs the state, and bounds the error rates."""
    from canary.engine.statistics import decision

    weighed = decision.weigh(state, design)
    counts, phi = decision.shown(state, weighed)
    low, high = decision.bounds(counts, phi, design)
    canary, stable = (map(_bounds, *pair) for pair in zip(low.tolist(), high.tolist(), strict=True))
    slowest = policy.sequential.slowest if policy.sequential else None
    hardest = _hardest(chosen, weighed, counted)
    needed = decision.needed(state, weighed, design, hardest)
    return Findings(
        chosen=chosen,
        state=state,
        counts=counts,
        weighed=weighed,
        design=design,
        counted=counted,
        slowest=slowest,
        bounds=tuple(zip(canary, stable, strict=True)),
        hardest=hardest,
        needed=needed,
    )


def _bounds(low: float, high: float) -> RateBounds:
    return RateBounds(low=round(100 * low, 4), high=round(100 * high, 4))


# ---- sentences -------------------------------------------------------------------------------------------------


def proof(known: Findings) -> tuple[Reason, str]:
    """Why it is rolled back: `canary errs 4.1–7.9%, stable 0.1–0.3% (evidence 312, bar 100)`."""
    bar = 1 / known.design.alpha
    against = float(known.weighed.relative)
    if exp(min(against, 700)) >= bar:
        index = int(known.weighed.by_lane.argmax())
        return Reason.CANARY_WORSE, f"{_compared(known, index)} ({_evidence(against)}, bar {bar:.0f})"
    weighed = known.weighed
    index = max(range(len(known.chosen)), key=lambda one: (bool(weighed.blamed[one]), float(weighed.missed[one])))
    most = _share(100 * known.chosen[index].allowed)
    said = f"{_compared(known, index)}, at most {most}% may ({_evidence(float(weighed.proved))}, bar {bar:.0f})"
    return Reason.OBJECTIVE_MISSED, said


def fine(known: Findings) -> str:
    """Why it goes on."""
    return _compared(known, 0)


def open_question(known: Findings) -> tuple[Reason, str]:
    """Why it waits."""
    if bool(known.weighed.shared) and (known.state.ongoing.any() or _stable_misses(known)):
        return Reason.SHARED_OUTAGE, SHARED.format("err" if _errs(known, known.state.ongoing) else "are slow")
    index, needed = known.hardest, known.needed
    if bool(known.weighed.doubted) or bool(known.weighed.shared):
        index = int(known.weighed.by_lane.argmax())
        return Reason.GATHERING_EVIDENCE, (
            f"{_compared(known, index)}: more evidence is needed"
            f" ({_evidence(float(known.weighed.relative))}, bar {1 / known.design.alpha:.0f})"
        )
    bar = -log(known.design.alpha)
    if known.counted.cold and (known.chosen[index].kind is Kind.WITHIN or known.weighed.rejected[index] >= bar):
        return Reason.GATHERING_EVIDENCE, COLD
    seen, limit = known.state.going.step_total[index], 100 * float(known.weighed.limit[index])
    what = {Kind.EVENTS: f"events of {known.chosen[index].metric}", Kind.WITHIN: "requests with a known duration"}
    noun = what.get(known.chosen[index].kind, "requests")
    slow = " slow ones" if known.chosen[index].kind is Kind.WITHIN else ""
    if needed is None:
        return Reason.GATHERING_EVIDENCE, f"{_compared(known, index)}: {_share(limit)}% can't be ruled out yet"
    return Reason.GATHERING_EVIDENCE, f"{seen:.0f} of about {needed} {noun} needed to rule out {_share(limit)}%{slow}"


def ended(known: Findings) -> str:
    """What both versions did in this step, before the counts that are left; empty unless it has ended."""
    if known.state.ongoing.any() or not known.state.recounted.any():
        return ""
    return f"both versions {'erred' if _errs(known, known.state.recounted) else 'were slow'}"


def _errs(known: Findings, lanes: "Flags") -> bool:
    """Whether the worst of some lanes, or of all without any, counts errors or events, not latency."""
    of = [index for index in range(len(known.chosen)) if lanes[index] or not lanes.any()]
    worst = max(of, key=lambda index: float(known.weighed.missed[index]))
    return known.chosen[worst].kind is not Kind.OVER


def _stable_misses(known: Findings) -> bool:
    """Whether stable, too, has more bad events than the objective allows; NaN compares as false."""
    rates = known.state.going.stable_bad / known.state.going.stable_total.clip(1)
    return bool((rates > known.design.allowed).any())


def _compared(known: Findings, index: int) -> str:
    stable = known.bounds[index][1]
    beside = f", stable {_range(stable)}" if known.counts.stable_total[index] else ""
    return f"{_canary(known, index)}{beside}"


def _canary(known: Findings, index: int) -> str:
    lane, bounds = known.chosen[index], _range(known.bounds[index][0])
    match lane.kind:
        case Kind.ERRORS:
            return f"canary errs {bounds}"
        case Kind.EVENTS:
            return f"{lane.metric} fails {bounds} of the canary's events"
    slowest = known.slowest or 0.0
    limit = slowest / 2 if lane.kind is Kind.HALF else slowest
    return f"canary takes longer than {limit:g}ms for {bounds} of its requests"


def _evidence(logarithm: float) -> str:
    value = exp(min(logarithm, 700))
    if value > MOST:
        return f"evidence over {MOST:.0f}"
    return f"evidence {int(value)}" if value >= 10 else f"evidence {value:.1f}"  # never rounded up to the bar


def _range(bounds: RateBounds) -> str:
    low, high = _share(bounds.low), _share(bounds.high)
    return f"{low}%" if low == high else f"{low}–{high}%"


def _share(per_cent: float) -> str:
    """With two digits that count: 0.12, 4.1, 23."""
    if per_cent >= 10:
        return f"{per_cent:.0f}"
    if per_cent < 0.001:
        return "0"
    return f"{per_cent:.1f}".removesuffix(".0") if per_cent >= 1 else f"{float(f'{per_cent:.1g}'):g}"


# ---- what is shown beside them ---------------------------------------------------------------------------------


def _hardest(chosen: tuple[Lane, ...], weighed: "Weighed", counted: LaneCounts) -> int:
    gates = [index for index, lane in enumerate(chosen) if lane.gates]
    if counted.cold:  # latency waits for time, not for requests
        gates = [one for one in gates if chosen[one].kind is not Kind.WITHIN] or gates
    return min(gates, key=lambda one: float(weighed.rejected[one]), default=0)


def weighing(known: Findings, window: timedelta) -> Weighing:
    """The evidence, and how long until it is enough at the present traffic."""
    index, needed = known.hardest, known.needed
    against = float(known.weighed.relative)
    if bool(known.weighed.roll_back):
        against = max(against, float(known.weighed.proved))
    seen, lately = float(known.state.going.step_total[index]), float(known.state.last.n_c[index])
    remaining = None
    if needed is not None and lately > 0:
        remaining = round(max(needed - seen, 0) / lately * (window / SECOND)) * SECOND
    return Weighing(
        evidence=round(min(exp(min(against, 700)), 1e15), 2),
        bar=1 / known.design.alpha,
        requests=int(seen),
        needed=needed,
        remaining=remaining,
    )


def checks(policy: Policy, known: Findings) -> tuple[CheckResult, ...]:
    """For each metric the share of good events in this step, in per cent, with its bounds."""
    lanes: dict[str, list[int]] = {}
    for index, lane in enumerate(known.chosen):
        lanes.setdefault(lane.metric, []).append(index)
    return tuple(_check(metric, own, policy, known) for metric, own in lanes.items())


def _check(metric: str, own: Sequence[int], policy: Policy, known: Findings) -> CheckResult:
    index = next((one for one in own if known.chosen[one].kind is Kind.WITHIN), own[0])  # of latency: the objective
    given, lane = policy.sequential or SequentialPolicy(), known.chosen[index]
    name, least = metric, None if isnan(lane.allowed) else round(100 * (1 - lane.allowed), 4)
    if lane.kind is Kind.WITHIN:
        name, least = f"{WITHIN}{given.slowest:g}ms", given.quantile
    found: dict[str, Any] = {"metric": name, "range": Range(min=least)}
    stable_total, total = known.counts.stable_total[index], known.counts.step_total[index]
    if stable_total:
        good = 100 * (1 - float(known.counts.stable_bad[index] / stable_total))
        found |= {"stable": round(good, 4), "stable_bounds": _good(known.bounds[index][1])}
    why = next((why for one, why in known.counted.missing if one == metric), None)
    if not total:
        return CheckResult(**found, result="missing", detail=str(why or "not counted yet"))
    bar = -log(known.design.alpha)
    # What both versions did in an outage of this step is no check of the requests since.
    weighed = known.weighed
    whole = [one for one in own if weighed.roll_back or not known.state.recounted[one]]
    worse = any(weighed.by_lane[one] >= bar for one in own) or any(weighed.missed[one] >= bar for one in whole)
    good = round(100 * (1 - float(known.counts.step_bad[index] / total)), 4)
    return CheckResult(
        **found,
        result="failed" if worse or (least is not None and good < least) else "passed",
        canary=good,
        canary_bounds=_good(known.bounds[index][0]),
        detail=str(why or ""),
    )


def _good(bad: RateBounds) -> ValueBounds:
    return ValueBounds(low=round(100 - bad.high, 4), high=round(100 - bad.low, 4))
