"""What holds for any rollout in any world: found by hypothesis, not by us."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.action import CanaryAction, Verb
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Outcome, Status, Version
from canary.engine.decide import Decision, decide, needs
from canary.engine.next_traffic import exposed, increases
from canary.engine.observed import Cause, Counts, Missing, Observed, Query, RouteSeen, Sample, Value, WorkloadSeen
from canary.engine.split import split
from tests.engine.situations import BETA, NOW, SECOND, deleted, good, wants
from tests.engine.situations import Case as Shown
from tests.examples import examples
from tests.moves import moves
from tests.rollout.wired import Driven, Killed, Recorded, sandbox

MISSING = st.builds(Missing, st.sampled_from(Cause), st.text(max_size=20))
TRAFFIC = st.builds(
    lambda share, match, **more: Traffic(match=match, match_weight=share if match else None, **more),
    st.sampled_from([None, 20, 70]),
    st.sampled_from([(), (BETA,)]),
    weight=st.integers(0, 100),
    mirror=st.sampled_from([0, 50]),
)
ROUTES = st.builds(
    RouteSeen,
    token=st.sampled_from(["t1", "t2"]),
    shares=st.dictionaries(st.sampled_from(["v1", "v2", "v3"]), st.floats(0, 100)),
    traffic=st.none() | TRAFFIC,
    described=st.text(max_size=10),
    destinations=st.none() | st.frozensets(st.sampled_from(["v1", "v2"])),
    rejected=st.none() | st.text(max_size=10),
)
WORKLOADS = st.builds(
    WorkloadSeen,
    name=st.just("v2"),
    replicas=st.integers(0, 20),
    available=st.integers(0, 20),
    revision=st.sampled_from(["", "a", "b"]),
    others=st.integers(0, 2),
    stuck=st.none() | st.text(min_size=1, max_size=10),
)
SAMPLES = st.one_of(
    MISSING,
    st.builds(Value, st.floats()),
    st.builds(Counts, st.integers(0, 1000), st.integers(0, 1000)),
)
VERSIONS = st.builds(Version, name=st.sampled_from(["v1", "v2", "v3"]), revision=st.sampled_from(["", "a", "b"]))
ACTIONS = st.builds(
    CanaryAction,
    id=st.uuids().map(str),
    target=st.sampled_from(["web", "other"]),
    verb=st.sampled_from(Verb),
    rollout=st.none() | st.integers(1, 3),
    step=st.none() | st.integers(0, 5),
    author=st.text(max_size=10),
    comment=st.text(max_size=10),
    at=st.just(NOW),
)
ANALYSES: tuple[Mapping[str, Any], ...] = (
    {},
    {"steps": None, "stepWeights": [5, 60], "stepWeightPromotion": 20},
    {"steps": None, "iterations": 3, "match": [BETA.wire()]},
    {"steps": None, "iterations": 2, "mirror": True},
    {"steps": [{"weight": 30, "gates": [{"approval": {"count": 2}, "timeout": "5m", "onTimeout": "promote"}]}]},
    {"onDrift": "reassert", "onNoData": {"after": "1m", "then": "promote"}},
    {"onDrift": "rollback", "onUnreachable": {"after": "1m", "then": "rollback"}, "minRequests": 100},
)


@st.composite
def world(draw: st.DrawFn, samples: st.SearchStrategy[Sample] = SAMPLES) -> dict[str, Any]:
    """What one reconcile meets, and how long it is until the next one."""
    return {
        "wanted": draw(st.one_of(st.just(Version(name="v2", revision="b")), VERSIONS, MISSING)),
        "route": draw(st.one_of(st.none(), ROUTES, MISSING)),
        "stable": draw(st.one_of(st.just(WorkloadSeen("v1", 4, 4, "a")), WORKLOADS, MISSING)),
        "canary": draw(st.one_of(st.just(WorkloadSeen("v2", 4, 4, "b")), WORKLOADS, MISSING)),
        "sample": draw(st.one_of(st.none(), samples)),
        "actions": tuple(draw(st.lists(ACTIONS, max_size=2))),
        "fresh": draw(st.booleans()),
        "obeyed": draw(st.booleans()),
        "suspended": draw(st.sampled_from([False, False, True])),
        "deleted": draw(st.sampled_from([False] * 9 + [True])),
        "seconds": draw(st.sampled_from([0, 1, 5, 60, 3600, -1])),
    }


class Walk:
    """One rollout through many reconciles, each of which sees anything at all."""

    def __init__(self, analysis: Mapping[str, Any]) -> None:
        self.want, self.status, self.now = wants(**analysis), Status(), NOW
        self.actual, self.decisions = Traffic(), list[Decision]()

    def reconcile(self, seen: dict[str, Any]) -> Decision:
        """Sees, decides, and does what was decided unless the world disobeys."""
        want = self.want
        if seen["suspended"]:
            want = replace(want, manifest=want.manifest.but(spec=want.manifest.spec.but(suspend=True)))
        if seen["deleted"]:
            want = deleted(Shown(want, self.status, self.now)).resolved
        plain = RouteSeen("t", {"v1": 100.0 - self.actual.weight, "v2": float(self.actual.weight)}, self.actual)
        self.route = seen["route"] or plain
        if isinstance(self.route, RouteSeen) and self.route.traffic is not None:
            self.actual = self.route.traffic
        queries = needs(want, self.status, self.now).queries
        samples: dict[Query, Sample] = {query: seen["sample"] or good(query) for query in queries}
        observed = Observed(
            seen["wanted"], self.route, seen["stable"], seen["canary"], samples, seen["actions"], seen["fresh"]
        )
        decision = decide(want, self.status, observed, self.now)
        self.decisions.append(decision)
        self.status, self.now = decision.status, self.now + seen["seconds"] * SECOND
        if seen["obeyed"] and decision.actions:
            self.actual = moves(decision)[-1].traffic
        return decision


WALKS = settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@WALKS
@given(st.sampled_from(ANALYSES), st.lists(world(), min_size=1, max_size=25))
def test_any_world_is_survived(analysis: Mapping[str, Any], reconciles: list[dict[str, Any]]) -> None:
    """decide() never raises; weights are whole per cent; what is asked is what is saved; status survives JSON."""
    walk = Walk(analysis)
    for seen in reconciles:
        decision = walk.reconcile(seen)
        rollout = decision.status.rollout
        assert 0 <= decision.status.canary_weight <= 100
        assert all(rollout is not None and action.traffic == rollout.desired for action in moves(decision))
        assert decision.requeue_after > timedelta()
        assert decision.sentence
        assert Status.model_validate_json(decision.status.model_dump_json(by_alias=True)) == decision.status


@WALKS
@given(st.sampled_from(ANALYSES), st.lists(world(), min_size=1, max_size=25))
def test_after_a_rollback_was_decided_exposure_never_rises_again(
    analysis: Mapping[str, Any], reconciles: list[dict[str, Any]]
) -> None:
    """Within that rollout: all that is asked is nothing."""
    walk = Walk(analysis)
    for seen in reconciles:
        before = walk.status.rollout
        decision = walk.reconcile(seen)
        if before is not None and before.end is not None and before.end.outcome is not Outcome.PROMOTED:
            assert all(action.traffic == Traffic() and action.decreases for action in moves(decision))


@WALKS
@given(st.sampled_from(ANALYSES[:5]), st.lists(world(samples=MISSING), min_size=1, max_size=25))
def test_missing_data_never_counts(analysis: Mapping[str, Any], reconciles: list[dict[str, Any]]) -> None:
    """Promise 3: no failed check and no pass comes of it, with any other event."""
    walk = Walk(analysis)
    for seen in reconciles:
        before = walk.status
        decision = walk.reconcile({**seen, "sample": seen["sample"] or Missing(Cause.EMPTY)})
        assert decision.status.failed_checks == 0
        if before.rollout and decision.status.rollout and before.rollout.step == decision.status.rollout.step:
            assert decision.status.rollout.iterations <= before.rollout.iterations


@WALKS
@given(st.sampled_from(ANALYSES), st.lists(world(), min_size=1, max_size=25))
def test_a_raise_is_always_permitted(analysis: Mapping[str, Any], reconciles: list[dict[str, Any]]) -> None:
    """Promises 2 and 7: the desired version was read and is what was analysed; so was the route, with its token."""
    walk = Walk(analysis)
    for seen in reconciles:
        decision = walk.reconcile(seen)
        for action in moves(decision):
            if action.decreases:
                continue
            assert decision.status.rollout is not None
            assert seen["wanted"] == decision.status.rollout.canary_version
            assert isinstance(walk.route, RouteSeen)
            assert action.token == walk.route.token
            assert not seen["suspended"]
            assert walk.route.traffic is None or increases(walk.route.traffic, action.traffic)


@WALKS
@given(st.sampled_from(ANALYSES), st.lists(world(), max_size=15))
def test_every_rollout_ends(analysis: Mapping[str, Any], reconciles: list[dict[str, Any]]) -> None:
    """After any past, a world without data and without people: over soon after its deadline."""
    walk = Walk(analysis)
    for seen in reconciles:
        walk.reconcile(seen)
    resume = CanaryAction(id="last", target="web", verb=Verb.RESUME, at=NOW)
    calm = {
        "wanted": Version(name="v2", revision="b"), "route": None, "stable": WorkloadSeen("v1", 4, 4, "a"),
        "canary": WorkloadSeen("v2", 4, 4, "b"), "sample": Missing(Cause.EMPTY), "actions": (resume,), "fresh": False,
        "obeyed": True, "suspended": False, "deleted": False, "seconds": 60,
    }  # fmt: skip
    rollouts = walk.status.rollouts
    for _ in range(60 * 5):
        decision = walk.reconcile(calm)
        if decision.status.rollout is None or decision.status.rollouts > rollouts + 1:
            return
    raise AssertionError(f"still going on: {decision.sentence}")


@pytest.mark.parametrize("scenario", ["good", "bad", "dead"])
@settings(max_examples=examples(25))
@given(deaths=st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=6), seed=st.integers(1, 5))
def test_killed_again_and_again_the_end_is_the_same(scenario: str, deaths: list[tuple[int, bool]], seed: int) -> None:
    """At any call, before or after it, several times in a row, each time started again from the store."""
    box = sandbox(scenario, seed=seed)
    for at, after in deaths:
        try:
            Driven(box, parts=Recorded(box, die_at=at, after=after).parts).run()
        except Killed:
            continue
    ending = Driven(box).run()
    assert ending.code is (Exit.PROMOTED if scenario == "good" else Exit.ROLLED_BACK)
    assert box.world.traffic.weight == (100 if scenario == "good" else 0)


@given(st.integers(1, 1000), st.integers(0, 100))
def test_a_split_is_exact_and_keeps_third_versions(total: int, percent: int) -> None:
    """Never rounded, never 0 for a step above 0."""
    found = split(total, percent)
    assert found.stable + found.canary == total * found.factor
    assert found.canary * 100 == percent * total * found.factor
    assert (found.canary > 0) == (percent > 0)
    assert 1 <= found.factor <= 100


@given(TRAFFIC, TRAFFIC)
def test_raising_and_lowering_are_opposites(one: Traffic, other: Traffic) -> None:
    """To where it stands and to nothing is never a raise; from nothing always, if anybody meets it."""
    assert not increases(one, one)
    assert not increases(one, Traffic())
    assert increases(Traffic(), other) == exposed(other)


@given(st.integers(1, 99), st.integers(1, 99), TRAFFIC)
def test_a_larger_share_of_those_who_match_is_an_increase(one: int, other: int, beside: Traffic) -> None:
    """As any of them is beside none, unless all requests go to the canary already."""
    before, after = (beside.but(match=(BETA,), match_weight=share) for share in (one, other))
    assert increases(before, after) == (other > one and beside.weight < 100)
