"""A run as text: one line for each decision that is news, for terminals, logs and CI (`canary run -o text`).

`told` is pure: what is said of a turn, given the last turn of which something was said. `Lines` prints it.
"""

from datetime import timedelta
from typing import TextIO

from canary.api.evidence import LookResult
from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase
from canary.engine.guards import REASONS
from canary.rollout.ending import Ending, Exit
from canary.rollout.tick import Turn

from . import checks, times
from .screen import PLAIN, Line, Screen, Span, Tone, length, screen_of

WIDTH = 100
"""Checks are left away rather than make a line longer than this; reasons are never cut."""
CALM = frozenset({"Analysing", "ChecksPassed", "Settling", "WaitingForRoute"})
"""Reasons that are no news by themselves."""
MOVES = frozenset({"Started", "CanaryReady", "StepPassed", "StepSkipped", "PromotionAsked", "Promoting"})
"""Reasons after which a calm one is what everybody expects."""
SLOW = timedelta(seconds=2)
"""A route that isn't in place after this long is news."""
REPEAT = timedelta(minutes=1)
"""How often a look that says the same as the last one is told."""
WAITS = frozenset({"WaitingForApproval", "Paused", "Suspended", *REASONS})
"""Reasons that people or the calendar must end; while looks pass, values that come and go are no news."""
PATIENT = timedelta(minutes=5)
"""How often such a wait is told again: CI systems end jobs that say nothing for ten minutes."""
PHASES: dict[Phase, Tone] = {Phase.SUCCEEDED: "good", Phase.FAILED: "bad", Phase.FINALISING: "warn"}


def told(turn: Turn, last: Turn | None, screen: Screen = PLAIN) -> list[str]:
    """All lines about a turn: its decision, what people are told besides, trouble. None when nothing is new.

    `last` is the last turn of which something was told.
    """
    said = line(turn, last, screen)
    day = _day(turn, last, screen)
    remarks = [screen.paint((*head(turn, screen), Span(text))) for text in besides(turn)]
    found = [*remarks, *([said] if said is not None else []), *warnings(turn, last, screen)]
    return [*day, *found] if found else []


def _day(turn: Turn, last: Turn | None, screen: Screen) -> list[str]:
    """The date, where another day than that of the last line has begun."""
    if last is None or times.day(last.at, screen.zone) == times.day(turn.at, screen.zone):
        return []
    return [screen.paint((Span(times.day(turn.at, screen.zone), "dim"),))]


def line(turn: Turn, last: Turn | None, screen: Screen = PLAIN) -> str | None:
    """Time, weight, phase and reason of a decision that is news."""
    return screen.paint((*head(turn, screen), *text(turn, last, screen))) if is_news(turn, last) else None


def warnings(turn: Turn, last: Turn | None, screen: Screen = PLAIN) -> list[str]:
    """Trouble that came or went. Trouble that begins with the same words, up to a colon, is the same."""
    before = {_kind(one): one for one in (last.trouble if last else ())}
    now = {_kind(one): one for one in turn.trouble}
    lines = [f"warning: {one}" for kind, one in now.items() if kind not in before]
    lines += [f"warning is over: {one}" for kind, one in before.items() if kind not in now]
    return [screen.paint((Span(one, "warn"),)) for one in lines]


def is_news(turn: Turn, last: Turn | None) -> bool:
    """Whether the decision says anything that the last told one did not."""
    if last is None or _place(turn) != _place(last):
        return True
    if turn.decision.looked and _tells(turn, last):
        return True
    if any(message.message == turn.decision.sentence for message in turn.decision.messages):
        return True
    now, before = turn.decision.reason, last.decision.reason
    if now == before:
        return False
    if now == "WaitingForRoute":
        return turn.at - last.at >= SLOW
    return now not in CALM or before not in CALM | MOVES


def _tells(turn: Turn, last: Turn) -> bool:
    """Whether a look says something else than the last one that was told, or it is time to say it again."""
    if _waits(turn) and _waits(last):
        return turn.at - last.at >= PATIENT
    return _seen(turn) != _seen(last) or turn.at - last.at >= REPEAT


def _waits(turn: Turn) -> bool:
    """Whether people are waited for, and the last look gave no reason to worry."""
    rollout = turn.decision.status.rollout
    calm = rollout is None or rollout.look is None or rollout.look.verdict == "pass"
    return turn.decision.reason in WAITS and calm


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
    """The sentence, and after a look as much of its checks as fits. A wait that was told gives way to the look."""
    decision, rollout = turn.decision, turn.decision.status.rollout
    look = rollout.look if rollout else None
    if look is None:
        return (Span(decision.sentence),)
    known = last is not None and last.decision.reason == decision.reason and _place(last) == _place(turn)
    judged = decision.reason == look.reason or (
        decision.looked and not _waits(turn) and (known or decision.reason == "Analysing")
    )
    sentence = look.message if judged else decision.sentence
    tone: Tone = "warn" if judged and look.verdict == "hold" else ""
    shown = _checks(look, WIDTH - length(head(turn, screen)) - len(sentence) - 2, screen) if decision.looked else ()
    return (Span(sentence, tone), *shown)


def _checks(look: LookResult, room: int, screen: Screen) -> Line:
    """With stable's values, without them, or none."""
    ways = (checks.compact(look.checks, screen.signs, beside) for beside in (True, False))
    return next(((Span("  "), *shown) for shown in ways if shown and length(shown) <= room), ())


def besides(turn: Turn) -> list[str]:
    """Messages that the decision's own sentence doesn't tell."""
    sentence = turn.decision.sentence
    return [message.message for message in turn.messages if message.message != sentence]


def weight(turn: Turn) -> int | None:
    """The canary's share that was decided, in per cent; None at rest."""
    status = turn.decision.status
    if status.rollout is not None:
        return status.rollout.meant.weight
    if turn.decision.closed:
        return 100 if status.history[0].outcome is Outcome.PROMOTED else 0
    return None


class Lines:
    """Prints what is told to a stream, at once."""

    def __init__(self, stream: TextIO, screen: Screen | None = None) -> None:
        self.stream = stream
        self.screen = screen_of(stream) if screen is None else screen
        self.last: Turn | None = None

    def __call__(self, turn: Turn) -> None:
        lines = told(turn, self.last, self.screen)
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
    return status.phase, status.rollouts, rollout.step if rollout else 0, rollout.meant if rollout else None


def _seen(turn: Turn) -> tuple[str, Line]:
    """What a look said, to the digits that are shown."""
    rollout = turn.decision.status.rollout
    look = rollout.look if rollout else None
    return turn.decision.sentence, checks.compact(look.checks, PLAIN.signs) if look else ()


def _kind(trouble: str) -> str:
    return trouble.partition(":")[0]
