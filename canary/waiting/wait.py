"""Waits until a rollout is over that a controller drives: `canary wait` and `canary watch`.

An evaluation a second, which costs one request: the Canary object, and every few reads the workload behind the
version that it wants. Before it says how that ended, it reads both again. `answers.py` has the answers.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.duration import brief
from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Status, Version
from canary.engine.errors import Unreachable
from canary.engine.observed import Missing
from canary.ports import Clock
from canary.rollout.drive import PATIENCE, Interrupts, Then
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from .answers import Awaited, Sight, answer, unseen, waits_for_approval
from .watch import turn_of

EVERY = 1.0
"""Seconds between two evaluations."""
WORKLOAD = 4
"""Every so many evaluations it is the workload that is read, and not the Canary."""
SILENT = timedelta(seconds=10)
"""After this long without news, the user should check the controller."""
LOOK = "kubectl get pods -A -l app.kubernetes.io/name=canary"
"""Shows the controllers; an idle Canary doesn't say in which namespace its own one runs."""


class HolderPresence(Protocol):
    """Whether a process is at work; as a text, since when none is."""

    @property
    def active(self) -> bool: ...


class FollowedCanary(Protocol):
    """A Canary object, and who may ask something of it."""

    def read(self) -> Canary | None:
        """As it is now; None once it is gone. Raises Unreachable, Rejected."""

    def desired_version(self, canary: Canary) -> Version | Missing:
        """The version that it wants, with the revision that is behind it now."""

    def post(self, action: CanaryAction) -> str:
        """Asks something. Raises Unreachable, Rejected."""

    @property
    def presence(self) -> Callable[[], HolderPresence | None]:
        """The process that works on the rollout; None if it isn't known."""


ASKED = timedelta(seconds=5)
"""How often it is asked who is at work."""


@dataclass(frozen=True)
class WaitTerms:
    """How one wait behaves."""

    timeout: timedelta | None = None
    on_timeout: Then = Then.HOLD
    wait_for_approval: bool = True
    version: str | None = None
    """First wait until it is the desired version; None for the present one."""
    after: int = 0
    """Rollouts up to this number don't count."""
    author: str = ""
    """On whose behalf a time-out rolls back."""
    allow_unanalysed: bool = False
    """Whether a build that serves without being judged is a success."""


