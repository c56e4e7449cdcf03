"""Waits until a rollout is over that a controller drives: `canary wait` and `canary watch`.

A look a second, which costs one request: the Canary object, and every few looks the workload behind the version that
it wants. Before it says how that ended, it reads both again. `awaited.py` has the answers.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.duration import brief
from canary.api.status import Status, Version
from canary.engine.errors import Unreachable
from canary.engine.observed import Missing

from .awaited import Aim, Sight, answer, unseen, waits_for_approval
from .drive import PATIENCE, Interrupts, Then
from .ending import Ending, Exit
from .followed import turn_of
from .ports import Clock
from .tick import Turn

EVERY = 1.0
"""Seconds between two looks."""
WORKLOAD = 4
"""Every so many looks it is the workload that is read, and not the Canary."""
SILENT = timedelta(seconds=10)
"""After this long without a word about what is waited for, somebody should look at the controller."""


class Followed(Protocol):
    """A Canary object, and who may ask something of it."""

    def read(self) -> Canary | None:
        """As it is now; None once it is gone. Raises Unreachable, Rejected."""

    def wanted(self, canary: Canary) -> Version | Missing:
        """The version that it wants, with the revision that is behind it now."""

    def post(self, action: CanaryAction) -> str:
        """Asks something. Raises Unreachable, Rejected."""


@dataclass(frozen=True)
class Terms:
    """How one wait behaves."""

    timeout: timedelta | None = None
    on_timeout: Then = Then.HOLD
    wait_for_approval: bool = True
    version: str | None = None
    """Waited for until it is wanted; None for the version that is wanted at the start."""
    after: int = 0
    """Rollouts up to this number don't count."""
    author: str = ""
    """On whose behalf a time-out rolls back."""


