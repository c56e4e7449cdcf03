"""Two judges on the same new version at the same time, each with a route of its own on one Envoy, and equal loads.

People read a line for each evaluation, and at the end a table of exact counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import wrap
from threading import Lock

from canary.api.exit_codes import Exit
from canary.api.status import Rollout
from canary.rollout.drive import Interrupts
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import HEALTHY, Behaviour, Scenario
from canary.show import bars, metric_checks, times
from canary.show.metric_checks import MOST
from canary.show.terminal import Line, Screen, Span, Tone, length

from .load import Counted, Tally
from .stage import SEQUENTIAL, DemoStage
from .story import WIDEST, PrintedStory, agreement, too_slow

JUDGES = ("threshold", SEQUENTIAL)
"""They are the names of their routes, too."""


def version_of(number: int, judge: str) -> str:
    """An Envoy cluster: each route has its own, so that Envoy counts the two rollouts apart."""
    return f"v{number}-{judge}"


def sites(canary: Behaviour) -> dict[str, dict[str, Behaviour]]:
    """What stands behind each route: a healthy v1, and a v2 that behaves like this."""
    return {judge: {version_of(1, judge): HEALTHY, version_of(2, judge): canary} for judge in JUDGES}


@dataclass
class EvaluationsSeen:
    """What the evaluations of one rollout tell."""

    evaluations: list[datetime] = field(default_factory=list)
    """The nominal times of those that judged the canary."""
    late: timedelta = timedelta()
    """The most that one of them came after its time."""
    ending: Ending | None = None
    end_said: bool = False
    """Whether people have read why it ends."""

    def __call__(self, turn: Turn) -> bool:
        """Whether the turn has judged the canary."""
        rollout = turn.decision.status.rollout
        if rollout is None or rollout.evaluation is None or rollout.evidence is None:
            return False
        at = rollout.evaluation.at
        if at in self.evaluations:
            return False
        self.evaluations.append(at)
        self.late = max(self.late, turn.at - at)
        return True

    def skipped(self, interval: timedelta) -> int:
        """Evaluations that were due between two others, and weren't made."""
        pairs = zip(self.evaluations, self.evaluations[1:], strict=False)
        return sum(max(round((after - before) / interval) - 1, 0) for before, after in pairs)


@dataclass(frozen=True)
class JudgedRollout:
    """How one of the rollouts went, once the load has ended."""

    judge: str
    seen: EvaluationsSeen
    ending: Ending
    canary: Tally | None
    """None where it got no request."""
    stable: Tally | None

    @property
    def evaluations(self) -> int:
        """Until the end of the rollout."""
        return len(self.seen.evaluations)

    @property
    def seconds(self) -> float:
        """From the first request that the canary got to the last one."""
        return self.canary.left - self.canary.first if self.canary else 0.0

    @property
    def requests(self) -> int:
        return self.canary.requests if self.canary else 0

    @property
    def failed(self) -> int:
        return self.canary.failed if self.canary else 0


Report = Callable[[str, EvaluationsSeen, Turn], None]
"""Gets the judge, what was seen of its rollout so far, and the turn; from two threads."""


def roll_out(running: tuple[DemoStage, ...], interrupts: Interrupts, report: Report) -> dict[str, EvaluationsSeen]:
    """Both rollouts to their ends, by judge. What one of them raises ends the other as well."""
    seen = {one.route: EvaluationsSeen() for one in running}

    def one(stage: DemoStage) -> None:
        mine = seen[stage.route]
        try:
            mine.ending = stage.roll_out(lambda turn: report(stage.route, mine, turn))
        except BaseException:
            interrupts.count += 1
            raise

    for stage in running:
        stage.want(version_of(2, stage.route), stage.route)
    with ThreadPoolExecutor(len(running), thread_name_prefix="judge") as pool:
        over: list[Future[None]] = [pool.submit(one, stage) for stage in running]
    for future in over:
        future.result()
    return seen


def results(seen: dict[str, EvaluationsSeen], counted: Counted) -> Iterator[JudgedRollout]:
    """What came of each rollout, in the order of `JUDGES`."""
    for judge in JUDGES:
        ending = seen[judge].ending
        assert ending is not None
        canary, stable = (counted.load.get(version_of(number, judge)) for number in (2, 1))
        yield JudgedRollout(judge, seen[judge], ending, canary, stable)


LATE = timedelta(seconds=1)
"""An evaluation that comes later than this shows that the machine is too slow."""
LABEL, SAID = 12, 26
"""Widths of columns."""


@dataclass(frozen=True)
class JudgesStory(PrintedStory):
    """Both rollouts, which report from several threads."""

    scenario: Scenario
    lock: Lock = field(default_factory=Lock)

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
