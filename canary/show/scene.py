"""What the live view remembers of a run: the newest turn, the last rollout and look, and the latest reasons.

Pure; `panel.py` makes rows of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.plan import Traffic
from canary.api.status import End, Outcome, Phase, Rollout
from canary.engine.judges.threshold import REQUESTS
from canary.engine.observed import Counts
from canary.rollout.ending import Ending
from canary.rollout.tick import Turn

from .lines import besides, is_news, weight
from .screen import Tone

PAST = 5
"""How many reasons are kept."""


@dataclass(frozen=True)
class Entry:
    """Something that happened."""

    at: datetime
    weight: int | None
    text: str
    tone: Tone = ""
    reason: str = ""
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
    """Of the canary in the last look, where they were counted."""
    past: tuple[Entry, ...] = ()
    """Newest last."""
    extra: str = ""
    ending: Ending | None = None

    def then(self, turn: Turn) -> "Scene":
        """The scene after one more turn."""
        rollout = turn.decision.status.rollout or _over(turn, self.rollout)
        seen = requests(turn) if turn.decision.looked else self.requests
        return replace(self, turn=turn, rollout=rollout, requests=seen, past=self._past(turn)[-PAST:])

    def _past(self, turn: Turn) -> tuple[Entry, ...]:
        share, reason = weight(turn), turn.decision.reason
        remarks = tuple(Entry(turn.at, share, text) for text in besides(turn))
        if reason == "Analysing" or not is_news(turn, self.turn):
            return (*self.past, *remarks)
        entry = Entry(turn.at, share, _text(turn), _tone(turn), reason)
        again = bool(self.past) and (self.past[-1].reason, self.past[-1].weight) == (reason, share)
        return (*(self.past[:-1] if again else self.past), *remarks, entry)


def _over(turn: Turn, last: Rollout | None) -> Rollout | None:
    """The last one as it ended, though who only looks now and then has missed its last steps."""
    if last is None or last.end is not None or not turn.decision.closed:
        return last
    summary = turn.decision.status.history[0]
    end = End(outcome=summary.outcome, reason=summary.reason, message=summary.message, at=summary.ended)
    promoted = summary.outcome is Outcome.PROMOTED
    step = len(last.plan.steps) + len(last.plan.promotion) - 1 if promoted else last.step
    return last.but(end=end, step=step, meant=Traffic(weight=100 if promoted else 0))


def requests(turn: Turn) -> int | None:
    """The canary's requests in the widest window that was counted."""
    rollout = turn.decision.status.rollout
    counted = [
        sample.total
        for query, sample in turn.observed.samples.items()
        if query.metric == REQUESTS and rollout and query.subject.workload == rollout.canary.name
        if isinstance(sample, Counts)
    ]
    return max(counted, default=None)


def _text(turn: Turn) -> str:
    """A judge's hold without the weight, which stands beside it."""
    rollout = turn.decision.status.rollout
    look = rollout.look if rollout else None
    return look.message if look and look.reason == turn.decision.reason else turn.decision.sentence


def _tone(turn: Turn) -> Tone:
    end = turn.decision.status.rollout.end if turn.decision.status.rollout else None
    if turn.decision.status.phase is Phase.FAILED or (end and end.reason == turn.decision.reason != "Promoted"):
        return "bad"
    if turn.decision.status.phase is Phase.SUCCEEDED:
        return "good"
    return "warn" if any(message.type == "Warning" for message in turn.decision.messages) else ""
