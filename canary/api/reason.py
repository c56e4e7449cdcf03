"""Every reason that a decision, a condition, an Event or the end of a command can have, and what follows from it.

A reason is one word for programs: PascalCase, and stable. Its sentence here is the table in docs/observability.md.
What follows from a reason (whether it is notified, whether only a person ends it, its exit code) is an attribute of
it, so a new reason is one entry in this file.
"""

from enum import Enum, Flag, StrEnum, auto
from typing import Literal, Self

from .exit_codes import Exit

EventType = Literal["Normal", "Warning"]
"""As in Kubernetes' events."""


class Topic(Enum):
    """The topic of a reason: a section of docs/observability.md."""

    MOVES = "A rollout moves"
    WAITS = "It waits"
    ROLLS_BACK = "It is rolled back"
    OVER = "It is over"
    """The reasons that are outcomes; each is notified once, when the rollout is over."""
    REMARKS = "People and edits"
    AT_REST = "At rest"
    QUIET = "No Event of their own"
    COMMAND = "Only in the output of a command"
    """Reasons with which only `run`, `wait` and `watch` end."""


class Trait(Flag):
    """What else follows from a reason."""

    NONE = 0
    CALM = auto()
    """Not printed by itself in the lines of a run."""
    PATIENT = auto()
    """A person or the calendar must end it; passing evaluations aren't printed meanwhile."""
    GUARD = auto()
    """A guard holds: the rollout's deadline doesn't run, and time alone may end it."""
    NO_EVIDENCE = auto()
    """There is no evidence; many evaluations may repeat this."""
    UNREAD = auto()
    """The controller or the run can't tell what to do."""
    TRANSIENT = auto()
    """At rest: may end without an event of a watch, so the controller reconciles again soon."""
    UNSERVED = auto()
    """At rest while another version is desired than the one that serves."""
    WARNING = auto()
    """A remark about it is a warning. For a decision, its conclusion tells (`engine/notifications.py`)."""


