"""What starts a rollout of versions: each row of the design's table, and what is refused with a reason."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.plan import ApprovalGate, Gate, Traffic
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.engine.actions import SetTraffic
from canary.engine.decide import decide, needs
from canary.engine.observed import Cause, Missing, RouteSeen, WorkloadSeen
from canary.engine.phases import Need
from tests.engine.situations import (
    CANARY,
    MINUTE,
    NOW,
    STABLE,
    Case,
    Change,
    after,
    asks,
    at_20_percent,
    at_rest,
    at_step,
    changed,
    decided,
    deleted,
    ended,
    failing,
    invalid,
    later,
    no_pods,
    paused,
    pods,
    route_at,
    route_says,
    spec,
    suspended,
    unknown_revision,
    wanted,
    wants,
)
from tests.engine.situations import SECOND as S
from tests.moves import moves


def serves(**shares: float) -> Change:
    """Versions carry these shares, and the pair isn't known yet."""
    return lambda case: replace(case, route=RouteSeen("t1", shares, None, "several"))


def knows(**fields: Any) -> Change:
    """Status remembers this."""
    return lambda case: replace(case, status=case.status.but(**fields))


def promoted(case: Case) -> Case:
    """v2 has taken over from v1."""
    fields: dict[str, Any] = {"started": NOW, "ended": NOW, "reason": "Promoted", "message": "", "weight": 100}
    summary = RolloutSummary(number=1, stable=STABLE, canary=CANARY, outcome=Outcome.PROMOTED, **fields)
    return knows(phase=Phase.SUCCEEDED, stable=CANARY, history=(summary,))(case)


def stays(reason: str, phase: Phase = Phase.INITIALIZING) -> tuple[str, Phase, None]:
    """No rollout."""
    return reason, phase, None


def gate(since: int) -> Change:
    """A person has to open the start, and hasn't since so many seconds."""
    closed = Gate(approval=ApprovalGate())

    def change(case: Case) -> Case:
        start, *others = case.rollout.plan.steps
        plan = case.rollout.plan.but(steps=(start.but(gates=(closed,)), *others))
        return case.but(plan=plan, stopped_at=NOW - since * S)

    return change


def undefined(version: str) -> Change:
    """What stands behind the version isn't there."""
    return lambda case: replace(case, desired_version=Missing(Cause.ABSENT, f"no subset {version}"))


def because(message: str) -> Change:
    """The rollout ended for this."""
    return lambda case: case.but(end=case.rollout.end and case.rollout.end.but(message=message))