@dataclass
class Wait:
    """One wait, from a first evaluation to an exit code."""

    followed: FollowedCanary
    terms: WaitTerms
    clock: Clock
    report: Callable[[Turn], None]
    interrupts: Interrupts = field(default_factory=Interrupts)
    aim: Awaited | None = None
    asked: bool = False
    """Whether the time-out has asked for a rollback."""
    _sight: Sight | None = None
    _reported: Status | None = None
    _away: tuple[str, ...] = ()
    _asked_at: datetime | None = None
    """When it was last asked who is at work."""
    _known: datetime | None = None
    """When the status last spoke of what is waited for, or the wait began."""

    def run(self) -> Ending:
        """Waits until the end. Raises Rejected where what is there may not be read, or can't be."""
        started, looks = self.clock.now(), 0
        self._known = started
        while True:
            trouble = self._look(looks)
            if self._sight is None:
                return Ending(Exit.GONE, Reason.DELETED, "the Canary was deleted")
            over = self._over(self._sight, self.clock.now() - started)
            self._tell(self._sight, trouble, over)
            if over is not None:
                return over.allowing(self.terms.allow_unanalysed)
            self.clock.wait(EVERY, lambda: bool(self.interrupts.count))
            looks += 1

    # ---- reads -------------------------------------------------------------------------------------------------

    def _look(self, looks: int) -> tuple[str, ...]:
        """One request, more at the beginning; why it has failed."""
        try:
            before = self._sight
            if before is None or looks % WORKLOAD:
                self._sight = self._read(before)
            else:
                self._sight = replace(
                    before, at=self.clock.now(), desired_version=self.followed.desired_version(before.canary)
                )
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
        wanted = self.followed.desired_version(canary) if before is None else before.desired_version
        return Sight(self.clock.now(), canary, wanted)

    def _take_aim(self) -> None:
        wanted = self._sight.desired_version if self._sight is not None else None
        if self.aim is None and isinstance(wanted, Version) and self.terms.version in (None, wanted.name):
            self.aim = Awaited(wanted, self.terms.after)

    def _sure(self, aim: Awaited) -> Ending | None:
        """The answer once more, from Canary and workload as they are right now; None where they can't be read."""
        try:
            canary = self.followed.read()
        except Unreachable:
            return None
        if canary is None:
            return Ending(Exit.GONE, Reason.DELETED, "the Canary was deleted")
        self._sight = Sight(self.clock.now(), canary, self.followed.desired_version(canary))
        return answer(aim, self._sight)

    # ---- the end -----------------------------------------------------------------------------------------------

    def _over(self, sight: Sight, elapsed: timedelta) -> Ending | None:
        if self.aim is not None and answer(self.aim, sight) is not None:
            over = self._sure(self.aim)
            if over is not None:
                return self._in_time(over)
        if self.interrupts.count:
            at = f"traffic is at {sight.status.canary_weight}%, and the controller goes on"
            return Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, f"interrupted; {at}")
        return self._unread(sight) or self._late(sight, elapsed) or self._unapproved(sight)

    def _in_time(self, over: Ending) -> Ending:
        """A rollback by a time-out is reported as a time-out."""
        if not self.asked or over.code not in (Exit.REJECTED, Exit.ROLLED_BACK):
            return over
        return Ending(Exit.TIMED_OUT, Reason.TIMED_OUT, f"not done in time: {over.sentence}", over.outcome)

    def _unread(self, sight: Sight) -> Ending | None:
        unknown = self.aim is None and isinstance(sight.desired_version, Missing)
        if not unknown or self._silence < SILENT or self.terms.version not in (None, sight.canary.spec.version):
            return None
        return Ending(Exit.ERROR, Reason.REVISION_UNKNOWN, unseen(None, sight))

    def _late(self, sight: Sight, elapsed: timedelta) -> Ending | None:
        limit, rollout = self.terms.timeout, sight.status.rollout
        if limit is None or elapsed < limit or (rollout and rollout.end and rollout.in_place_since):
            return None
        sentence = f"not done after {brief(limit)}: {self._note(sight) or sight.status.message}"
        mine = rollout is not None and self.aim is not None and rollout.canary_version == self.aim.version
        if self.terms.on_timeout is Then.HOLD or not mine:
            return Ending(Exit.TIMED_OUT, Reason.TIMED_OUT, sentence)
        if elapsed >= limit + PATIENCE:
            return Ending(Exit.UNKNOWN, Reason.OUTCOME_UNKNOWN, sentence)
        if rollout is not None and not self.asked:
            self._ask_rollback(sight, rollout.number)
        return None

    def _ask_rollback(self, sight: Sight, number: int) -> None:
        """Where that can't be sent, it is tried again with the next evaluation."""
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

    # ---- messages ----------------------------------------------------------------------------------------------

    def _tell(self, sight: Sight, trouble: tuple[str, ...], over: Ending | None) -> None:
        note = self._note(sight) if over is None else ""
        trouble = trouble or self._absent(sight)
        if not note:
            self._known = sight.at
        self.report(turn_of(sight.canary, self._reported, sight.at, note, trouble))
        self._reported = sight.status

    def _absent(self, sight: Sight) -> tuple[str, ...]:
        """Why a rollout under way stands still: no process is at work."""
        if sight.status.rollout is None:
            return ()
        if self._asked_at is None or sight.at - self._asked_at >= ASKED:
            self._asked_at, found = sight.at, self.followed.presence()
            self._away = (str(found),) if found is not None and not found.active else ()
        return self._away

    def _note(self, sight: Sight) -> str:
        """Why the status says nothing of what is waited for yet."""
        if self.aim is None and self.terms.version not in (None, sight.canary.spec.version):
            return f"{self.terms.version} isn't asked for yet, {sight.canary.spec.version} is"
        said = unseen(self.aim, sight)
        running = sight.status.rollout is not None
        if said and self.aim and not running and self._known and self._silence >= SILENT:
            return f"{said}, since {self._known:%H:%M:%S} UTC; is it running? Check with: {LOOK}"
        return said

    @property
    def _silence(self) -> timedelta:
        return self.clock.now() - self._known if self._known else timedelta()
