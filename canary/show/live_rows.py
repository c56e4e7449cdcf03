"""What the live view remembers of a run, and the rows that it shows: pure, and no row is wider than the screen.

A title, the weight, the reason, the last evaluation, what is waited for, trouble, and the latest reasons in what is
left.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from textwrap import wrap

from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import End, GateWait, Outcome, Phase, Rollout
from canary.engine.judges.judge import REQUESTS
from canary.engine.observed import Counts, RouteSeen
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from . import bars, metric_checks, times
from .lines import besides, evaluation_of, is_news, last_line, weight
from .terminal import Line, Screen, Span, Tone, between, length

PAST = 5
"""How many reasons are kept."""


@dataclass(frozen=True)
class Entry:
    """Something that happened."""

    at: datetime
    weight: int | None
    text: str
    tone: Tone = ""
    reason: Reason = Reason.UNDECIDED
    """A reason that follows itself at the same weight takes its place."""


@dataclass(frozen=True)
class Scene:
    """All that is shown, apart from the clock."""

    name: str
    howto: str
    """How to approve: a command line."""
    turn: Turn | None = None
    rollout: Rollout | None = None
    """The one in flight, or the last one that was."""
    requests: int | None = None
    """Of the canary in the last evaluation, where they were counted."""
    past: tuple[Entry, ...] = ()
    """Newest last."""
    extra: str = ""
    ending: Ending | None = None

    def then(self, turn: Turn) -> "Scene":
        """The scene after one more turn."""
        rollout = turn.decision.status.rollout or _over(turn, self.rollout)
        seen = requests(turn) if turn.decision.evaluated else self.requests
        return replace(self, turn=turn, rollout=rollout, requests=seen, past=self._past(turn)[-PAST:])

    def _past(self, turn: Turn) -> tuple[Entry, ...]:
        share, reason = weight(turn), turn.decision.reason
        remarks = tuple(Entry(turn.at, share, text) for text in besides(turn))
        if reason == Reason.ANALYSING or not is_news(turn, self.turn):
            return (*self.past, *remarks)
        entry = Entry(turn.at, share, _text(turn), _entry_tone(turn), reason)
        again = bool(self.past) and (self.past[-1].reason, self.past[-1].weight) == (reason, share)
        return (*(self.past[:-1] if again else self.past), *remarks, entry)


def _over(turn: Turn, last: Rollout | None) -> Rollout | None:
    """The last one as it ended, though who only looks now and then has missed its last steps."""
    if last is None or last.end is not None or not turn.decision.closed:
        return last
    summary = turn.decision.status.history[0]
    end = End(outcome=summary.outcome, reason=summary.reason, message=summary.message, at=summary.ended)
    promoted = summary.outcome is Outcome.PROMOTED
    step = bars.steps(last.plan) if promoted else last.step
    return last.but(end=end, step=step, desired=Traffic(weight=100 if promoted else 0))


def requests(turn: Turn) -> int | None:
    """The canary's requests in the widest window that was counted."""
    rollout = turn.decision.status.rollout
    counted = [
        sample.total
        for query, sample in turn.observed.samples.items()
        if query.metric == REQUESTS and rollout and query.subject.workload == rollout.canary_version.name
        if isinstance(sample, Counts)
    ]
    return max(counted, default=None)


def _text(turn: Turn) -> str:
    """A judge's hold without the weight, which stands beside it."""
    evaluation = evaluation_of(turn)
    return evaluation.message if evaluation and evaluation.reason == turn.decision.reason else turn.decision.sentence


def _entry_tone(turn: Turn) -> Tone:
    end = turn.decision.status.rollout.end if turn.decision.status.rollout else None
    if turn.decision.status.phase is Phase.FAILED or (end and end.reason == turn.decision.reason != Reason.PROMOTED):
        return "bad"
    if turn.decision.status.phase is Phase.SUCCEEDED:
        return "good"
    return "warn" if _warns(turn) else ""


ROWS = 16
"""The most that is shown, also on a high screen."""
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
        versions = f"  {rollout.stable_version} {screen.signs.arrow} {rollout.canary_version}"
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
    """What was decided; what the route says instead while it drifts; after a promotion all of it."""
    found = turn.observed.route
    if turn.decision.reason == Reason.TRAFFIC_DRIFT and isinstance(found, RouteSeen) and found.traffic is not None:
        return found.traffic
    if turn.decision.closed and rollout.end and rollout.end.outcome is Outcome.PROMOTED:
        return Traffic(weight=100)
    return rollout.desired


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
    evaluation = evaluation_of(turn)
    return "warn" if _warns(turn) or (evaluation and evaluation.verdict == "hold") else ""


def _warns(turn: Turn) -> bool:
    return any(message.type == "Warning" for message in turn.decision.messages)


# ---- the last evaluation -------------------------------------------------------------------------------------------


def _middle(scene: Scene, screen: Screen) -> Iterable[Line]:
    evaluation = scene.rollout.evaluation if scene.rollout else None
    if evaluation is not None and evaluation.checks:
        yield BLANK
        yield from metric_checks.columns(evaluation.checks, screen)
        yield from metric_checks.weighed(evaluation)
        if scene.requests is not None and evaluation.weighing is None:
            yield (Span(f"{'requests':<{metric_checks.LABEL}}{scene.requests:>{metric_checks.CELL}}"),)
    if scene.extra:
        yield (Span(scene.extra),)


# ---- what is waited for ----------------------------------------------------------------------------------------


def _foot(scene: Scene, turn: Turn, now: datetime, screen: Screen) -> Iterable[Line]:
    rollout = scene.rollout
    if rollout is not None:
        failed = turn.decision.status.failed_checks
        label = Span(f"{'failed checks':<{metric_checks.LABEL}}")
        pips = (label, *bars.pips(failed, rollout.policy.threshold, screen))
        yield BLANK
        coming = () if scene.ending else (Span(_coming(turn, now), "dim"),)
        yield between(pips if bars.counts_checks(rollout, failed) else (), coming, screen.width)
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
    return _in(rollout.next_evaluation, now, "next evaluation", "looking")


def _in(at: datetime, now: datetime, coming: str, there: str) -> str:
    return f"{coming} in {times.lasting(timedelta(seconds=ceil((at - now).total_seconds())))}" if at > now else there


def _gate(gate: GateWait, scene: Scene, now: datetime, screen: Screen) -> Iterable[Line]:
    """What is missing, and how to approve: beside it, or where that is too long, below it."""
    if gate.hook:
        return [(Span(f"{gate.name}: ", "warn"), Span(gate.answer or "not answered yet"))]
    given = len(scene.rollout.approvals) if scene.rollout else 0
    left = f", {times.lasting(gate.deadline - now)} left" if gate.deadline else ", without a time limit"
    label = Span(f"{gate.name:<{metric_checks.LABEL - 1}} ", "warn")
    have, howto = Span(f"{bars.approvals(given, gate.needed)}{left}"), Span(scene.howto, "strong")
    if length((label, have, howto)) + 2 <= screen.width:
        return [(label, have, Span("  "), howto)]
    return [(label, have), (Span(" " * metric_checks.LABEL), howto)]


# ---- the latest reasons ----------------------------------------------------------------------------------------


def _entry(entry: Entry, screen: Screen) -> Line:
    share = "" if entry.weight is None else f"{entry.weight}%"
    return (
        Span(f"{times.clock(entry.at, screen.zone)} ", "dim"),
        Span(f"{share:>4}  "),
        Span(entry.text, entry.tone),
    )