V1C = Version(name="v1", revision="c")
STARTED = ("Started", Phase.WAITING, "v1 → v2 (b)")
AGAIN = ("Started", Phase.WAITING, "v1 (a) → v2 (b)")
SUCCEEDED = {"phase": Phase.SUCCEEDED, "stable": STABLE}
FAILED = {"phase": Phase.FAILED, "stable": STABLE, "failed": CANARY}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([], STARTED, id="first sight, another version serves: rollout"),
        pytest.param([serves(v2=100)], stays("AlreadyServing", Phase.INITIALIZED), id="first sight: serves already"),
        pytest.param([serves(v1=100, v2=0)], STARTED, id="a version without weight doesn't serve"),
        pytest.param([knows(**SUCCEEDED), serves(v2=100)], stays("AlreadyServing", Phase.SUCCEEDED),
                     id="after success, all as wanted"),
        pytest.param([knows(**SUCCEEDED)], AGAIN, id="version isn't the one that serves all: rollout"),
        pytest.param([knows(**FAILED)], stays("AlreadyFailed", Phase.FAILED), id="the same build failed last"),
        pytest.param([knows(**FAILED), serves(v2=100)], stays("UnanalysedRevision", Phase.INITIALIZED),
                     id="a person moved the route to the build that failed"),
        pytest.param([knows(**FAILED | {"phase": Phase.INITIALIZED, "stable": CANARY}), serves(v2=100)],
                     stays("UnanalysedRevision", Phase.INITIALIZED), id="and it is said as long as it serves"),
        pytest.param([knows(**FAILED), serves(v2=100), asks(Verb.RETRY)], stays("AlreadyServing", Phase.INITIALIZED),
                     id="until a person says retry"),
        pytest.param([knows(**FAILED), wanted("v2", "c")], ("Started", Phase.WAITING, "v1 (a) → v2 (c)"),
                     id="the same version in another build"),
        pytest.param([knows(**FAILED), wanted("v3")], ("Started", Phase.WAITING, "v1 (a) → v3 (b)"),
                     id="another version after a failure"),
        pytest.param([knows(**FAILED), asks(Verb.RETRY)], AGAIN, id="the same build, and a person says retry"),
        pytest.param([knows(**FAILED), wanted("v1", "a")], stays("AlreadyServing", Phase.INITIALIZED),
                     id="back to what serves after a failure"),
        pytest.param([knows(**SUCCEEDED | {"stable": V1C}), wanted("v1", "d")],
                     stays("UnanalysedRevision", Phase.SUCCEEDED), id="a push to the version that serves all"),
        pytest.param([serves(v1=70, v2=30)], stays("StableUnknown"), id="several carry weight, and none is stable"),
        pytest.param([serves(v1=70, v2=30), spec(stable="v1")], STARTED, id="several carry weight: a word"),
        pytest.param([serves(v1=70, v2=30), spec(stable="v9")], stays("StableUnknown"),
                     id="the manifest's word names what doesn't serve"),
        pytest.param([serves(v1=70, v3=30), spec(stable="v1")], STARTED, id="a third version keeps its share"),
        pytest.param([serves(v1=70, v2=30), knows(**SUCCEEDED)], AGAIN, id="several carry weight: what was promoted"),
        pytest.param([serves(v3=100), spec(stable="v1")], ("Started", Phase.WAITING, "v3 → v2 (b)"),
                     id="an old word for what doesn't serve any more is no stable"),
        pytest.param([serves(v1=70, v2=30), spec(stable="v2")], stays("StableIsWanted"), id="stable is wanted"),
        pytest.param([promoted, serves(v2=70, v3=30)], stays("AlreadyServing", Phase.SUCCEEDED),
                     id="promoted beside a third version that kept its share"),
        pytest.param([promoted, serves(v1=30, v2=70)], stays("StableIsWanted", Phase.SUCCEEDED),
                     id="promoted, and someone gave the old one weight again"),
        pytest.param([serves()], stays("NothingServes"), id="a route without weight"),
        pytest.param([suspended], stays("Suspended"), id="suspended: nothing starts"),
        pytest.param([invalid], stays("InvalidSpec"), id="promise 11: an invalid spec starts nothing"),
        pytest.param([deleted], stays("Deleted", Phase.TERMINATING), id="deleted at rest: nothing moves"),
        pytest.param([unknown_revision], stays("RevisionUnknown"), id="what can't be read is never guessed"),
        pytest.param([lambda case: replace(case, route=Missing(Cause.ABSENT))], stays("RouteUnreadable"),
                     id="a route that isn't there"),
    ],
)  # fmt: skip
def test_what_starts_a_rollout(changes: list[Change], expected: tuple[str, Phase, str | None]) -> None:
    decision = decided(at_rest(*changes))
    rollout = decision.status.rollout
    pair = f"{rollout.stable_version} → {rollout.canary_version}" if rollout else None
    assert (decision.reason, decision.status.phase, pair) == expected
    assert decision.actions == ()


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        pytest.param([undefined("v22"), spec(version="v22")],
                     ("RevisionUnknown", "spec.version: no subset v22", "True"),
                     id="a version that nothing defines"),
        pytest.param([undefined("v2")], ("RevisionUnknown", "spec.version: no subset v2", "False"),
                     id="a version whose workload may come"),
        pytest.param([undefined("v2"), route_says(shares={}, described="spec.routes: no route defualt")],
                     ("NothingServes", "spec.routes: no route defualt", "True"), id="a word that leaves no route"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named_by_its_field(changes: list[Change], reported: tuple[str, str, str]) -> None:
    """Stalled where it is wrong for sure."""
    decision = decided(at_rest(*changes))
    stalled = next(one.status for one in decision.status.conditions if one.type == "Stalled")
    assert (decision.reason, decision.sentence, stalled) == reported


def test_a_start_tells_what_of_the_manifest_is_not_used() -> None:
    """The rollout begins all the same; what is right is not spoken of."""
    case = at_rest(spec(stable="v9"), route_says(destinations=frozenset({"v1", "v2"})))
    case = replace(case, resolved=replace(case.resolved, warnings=("spec.revision: isn't used",)))
    decision = decided(case)
    warned = [(one.type, one.message) for one in decision.messages if one.reason == "ManifestWarning"]
    sentence = "spec.stable isn't used, v1 serves: there is no destination v9; there are v1, v2"
    assert (decision.reason, warned) == ("Started", [("Warning", f"spec.revision: isn't used; {sentence}")])
    well = decided(at_rest(spec(stable="v1"), route_says(destinations=frozenset({"v1", "v2"}))))
    assert "ManifestWarning" not in {one.reason for one in well.messages}


@pytest.mark.parametrize(
    ("outcome", "reason", "how"),
    [
        pytest.param(Outcome.ROLLED_BACK, "RolledBack", "rolled back at 20%: a 99 is above 5", id="by a check"),
        pytest.param(Outcome.REJECTED, "Rejected", "rejected: a 99 is above 5", id="by a person"),
    ],
)
def test_why_it_failed_stays_in_the_object(outcome: Outcome, reason: str, how: str) -> None:
    """With any event, and after what could not be read meanwhile; it isn't reported a second time."""
    over = decided(at_20_percent(ended(outcome), because("a 99 is above 5"), later(MINUTE)))
    assert (over.reason, over.sentence) == (reason, how)
    unread = decided(replace(after(at_rest(), over, seconds=1), desired_version=Missing(Cause.TIMED_OUT)))
    for before in (over, unread):
        woken = decided(after(at_rest(), before, seconds=2))
        sentence = f"v2 (b) was {how}; retry, or bring another revision"
        assert (woken.reason, woken.sentence, woken.messages) == (reason, sentence, ())
        assert (woken.status.reason, woken.status.message) == (reason, sentence)
        reported = {one.type: (one.status, one.reason, one.message) for one in woken.status.conditions}
        assert reported["Stalled"] == ("True", reason, sentence)
        assert reported["Promoted"] == ("False", reason, sentence)


def test_a_request_for_what_failed_before_is_refused_with_the_reason() -> None:
    over = decided(at_20_percent(ended(Outcome.ROLLED_BACK), because("a 99 is above 5"), later(MINUTE)))
    back = decided(after(at_rest(wanted("v1", "a")), over, seconds=1))
    assert (back.reason, back.status.phase) == ("AlreadyServing", Phase.INITIALIZED)
    again = decided(after(at_rest(), back, seconds=1))
    sentence = "v2 (b) was rolled back at 20%: a 99 is above 5; retry, or bring another revision"
    assert (again.reason, again.sentence, len(again.messages)) == ("AlreadyFailed", sentence, 1)


def test_a_restart_starts_nothing() -> None:
    """Promise 9: status remembers what was promoted and what failed."""
    for remembered in (SUCCEEDED | {"stable": CANARY}, FAILED):
        case = at_rest(knows(**remembered), lambda case: replace(case, fresh=True))
        case = replace(case, route=route_at(Traffic(weight=100 if remembered["phase"] is Phase.SUCCEEDED else 0)))
        again = Status.model_validate_json(case.status.model_dump_json(by_alias=True))
        assert decided(replace(case, status=again)).status.rollout is None


def test_what_was_promoted_is_stable_and_what_was_rolled_back_has_failed() -> None:
    """Where each end leads, and what it remembers."""
    rows = {}
    for outcome in Outcome:
        weight = 100 if outcome is Outcome.PROMOTED else 0
        case = at_20_percent(
            ended(outcome, weight), later(31 * S), *([deleted] if outcome is Outcome.DELETED else [])
        )
        status = decided(case).status
        rows[outcome.value] = (status.phase.value, str(status.stable), str(status.failed or "-"))
    assert rows == {
        "Promoted": ("Succeeded", "v2 (b)", "-"),
        "RolledBack": ("Failed", "v1 (a)", "v2 (b)"),
        "Rejected": ("Failed", "v1 (a)", "v2 (b)"),
        "Superseded": ("Initialized", "v1 (a)", "-"),
        "Returned": ("Succeeded", "v1 (a)", "-"),
        "Deleted": ("Terminating", "v1 (a)", "-"),
    }


def test_weight_that_the_canary_carries_at_adoption_goes_back_first() -> None:
    """Anyone who waits: no replica, a pause, an exact share that is no whole number, routes that disagree."""
    case = at_rest(serves(v1=66.7, v2=33.3), spec(stable="v1"))
    start = decided(case)
    for change in (no_pods, pods(4), asks(Verb.PAUSE)):
        following = change(replace(after(case, start, seconds=1), route=route_at(None)))
        first = decided(following)
        assert first.actions == (SetTraffic("v1", "v2", Traffic(), "t1", decreases=True),)
        assert first.status.rollout is not None
        assert first.status.rollout.end is None


def test_at_adoption_a_dead_stable_version_keeps_the_split() -> None:
    case = at_rest(serves(v1=70, v2=30), spec(stable="v1"))
    following = replace(after(case, decided(case), seconds=1), stable=WorkloadSeen("v1", 4, 0))
    assert decided(replace(following, route=route_at(Traffic(weight=30)))).actions == ()


def test_superseded_begins_again() -> None:
    """The canary's share back to stable, then a new rollout: at once, without the drain."""
    case = at_20_percent(wanted("v2", "c"))
    reported = []
    for _ in range(5):
        decision = decided(case)
        reported.append((decision.status.phase.value, decision.reason, [a.traffic.weight for a in moves(decision)]))
        case = after(case, decision, seconds=1)
    assert reported == [
        ("Finalising", "Superseded", [0]),
        ("Initialized", "Superseded", []),
        ("Waiting", "Started", []),
        ("Progressing", "CanaryReady", [10]),
        ("Progressing", "Analysing", []),
    ]
    assert case.rollout.number == 2


def test_a_route_that_cannot_be_moved_says_why_itself() -> None:
    """It was read: "refused the question" is a word for metrics."""
    why = Missing(Cause.INVALID, "default has runtime_key_prefix: x")
    sentence = decided(replace(at_rest(), route=why)).sentence
    assert sentence == "the route can't be moved: default has runtime_key_prefix: x"


@pytest.mark.parametrize("order", [(), (unknown_revision,)], ids=["before it is wanted", "while no one can say"])
def test_a_push_that_its_pods_show_first_is_one(order: tuple[Change, ...]) -> None:
    """No pod is left of the pinned build, for it was replaced: that version has not failed."""
    pushed = replace(at_20_percent(*order), canary=WorkloadSeen("v2", 4, 0, "c", others=4))
    decision = decided(pushed)
    assert (decision.reason, [a.traffic.weight for a in moves(decision)]) == ("Superseded", [0])
    assert decision.sentence == "v2 (c) is desired now, instead of v2 (b)"


def test_stable_changed_in_mid_rollout() -> None:
    """Its own template changed: hold, evidence starts again, and the step with it; no write is needed for that."""
    case = at_20_percent(lambda case: case.but(iterations=1))
    decision = decided(replace(case, stable=WorkloadSeen("v1", 4, 4, "z")))
    rollout = decision.status.rollout
    assert rollout is not None
    assert (rollout.stable_version.revision, rollout.iterations, rollout.evidence, rollout.in_place_since) == (
        "z",
        0,
        None,
        NOW,
    )
    assert decision.actions == ()
    assert "StableChanged" in [message.reason for message in decision.messages]


def test_stable_that_shrinks_is_reported_once_per_change() -> None:
    """4 replicas bore everything at the start. A canary that loses its evaluations is rolled back all the same."""
    case, reported = at_20_percent(), []
    for wanted_replicas, available in ((4, 4), (2, 4), (2, 2), (2, 1), (2, 2), (4, 4), (4, 3)):
        case = replace(case, stable=WorkloadSeen("v1", wanted_replicas, available, "a"))
        decision = decided(case)
        reported.append([one.message for one in decision.messages if one.reason == "StableShrank"])
        case = after(case, decision, seconds=1)
    sentence = "v1 has {} of the 4 replicas that a rollback needs"
    assert reported == [[], [sentence.format(2)], [], [sentence.format(1)], [], [], [sentence.format(3)]]
    shrunk = at_20_percent(failing, lambda c: replace(c, stable=WorkloadSeen("v1", 1, 1, "a")))
    assert moves(decided(shrunk))[0].traffic.weight == 0
    ignored = at_20_percent(lambda c: replace(c, stable=WorkloadSeen("v1", 1, 1, "a")), capacity="ignore")
    assert "StableShrank" not in [one.reason for one in decided(ignored).messages]


def test_a_canary_whose_destination_is_gone_is_rolled_back_and_says_what_is_gone() -> None:
    """Not that its replicas are: they may all be there."""
    absent = Missing(Cause.ABSENT, "no subset v2")
    decision = decided(at_20_percent(lambda c: replace(c, canary=absent)))
    assert moves(decision)[0].traffic.weight == 0
    assert decision.sentence == "v2 is gone: no subset v2"


def test_stable_is_there_while_an_earlier_build_of_it_serves() -> None:
    """A push to stable whose pods aren't ready yet keeps no one from going back to those that are."""
    pushed = WorkloadSeen("v1", 4, 0, "z", others=4)
    assert moves(decided(at_20_percent(no_pods, lambda c: replace(c, stable=pushed))))[0].traffic.weight == 0
    held = decided(at_20_percent(lambda c: replace(c, stable=pushed)))
    assert "StableShrank" not in [one.reason for one in held.messages]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param([pods(0)], "CanaryNotReady", id="no replica"),
        pytest.param([lambda c: replace(c, canary=Missing(Cause.ABSENT))], "DestinationMissing", id="no destination"),
        pytest.param([lambda c: replace(c, route=replace(c.route, destinations=frozenset({"v1"})))],
                     "DestinationMissing", id="no subset"),
        pytest.param([lambda c: replace(c, canary=Missing(Cause.TIMED_OUT))], "CapacityUnknown", id="not readable"),
        pytest.param([pods(4, others=2)], "OtherRevisionServes", id="pods of another build"),
        pytest.param([lambda c: replace(c.but(stable_replicas=0), stable=Missing(Cause.TIMED_OUT))],
                     "CapacityUnknown", id="no one knows how many stable has"),
        pytest.param([], "CanaryReady", id="all there"),
    ],
)  # fmt: skip
def test_what_the_first_step_waits_for(changes: list[Change], reason: str) -> None:
    """Destination, ready endpoints, weight: in this order on the way up."""
    assert decided(starting(*changes)).reason == reason


