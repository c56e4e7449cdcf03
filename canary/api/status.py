"""What a rollout remembers. Status is the write-ahead record: `meant` is saved before the route is touched.

`engine/decide.py` makes each next status; `stores/` keep it. At most 16 KiB.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import computed_field, model_validator

from .evidence import Evidence, LookResult
from .model import Model
from .pinned import Policy
from .plan import Plan, Traffic


class Phase(StrEnum):
    """Flagger's phases."""

    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"
    """A person rejected it or rolled it back."""
    SUPERSEDED = "Superseded"
    """Another version or revision took its place."""
    RETURNED = "Returned"
    """`version` was set back to the stable one."""
    DELETED = "Deleted"
    """The Canary was deleted."""


class Version(Model):
    """A version and the build behind it."""

    name: str
    """Subset, host or cluster."""
    revision: str = ""
    """What tells two builds of one version apart; empty where nothing does."""

    def __str__(self) -> str:
        return f"{self.name} ({self.revision})" if self.revision else self.name


class Approval(Model):
    """One person's yes to a gate."""

    action: str
    """Id of the action."""
    author: str
    """Who said it."""
    verified: bool = False
    """Whether something other than the author says so."""
    comment: str = ""
    """Why."""


class GateWait(Model):
    """A gate that was asked and is not open yet."""

    name: str
    """What messages call it."""
    since: datetime
    """When it was asked first."""
    deadline: datetime | None = None
    """When its time is over; absent when it waits without end."""
    needed: int = 1
    """Approvals that open it."""
    open: bool = False
    """Its time is over, and that has opened it."""


class Pause(Model):
    """A person asked to wait."""

    since: datetime
    """When."""
    author: str = ""
    """Who."""
    comment: str = ""
    """Why."""


class End(Model):
    """How a rollout ends; saved before the route is touched."""

    outcome: Outcome
    """How."""
    reason: str
    """PascalCase, stable."""
    message: str
    """One sentence for a person."""
    at: datetime
    """When it was decided."""


class Rollout(Model):
    """The rollout in flight, or the last one."""

    number: int
    """Counted up with each rollout of this Canary."""
    stable: Version
    """What served when it began."""
    canary: Version
    """What shall serve."""
    stable_replicas: int = 0
    """Replicas of the stable version at the start."""
    stable_left: int | None = None
    """The fewest replicas of the stable version that people were told of, while they are too few for a rollback."""
    stable_workload: str = ""
    """What runs behind the stable version, as metrics know it."""
    canary_workload: str = ""
    """What runs behind the canary, as metrics know it."""
    stable_host: str = ""
    """The service that requests to the stable version are sent to, as metrics know it."""
    canary_host: str = ""
    """The service that requests to the canary are sent to; the stable version's as well where both are subsets."""
    podless: str = ""
    """The version that alone of the two has no available pod: what reached none was meant for it."""
    plan: Plan
    """Pinned at the start."""
    policy: Policy
    """Pinned at the start."""
    generation: int = 0
    """Generation of the Canary that plan and policy were resolved from."""
    started: datetime
    """When it began."""
    deadline: datetime
    """When its time is over; moved by the length of each pause, gate and guard."""
    step: int = 0
    """Index into the plan's steps, followed by its promotion."""
    meant: Traffic = Traffic()
    """The traffic that was decided last."""
    previous: Traffic = Traffic()
    """The traffic before that; the same as `meant` once that was read back."""
    in_place_since: datetime | None = None
    """When `meant` was first read back; absent until then."""
    next_look: datetime
    """When the next look is due."""
    looks: int = 0
    """Looks that passed in this step."""
    look: LookResult | None = None
    """The last look of this rollout."""
    evidence: Evidence | None = None
    """The judge's memory."""
    short_since: datetime | None = None
    """Since when the canary has fewer replicas than its weight needs."""
    pause: Pause | None = None
    """A person's pause."""
    approvals: tuple[Approval, ...] = ()
    """Approvals for this step, one a person."""
    approved: tuple[Approval, ...] | None = None
    """Approvals with which the step before was left; a guard sees them while this step's raise is asked for again."""
    gates: tuple[GateWait, ...] = ()
    """The gates of this step that were asked and not approved yet."""
    stopped_at: datetime | None = None
    """Since when the deadline's clock stands still (pause, suspend, gate, guard)."""
    halted_at: datetime | None = None
    """Since when the gates' clocks stand still (pause, suspend)."""
    edited: bool = False
    """The spec was edited since the start; the edit is for the next rollout."""
    skipped: bool = False
    """A person skipped the rest of this step."""
    hurried: bool = False
    """A person asked to promote without the remaining steps."""
    highest: int = 0
    """The highest weight that was meant so far, in per cent."""
    end: End | None = None
    """How it ends; set with the decision, before the route is touched."""

    @model_validator(mode="after")
    def _at_a_step_of_its_plan(self) -> Self:
        """Somebody may have edited a state by hand."""
        count = len(self.plan.steps) + len(self.plan.promotion)
        if not 0 <= self.step < count:
            raise ValueError(f"there is no step {self.step} in its plan of {count}")
        return self