class Reason(StrEnum):
    """The reasons. One of a newer version, which a status may hold, is kept as it is and has no traits."""

    topic: Topic | None
    means: str
    """One sentence for users."""
    traits: Trait
    exit_code: Exit | None
    """Exit code of a command that finds the Canary at rest with this reason; None if it continues."""

    def __new__(
        cls,
        value: str,
        topic: Topic | None = None,
        means: str = "",
        traits: Trait = Trait.NONE,
        exit_code: Exit | None = None,
    ) -> Self:
        self = str.__new__(cls, value)
        self._value_, self.topic, self.means = value, topic, means
        self.traits, self.exit_code = traits, exit_code
        return self

    @classmethod
    def _missing_(cls, value: object) -> "Reason | None":
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_, unknown._value_ = "UNKNOWN", value
        unknown.topic, unknown.means, unknown.traits, unknown.exit_code = None, "", Trait.NONE, None
        return unknown

    @property
    def severity(self) -> EventType:
        """The type of a remark with this reason."""
        return "Warning" if Trait.WARNING in self.traits else "Normal"

    UNDECIDED = ""
    """No decision yet."""

    STARTED = "Started", Topic.MOVES, "Another version or revision is desired: a rollout begins."
    CANARY_READY = "CanaryReady", Topic.MOVES, "The canary's replicas are available; the first step begins."
    STEP_PASSED = "StepPassed", Topic.MOVES, "A step is complete; the next one begins."
    STEP_SKIPPED = "StepSkipped", Topic.MOVES, "A person skipped the rest of the step; the next one begins."
    PROMOTION_ASKED = "PromotionAsked", Topic.MOVES, "A person promotes the canary without the remaining steps."
    PROMOTING = "Promoting", Topic.MOVES, "All steps passed; all traffic goes to the canary."

    WAITING_FOR_APPROVAL = "WaitingForApproval", Topic.WAITS, "A gate is closed.", Trait.PATIENT
    GATE_CLOSED = (
        "GateClosed",
        Topic.WAITS,
        "A webhook that gates the step doesn't answer with a yes; it is called again after each interval.",
        Trait.PATIENT,
    )
    PAUSED = "Paused", Topic.WAITS, "A person paused the rollout, without a time limit.", Trait.PATIENT
    SUSPENDED = "Suspended", Topic.WAITS, "`spec.suspend` is true.", Trait.PATIENT | Trait.UNSERVED, Exit.GONE
    CANARY_NOT_READY = (
        "CanaryNotReady",
        Topic.WAITS,
        "Fewer replicas of the canary are available than the next weight needs.",
    )
    CAPACITY_UNKNOWN = "CapacityUnknown", Topic.WAITS, "The number of replicas can't be read."
    OTHER_REVISION_SERVES = (
        "OtherRevisionServes",
        Topic.WAITS,
        "Pods of another revision still serve in the canary's version.",
    )
    DESTINATION_MISSING = "DestinationMissing", Topic.WAITS, "There is no such subset or cluster to send requests to."
    STABLE_UNAVAILABLE = (
        "StableUnavailable",
        Topic.WAITS,
        "No replica of the stable version is available, so a rollback would have no destination.",
    )
    NOTHING_TO_GO_BACK_TO = (
        "NothingToGoBackTo",
        Topic.WAITS,
        "The rollout should be rolled back, but no replica of the stable version is available; at 100%, `promote` or"
        " a newer version ends it, and below 100% a newer version if the canary has no replica either.",
    )
    TRAFFIC_DRIFT = "TrafficDrift", Topic.WAITS, "Another client changed the route; `onDrift` says what follows."
    ROUTE_UNREADABLE = "RouteUnreadable", Topic.WAITS, "The route can't be read.", Trait.UNREAD | Trait.TRANSIENT
    ROUTE_REJECTED = (
        "RouteRejected",
        Topic.WAITS,
        "The proxy or the cluster refused the route; the sentence has its words.",
    )
    REVISION_UNKNOWN = (
        "RevisionUnknown",
        Topic.WAITS,
        "The desired version or its revision can't be read, so nothing is increased.",
        Trait.UNREAD | Trait.TRANSIENT,
    )
    INVALID_SPEC = (
        "InvalidSpec",
        Topic.WAITS,
        "The manifest is wrong; the sentence names the field.",
        Trait.NONE,
        Exit.INVALID,
    )
    CONFLICT = "Conflict", Topic.WAITS, "Another Canary or run moves the same target.", Trait.TRANSIENT, Exit.LOCKED
    GUARD_HOLDS = (
        "GuardHolds",
        Topic.WAITS,
        "A guard of the Canary or its policy blocks the next step until its expression is true.",
        Trait.GUARD | Trait.PATIENT,
    )
    GUARD_ERROR = (
        "GuardError",
        Topic.WAITS,
        "A guard can't be evaluated, which blocks the next step until a person corrects the guard.",
        Trait.GUARD | Trait.PATIENT,
    )
    PROVISIONING = "Provisioning", Topic.WAITS, "The primary, its Services and its routes are made.", Trait.UNSERVED
    PRIMARY_NOT_READY = "PrimaryNotReady", Topic.WAITS, "The primary has fewer available replicas than it needs."
    NO_DATA = "NoData", Topic.WAITS, "Metrics have no value; `onNoData` says what follows.", Trait.NO_EVIDENCE
    METRICS_UNREACHABLE = (
        "MetricsUnreachable",
        Topic.WAITS,
        "Metrics can't be read; at 0% nothing is increased until they can, above that `onUnreachable` says what"
        " follows.",
        Trait.NO_EVIDENCE,
    )
    SHARED_OUTAGE = (
        "SharedOutage",
        Topic.WAITS,
        "The canary misses the objective, but stable is no better; `onInconclusive` says what follows.",
    )
    METRICS_READABLE = "MetricsReadable", Topic.WAITS, "Each metric could be read before the first weight."

    SUCCESS_RATE_BELOW_MINIMUM = (
        "SuccessRateBelowMinimum",
        Topic.ROLLS_BACK,
        "request-success-rate is below its range; the rollout holds until the threshold of failed checks is reached.",
    )
    DURATION_ABOVE_MAXIMUM = (
        "DurationAboveMaximum",
        Topic.ROLLS_BACK,
        "request-duration is above its range; as above, it holds first.",
    )
    METRIC_BELOW_MINIMUM = (
        "MetricBelowMinimum",
        Topic.ROLLS_BACK,
        "Another metric is below its range; as above, it holds first.",
    )
    METRIC_ABOVE_MAXIMUM = (
        "MetricAboveMaximum",
        Topic.ROLLS_BACK,
        "Another metric is above its range; as above, it holds first.",
    )
    CANARY_WORSE = (
        "CanaryWorse",
        Topic.ROLLS_BACK,
        "The judge `sequential` has proof that the canary errs more than stable, or is slower.",
    )
    OBJECTIVE_MISSED = (
        "ObjectiveMissed",
        Topic.ROLLS_BACK,
        "The judge `sequential` has proof that the canary misses the objective, and stable doesn't do as badly.",
    )
    INCONCLUSIVE = (
        "Inconclusive",
        Topic.ROLLS_BACK,
        "A step got no verdict for as long as `onInconclusive` allows.",
    )
    HOOK_FAILED = (
        "HookFailed",
        Topic.ROLLS_BACK,
        "A webhook that checks the canary failed; as above, it holds first.",
    )
    ROLLBACK_HOOK = "RollbackHook", Topic.ROLLS_BACK, "A webhook of type `rollback` asked for a rollback."
    TOO_MANY_FAILED_CHECKS = (
        "TooManyFailedChecks",
        Topic.ROLLS_BACK,
        "The threshold of failed checks is reached, though the last evaluation didn't fail.",
    )
    CANARY_UNAVAILABLE = (
        "CanaryUnavailable",
        Topic.ROLLS_BACK,
        "No replica of the canary is available, or too few for longer than `unreadyGrace`.",
    )
    PROMOTION_FAILED = (
        "PromotionFailed",
        Topic.ROLLS_BACK,
        "The primary doesn't get ready with the analysed template; it gets the last promoted one again.",
    )
    CANARY_NEVER_READY = "CanaryNeverReady", Topic.ROLLS_BACK, "The canary didn't become available in time."
    GATE_TIMED_OUT = (
        "GateTimedOut",
        Topic.ROLLS_BACK,
        "A gate was closed until its time-out, and its `onTimeout` is `rollback`.",
    )
    DEADLINE_PASSED = "DeadlinePassed", Topic.ROLLS_BACK, "The rollout took longer than `analysis.deadline`."
    UNSAVED_ROLLBACK = (
        "UnsavedRollback",
        Topic.ROLLS_BACK,
        "After a crash: a rollback was under way that could not be saved.",
    )
    ALERT_FIRED = "AlertFired", Topic.ROLLS_BACK, "An alert fired that `rollbackOn` names."
    REJECTED_BY_PERSON = "RejectedByPerson", Topic.ROLLS_BACK, "A person rejected it or rolled it back."

    PROMOTED = "Promoted", Topic.OVER, "The canary serves all traffic."
    ROLLED_BACK = (
        "RolledBack",
        Topic.OVER,
        "The stable version serves all traffic again; this stays until another revision or a retry.",
        Trait.NONE,
        Exit.ROLLED_BACK,
    )
    REJECTED = "Rejected", Topic.OVER, "The same, because a person asked for it.", Trait.NONE, Exit.REJECTED
    SUPERSEDED = (
        "Superseded",
        Topic.OVER,
        "Another version or revision is desired now; its rollout begins.",
        Trait.UNSERVED,
    )
    RETURNED = "Returned", Topic.OVER, "`version` was set back to the stable one."
    DELETED = "Deleted", Topic.OVER, "The Canary was deleted.", Trait.NONE, Exit.GONE

    APPROVE_ASKED = (
        "ApproveAsked",
        Topic.REMARKS,
        "A person approved a gate; the sentence names the person, and says whether that was verified.",
    )
    REJECT_ASKED = "RejectAsked", Topic.REMARKS, "A person rejected the rollout."
    PAUSE_ASKED = "PauseAsked", Topic.REMARKS, "A person paused the rollout."
    RESUME_ASKED = "ResumeAsked", Topic.REMARKS, "A person ended the pause."
    SKIP_ASKED = "SkipAsked", Topic.REMARKS, "A person asked to skip the rest of a step."
    PROMOTE_ASKED = "PromoteAsked", Topic.REMARKS, "A person asked to promote without the remaining steps."
    ROLLBACK_ASKED = "RollbackAsked", Topic.REMARKS, "A person or an alert asked for a rollback."
    RETRY_ASKED = "RetryAsked", Topic.REMARKS, "A person asked to try again what failed."
    ACTION_REFUSED = (
        "ActionRefused",
        Topic.REMARKS,
        "An action that can't be followed; the sentence says why.",
        Trait.WARNING,
    )
    EDITED_LATER = (
        "EditedLater",
        Topic.REMARKS,
        "The analysis was edited during the rollout, or an upgrade changed defaults; the next rollout uses it.",
    )
    MANIFEST_WARNING = (
        "ManifestWarning",
        Topic.REMARKS,
        "A rollout starts, though a field is not used or is probably a mistake, as `canary lint` warns.",
        Trait.WARNING,
    )
    STABLE_CHANGED = (
        "StableChanged",
        Topic.REMARKS,
        "The stable version has another revision now; the evidence starts again.",
        Trait.WARNING,
    )
    ROUTES_UNMOVED = (
        "RoutesUnmoved",
        Topic.REMARKS,
        "The rollout doesn't move these routes, mirrors or shares; a warning if they fail once the stable version is"
        " stopped.",
    )
    STABLE_SHRANK = (
        "StableShrank",
        Topic.REMARKS,
        "The stable version has fewer replicas than a rollback needs.",
        Trait.WARNING,
    )

    UNANALYSED_REVISION = (
        "UnanalysedRevision",
        Topic.AT_REST,
        "A revision serves all traffic that no rollout has judged, or that failed before the route was edited.",
        Trait.NONE,
        Exit.UNANALYSED,
    )
    ALREADY_FAILED = (
        "AlreadyFailed",
        Topic.AT_REST,
        "The desired revision failed before, and the sentence says why; retry, or bring another revision.",
        Trait.NONE,
        Exit.ROLLED_BACK,
    )
    STABLE_UNKNOWN = (
        "StableUnknown",
        Topic.AT_REST,
        "Several versions carry weight; `spec.stable` must say which one is stable.",
        Trait.TRANSIENT,
        Exit.INVALID,
    )
    STABLE_IS_WANTED = (
        "StableIsWanted",
        Topic.AT_REST,
        "`stable` and `version` are the same, and don't serve all traffic.",
        Trait.TRANSIENT,
        Exit.INVALID,
    )
    NOTHING_SERVES = (
        "NothingServes",
        Topic.AT_REST,
        "No version carries weight, or `host` or `routes` names something that doesn't exist.",
        Trait.NONE,
        Exit.INVALID,
    )

    ANALYSING = "Analysing", Topic.QUIET, "The step is held and evaluated.", Trait.CALM
    SETTLING = "Settling", Topic.QUIET, "New traffic settles before it is judged.", Trait.CALM
    HOOK_PENDING = "HookPending", Topic.QUIET, "A webhook was called, and its answer is awaited.", Trait.CALM
    GATHERING_EVIDENCE = (
        "GatheringEvidence",
        Topic.QUIET,
        "The judge `sequential` needs more requests before the step can end; `onInconclusive` says what follows.",
        Trait.CALM,
    )
    CHECKS_PASSED = "ChecksPassed", Topic.QUIET, "All checks of the last evaluation passed.", Trait.CALM
    WAITING_FOR_ROUTE = "WaitingForRoute", Topic.QUIET, "The desired traffic isn't in effect yet.", Trait.CALM
    DRAINING = "Draining", Topic.QUIET, "The version without weight stays for `drain`, to answer what it has begun."
    REVERTING = "Reverting", Topic.QUIET, "The Canary was deleted; what was made for the target is taken back."
    SCALING_DOWN = "ScalingDown", Topic.QUIET, "The target is scaled to zero: the primary serves all traffic."
    ALREADY_SERVING = (
        "AlreadyServing",
        Topic.QUIET,
        "The desired version serves all traffic.",
        Trait.NONE,
        Exit.PROMOTED,
    )
    STATUS_UNREADABLE = (
        "StatusUnreadable",
        Topic.QUIET,
        "The status was edited and can't be read; nothing moves until a person corrects it. The sentence says how.",
    )
    CONTROLLER_ERROR = (
        "ControllerError",
        Topic.QUIET,
        "The reconcile failed, and the controller retries; its log has the traceback.",
    )

    INTERRUPTED = "Interrupted", Topic.COMMAND, "The command was interrupted."
    TIMED_OUT = "TimedOut", Topic.COMMAND, "The rollout wasn't over within `--timeout`."
    OUTCOME_UNKNOWN = (
        "OutcomeUnknown",
        Topic.COMMAND,
        "The rollout's end was decided, but isn't in effect; the command no longer waits for it.",
    )
    NOTHING_RUNS = "NothingRuns", Topic.COMMAND, "No rollout is running, and none has ended yet."
    NOT_SEEN_YET = "NotSeenYet", Topic.COMMAND, "The status doesn't speak of the desired version yet."
