"""The judge `sequential`: it rolls back on proof, and increases once enough is known.

Each evaluation adds the requests since the last one. The evidence may be looked at after each of them: a healthy
canary is rolled back in at most 1 of 100 rollouts (`falseRollbackRate`), however many evaluations there are.
`canary/engine/statistics` has the formulas, and imports numpy: this file and those beside it import it when a rollout
is judged. `sequential_lanes.py` says what is counted, `sequential_words.py` what people read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from canary.api.duration import brief
from canary.api.evidence import Evidence
from canary.api.pinned import Policy, SequentialPolicy
from canary.api.plan import Answer
from canary.api.reason import Reason
from canary.engine.formats import moment
from canary.engine.observed import Cause, Query, Sample

from . import sequential_lanes as lanes
from . import sequential_words as words
from .judge import Ruling, Standing, Verdict
from .sequential_lanes import Lane, LaneCounts
from .sequential_memory import NAME, SequentialMemory, kept, ours, remembered
from .sequential_words import Findings
from .threshold import cut, settled
from .waits import Clocks, answer, bear, wait

if TYPE_CHECKING:
    from canary.engine.statistics.state import Design, State

__all__ = ["NAME", "Sequential", "design_for"]

LONGEST = timedelta(hours=1)
"""The longest window: what happened before it, while nothing could be read, is lost."""


class Sequential:
    """See the module."""

    def asks(self, policy: Policy, evidence: Evidence | None, standing: Standing) -> Sequence[Query]:
        """Counts of the canary and of stable since the last evaluation, so that windows tile."""
        asked = lanes.queries(policy, standing, _windows(policy, _times(evidence), standing))
        return tuple(dict.fromkeys(asked))

    def fold(
        self, policy: Policy, evidence: Evidence | None, evaluation: Mapping[Query, Sample], standing: Standing
    ) -> Ruling:
        """One more evaluation."""
        from canary.engine.statistics import decision, storage
        from canary.engine.statistics.state import look_of

        chosen = lanes.lanes_of(policy)
        keys = [lane.key for lane in chosen]
        memory, state = remembered(evidence, keys)
        if not chosen:
            return Ruling(
                Verdict.HOLD, kept(memory, state, keys, _latest(evidence, standing)), Reason.NO_DATA, words.NOTHING
            )
        windows = _windows(policy, _times(evidence), standing)
        memory = _begun(memory, standing)
        if state.step != max(standing.step, 1):
            memory = replace(memory, inconclusive_since=None, again_since=None)
        counted = lanes.counted(policy, chosen, evaluation, standing, windows, _warm(policy, memory, standing))
        if not _again(evidence, standing):
            memory = replace(memory, together=_together(memory, counted, chosen, state))
        design = design_for(policy, chosen, standing.steps, memory.together or ())
        if not _again(evidence, standing):
            look = look_of(counted.lanes)
            state = storage.rounded(decision.fold(state, look, max(standing.step, 1), design))
            memory = replace(memory, up_to=_up_to(policy, memory, counted, standing))
            if state.ongoing.any():
                memory = replace(memory, again_since=standing.at.isoformat())
        known = words.known(policy, chosen, state, design, counted)
        memory = _counting(policy, memory, known, standing)
        verdict, reason, sentence = _rule(policy, memory, known, standing)
        return Ruling(
            verdict,
            kept(memory, state, keys, _latest(evidence, standing)),
            reason,
            sentence,
            words.checks(policy, known),
            memory.failed_checks + standing.failed_before,
            words.weighing(known, max(windows.values())),
        )


def _times(evidence: Evidence | None) -> Mapping[str, str]:
    return evidence.data["memory"].get("up_to", {}) if evidence is not None and ours(evidence) else {}


def _windows(policy: Policy, up_to: Mapping[str, str], standing: Standing) -> lanes.Windows:
    """For each metric since the end of its last window, so that windows tile; the first one is as long as an
    evaluation, cut like those of `threshold`."""
    found = {}
    for metric in lanes.judged(policy):
        since = standing.at - datetime.fromisoformat(up_to[metric.name]) if metric.name in up_to else None
        usual = since is None or since <= timedelta()
        found[metric.name] = cut(policy.interval, policy, standing) if since is None or usual else min(since, LONGEST)
    return found


def _again(evidence: Evidence | None, standing: Standing) -> bool:
    """Whether this time is counted already: a clock that was set back, or a second evaluation."""
    return evidence is not None and ours(evidence) and evidence.up_to is not None and evidence.up_to >= standing.at


def _latest(evidence: Evidence | None, standing: Standing) -> datetime:
    """The time of the latest evaluation, also after one by a clock that was set back: what is counted isn't again."""
    if evidence is not None and ours(evidence) and evidence.up_to is not None:
        return max(evidence.up_to, standing.at)
    return standing.at


