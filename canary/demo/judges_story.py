"""What people read of two judges side by side: a line for each evaluation, and at the end a table of exact counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import wrap
from threading import Lock
from typing import TextIO

from canary.api.exit_codes import Exit
from canary.api.status import Rollout
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import Scenario
from canary.show import bars, metric_checks, times
from canary.show.metric_checks import MOST
from canary.show.terminal import Line, Screen, Span, Tone, length, screen_of

from .judges import EvaluationsSeen, JudgedRollout
from .load import Counted
from .stage import Pace
from .story import WIDEST, agreement, too_slow

LATE = timedelta(seconds=1)
"""An evaluation that comes later than this shows that the machine is too slow."""
LABEL, SAID = 12, 26
"""Widths of columns."""


@dataclass
class JudgesStory:
    """Prints; in colour on a terminal, from several threads."""

    out: TextIO
    pace: Pace
    scenario: Scenario
    lock: Lock = field(default_factory=Lock)

    @property
    def screen(self) -> Screen:
        return screen_of(self.out)

    def opening(self, rate: float, folder: Path, keep: bool) -> None:
        """What there is, and what is about to happen."""
        threshold, every = f"threshold: {self.pace.threshold}", self.pace.interval
        which = "is " if self.scenario.promoted else ""
        self._say(
            (),
            (Span("canary demo", "strong"), Span(f"  two judges on v2, which {which}{self.scenario.summary}")),
            (Span(f"A real Envoy with two routes, each with a healthy v1 and {rate:g} requests/s."),),
            (Span("Both get v2 at the same time; its first answer is the same on both, and so on."),),
            (Span(f"One is judged by `{threshold}`, the other by `judge: sequential`, every {every} s."),),
            (Span("All of it runs on 127.0.0.1, and is gone at the end. Ctrl-C ends it at any time."),),
            (Span(f"Its files: {folder}{'' if keep else ' (removed at the end)'}", "dim"),),
            (),
        )

    def evaluated(self, judge: str, seen: EvaluationsSeen, turn: Turn) -> None:
        """A line for each evaluation, and why the rollout ends, with one or without."""
        with self.lock:
            rollout, new = turn.decision.status.rollout, seen(turn)
            if rollout is None:
                return
            if new:
                self._say(_evaluation(judge, turn, rollout, self.screen))
            if rollout.end is not None and not seen.end_said:
                seen.end_said = True
                margin = length(_head(judge, turn.at, rollout, self.screen)[:1])
                self._say(*(() if new else (_head(judge, turn.at, rollout, self.screen),)))
                self._say(*self._wrapped(rollout.end.message, "", " " * margin))

    def interrupted(self) -> None:
        """A person or the system ended the demo."""
        self._say((), (Span("stopped; nothing is left running"),))

    def summary(self, rollouts: Sequence[JudgedRollout], counted: Counted) -> None:
        """The table, who was sooner, whether all count alike, and what makes it unfair."""
        self._say(
            (),
            (Span("What it came to", "strong"),),
            *_table(rollouts),
            (),
            *_difference(*rollouts),
            agreement(counted),
            *(line for why in self._slow(rollouts) for line in self._wrapped(why, "warn")),
        )

    def surprise(self, rollout: JudgedRollout) -> None:
        """A rollout ended otherwise than the scenario says."""
        due = "promoted" if self.scenario.promoted else "rolled back"
        self._say(*self._wrapped(f"{rollout.judge} should have {due} v2: {rollout.ending.sentence}", "bad"))

    def kept(self, folder: Path) -> None:
        """Where the files are."""
        self._say((), (Span(f"kept: {folder}"),))

    def _slow(self, rollouts: Sequence[JudgedRollout]) -> Iterable[str]:
        """What a busy machine did to the comparison, in one sentence."""
        for one in rollouts:
            if one.stable is not None and one.stable.p99 > self.pace.limit:
                return [too_slow(one.stable, self.pace)]
        for one in rollouts:
            skipped, late = one.seen.skipped(timedelta(seconds=self.pace.interval)), one.seen.late
            if skipped or late > LATE:
                missed = f"missed {skipped} evaluation{'' if skipped == 1 else 's'}"
                said = missed if skipped else f"evaluated {late.total_seconds():.1f} s late"
                return [f"This machine is too slow or too busy to compare: {one.judge} {said}. Try --rps 50"]
        return []

    def _wrapped(self, text: str, tone: Tone, margin: str = "") -> Iterable[Line]:
        width = min(self.screen.width, WIDEST)
        return [(Span(part, tone),) for part in wrap(text, width, initial_indent=margin, subsequent_indent=margin)]

    def _say(self, *lines: Line) -> None:
        for line in lines:
            print(self.screen.paint(line), file=self.out)
        self.out.flush()


def _head(judge: str, at: datetime, rollout: Rollout, screen: Screen) -> Line:
    """`14:46:03 threshold    10%`."""
    return (
        Span(f"{times.clock(at, screen.zone)} ", "dim"),
        Span(f"{judge:<{LABEL}}", "strong"),
        Span(f"{rollout.desired.weight:>3}%  ", "bad" if rollout.end and rollout.desired.weight == 0 else ""),
    )


def _evaluation(judge: str, turn: Turn, rollout: Rollout, screen: Screen) -> Line:
    """`14:46:03 threshold    10%  ●●○ 2 of 3 failed checks  success 88.9%  p99 311ms`; as many checks as fit."""
    evaluation = rollout.evaluation
    assert evaluation is not None
    if evaluation.weighing is not None:
        evidence, bar = evaluation.weighing.evidence, evaluation.weighing.bar
        shown = (
            f"over {MOST:.0f}" if evidence > MOST else f"{int(evidence) if evidence >= 10 else round(evidence, 1)}"
        )
        said: Line = (Span(f"evidence {shown}{'' if evidence > MOST else f' of {bar:.0f}'}"),)
    else:
        pips = bars.pips(turn.decision.status.failed_checks, rollout.policy.threshold, screen)
        said = (*pips, Span(" failed checks"))
    row = (*_head(judge, evaluation.at, rollout, screen), *said, Span(" " * max(SAID - length(said), 2)))
    ways = (
        (*row, *metric_checks.compact(evaluation.checks[:number], screen.signs, beside=False))
        for number in range(len(evaluation.checks), -1, -1)
    )
    return screen.clip(next((way for way in ways if length(way) <= screen.width), row))


def _table(rollouts: Iterable[JudgedRollout]) -> Iterable[Line]:
    yield (Span(f"  {'':{LABEL}}{'':14}{'evaluations':>11}{'until 0%':>11}{'requests':>11}{'failed':>9}", "dim"),)
    for one in rollouts:
        back = one.ending.code is Exit.ROLLED_BACK
        word = "promoted" if one.ending.code is Exit.PROMOTED else "rolled back" if back else "not over"
        yield (
            Span(f"  {one.judge:<{LABEL}}"),
            Span(f"{word:<14}", "good" if one.ending.code is Exit.PROMOTED else "bad"),
            Span(f"{one.evaluations:>11}{f'{one.seconds:.1f} s' if back else '-':>11}{one.requests:>11,}"),
            Span(f"{one.failed:>9,}", "bad" if one.failed else ""),
        )


def _difference(threshold: JudgedRollout, sequential: JudgedRollout) -> Iterable[Line]:
    """What one judge has over the other, whichever it is: `1 fewer evaluation, at 0% 3.0 s sooner, …`."""
    if {threshold.ending.code, sequential.ending.code} != {Exit.ROLLED_BACK}:
        return
    evaluations = _more(sequential.evaluations - threshold.evaluations, "evaluation")
    seconds = round(sequential.seconds - threshold.seconds, 1)
    sooner = f"at 0% {abs(seconds):.1f} s {'sooner' if seconds < 0 else 'later'}" if seconds else "at 0% as soon"
    failed = _more(sequential.failed - threshold.failed, "failed request")
    yield (Span("sequential: ", "strong"), Span(f"{evaluations}, {sooner}, {failed}."))


def _more(number: int, noun: str) -> str:
    if number == 0:
        return f"as many {noun}s"
    return f"{abs(number)} {'fewer' if number < 0 else 'more'} {noun}{'' if abs(number) == 1 else 's'}"
