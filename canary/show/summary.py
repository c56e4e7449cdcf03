"""A Canary's status as a block of text for `canary status`: where it stands, what it waits for, how it ended.

    web              Progressing since 12:00:05 (1m10s ago)
                     holding at 20%: 1 look to go

`history.py` has the table of earlier rollouts.
"""

from collections.abc import Iterable
from datetime import datetime
from textwrap import wrap

from canary.api.plan import Gate
from canary.api.status import Approval, GateWait, Phase, Rollout, Status
from canary.engine.people import who
from canary.engine.plan import step_at

from . import bars, checks, history, times
from .screen import PLAIN, Line, Screen, Span, Tone

LABEL = checks.LABEL
BAR = 30
"""The widest bar: a status isn't looked at from afar."""
PHASES: dict[Phase, Tone] = {Phase.SUCCEEDED: "good", Phase.INITIALIZED: "good", Phase.FAILED: "bad"}


def status_lines(
    status: Status, name: str, now: datetime, screen: Screen = PLAIN, wide: bool = False, howto: str = ""
) -> list[str]:
    """The block. `wide` explains more, and may be wider than the screen; `howto` is the command that approves."""
    rollout = status.rollout
    lines = [*_head(status, name, now, screen)]
    if rollout is not None:
        lines += _rollout(status, rollout, now, screen)
        lines += _waits(rollout, howto or f"canary approve {name}", now, screen)
        lines += _explained(rollout, now, screen) if wide else ()
    else:
        lines += _rest(status)
    lines += _conditions(status, now, screen) if wide else ()
    lines += history.table(status.history, now, screen, wide)
    return [screen.paint(line if wide else screen.clip(line)) for line in lines]


# ---- where it stands -------------------------------------------------------------------------------------------


def _head(status: Status, name: str, now: datetime, screen: Screen) -> Iterable[Line]:
    since = status.last_transition_time
    spans = [Span(f"{name:<{LABEL}} ", "strong")]
    spans += [Span(status.phase.value, PHASES.get(status.phase, "accent"))]
    if since is not None:
        spans += [Span(f" since {times.moment(since, now, screen.zone)} ({times.ago(since, now)})", "dim")]
    yield tuple(spans)
    yield from (_row("", Span(part)) for part in wrap(status.message, max(screen.width - LABEL - 1, 20)))


def _rest(status: Status) -> Iterable[Line]:
    if status.stable is not None:
        yield _row("serves", Span(str(status.stable)))
    if status.failed is not None:
        yield _row("failed last", Span(str(status.failed), "bad"))


def _rollout(status: Status, rollout: Rollout, now: datetime, screen: Screen) -> Iterable[Line]:
    arrow = screen.signs.arrow
    started = f", started {times.moment(rollout.started, now, screen.zone)} ({times.ago(rollout.started, now)})"
    yield _row(f"rollout #{rollout.number}", Span(f"{rollout.stable} {arrow} {rollout.canary}"), Span(started, "dim"))
    width = max(min(BAR, screen.width - LABEL - 26), 5)
    picture = bars.bar(rollout.meant, rollout.plan, width, screen.signs)
    yield _row("traffic", *picture, Span(f"  {bars.weight(rollout.meant)}  {bars.step(rollout)}"))
    yield _row("failed checks", *bars.pips(status.failed_checks, rollout.policy.threshold, screen))
    if rollout.look is not None:
        at = times.moment(rollout.look.at, now, screen.zone)
        tone: Tone = "" if rollout.look.verdict == "pass" else "warn"
        yield _row("last look", Span(f"{at}  ", "dim"), Span(rollout.look.message, tone))
        yield from ((Span("  "), *row) for row in checks.columns(rollout.look.checks, screen))


# ---- what it waits for -----------------------------------------------------------------------------------------


def _waits(rollout: Rollout, howto: str, now: datetime, screen: Screen) -> Iterable[Line]:
    if rollout.pause is not None:
        by = f"by {rollout.pause.author} " if rollout.pause.author else ""
        why = f": {rollout.pause.comment}" if rollout.pause.comment else ""
        since = times.moment(rollout.pause.since, now, screen.zone)
        yield _row("paused", Span(f"{by}since {since}{why}", "warn"))
    if rollout.end is None:
        waits = {wait.name: wait for wait in rollout.gates}
        for gate in step_at(rollout.plan, rollout.step).gates:
            yield from _gate(gate, waits.get(gate.name or "approval"), rollout, (howto, now, screen))


def _gate(
    gate: Gate, wait: GateWait | None, rollout: Rollout, around: tuple[str, datetime, Screen]
) -> Iterable[Line]:
    howto, now, screen = around
    needed = gate.approval.count if gate.approval else 1
    state = bars.approvals(len(rollout.approvals), needed)
    if wait is None:
        yield _row("gate", Span(f"{gate.name or 'approval'}: {state}, asked once the step is done", "dim"))
    else:
        yield _row("gate", Span(f"{wait.name}: {state}{_until(wait, now, screen)}", "warn"))
    yield from (_approval(approval) for approval in rollout.approvals)
    if wait is not None:
        yield _row("", Span("opens with "), Span(howto, "strong"))


def _until(wait: GateWait, now: datetime, screen: Screen) -> str:
    if wait.deadline is None:
        return ", without end"
    return f", until {times.moment(wait.deadline, now, screen.zone)} ({times.lasting(wait.deadline - now)} left)"


def _approval(approval: Approval) -> Line:
    comment = f": {approval.comment}" if approval.comment else ""
    return _row("", Span(f"approved by {who(approval)}{comment}", "" if approval.verified else "warn"))


# ---- wide ------------------------------------------------------------------------------------------------------


def _explained(rollout: Rollout, now: datetime, screen: Screen) -> Iterable[Line]:
    policy, since = rollout.policy, rollout.in_place_since
    where = f"not in place yet, was at {bars.weight(rollout.previous)}"
    place = where if since is None else f"in place since {times.moment(since, now, screen.zone)}"
    yield _row("route", Span(place))
    if rollout.end is None:
        coming = times.lasting(rollout.next_look - now)
        yield _row("looks", Span(f"every {times.lasting(policy.interval)} by {policy.judge}, next in {coming}"))
        left = times.lasting(rollout.deadline - now)
        yield _row("deadline", Span(f"{times.moment(rollout.deadline, now, screen.zone)} ({left} left)"))


def _conditions(status: Status, now: datetime, screen: Screen) -> Iterable[Line]:
    for one in status.conditions:
        since = times.moment(one.last_transition_time, now, screen.zone)
        yield _row(one.type, Span(f"{one.status:<8}"), Span(f"since {since}  {one.reason}", "dim"))


def _row(label: str, *spans: Span) -> Line:
    return (Span(f"{label:<{LABEL}} ", "dim"), *spans)