def _up_to(policy: Policy, memory: SequentialMemory, counted: LaneCounts, standing: Standing) -> Mapping[str, str]:
    """Where the next windows begin: a metric that had no answer is asked again for the same time.

    Not where its source hasn't watched for the whole window, for it never will have: what it missed is lost.
    """
    now = standing.at.isoformat()
    return {
        one.name: memory.up_to.get(one.name, now) if one.name in counted.unread else now
        for one in lanes.judged(policy)
    }


def _together(
    memory: SequentialMemory, counted: LaneCounts, chosen: Sequence[Lane], state: "State"
) -> Sequence[str] | None:
    """The metrics whose counts of both versions have always been of the same moments, with this evaluation.

    None becomes one of them later, for the evaluation before would still have to wait for this one.
    """
    seen = {lane.metric for lane, total in zip(chosen, state.sums.total, strict=True) if total > 0}
    new = {metric for metric, same in counted.together.items() if same} - seen
    return sorted(new | {one for one in memory.together or () if counted.together.get(one, True)}) or None


def _begun(memory: SequentialMemory, standing: Standing) -> SequentialMemory:
    if memory.began is None and standing.exposed:
        return replace(memory, began=standing.at.isoformat())
    return memory


def _warm(policy: Policy, memory: SequentialMemory, standing: Standing) -> bool:
    """Whether latency counts. Errors always do: a canary that fails while it warms up has failed."""
    given = policy.sequential or SequentialPolicy()
    return memory.began is not None and standing.at - datetime.fromisoformat(memory.began) >= given.warmup


def design_for(policy: Policy, chosen: Sequence[Lane], steps: int, together: Collection[str] = ()) -> "Design":
    """Of a policy's lanes, for a plan of so many steps, the start included; `together` are the metrics whose counts
    of both versions are of the same moments."""
    from canary.engine.statistics.state import design_of

    given = policy.sequential or SequentialPolicy()
    scrape = min(policy.scrape_interval / policy.interval, 1.0)
    return design_of(
        alpha=given.false_rollback_rate,
        effect=given.min_effect,
        lanes=tuple((lane.weight, lane.allowed, lane.gates) for lane in chosen),
        steps=max(steps - 1, 1),
        skew=[0.0 if lane.metric in together else scrape for lane in chosen],
        metrics=tuple(lane.metric for lane in chosen),
    )


def _counting(policy: Policy, memory: SequentialMemory, known: Findings, standing: Standing) -> SequentialMemory:
    """With the clocks of this evaluation, and one more failed check where a hook said no."""
    clocks = wait(Clocks(memory.no_data_since, memory.unreachable_since), known.counted.missing, standing)
    runs = standing.exposed and not standing.paused and settled(policy, standing)
    waits = runs and known.state.sums.step_total.any() and not (known.weighed.advance or known.weighed.roll_back)
    since = memory.inconclusive_since or standing.at.isoformat()
    return replace(
        memory,
        no_data_since=clocks.no_data_since,
        unreachable_since=clocks.unreachable_since,
        failed_checks=memory.failed_checks + bool(_refused(standing)),
        inconclusive_since=since if waits else None,
    )


def _refused(standing: Standing) -> list[str]:
    return [f"the hook {one.metric} failed: {one.detail}" for one in standing.hooks if one.result == "failed"]


