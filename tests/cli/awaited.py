"""A Canary object whose rollout takes seconds, on a clock of its own, for tests of what waits for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.action import CanaryAction
from canary.api.canary import Canary, CanarySpec, Metadata, TargetRef
from canary.api.pinned import Policy
from canary.api.plan import Plan, Step, Traffic
from canary.api.reason import Reason
from canary.api.status import End, Outcome, Phase, Rollout, RolloutSummary, Status, Version
from canary.engine.errors import Unreachable
from canary.engine.observed import Cause, Missing
from canary.engine.phases import ENDS
from canary.engine.targets import target_of
from canary.rollout.drive import Interrupts
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.stores.presence import Presence
from canary.waiting.wait import Wait, WaitTerms

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
STABLE, FIRST, SECOND = (Version(name=name, revision=one) for name, one in (("v1", "s"), ("v2", "a"), ("v2", "b")))
UNKNOWN = Missing(Cause.ABSENT, "no workload makes such pods")
CURRENT = 2
"""The generation of the spec at the beginning; what an earlier controller saw is 1."""


def at_rest(stable: Version = STABLE, reason: str = "AlreadyServing", **fields: Any) -> Status:
    """Nothing is going on."""
    known = {"phase": Phase.SUCCEEDED, "message": f"{stable} serves everything", "observed_generation": CURRENT}
    return Status(**{**known, "stable": stable, "reason": reason, **fields})


def running(canary: Version = FIRST, number: int = 1, reason: str = "Analysing", **fields: Any) -> Status:
    """In mid-rollout, at 30%."""
    rollout = Rollout(
        number=number,
        stable_version=STABLE,
        canary_version=canary,
        plan=Plan(steps=(Step(), Step(traffic=Traffic(weight=30)))),
        policy=Policy(),
        started=NOON,
        deadline=NOON + timedelta(days=1),
        step=1,
        desired=Traffic(weight=30),
        next_evaluation=NOON + timedelta(minutes=1),
    )
    known = {"phase": Phase.PROGRESSING, "message": "holding at 30%", "observed_generation": CURRENT}
    known |= {"stable": STABLE, "canary_weight": 30, "rollouts": number, "reason": reason, "rollout": rollout}
    return Status(**{**known, **fields})


def over(outcome: Outcome, canary: Version = FIRST, number: int = 1, **fields: Any) -> Status:
    """Its last rollout is over."""
    summary = RolloutSummary(
        number=number,
        stable=STABLE,
        canary=canary,
        started=NOON,
        ended=NOON + timedelta(minutes=5),
        outcome=outcome,
        reason=Reason("Reason"),
        message="as the engine says",
    )
    phase, promoted = ENDS[outcome], outcome is Outcome.PROMOTED
    known = {"phase": phase, "stable": canary if promoted else STABLE, "reason": str(outcome), "message": "over"}
    known |= {"failed": canary if phase is Phase.FAILED else None, "history": (summary,), "rollouts": number}
    return Status(**{**known, "observed_generation": CURRENT, **fields})


def draining(outcome: Outcome = Outcome.ROLLED_BACK) -> Status:
    """The end is decided, and in place."""
    status = running()
    end = End(outcome=outcome, reason=Reason("Reason"), message="decided", at=NOON)
    assert status.rollout is not None
    return status.but(phase=Phase.FINALISING, rollout=status.rollout.but(end=end, in_place_since=NOON))


@dataclass
class World:
    """The object as it is, and what will become of it. It is the ports `Followed` and `Clock` of a wait."""

    status: Status = field(default_factory=at_rest)
    revision: str | Missing = "a"
    version: str | None = "v2"
    kind: str = "VirtualService"
    spec: dict[str, Any] = field(default_factory=dict)
    generation: int = CURRENT
    deleted: bool = False
    gone: bool = False
    away: bool = False
    """The API server doesn't answer."""
    later: dict[int, Callable[["World"], None]] = field(default_factory=dict)
    """By seconds since the beginning, what happens then."""
    seconds: float = 0.0
    requests: int = 0
    unanswered: tuple[int, ...] = ()
    """Which requests alone get no answer."""
    posted: list[CanaryAction] = field(default_factory=list)
    at_work: Presence | None = None
    turns: list[Turn] = field(default_factory=list)
    interrupts: Interrupts = field(default_factory=Interrupts)

    def wait_for_it(self, terms: WaitTerms | None = None) -> Ending:
        """How a wait ends; one that never does fails."""
        return Wait(self, terms or WaitTerms(), self, self.turns.append, self.interrupts).run()

    @property
    def reported(self) -> list[str]:
        """Sentences, each once in a row."""
        said = [turn.decision.sentence for turn in self.turns]
        return [one for at, one in enumerate(said) if not at or said[at - 1] != one]

    # ---- Followed ----------------------------------------------------------------------------------------------

    def read(self) -> Canary | None:
        self._request()
        metadata = Metadata(
            name="reviews", generation=self.generation, deletion_timestamp=NOON if self.deleted else None
        )
        target = TargetRef(kind=self.kind, name="reviews")
        spec = CanarySpec(target_ref=target, version=self.version, **self.spec)
        return None if self.gone else Canary(metadata=metadata, spec=spec, status=self.status)

    def desired_version(self, canary: Canary) -> Version | Missing:
        self._request()
        _, name = target_of(canary).names(canary)
        return self.revision if isinstance(self.revision, Missing) else Version(name=name, revision=self.revision)

    def post(self, action: CanaryAction) -> str:
        self._request()
        self.posted.append(action)
        return str(len(self.posted))

    def presence(self) -> Presence | None:
        return self.at_work

    # ---- Clock -------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        assert self.seconds < 3600, f"this wait never ends: {self.reported}"
        self.seconds += seconds
        for at in [at for at in self.later if at <= self.seconds]:
            self.later.pop(at)(self)

    def _request(self) -> None:
        self.requests += 1
        if self.away or self.requests in self.unanswered:
            raise Unreachable("no answer")


def become(**fields: Any) -> Callable[[World], None]:
    """What happens: these fields of the world are others from then on."""

    def happen(world: World) -> None:
        for name, value in fields.items():
            setattr(world, name, value)

    return happen
