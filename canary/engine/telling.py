"""What of a decision is told to people, and what is kept of that until somebody has told it. Pure."""

from collections.abc import Iterable
from datetime import datetime

from canary.api.status import Message, Outcome, Phase, Status

from .draft import Draft
from .outcome import Close, Hold, RollBack, Serve
from .people import Remark, clipped

ENDED = frozenset(str(outcome) for outcome in Outcome)
"""Reasons of the messages that tell how a rollout ended: once, when it is over."""
OUTBOX = 20
"""How many messages wait for somebody to tell them."""
QUIET = frozenset({"Analysing", "Settling", "ChecksPassed", "Draining", "WaitingForRoute", "AlreadyServing"})
"""Reasons to hold that nobody needs to be told of."""


def kept(outbox: tuple[Message, ...]) -> tuple[Message, ...]:
    """An outbox that nobody takes from stays small; how a rollout ended is never dropped."""
    spare = [one for one in outbox if one.reason not in ENDED][: max(0, len(outbox) - OUTBOX)]
    return tuple(one for one in outbox if one not in spare)


def messages(draft: Draft, before: Status, now: datetime) -> Iterable[Message]:
    """What is new to people, in order: what was remarked, and the finding where it is news."""
    remarks = list(draft.remarks)
    if _speaks(draft, before):
        remarks.append(Remark(draft.finding.reason, draft.finding.sentence, "Warning" if _warns(draft) else "Normal"))
    for index, remark in enumerate(remarks, before.told + 1):
        sentence = clipped(remark.message)
        yield Message(id=str(index), type=remark.type, reason=remark.reason, message=sentence, at=now)


def _speaks(draft: Draft, before: Status) -> bool:
    """Whether its finding is news."""
    reason = draft.finding.reason
    if reason in ENDED:
        return isinstance(draft.finding.outcome, Close)
    return draft.loud or (reason != before.reason and reason not in QUIET)


def _warns(draft: Draft) -> bool:
    """Whether somebody should look: it went back, it waits, or something serves that nobody has judged."""
    match draft.finding.outcome:
        case RollBack():
            return True
        case Hold():
            return not draft.loud
        case Close():
            return draft.status.phase is Phase.FAILED
        case Serve(analysed=analysed):
            return not analysed
    return False
