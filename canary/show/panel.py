"""The live view's rows, from a scene and the clock: pure, and no row is wider than the screen.

A title, the weight, the reason, the last look, what is waited for, trouble, and the latest reasons in what is left.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil
from textwrap import wrap

from canary.api.plan import Traffic
from canary.api.status import GateWait, Outcome, Phase, Rollout
from canary.rollout.tick import Turn

from . import bars, checks, times
from .bars import approvals
from .lines import last_line
from .scene import Entry, Scene
from .screen import Line, Screen, Span, Tone, between, length

ROWS = 16
"""The most that is shown, whatever the height of the screen."""
BLANK: Line = ()
PHASES: dict[Phase, Tone] = {
    Phase.SUCCEEDED: "good",
    Phase.FAILED: "bad",
    Phase.FINALISING: "warn",
    Phase.WAITING_PROMOTION: "warn",
}


def rows(scene: Scene, now: datetime, screen: Screen) -> list[Line]:
    """The whole picture."""
    if scene.turn is None:
        return [screen.clip((Span(scene.name, "strong"), Span("  reading the state and the route", "dim")))]
    room = min(ROWS, screen.height)
    fixed = [*_top(scene, scene.turn, now, screen), *_middle(scene, screen), *_foot(scene, scene.turn, now, screen)]
    past = [_entry(entry, screen) for entry in scene.past if not scene.turn.decision.sentence.endswith(entry.text)]
    left = max(room - len(fixed) - 1, 0)
    shown = [BLANK, *past[-left:]] if left and past else []
    return [screen.clip(row) for row in (*fixed, *shown)][:room]


# ---- top -------------------------------------------------------------------------------------------------------


def _top(scene: Scene, turn: Turn, now: datetime, screen: Screen) -> Iterable[Line]:
    yield _title(scene, turn, now, screen)
    if scene.rollout is not None:
        yield _weight(scene.rollout, turn, screen)
    yield from _reason(scene, turn, screen)


def _title(scene: Scene, turn: Turn, now: datetime, screen: Screen) -> Line:
    rollout, phase = scene.rollout, turn.decision.status.phase
    left: Line = (Span(scene.name, "strong"),)
    since = ""
    if rollout is not None:
        versions = f"  {rollout.stable} {screen.signs.arrow} {rollout.canary}"
        left = (*left, Span(versions), Span(f"  #{rollout.number}", "dim"))
        until = turn.at if turn.decision.closed else now
        since = f"  {times.lasting(until - rollout.started)}"
    right: Line = (Span(phase.value, PHASES.get(phase, "accent")), Span(since, "dim"))
    return between(screen.clip(left, max(screen.width - length(right) - 2, 0)), right, screen.width)


def _weight(rollout: Rollout, turn: Turn, screen: Screen) -> Line:
    """The bar as wide as what stands beside it leaves; that has a fixed width, so that the bar doesn't jump."""
    traffic = _served(rollout, turn)
    share = bars.weight(traffic)
    last = bars.steps(rollout.plan)
    beside = f"  {share:>4}   {bars.step(rollout):<{len(f'step {last} of {last}')}}"
    width = max(screen.width - len(beside), 10)
    return (*bars.bar(traffic, rollout.plan, width, screen.signs, _bar_tone(rollout)), Span(beside))


def _served(rollout: Rollout, turn: Turn) -> Traffic:
    """What was decided; after a promotion all of it, though status is at rest again."""
    if turn.decision.closed and rollout.end and rollout.end.outcome is Outcome.PROMOTED:
        return Traffic(weight=100)
    return rollout.meant


def _bar_tone(rollout: Rollout) -> Tone:
    if rollout.end is None:
        return "accent"
    return "good" if rollout.end.outcome is Outcome.PROMOTED else "bad"


def _reason(scene: Scene, turn: Turn, screen: Screen) -> Iterable[Line]:
    """In two rows at most; what is cut off then stands in status."""
    said = last_line(scene.ending) if scene.ending else (Span(turn.decision.sentence, _tone(turn)),)
    parts = wrap("".join(span.text for span in said), screen.width, max_lines=2, placeholder=screen.signs.more)
    return [(Span(part, said[0].tone),) for part in parts]


def _tone(turn: Turn) -> Tone:
    return "warn" if _waits(turn) else ""


def _waits(turn: Turn) -> bool:
    rollout = turn.decision.status.rollout
    held = rollout is not None and rollout.look is not None and rollout.look.verdict == "hold"
    return held or any(message.type == "Warning" for message in turn.decision.messages)


# ---- the last look ---------------------------------------------------------------------------------------------


def _middle(scene: Scene, screen: Screen) -> Iterable[Line]:
    look = scene.rollout.look if scene.rollout else None
    if look is not None and look.checks:
        yield BLANK
        yield from checks.columns(look.checks, screen)
        if scene.requests is not None:
            yield (Span(f"{'requests':<{checks.LABEL}}{scene.requests:>{checks.CELL}}"),)
    if scene.extra:
        yield (Span(scene.extra),)


# ---- what is waited for ----------------------------------------------------------------------------------------


def _foot(scene: Scene, turn: Turn, now: datetime, screen: Screen) -> Iterable[Line]:
    rollout = scene.rollout
    if rollout is not None:
        failed = turn.decision.status.failed_checks
        pips = bars.pips(failed, rollout.policy.threshold, screen)
        yield BLANK
        coming = () if scene.ending else (Span(_coming(turn, now), "dim"),)
        yield between((Span(f"{'failed checks':<{checks.LABEL}}"), *pips), coming, screen.width)
        if turn.decision.status.rollout is not None and rollout.end is None:
            yield from (row for gate in rollout.gates for row in _gate(gate, scene, now, screen))
    yield from ((Span(f"warning: {one}", "warn"),) for one in turn.trouble[:2])


def _coming(turn: Turn, now: datetime) -> str:
    """What time alone will bring next, and when."""
    rollout = turn.decision.status.rollout
    if rollout is None:
        return ""
    if rollout.in_place_since is None:
        return "waiting for the route"
    if rollout.end is not None:
        return _in(rollout.in_place_since + rollout.policy.drain, now, "drained", "drained")
    if rollout.step == 0:
        return _in(rollout.started + rollout.policy.ready_deadline, now, "gives up", "gives up")
    return _in(rollout.next_look, now, "next look", "looking")


def _in(at: datetime, now: datetime, coming: str, there: str) -> str:
    return f"{coming} in {times.lasting(timedelta(seconds=ceil((at - now).total_seconds())))}" if at > now else there


def _gate(gate: GateWait, scene: Scene, now: datetime, screen: Screen) -> Iterable[Line]:
    """What is missing, and how to approve: beside it, or where that is too long, below it."""
    given = len(scene.rollout.approvals) if scene.rollout else 0
    left = f", {times.lasting(gate.deadline - now)} left" if gate.deadline else ", without end"
    label = Span(f"{gate.name:<{checks.LABEL - 1}} ", "warn")
    have, howto = Span(f"{approvals(given, gate.needed)}{left}"), Span(scene.howto, "strong")
    if length((label, have, howto)) + 2 <= screen.width:
        return [(label, have, Span("  "), howto)]
    return [(label, have), (Span(" " * checks.LABEL), howto)]


# ---- the latest reasons ----------------------------------------------------------------------------------------


def _entry(entry: Entry, screen: Screen) -> Line:
    share = "" if entry.weight is None else f"{entry.weight}%"
    return (
        Span(f"{times.clock(entry.at, screen.zone)} ", "dim"),
        Span(f"{share:>4}  "),
        Span(entry.text, entry.tone),
    )
