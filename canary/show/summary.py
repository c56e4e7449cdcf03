"""A Canary's status as a block of text for `canary status`: where it stands, what it waits for, how it ended.

    web              Progressing since 12:00:05 (1m10s ago)
                     holding at 20%: 1 evaluation to go

`tables.py` has the table of earlier rollouts, and the end of this file what
`canary describe` tells besides.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap

from canary.api.canary import Canary, CanarySpec
from canary.api.plan import Gate
from canary.api.reason import Reason
from canary.api.status import Approval, GateWait, Message, Rollout, Status
from canary.engine.next_traffic import step_at
from canary.engine.verbs import who

from . import bars, metric_checks, tables, times
from .metric_checks import LABEL
from .terminal import PLAIN, Line, Screen, Span, Tone

BAR = 30
"""The widest bar: a status isn't looked at from afar."""


def status_lines(
    status: Status, name: str, now: datetime, screen: Screen = PLAIN, wide: bool = False, howto: str = ""
) -> list[str]:
    """The block. `wide` explains more, and may be wider than the screen; `howto` is the command that approves."""
    rollout = status.rollout
    lines = [*_head(status, name, now, screen)]
    if rollout is not None:
        lines += _rollout(status, rollout, now, screen)
        lines += _unmoved(rollout)
        lines += _hooks(rollout, now, screen)
        lines += _waits(rollout, howto or f"canary approve {name}", now, screen)
        lines += _explained(rollout, now, screen) if wide else ()
    else:
        lines += _rest(status)
    lines += _conditions(status, now, screen) if wide else ()
    lines += tables.history_table(status.history, now, screen, wide)
    return [screen.paint(line if wide else screen.clip(line)) for line in lines]


# ---- where it stands -------------------------------------------------------------------------------------------


def _head(status: Status, name: str, now: datetime, screen: Screen) -> Iterable[Line]:
    since = status.last_transition_time
    spans = [Span(f"{name:<{LABEL}} ", "strong")]
    spans += [Span(*tables.phase_of(status))]
    if since is not None:
        spans += [Span(f" since {times.moment(since, now, screen.zone)} ({times.ago(since, now)})", "dim")]
    yield tuple(spans)
    yield from (row("", Span(part)) for part in wrap(status.message, max(screen.width - LABEL - 1, 20)))


def _rest(status: Status) -> Iterable[Line]:
    if status.stable is not None:
        yield row("serves", Span(str(status.stable)))
    if status.failed is not None:
        yield row("failed last", Span(str(status.failed), "bad"))


def _rollout(status: Status, rollout: Rollout, now: datetime, screen: Screen) -> Iterable[Line]:
    arrow = screen.signs.arrow
    started = f", started {times.moment(rollout.started, now, screen.zone)} ({times.ago(rollout.started, now)})"
    yield row(
        f"rollout #{rollout.number}",
        Span(f"{rollout.stable_version} {arrow} {rollout.canary_version}"),
        Span(started, "dim"),
    )
    width = max(min(BAR, screen.width - LABEL - 26), 5)
    picture = bars.bar(rollout.desired, rollout.plan, width, screen.signs)
    drifted = status.reason == Reason.TRAFFIC_DRIFT
    yield row(
        "desired" if drifted else "traffic", *picture, Span(f"  {bars.weight(rollout.desired)}  {bars.step(rollout)}")
    )
    if drifted:
        yield row("", Span("the route was changed and is not there; see above", "warn"))
    if bars.counts_checks(rollout, status.failed_checks):
        yield row("failed checks", *bars.pips(status.failed_checks, rollout.policy.threshold, screen))
    if rollout.evaluation is not None:
        at = times.moment(rollout.evaluation.at, now, screen.zone)
        tone: Tone = "" if rollout.evaluation.verdict == "pass" else "warn"
        yield row("last evaluation", Span(f"{at}  ", "dim"), Span(rollout.evaluation.message, tone))
        yield from ((Span("  "), *row) for row in metric_checks.columns(rollout.evaluation.checks, screen))
        yield from ((Span("  "), *row) for row in metric_checks.weighed(rollout.evaluation))


def _unmoved(rollout: Rollout) -> Iterable[Line]:
    """What stays as it is; a warning where it depends on the stable version, which people may stop afterwards."""
    for number, one in enumerate(rollout.unmoved):
        tone: Tone = "warn" if one.version == rollout.stable_version.name else ""
        yield row("" if number else "not moved", Span(str(one), tone))


def _hooks(rollout: Rollout, now: datetime, screen: Screen) -> Iterable[Line]:
    """The last answer of each hook, and calls without one."""
    for number, run in enumerate(rollout.hooks):
        tone: Tone = "warn" if run.result == "failed" else ""
        answer = ""
        if run.at is not None and run.result:
            answer = f" {run.result} at {times.moment(run.at, now, screen.zone)}{run.detail and f': {run.detail}'}"
        if run.pending and run.asked is not None:
            comma = "," if answer else ""
            answer += f"{comma} called at {times.moment(run.asked, now, screen.zone)}, not answered yet"
        yield row("" if number else "hooks", Span(f"{run.name}{answer}", tone))


# ---- what it waits for -----------------------------------------------------------------------------------------