@dataclass
class Wait:
    """One wait, from a first look to an exit code."""

    followed: Followed
    terms: Terms
    clock: Clock
    report: Callable[[Turn], None]
    interrupts: Interrupts = field(default_factory=Interrupts)
    aim: Aim | None = None
    asked: bool = False
    """Whether the time-out has asked for a rollback."""
    _sight: Sight | None = None
    _told: Status | None = None
    _known: datetime | None = None
    """When the status last spoke of what is waited for, or the wait began."""

    def run(self) -> Ending:
        """Looks until the end. Raises Rejected where what is there may not be read, or can't be."""
        started, looks = self.clock.now(), 0
        self._known = started
        while True:
            trouble = self._look(looks)
            if self._sight is None:
                return Ending(Exit.GONE, "Deleted", "the Canary was deleted")
            over = self._over(self._sight, self.clock.now() - started)
            self._tell(self._sight, trouble, over)
            if over is not None:
                return over
            self.clock.wait(EVERY, lambda: bool(self.interrupts.count))
            looks += 1

    # ---- looks -------------------------------------------------------------------------------------------------

    def _look(self, looks: int) -> tuple[str, ...]:
        """One request, more at the beginning; why it has failed."""
        try:
            before = self._sight
            if before is None or looks % WORKLOAD:
                self._sight = self._read(before)
            else:
                self._sight = replace(before, at=self.clock.now(), wanted=self.followed.wanted(before.canary))
            self._take_aim()
        except Unreachable as error:
            if self._sight is None:
                raise
            return (f"the Canary can't be read: {error}",)
        return ()

    def _read(self, before: Sight | None) -> Sight | None:
        canary = self.followed.read()
        if canary is None:
            return None
        wanted = self.followed.wanted(canary) if before is None else before.wanted
        return Sight(self.clock.now(), canary, wanted)

    def _take_aim(self) -> None:
        wanted = self._sight.wanted if self._sight is not None else None
        if self.aim is None and isinstance(wanted, Version) and self.terms.version in (None, wanted.name):
            self.aim = Aim(wanted, self.terms.after)

    def _sure(self, aim: Aim) -> Ending | None:
        """The answer once more, from Canary and workload as they are right now; None where they can't be read."""
        try:
            canary = self.followed.read()
        except Unreachable:
            return None
        if canary is None:
            return Ending(Exit.GONE, "Deleted", "the Canary was deleted")
        self._sight = Sight(self.clock.now(), canary, self.followed.wanted(canary))
        return answer(aim, self._sight)

    # ---- the end -----------------------------------------------------------------------------------------------

    def _over(self, sight: Sight, elapsed: timedelta) -> Ending | None:
        if self.aim is not None and answer(self.aim, sight) is not None:
            over = self._sure(self.aim)
            if over is not None:
                return self._in_time(over)
        if self.interrupts.count:
            at = f"traffic is at {sight.status.canary_weight}%, and the controller goes on"
            return Ending(Exit.INTERRUPTED, "Interrupted", f"interrupted; {at}")
        return self._unread(sight) or self._late(sight, elapsed) or self._unapproved(sight)

    def _in_time(self, over: Ending) -> Ending:
        """What a time-out has rolled back is told as that."""
        if not self.asked or over.code not in (Exit.REJECTED, Exit.ROLLED_BACK):
            return over
        return Ending(Exit.TIMED_OUT, "TimedOut", f"not done in time: {over.sentence}")

    def _unread(self, sight: Sight) -> Ending | None:
        unknown = self.aim is None and isinstance(sight.wanted, Missing)
        if not unknown or self._silence < SILENT or self.terms.version not in (None, sight.canary.spec.version):
            return None
        return Ending(Exit.ERROR, "RevisionUnknown", unseen(None, sight))

    def _late(self, sight: Sight, elapsed: timedelta) -> Ending | None:
        limit, rollout = self.terms.timeout, sight.status.rollout
        if limit is None or elapsed < limit or (rollout and rollout.end and rollout.in_place_since):
            return None
        sentence = f"not done after {brief(limit)}: {self._note(sight) or sight.status.message}"
        mine = rollout is not None and self.aim is not None and rollout.canary == self.aim.version
        if self.terms.on_timeout is Then.HOLD or not mine:
            return Ending(Exit.TIMED_OUT, "TimedOut", sentence)
        if elapsed >= limit + PATIENCE:
            return Ending(Exit.UNKNOWN, "OutcomeUnknown", sentence)
        if rollout is not None and not self.asked:
            self._ask_rollback(sight, rollout.number)
        return None

    def _ask_rollback(self, sight: Sight, number: int) -> None:
        """Where that can't be sent, it is tried again with the next look."""
        action = CanaryAction(
            id="",
            target=sight.canary.metadata.name,
            verb=Verb.ROLLBACK,
            rollout=number,
            author=self.terms.author,
            comment="canary wait timed out",
            at=self.clock.now(),
        )
        with suppress(Unreachable):
            self.followed.post(action)
            self.asked = True

    def _unapproved(self, sight: Sight) -> Ending | None:
        if self.terms.wait_for_approval or self.aim is None or not waits_for_approval(self.aim, sight):
            return None
        return Ending(Exit.NEEDS_APPROVAL, sight.status.reason, sight.status.message)

    # ---- what is told ------------------------------------------------------------------------------------------

    def _tell(self, sight: Sight, trouble: tuple[str, ...], over: Ending | None) -> None:
        note = self._note(sight) if over is None else ""
        if not note:
            self._known = sight.at
        self.report(turn_of(sight.canary, self._told, sight.at, note, trouble))
        self._told = sight.status

    def _note(self, sight: Sight) -> str:
        """Why the status says nothing of what is waited for yet."""
        if self.aim is None and self.terms.version not in (None, sight.canary.spec.version):
            return f"{self.terms.version} isn't asked for yet, {sight.canary.spec.version} is"
        said = unseen(self.aim, sight)
        running = sight.status.rollout is not None
        return f"{said}; is it running?" if said and self.aim and not running and self._silence >= SILENT else said

    @property
    def _silence(self) -> timedelta:
        return self.clock.now() - self._known if self._known else timedelta()
