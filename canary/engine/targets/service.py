"""The Service target: which pods a Service selects is rolled out, and the pods are the user's.

What was promoted last stands in a copy of the Service, the primary; another copy, the canary's, has what is analysed.
Nothing is scaled: otherwise the stages are those of `primary.py`.
"""

from collections.abc import Iterator

from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Outcome
from canary.engine.next_traffic import exposed
from canary.engine.observed import WorkloadSeen
from canary.engine.outcome import Finding, Serve
from canary.engine.situation import Situation
from canary.engine.targets.target import Idle

from .primary import RULES, VERSIONS, PrimaryTarget, left_over, serves_already, thresholds
from .target import DONE, IdleRule, Stage


def pushed_to_serving_pods(s: Idle) -> Finding | None:
    """Users met another build of the pods that serve as soon as it was pushed: it can't be analysed any more."""
    seen, stable = s.observed.stable_workload, s.status.stable
    if serves_already(s) is None or stable is None or not isinstance(seen, WorkloadSeen) or not seen.unjudged:
        return None
    sentence = (
        f"{stable} serves all traffic, but build {seen.unjudged} of {seen.name} was pushed to the pods that served, "
        "and wasn't judged; push to other pods, and let the Service select those"
    )
    return Finding(Serve(stable, analysed=False), Reason.UNANALYSED_REVISION, sentence)


def _rules() -> Iterator[IdleRule]:
    for rule in RULES:
        if rule is serves_already:
            yield pushed_to_serving_pods
        if rule is not left_over:
            yield rule


class ServiceTarget(PrimaryTarget):
    """See the module."""

    idle = tuple(_rules())

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """The user's pods are enough. What goes back to the primary needs none."""
        if s.copying:
            return DONE
        stage = VERSIONS.prepare(s, traffic)
        return stage if not stage.done else thresholds(s)

    def release(self, s: Situation) -> Stage:
        """The primary has what serves, and the other pods have answered what they had begun: its owner may stop
        them then."""
        end, since = s.rollout.end, s.rollout.in_place_since
        if end is None or since is None or end.outcome is Outcome.SUPERSEDED:
            return DONE
        goes_back = end.outcome is Outcome.DELETED and s.status.reverts
        stage = self.serves(s, goes_back)
        if not stage.done or exposed(s.rollout.desired) or end.outcome is Outcome.DELETED:
            return stage
        if since + s.rollout.policy.drain <= s.now:
            return DONE
        drain = s.rollout.policy.drain.total_seconds()
        return Stage(False, Reason.DRAINING, f"pods that get no requests any more drain for {drain:g}s")