def _waits(rollout: Rollout, howto: str, now: datetime, screen: Screen) -> Iterable[Line]:
    if rollout.pause is not None:
        by = f"by {rollout.pause.author} " if rollout.pause.author else ""
        why = f": {rollout.pause.comment}" if rollout.pause.comment else ""
        since = times.moment(rollout.pause.since, now, screen.zone)
        yield row("paused", Span(f"{by}since {since}{why}", "warn"))
    if rollout.end is None:
        waits = {wait.name: wait for wait in rollout.gates}
        for wait in (one for one in rollout.gates if one.hook):
            answer = wait.answer or "not answered yet"
            yield row("gate", Span(f"{wait.name}: {answer}{_until(wait, now, screen)}", "warn"))
        for gate in (one for one in step_at(rollout.plan, rollout.step).gates if one.request is None):
            yield from _gate(gate, waits.get(gate.called), rollout, howto, now, screen)


def _gate(
    gate: Gate, wait: GateWait | None, rollout: Rollout, howto: str, now: datetime, screen: Screen
) -> Iterable[Line]:
    state = bars.approvals(len(rollout.approvals), gate.needed)
    if wait is None:
        yield row("gate", Span(f"{gate.called}: {state}, asked once the step is done", "dim"))
    else:
        yield row("gate", Span(f"{wait.name}: {state}{_until(wait, now, screen)}", "warn"))
    yield from (_approval(approval) for approval in rollout.approvals)
    if wait is not None:
        yield row("", Span("opens with "), Span(howto, "strong"))


def _until(wait: GateWait, now: datetime, screen: Screen) -> str:
    if wait.deadline is None:
        return ", without a time limit"
    return f", until {times.moment(wait.deadline, now, screen.zone)} ({times.lasting(wait.deadline - now)} left)"


def _approval(approval: Approval) -> Line:
    comment = f": {approval.comment}" if approval.comment else ""
    return row("", Span(f"approved by {who(approval)}{comment}", "" if approval.verified else "warn"))


# ---- wide ------------------------------------------------------------------------------------------------------


def _explained(rollout: Rollout, now: datetime, screen: Screen) -> Iterable[Line]:
    policy, since = rollout.policy, rollout.in_place_since
    where = f"not read back in place when this was saved, at {bars.weight(rollout.previous)} before"
    place = where if since is None else f"in place since {times.moment(since, now, screen.zone)}"
    yield row("route", Span(place))
    if rollout.end is None:
        coming = times.lasting(rollout.next_evaluation - now)
        yield row("evaluations", Span(f"every {times.lasting(policy.interval)} by {policy.judge}, next in {coming}"))
        left = times.lasting(rollout.deadline - now)
        yield row("deadline", Span(f"{times.moment(rollout.deadline, now, screen.zone)} ({left} left)"))


def _conditions(status: Status, now: datetime, screen: Screen) -> Iterable[Line]:
    for one in status.conditions:
        since = times.moment(one.last_transition_time, now, screen.zone)
        yield row(one.type, Span(f"{one.status:<8}"), Span(f"since {since}  {one.reason}", "dim"))


def row(label: str, *spans: Span) -> Line:
    """A line of the block."""
    return (Span(f"{label:<{LABEL}} ", "dim"), *spans)


EVENTS = 10
"""The latest ones are shown."""


def spec_lines(canary: Canary, status: Status, screen: Screen = PLAIN) -> list[str]:
    """The spec in short, with where its analysis comes from."""
    spec = canary.spec
    values = {
        "Canary": f"{canary.metadata.namespace}/{canary.metadata.name}",
        "target": " ".join((spec.target_ref.kind, spec.target_ref.name, *spec.virtual_services)),
        "version": f"{spec.version or 'none'}{' (suspended)' if spec.suspend else ''}",
        "stable": spec.stable,
        "host": spec.host,
        "routes": ", ".join(spec.routes),
        "analysis": _analysis(spec),
    }
    lines = [row(label, Span(value)) for label, value in values.items() if value]
    if status.observed_generation < canary.metadata.generation:
        lines.append(row("", Span("the controller hasn't seen this spec yet", "warn")))
    return [*map(screen.paint, lines), ""]


def event_lines(events: Sequence[Message], now: datetime, screen: Screen = PLAIN) -> list[str]:
    """The latest Events, oldest first; nothing without any."""
    lines: list[Line] = [(), (Span("events", "dim"),)] if events else []
    for one in events[-EVENTS:]:
        at = times.moment(one.at, now, screen.zone)
        tone: Tone = "warn" if one.type == "Warning" else ""
        lines.append((Span(f"{at}  ", "dim"), Span(f"{one.reason}  ", tone), Span(one.message)))
    return [screen.paint(line) for line in lines]


def _analysis(spec: CanarySpec) -> str:
    """Where it comes from; the Canary's own fields win."""
    ref, own = spec.policy_ref, spec.analysis or spec.canary_analysis
    guards = f", {len(spec.guards)} guard{'s' * (len(spec.guards) > 1)}" if spec.guards else ""
    if ref is None:
        return f"its own{guards}" if own else f"none{guards}"
    fields = ", ".join(sorted(own.model_dump(exclude_unset=True, by_alias=True))) if own else ""
    return f"{ref.kind} {ref.name}{f', its own {fields}' if fields else ''}{guards}"