class RolloutSummary(Model):
    """A rollout that is over."""

    number: int
    """Its number."""
    stable: Version
    """What served before."""
    canary: Version
    """What was tried."""
    started: datetime
    """When it began."""
    ended: datetime
    """When it was over."""
    outcome: Outcome
    """How it ended."""
    reason: str
    """PascalCase, stable."""
    message: str
    """One sentence."""
    weight: int = 0
    """The highest weight that the canary reached, in per cent."""


class Message(Model):
    """Something to tell people, kept until it was told."""

    id: str
    """Unique within the Canary; a receiver may meet a message twice after a crash."""
    type: Literal["Normal", "Warning"] = "Normal"
    """As in Kubernetes' events."""
    reason: str
    """PascalCase, stable."""
    message: str
    """One sentence."""
    at: datetime
    """When it was decided."""

    @property
    def beside(self) -> str:
        """What it says behind its reason: `v2 serves everything` of `promoted: v2 serves everything`."""
        words = _WORD.sub(" ", self.reason).lower()
        return self.message.removeprefix(f"{words}: ")


_WORD = re.compile(r"(?<!^)(?=[A-Z])")
"""Where a word of PascalCase begins."""


class Condition(Model):
    """In the form of Kubernetes' API conventions, as kstatus reads them."""

    type: Literal["Ready", "Reconciling", "Stalled", "Promoted", "TrafficDrift"]
    """What it is about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """PascalCase, stable."""
    message: str = ""
    """One sentence."""
    observed_generation: int = 0
    """Generation of the spec that it speaks of."""
    last_transition_time: datetime
    """When `status` changed last."""


class Status(Model):
    """All that is known of a Canary between two ticks."""

    phase: Phase = Phase.INITIALIZING
    """Where it stands."""
    reason: str = ""
    """Code of the last decision, PascalCase."""
    message: str = ""
    """The last decision in one sentence."""
    observed_generation: int = 0
    """Generation of the spec that was read last."""
    canary_weight: int = 0
    """Meant weight of the canary, in per cent."""
    failed_checks: int = 0
    """Failed checks of the rollout in flight, or of the last one."""
    iterations: int = 0
    """Passing looks in the present step."""
    stable: Version | None = None
    """What serves everything, outside of a rollout."""
    failed: Version | None = None
    """The version and revision that was tried last and failed."""
    rollout: Rollout | None = None
    """The rollout in flight."""
    rollouts: int = 0
    """How many rollouts there have been."""
    history: tuple[RolloutSummary, ...] = ()
    """The last ten that are over, newest first."""
    conditions: tuple[Condition, ...] = ()
    """kstatus' conditions, and `Promoted`."""
    outbox: tuple[Message, ...] = ()
    """Decided and saved, perhaps not told yet."""
    told: int = 0
    """How many messages there have been."""
    actions_taken: tuple[str, ...] = ()
    """Ids of the latest actions that were taken or refused; each acts once."""
    actions_before: datetime | None = None
    """Actions from before this time were taken or refused as well; their ids are forgotten."""
    last_transition_time: datetime | None = None
    """When the phase changed last."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def step(self) -> str:
        """The step of the rollout in flight and how many there are, such as 2/5; empty outside of one."""
        if self.rollout is None:
            return ""
        plan = self.rollout.plan
        return f"{self.rollout.step}/{len(plan.steps) + len(plan.promotion) - 1}"