def _rule(
    policy: Policy, memory: SequentialMemory, known: Findings, standing: Standing
) -> tuple[Verdict, Reason, str]:
    """The order is the argument: what is known to be bad, what is not known, what is known to be good."""
    count, refused = memory.failed_checks + standing.failed_before, _refused(standing)
    worse = count >= policy.threshold
    if bool(known.weighed.roll_back):
        return Verdict.ROLL_BACK, *words.proof(known)
    if refused:
        said = f"{', '.join(refused)} ({count} of {policy.threshold} failed checks)"
        return (Verdict.ROLL_BACK if worse else Verdict.HOLD), Reason.HOOK_FAILED, said
    if worse:
        return Verdict.ROLL_BACK, Reason.TOO_MANY_FAILED_CHECKS, f"{count} failed checks"
    if not settled(policy, standing):
        return Verdict.HOLD, Reason.SETTLING, "the new traffic settles before it is judged"
    missing = known.counted.missing
    if missing and (ruling := _borne(policy, memory, known, standing)) is not None:
        return ruling
    awaited = next((one.metric for one in standing.hooks if one.result == "missing"), None)
    if awaited is not None:
        return Verdict.HOLD, Reason.HOOK_PENDING, f"waiting for the answer of the hook {awaited}"
    if missing or bool(known.weighed.advance):
        said = "passed without data, as the manifest asks" if missing else words.fine(known)
        return Verdict.PASS, Reason.CHECKS_PASSED, said + _again_since(memory, known, standing)
    return _inconclusive(policy, memory, known, standing)


def _borne(
    policy: Policy, memory: SequentialMemory, known: Findings, standing: Standing
) -> tuple[Verdict, Reason, str] | None:
    """What missing metrics amount to, and how to get requests where there are none.

    With little traffic some evaluations have no request: after the step's first one that is no news.
    """
    clocks, missing = Clocks(memory.no_data_since, memory.unreachable_since), known.counted.missing
    ruling = bear(policy, clocks, missing, standing)
    if ruling is None or ruling[0] is not Verdict.HOLD or any(why.cause is not Cause.EMPTY for _, why in missing):
        return ruling
    verdict, reason, sentence = ruling
    if len(missing) < len(lanes.judged(policy)):
        return ruling
    if not known.state.sums.step_total.any() or clocks.no_data_since is None:
        return verdict, reason, sentence + words.SEND
    verdict, reason, sentence = _inconclusive(policy, memory, known, standing)
    if verdict is not Verdict.HOLD:
        return verdict, reason, sentence
    since, limit = datetime.fromisoformat(clocks.no_data_since), policy.on_no_data
    lately = f"{sentence}; no requests since {moment(since, standing.at)}{answer(limit, since, standing)}"
    return verdict, reason, lately + (words.SEND if standing.at - since >= limit.after else "")


def _inconclusive(
    policy: Policy, memory: SequentialMemory, known: Findings, standing: Standing
) -> tuple[Verdict, Reason, str]:
    """Neither proof against the canary nor enough for it: what `onInconclusive` says, once it has lasted so long."""
    reason, sentence = words.open_question(known)
    sentence += _again_since(memory, known, standing)
    if memory.inconclusive_since is None:
        return Verdict.HOLD, reason, sentence
    limit = (policy.sequential or SequentialPolicy()).on_inconclusive
    began = datetime.fromisoformat(memory.inconclusive_since)
    lasted = standing.at - began
    if lasted < limit.after or limit.then is Answer.HOLD:
        since = f", since {moment(began, standing.at)}" if answer(limit, began, standing) else ""
        return Verdict.HOLD, reason, f"{sentence}{since}{answer(limit, began, standing)}"
    if limit.then is Answer.PROMOTE:
        return Verdict.PASS, Reason.CHECKS_PASSED, f"passed without proof, as the manifest asks: {sentence}"
    return Verdict.ROLL_BACK, Reason.INCONCLUSIVE, f"{sentence}, for {brief(lasted)}"


def _again_since(memory: SequentialMemory, known: Findings, standing: Standing) -> str:
    """Which requests count, where a shared outage in this step has ended."""
    if memory.again_since is None or not (why := words.ended(known)):
        return ""
    return f" (counting again since {moment(datetime.fromisoformat(memory.again_since), standing.at)}: {why})"