def test_capacity_ignored_asks_for_one_replica_and_still_for_no_other_build() -> None:
    """Who opts out of the share isn't rolled back for lacking it; another build is another matter."""
    ignore: dict[str, Any] = {"capacity": "ignore"}
    steps = [{"weight": 10}, {"weight": 50, "iterations": 2}, {"weight": 60}]
    short = at_20_percent(lambda c: c.but(short_since=c.now - 60 * S), pods(1), steps=steps, **ignore)
    assert decided(short).reason == "Analysing"
    assert decided(starting(pods(1), **ignore)).reason == "CanaryReady"
    assert decided(starting(pods(0), **ignore)).reason == "CanaryNotReady"
    assert decided(starting(pods(1, others=1), **ignore)).reason == "OtherRevisionServes"


def starting(*changes: Change, **analysis: Any) -> Case:
    """At the start, in place for a moment."""
    case = at_step(0, wants(**analysis), held=5 * S)
    began = case.but(started=NOW - 5 * S, deadline=NOW - 5 * S + case.rollout.policy.deadline)
    return changed(began, *changes)


@pytest.mark.parametrize(
    ("waited", "changes", "reason"),
    [
        pytest.param(599, [], "CanaryNotReady", id="not ready within progressDeadlineSeconds"),
        pytest.param(600, [], "CanaryNeverReady", id="not ready in time: rolled back, though no one met it"),
        pytest.param(900, [gate(since=400)], "WaitingForApproval", id="time at the start's own gate doesn't count"),
        pytest.param(900, [gate(since=200)], "CanaryNeverReady", id="time before the gate does"),
    ],
)
def test_a_canary_that_never_gets_ready(waited: int, changes: list[Change], reason: str) -> None:
    """Flagger's progressDeadlineSeconds."""
    started = NOW - waited * S
    case = starting(lambda c: c.but(started=started, deadline=started + c.rollout.policy.deadline), pods(0), *changes)
    assert decided(case).reason == reason


def test_each_phase_reads_what_it_needs_and_no_more() -> None:
    """At rest no replicas and no metrics; while ending the route alone; metrics only when an evaluation is due."""
    rest, running = at_rest(), at_20_percent()
    assert needs(rest.resolved, rest.status, NOW).needs == Need.DESIRED_VERSION | Need.ROUTE | Need.ACTIONS
    assert len(needs(running.resolved, running.status, NOW).queries) == 4
    assert needs(running.resolved, running.status, NOW - S).queries == ()
    ending = at_20_percent(ended(Outcome.ROLLED_BACK))
    assert needs(ending.resolved, ending.status, NOW).needs == Need.ROUTE


def test_paused_at_the_start_nothing_begins() -> None:
    assert decided(starting(paused)).reason == "Paused"


def test_decide_is_pure() -> None:
    """The same in, the same out."""
    case = at_20_percent()
    first, again = (decide(case.resolved, case.status, case.observed, case.now) for _ in range(2))
    assert first == again
