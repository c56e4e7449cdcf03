"""The status of a Canary. It is the write-ahead record: `desired` is saved before the route is changed.

`engine/decide.py` makes each next status; `stores/` keep it. At most 16 KiB.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import computed_field, model_validator

from .evidence import EvaluationResult, Evidence
from .model import Model
from .pinned import Policy
from .plan import Plan, Traffic
from .reason import EventType, Reason
from .webhooks import HookRun


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

    @property
    def reason(self) -> Reason:
        """The reason of this outcome."""
        return Reason(self.value)


class Version(Model):
    """A version and the build behind it."""

    name: str
    """Name of a subset, host or cluster."""
    revision: str = ""
    """Identifier of the build; empty if there is none."""

    def __str__(self) -> str:
        return f"{self.name} ({self.revision})" if self.revision else self.name


class Approval(Model):
    """One person's approval of a gate."""

    action: str
    """Id of the action."""
    author: str
    """Name of the author."""
    verified: bool = False
    """Whether the author was verified."""
    comment: str = ""
    """The reason."""


class GateWait(Model):
    """A gate that the step waits for."""

    name: str
    """Its name in messages."""
    since: datetime
    """Start of the wait."""
    deadline: datetime | None = None
    """End of the wait; absent if there is no time limit."""
    needed: int = 1
    """Approvals that open it."""
    open: bool = False
    """Its time is over, and it counts as open."""
    hook: str = ""
    """The key of the hook that opens it; empty for approvals."""
    answer: str = ""
    """The hook's last answer; empty before the first one."""

    @property
    def asking(self) -> bool:
        """Whether its hook was not answered yet."""
        return bool(self.hook) and not self.answer


class Pause(Model):
    """A pause by a user."""

    since: datetime
    """Start time."""
    asked: datetime | None = None
    """Time of the last `pause`; a `resume` that is older but read later doesn't end the pause."""
    author: str = ""
    """Name of the author."""
    comment: str = ""
    """The reason."""


class End(Model):
    """How a rollout ends; saved before the route is changed."""

    outcome: Outcome
    """The outcome."""
    reason: Reason
    """PascalCase, stable."""
    message: str
    """One sentence for users."""
    at: datetime
    """Time of the decision."""


class Unmoved(Model):
    """What a rollout doesn't move: a route of the target, a user's mirror, or a third version's share."""

    route: str = ""
    """Name of the route; empty for a share within the routes that move."""
    version: str = ""
    """The version that gets its requests; empty for all versions."""
    copies: bool = False
    """Whether it only copies requests."""

    def __str__(self) -> str:
        if not self.route:
            return f"the share of {self.version}"
        verb = "copies" if self.copies else "sends requests"
        return f"{self.route} ({verb} to {self.version or 'all versions'})"


class Rollout(Model):
    """The running rollout, or the last one."""

    number: int
    """Number of the rollout of this Canary."""
    stable_version: Version
    """The version that served at the start."""
    canary_version: Version
    """The version that is rolled out."""
    stable_replicas: int = 0
    """Replicas of the stable version at the start."""
    stable_left: int | None = None
    """The lowest reported number of stable replicas, while they are too few for a rollback."""
    stable_workload: str = ""
    """The workload of the stable version, as metrics name it."""
    canary_workload: str = ""
    """The workload of the canary, as metrics name it."""
    stable_host: str = ""
    """The service of the stable version, as metrics name it."""
    canary_host: str = ""
    """The service of the canary, as metrics name it; the same if both versions are subsets."""
    podless: str = ""
    """The only one of the two versions without an available pod; requests that reached no pod count for it."""
    plan: Plan
    """Pinned at the start."""
    policy: Policy
    """Pinned at the start."""
    generation: int = 0
    """Generation of the Canary that plan and policy were resolved from."""
    started: datetime
    """Start time."""
    deadline: datetime
    """Deadline; moved by the length of each pause, gate and guard."""
    step: int = 0
    """Index into the plan's steps, followed by its promotion."""
    desired: Traffic = Traffic()
    """The desired traffic."""
    previous: Traffic = Traffic()
    """The traffic before that; the same as `desired` once that was read back."""
    in_place_since: datetime | None = None
    """When `desired` was first read back; absent until then."""
    next_evaluation: datetime
    """Time of the next evaluation."""
    iterations: int = 0
    """Evaluations that passed in this step."""
    evaluation: EvaluationResult | None = None
    """The last evaluation of this rollout."""
    evidence: Evidence | None = None
    """The results of the evaluations so far, as the judge stores them."""
    short_since: datetime | None = None
    """Since when the canary has fewer replicas than its weight needs."""
    growing_since: datetime | None = None
    """Since when the next increase waits for replicas of the canary."""
    pause: Pause | None = None
    """A person's pause."""
    approvals: tuple[Approval, ...] = ()
    """Approvals for this step, one a person."""
    approved: tuple[Approval, ...] | None = None
    """Approvals of the step before; a guard sees them while this step's increase is repeated."""
    gates: tuple[GateWait, ...] = ()
    """The gates that this step waits for."""
    hooks: tuple[HookRun, ...] = ()
    """Calls of webhooks, and their last answers."""
    prepared: bool = False
    """The canary was available at the start, so hooks of type `pre-rollout` are called."""
    failed_before: int = 0
    """Failed checks before the first increase."""
    images: tuple[str, ...] = ()
    """Container images of the canary; the first ten."""
    stopped_at: datetime | None = None
    """Since when the clock of the deadline is stopped (pause, suspend, gate, guard)."""
    halted_at: datetime | None = None
    """Since when the clocks of the gates are stopped (pause, suspend)."""
    edited: bool = False
    """The spec was edited since the start; the edit is for the next rollout."""
    skipped: bool = False
    """A person skipped the rest of this step."""
    hurried: bool = False
    """A person asked to promote without the remaining steps."""
    highest: int = 0
    """The highest desired weight so far, in per cent."""
    unmoved: tuple[Unmoved, ...] = ()
    """Routes, mirrors and shares that this rollout doesn't move; the first twenty."""
    end: End | None = None
    """How it ends; set with the decision, before the route is changed."""

    @model_validator(mode="after")
    def _at_a_step_of_its_plan(self) -> Self:
        """A user may have edited the state."""
        count = len(self.plan.steps) + len(self.plan.promotion)
        if not 0 <= self.step < count:
            raise ValueError(f"there is no step {self.step} in its plan of {count}")
        return self


