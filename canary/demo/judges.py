"""Two judges on the same new version at the same time, each with a route of its own on one Envoy, and equal loads.

`judges_story.py` is what people read of it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary.rollout.drive import Interrupts
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import HEALTHY, Behaviour

from .load import Counted, Tally
from .stage import SEQUENTIAL, DemoStage

JUDGES = ("threshold", SEQUENTIAL)
"""They are the names of their routes, too."""


def version_of(number: int, judge: str) -> str:
    """An Envoy cluster: each route has its own, so that Envoy counts the two rollouts apart."""
    return f"v{number}-{judge}"


def sites(canary: Behaviour) -> dict[str, dict[str, Behaviour]]:
    """What stands behind each route: a healthy v1, and a v2 that behaves like this."""
    return {judge: {version_of(1, judge): HEALTHY, version_of(2, judge): canary} for judge in JUDGES}


@dataclass
class EvaluationsSeen:
    """What the evaluations of one rollout tell."""

    evaluations: list[datetime] = field(default_factory=list)
    """The nominal times of those that judged the canary."""
    late: timedelta = timedelta()
    """The most that one of them came after its time."""
    ending: Ending | None = None
    end_said: bool = False
    """Whether people have read why it ends."""

    def __call__(self, turn: Turn) -> bool:
        """Whether the turn has judged the canary."""
        rollout = turn.decision.status.rollout
        if rollout is None or rollout.evaluation is None or rollout.evidence is None:
            return False
        at = rollout.evaluation.at
        if at in self.evaluations:
            return False
        self.evaluations.append(at)
        self.late = max(self.late, turn.at - at)
        return True

    def skipped(self, interval: timedelta) -> int:
        """Evaluations that were due between two others, and weren't made."""
        pairs = zip(self.evaluations, self.evaluations[1:], strict=False)
        return sum(max(round((after - before) / interval) - 1, 0) for before, after in pairs)


@dataclass(frozen=True)
class JudgedRollout:
    """How one of the rollouts went, once the load has ended."""

    judge: str
    seen: EvaluationsSeen
    ending: Ending
    canary: Tally | None
    """None where it got no request."""
    stable: Tally | None

    @property
    def evaluations(self) -> int:
        """Until the end of the rollout."""
        return len(self.seen.evaluations)

    @property
    def seconds(self) -> float:
        """From the first request that the canary got to the last one."""
        return self.canary.left - self.canary.first if self.canary else 0.0

    @property
    def requests(self) -> int:
        return self.canary.requests if self.canary else 0

    @property
    def failed(self) -> int:
        return self.canary.failed if self.canary else 0


Report = Callable[[str, EvaluationsSeen, Turn], None]
"""Gets the judge, what was seen of its rollout so far, and the turn; from two threads."""


def roll_out(running: tuple[DemoStage, ...], interrupts: Interrupts, report: Report) -> dict[str, EvaluationsSeen]:
    """Both rollouts to their ends, by judge. What one of them raises ends the other as well."""
    seen = {one.route: EvaluationsSeen() for one in running}

    def one(stage: DemoStage) -> None:
        mine = seen[stage.route]
        try:
            mine.ending = stage.roll_out(lambda turn: report(stage.route, mine, turn))
        except BaseException:
            interrupts.count += 1
            raise

    for stage in running:
        stage.want(version_of(2, stage.route), stage.route)
    with ThreadPoolExecutor(len(running), thread_name_prefix="judge") as pool:
        over: list[Future[None]] = [pool.submit(one, stage) for stage in running]
    for future in over:
        future.result()
    return seen


def results(seen: dict[str, EvaluationsSeen], counted: Counted) -> Iterator[JudgedRollout]:
    """What came of each rollout, in the order of `JUDGES`."""
    for judge in JUDGES:
        ending = seen[judge].ending
        assert ending is not None
        canary, stable = (counted.load.get(version_of(number, judge)) for number in (2, 1))
        yield JudgedRollout(judge, seen[judge], ending, canary, stable)
