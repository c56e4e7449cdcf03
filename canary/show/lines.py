"""A run as text: one line for each decision that is news, for terminals, logs and CI (`canary run -o text`).

`turn_lines` is pure: the lines of a turn, given the last turn that was printed. `Lines` prints it.
"""

from datetime import timedelta
from typing import TextIO

from canary.api.evidence import EvaluationResult
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.reason import Reason, Topic, Trait
from canary.api.status import Phase
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from . import metric_checks, times
from .terminal import PLAIN, Line, Screen, Span, Tone, length, screen_of

WIDTH = 100
"""Checks are left away rather than make a line longer than this; reasons are never cut."""
SLOW = timedelta(seconds=2)
"""A route that isn't in place after this long is news."""
REPEAT = timedelta(minutes=1)
"""How often an evaluation with the same result as the last one is printed."""
PATIENT = timedelta(minutes=5)
"""How often such a wait is printed again: CI systems end jobs that say nothing for ten minutes."""
PHASES: dict[Phase, Tone] = {Phase.SUCCEEDED: "good", Phase.FAILED: "bad", Phase.FINALISING: "warn"}


def turn_lines(turn: Turn, last: Turn | None, screen: Screen = PLAIN) -> list[str]:
    """All lines about a turn: messages, its decision if that is news, trouble; and the date, if a new day has begun.

    `last` is the last turn that was printed.
    """
    lines: list[Line] = [(*head(turn, screen), Span(message)) for message in besides(turn)]
    lines += [(*head(turn, screen), *text(turn, last, screen))] if is_news(turn, last) else []
    lines += [(Span(warning, "warn"),) for warning in warnings(turn, last)]
    today = times.day(turn.at, screen.zone)
    if lines and last is not None and times.day(last.at, screen.zone) != today:
        lines.insert(0, (Span(today, "dim"),))
    return [screen.paint(line) for line in lines]


def warnings(turn: Turn, last: Turn | None) -> list[str]:
    """Trouble that came or went. Trouble that begins with the same words, up to a colon, is the same."""
    before = {one.partition(":")[0]: one for one in (last.trouble if last else ())}
    now = {one.partition(":")[0]: one for one in turn.trouble}
    lines = [f"warning: {one}" for kind, one in now.items() if kind not in before]
    return lines + [f"warning is over: {one}" for kind, one in before.items() if kind not in now]


def is_news(turn: Turn, last: Turn | None) -> bool:
    """Whether the decision differs from the last printed one."""
    if last is None or _place(turn) != _place(last):
        return True
    if turn.decision.evaluated and _tells(turn, last):
        return True
    if any(message.message == turn.decision.sentence for message in turn.decision.messages):
        return True
    now, before = turn.decision.reason, last.decision.reason
    if now == before:
        return False
    if now == Reason.WAITING_FOR_ROUTE:
        return turn.at - last.at >= SLOW
    expected = Trait.CALM in before.traits or before.topic is Topic.MOVES
    return Trait.CALM not in now.traits or not expected


def _tells(turn: Turn, last: Turn) -> bool:
    """Whether an evaluation differs from the last printed one, or it is time to print it again."""
    if _waits(turn) and _waits(last):
        return turn.at - last.at >= PATIENT
    return _seen(turn) != _seen(last) or turn.at - last.at >= REPEAT


def _waits(turn: Turn) -> bool:
    """Whether people are waited for, and the last evaluation gave no reason to worry."""
    evaluation = evaluation_of(turn)
    return Trait.PATIENT in turn.decision.reason.traits and (evaluation is None or evaluation.verdict == "pass")


def head(turn: Turn, screen: Screen) -> Line:
    """Time, weight and phase."""
    phase = turn.decision.status.phase
    seen = weight(turn)
    share = "" if seen is None else f"{seen}%"
    return (
        Span(f"{times.clock(turn.at, screen.zone)} ", "dim"),
        Span(f"{share:>4} "),
        Span(f"{phase:<11}  ", PHASES.get(phase, "")),
    )


def text(turn: Turn, last: Turn | None, screen: Screen) -> Line:
    """The sentence, and after an evaluation as much of its checks as fits. A wait that was printed is replaced by the
    evaluation."""
    decision, evaluation = turn.decision, evaluation_of(turn)
    if evaluation is None:
        return (Span(decision.sentence),)
    known = last is not None and last.decision.reason == decision.reason and _place(last) == _place(turn)
    judged = decision.reason == evaluation.reason or (
        decision.evaluated and not _waits(turn) and (known or decision.reason == Reason.ANALYSING)
    )
    sentence = evaluation.message if judged else decision.sentence
    tone: Tone = "warn" if judged and evaluation.verdict == "hold" else ""
    room = WIDTH - length(head(turn, screen)) - len(sentence) - 2
    return (Span(sentence, tone), *(_checks(evaluation, room, screen) if decision.evaluated else ()))


def _checks(evaluation: EvaluationResult, room: int, screen: Screen) -> Line:
    """With stable's values, without them, or none."""
    ways = (metric_checks.compact(evaluation.checks, screen.signs, beside) for beside in (True, False))
    return next(((Span("  "), *shown) for shown in ways if shown and length(shown) <= room), ())


def evaluation_of(turn: Turn) -> EvaluationResult | None:
    """The last evaluation of the rollout under way."""
    rollout = turn.decision.status.rollout
    return rollout.evaluation if rollout else None


def besides(turn: Turn) -> list[str]:
    """Messages that the decision's own sentence doesn't tell."""
    sentence = turn.decision.sentence
    return [message.message for message in turn.messages if message.message != sentence]


def weight(turn: Turn) -> int | None:
    """The canary's share that was decided, in per cent; None at rest."""
    status = turn.decision.status
    if status.rollout is not None:
        return status.rollout.desired.weight
    if turn.decision.closed:
        return status.canary_weight
    return None


class Lines:
    """Prints lines to a stream, at once."""

    def __init__(self, stream: TextIO, screen: Screen | None = None) -> None:
        self.stream = stream
        self.screen = screen_of(stream) if screen is None else screen
        self.last: Turn | None = None

    def __call__(self, turn: Turn) -> None:
        lines = turn_lines(turn, self.last, self.screen)
        if lines:
            self.last = turn
        self._print(lines)

    def close(self, ending: Ending) -> None:
        """Says why the run ends, unless the last decision has said it."""
        if self.last is None or self.last.decision.sentence != ending.sentence:
            self._print([self.screen.paint(last_line(ending))])

    def _print(self, lines: list[str]) -> None:
        for one in lines:
            print(one, file=self.stream, flush=True)


def last_line(ending: Ending) -> Line:
    """The end in words: `interrupted; traffic stays at 20% (exit code 130)`."""
    tone: Tone = "good" if ending.code is Exit.PROMOTED else "bad"
    return (Span(ending.sentence, tone), Span(f" (exit code {ending.code.value})", "dim"))


def _place(turn: Turn) -> tuple[Phase, int, int, Traffic | None]:
    status = turn.decision.status
    rollout = status.rollout
    return status.phase, status.rollouts, rollout.step if rollout else 0, rollout.desired if rollout else None


def _seen(turn: Turn) -> tuple[str, Line]:
    """What an evaluation said, to the digits that are shown."""
    evaluation = evaluation_of(turn)
    return turn.decision.sentence, metric_checks.compact(evaluation.checks, PLAIN.signs) if evaluation else ()