class RolloutSummary(Model):
    """A finished rollout."""

    number: int
    """Its number."""
    stable: Version
    """The version that served before."""
    canary: Version
    """The version that was rolled out."""
    started: datetime
    """Start time."""
    ended: datetime
    """End time."""
    outcome: Outcome
    """The outcome."""
    reason: Reason
    """PascalCase, stable."""
    message: str
    """One sentence."""
    weight: int = 0
    """The highest weight that the canary reached, in per cent."""


class DueAlerts(Model):
    """The alerts of a message, and what they say beside it: the state at the time of the decision."""

    due: tuple[str, ...] = ()
    """The alerts that aren't sent yet, as NAME:NAMESPACE/PROVIDER, and webhooks that aren't called yet."""
    notified: bool = False
    """Whether the message's Event was created."""
    severity: Literal["info", "warn", "error"] = "info"
    """Severity of the message."""
    phase: str = ""
    """The phase after the decision."""
    stable: str = ""
    """The stable version."""
    canary: str = ""
    """The version that is rolled out."""
    weight: int = 0
    """Desired weight of the canary, in per cent."""
    step: str = ""
    """The step and the number of steps, such as 2/5."""
    failed_checks: int = 0
    """Failed checks so far."""
    evidence: str = ""
    """The values of the last evaluation."""


class Message(Model):
    """A message for users, kept until it was delivered."""

    id: str
    """Unique within the Canary; after a crash a message may be sent twice."""
    type: EventType = "Normal"
    """As in Kubernetes' events."""
    reason: Reason
    """PascalCase, stable."""
    message: str
    """One sentence."""
    at: datetime
    """Time of the decision."""
    alerts: DueAlerts | None = None
    """Its alerts, until all are sent."""

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
    """Type of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Reason
    """PascalCase, stable."""
    message: str = ""
    """One sentence."""
    observed_generation: int = 0
    """Generation of the spec that the condition is about."""
    last_transition_time: datetime
    """Time of the last change of `status`."""


class Status(Model):
    """The status of a Canary."""

    phase: Phase = Phase.INITIALIZING
    """The phase."""
    reason: Reason = Reason.UNDECIDED
    """Reason of the last decision, in PascalCase."""
    message: str = ""
    """The last decision in one sentence."""
    observed_generation: int = 0
    """Generation of the last spec that was read."""
    canary_weight: int = 0
    """Desired weight of the canary, in per cent; 100 after a promotion."""
    failed_checks: int = 0
    """Failed checks of the running rollout, or of the last one."""
    iterations: int = 0
    """Passing evaluations in the present step."""
    stable: Version | None = None
    """The version that serves all traffic, while no rollout is running."""
    failed: Version | None = None
    """The version and revision of the last failed rollout."""
    provisioned_since: datetime | None = None
    """Since when the primary, its Services and its routes are complete, and the target gets no requests, for targets
    that have them. Counted from the end of the last rollout."""
    reverts: bool = False
    """The Canary's deletion takes back what was made for the target; until then a finalizer keeps the Canary."""
    returned_since: datetime | None = None
    """Since when nothing routes to the primary of a deleted Canary any more."""
    rollout: Rollout | None = None
    """The running rollout."""
    rollouts: int = 0
    """Number of rollouts so far."""
    history: tuple[RolloutSummary, ...] = ()
    """The last ten finished rollouts, newest first."""
    conditions: tuple[Condition, ...] = ()
    """kstatus' conditions, and `Promoted`."""
    outbox: tuple[Message, ...] = ()
    """Messages that may not be delivered yet."""
    message_count: int = 0
    """Number of messages so far."""
    actions_taken: tuple[str, ...] = ()
    """Ids of the latest actions that were processed; each counts once."""
    actions_before: datetime | None = None
    """Actions before this time were processed too; their ids are forgotten, an hour after it."""
    actions_until: str | None = None
    """Actions of exactly that time were processed up to this id; default: all of them."""
    last_transition_time: datetime | None = None
    """Time of the last change of the phase."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def step(self) -> str:
        """The present step and the number of steps, such as 2/5; empty if no rollout is running."""
        if self.rollout is None:
            return ""
        plan = self.rollout.plan
        return f"{self.rollout.step}/{len(plan.steps) + len(plan.promotion) - 1}"
