"""Whole rollouts with webhooks, on virtual time: what is asked when, and what each answer leads to."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.engine.observed import HookAnswer, HookCall
from canary.rollout.drive import Options
from canary.sandbox.parts import SandboxHooks
from tests.rollout.wired import Driven, ask, driven
from tests.scenarios.test_primary import box, primary

NO = HookAnswer(passed=False, detail="HTTP 500")
YES = HookAnswer(passed=True, detail="HTTP 200")
BLUE_GREEN: dict[str, Any] = {"steps": None, "iterations": 2}
AB: dict[str, Any] = {"steps": None, "iterations": 2, "match": [{"headers": {"x-user": {"exact": "beta"}}}]}


def hook(type_: str, **more: Any) -> dict[str, Any]:
    """A hook that is called after its type."""
    return {"type": type_, "name": f"my-{type_}", "url": "http://tester.test/", **more}


def with_hooks(*types: str, scenario: str = "good", **analysis: Any) -> Driven:
    """A run with one hook of each of these types."""
    return driven(scenario, webhooks=[hook(one) for one in types], **analysis)


def called(run: Driven, type_: str) -> list[tuple[str, int]]:
    """Phase and weight in the payload of each call of a type."""
    return [
        (one.payload["phase"], one.payload["weight"]) for one in run.box.hooks.called if one.payload["type"] == type_
    ]


def reasons(run: Driven) -> list[str]:
    """All reasons in order, each once in a row."""
    return [reason for _, _, reason in run.timeline]


def test_all_types_say_yes() -> None:
    """Promoted, and each was called when it should be."""
    types = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
    run = with_hooks(*types)
    assert run.run().code is Exit.PROMOTED
    assert called(run, "confirm-rollout") == [("Waiting", 0)]
    assert called(run, "pre-rollout") == [("Progressing", 0)]
    assert called(run, "confirm-traffic-increase") == [("Progressing", 0), ("Progressing", 20), ("Progressing", 50)]
    assert called(run, "confirm-promotion") == [("Progressing", 50)]
    assert set(called(run, "rollout")) == {("Progressing", 20), ("Progressing", 50)}
    assert {weight for _, weight in called(run, "rollback")} >= {20, 50}
    assert not {Reason.GATE_CLOSED, Reason.HOOK_FAILED} & set(reasons(run))
    ids = [one.id for one in run.box.hooks.called]
    assert len(ids) == len(set(ids))


def test_one_reconcile_an_interval() -> None:
    """It uses the last answers and begins the next calls, so that hooks cost no reconcile of their own."""
    run = driven(webhooks=[hook("rollout"), hook("rollback")], steps=[{"weight": 20, "iterations": 8}])
    run.drive.options = Options(reconcile_interval=timedelta(minutes=1))
    assert run.run().code is Exit.PROMOTED
    rollouts = [turn.decision.status.rollout for turn in run.turns if turn.decision.status.canary_weight == 20]
    passed = [rollout.iterations for rollout in rollouts if rollout is not None]
    assert passed[passed.index(1) :][:7] == [1, 2, 3, 4, 5, 6, 7]
    for type_ in ("rollout", "rollback"):
        assert len(called(run, type_)) == pytest.approx(9, abs=1)


def test_the_payload() -> None:
    """Flagger's fields, and ours."""
    run = driven(webhooks=[hook("rollout", metadata={"cmd": "hey http://web"})])
    run.run()
    posted = run.box.hooks.called[0].payload
    assert posted.items() >= {
        "name": "web", "namespace": "default", "phase": "Progressing", "metadata": {"cmd": "hey http://web"},
        "version": "v2", "revision": "b", "weight": 20, "step": 1, "rollout": 1, "type": "rollout",
    }.items()  # fmt: skip
    assert posted["checksum"].isdigit()


@pytest.mark.parametrize(
    ("type_", "phase", "weight"),
    [("confirm-rollout", "Waiting", 0), ("confirm-traffic-increase", "Waiting", 0),
     ("confirm-promotion", "WaitingPromotion", 50)],
)  # fmt: skip
def test_a_gate_waits_without_a_limit(type_: str, phase: str, weight: int) -> None:
    """Asked again after each interval; it opens after the deadline, which doesn't run meanwhile."""
    run = with_hooks(type_)
    run.box.hooks.answers[type_] = NO
    run.at(1200, lambda: run.box.hooks.answers.update({type_: YES}))
    assert run.run().code is Exit.PROMOTED
    assert (phase, weight, Reason.GATE_CLOSED) in run.timeline
    assert len(called(run, type_)) > 100
    waiting = next(turn.decision for turn in run.turns if turn.decision.reason is Reason.GATE_CLOSED)
    assert "is closed: HTTP 500, without a time limit" in waiting.sentence


def test_a_closed_gate_keeps_no_rollback() -> None:
    """The canary turns bad while the gate of the promotion is closed."""
    run = with_hooks("confirm-promotion", scenario="good", steps=[{"weight": 50}])
    run.box.hooks.answers["confirm-promotion"] = NO
    run.at(120, lambda: ask(run.box, Verb.ROLLBACK))
    assert run.run().code is Exit.REJECTED
    assert run.box.world.traffic == Traffic()


@pytest.mark.parametrize("type_", ["confirm-rollout", "pre-rollout", "rollout", "confirm-promotion"])
def test_a_person_goes_past_a_hook_that_hangs(type_: str) -> None:
    """`promote` and `skip` need no answer."""
    run = with_hooks(type_)
    run.box.hooks.answers[type_] = None
    run.at(60, lambda: ask(run.box, Verb.PROMOTE))
    assert run.run().code is Exit.PROMOTED


@pytest.mark.parametrize("type_", ["pre-rollout", "rollout"])
def test_a_failed_check_counts(type_: str) -> None:
    """The threshold of two is reached after the second failure."""
    run = with_hooks(type_)
    run.box.hooks.answers[type_] = NO
    assert run.run().code is Exit.ROLLED_BACK
    last = run.turns[-1].decision.status
    assert (last.history[0].reason, last.failed_checks) == (Reason.HOOK_FAILED, 2)
    assert f"my-{type_}" in last.history[0].message
    assert "HTTP 500" in last.history[0].message
    assert len(called(run, type_)) in (2, 3)
    assert max(weight for _, weight, _ in run.timeline) == (20 if type_ == "rollout" else 0)


def test_an_answer_that_an_evaluation_is_the_first_to_see_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of checks wake no reconcile, so that is the usual case. The next evaluation uses a call of its own."""

    def first(hooks: SandboxHooks, call: HookCall) -> HookAnswer:
        return NO if call.id == hooks.called[0].id else YES

    monkeypatch.setattr(SandboxHooks, "_answer", first)
    run = driven(options=Options(reconcile_interval=timedelta(minutes=1)), webhooks=[hook("rollout")])
    assert run.run().code is Exit.PROMOTED
    assert run.turns[-1].decision.status.failed_checks == 1


def test_failed_checks_before_the_rollout_count_for_all_of_it() -> None:
    """One failure before, and one after the first increase."""
    run = with_hooks("pre-rollout", "rollout")
    run.box.hooks.answers.update({"pre-rollout": NO, "rollout": NO})
    run.at(5, lambda: run.box.hooks.answers.update({"pre-rollout": YES}))
    assert run.run().code is Exit.ROLLED_BACK
    assert run.turns[-1].decision.status.failed_checks == 2
    assert (len(called(run, "pre-rollout")), len(called(run, "rollout"))) == (2, 1)


def test_a_slow_check_holds_and_never_delays_a_rollback() -> None:
    """It hangs: a healthy canary waits for it, a bad one is rolled back all the same, when it would be without."""
    run = with_hooks("rollout", scenario="bad")
    run.box.hooks.answers["rollout"] = None
    plain = driven("bad")
    assert (run.run().code, plain.run().code) == (Exit.ROLLED_BACK, Exit.ROLLED_BACK)
    ended, expected = (one.turns[-1].decision.status.history[0] for one in (run, plain))
    assert (ended.reason, ended.ended) == (expected.reason, expected.ended)

    held = with_hooks("rollout")
    held.box.hooks.answers["rollout"] = None
    held.at(95, lambda: held.box.hooks.answers.update({"rollout": YES}))
    assert held.run().code is Exit.PROMOTED
    assert ("Progressing", 20, Reason.HOOK_PENDING) in held.timeline
    assert called(held, "rollout")[:2] == [("Progressing", 20), ("Progressing", 50)]


@pytest.mark.parametrize("paused", [False, True])
def test_a_rollback_hook(paused: bool) -> None:
    """Asked in each interval in which the canary has traffic, also while the rollout is paused."""
    run = with_hooks("rollback", steps=[{"weight": 50, "hold": "5m"}])
    run.at(60, lambda: ask(run.box, Verb.PAUSE) if paused else None)
    run.at(121, lambda: run.box.hooks.answers.update({"rollback": YES}))
    assert run.run().code is Exit.ROLLED_BACK
    last = run.turns[-1].decision.status.history[0]
    assert last.reason is Reason.ROLLBACK_HOOK
    assert last.message == "the hook rollback my-rollback asked for a rollback"
    assert (last.ended - last.started).total_seconds() < 121 + 10 + 10
    assert {weight for _, weight in called(run, "rollback")} == {50}


def test_a_request_to_roll_back_isnt_repeated_before_a_late_evaluation() -> None:
    """The controller delays the first evaluation of a rollout by less than an interval; reconciles in that time make
    no call of their own."""
    run = driven(options=Options(reconcile_interval=timedelta(seconds=1)), webhooks=[hook("rollback")])
    run.box.target.value = replace(run.box.target.value, jitter=timedelta(seconds=9))
    assert run.run().code is Exit.PROMOTED
    asked = [datetime.fromisoformat(one.id.split("/")[-1]) for one in run.box.hooks.called]
    assert len(asked) > 2
    assert min(later - earlier for earlier, later in pairwise(asked)) >= timedelta(seconds=5)


@pytest.mark.parametrize("strategy", [BLUE_GREEN, AB], ids=["blue/green", "A/B"])
def test_iterations(strategy: dict[str, Any]) -> None:
    """Judged by hooks alone; increases aren't asked for, the promotion is."""
    types = ("rollout", "confirm-traffic-increase", "confirm-promotion")
    run = with_hooks(*types, metrics=[], **strategy)
    assert run.run().code is Exit.PROMOTED
    assert len(called(run, "rollout")) >= 2
    assert (called(run, "confirm-traffic-increase"), called(run, "confirm-promotion")) == ([], [("Progressing", 0)])


def test_blue_green_is_rolled_back_by_a_hook() -> None:
    """It has no traffic to measure."""
    run = with_hooks("rollout", metrics=[], **BLUE_GREEN)
    run.box.hooks.answers["rollout"] = NO
    assert run.run().code is Exit.ROLLED_BACK
    assert run.box.router.writes == []


def test_blue_green_can_be_rolled_back_before_its_promotion() -> None:
    """Also while a gate of the promotion waits: the canary has no users, but its user says that it won't do."""
    run = with_hooks("rollout", "confirm-promotion", "rollback", metrics=[], **BLUE_GREEN)
    run.box.hooks.answers["confirm-promotion"] = NO
    run.at(300, lambda: run.box.hooks.answers.update({"rollback": YES}))
    run.at(600, lambda: run.box.hooks.answers.update({"confirm-promotion": YES}))
    assert run.run().code is Exit.ROLLED_BACK
    assert ("WaitingPromotion", 0, Reason.GATE_CLOSED) in run.timeline
    assert run.turns[-1].decision.status.history[0].reason is Reason.ROLLBACK_HOOK
    assert run.box.router.writes == []


def test_a_rollback_hook_while_the_primary_is_copied() -> None:
    """The canary has traffic until the primary is ready; the primary gets the old template again."""
    made = box(webhooks=[hook("rollback")], steps=[{"weight": 50}])
    run = Driven(made)
    run.at(11, lambda: setattr(primary(made), "slow", True))
    run.at(60, lambda: made.hooks.answers.update({"rollback": YES}))
    run.at(90, lambda: setattr(primary(made), "slow", False))
    assert run.run().code is Exit.ROLLED_BACK
    assert primary(made).writes[1:] == ["copy b", "copy a", "scale 0"]


def test_no_increase_is_asked_for_while_requests_are_mirrored() -> None:
    """As in Flagger."""
    run = with_hooks("confirm-traffic-increase", steps=None, stepWeights=[20], mirror=True)
    assert run.run().code is Exit.PROMOTED
    assert called(run, "confirm-traffic-increase") == [("Progressing", 20)]


def test_skip_analysis_asks_for_the_start_only() -> None:
    """The other hooks belong to an analysis."""
    run = driven(webhooks=[hook("confirm-rollout"), hook("rollout"), hook("confirm-promotion")],
                 spec={"skipAnalysis": True})  # fmt: skip
    assert run.run().code is Exit.PROMOTED
    assert [one.payload["type"] for one in run.box.hooks.called] == ["confirm-rollout"]


def test_each_message_is_kept_for_many_hooks_with_long_names() -> None:
    """Until they were called."""
    hooks = [{**hook("event"), "name": f"{index} {'x' * 200}"} for index in range(50)]
    run = driven(webhooks=hooks)
    assert run.run().code is Exit.PROMOTED
    kept = {one.id: one for turn in run.turns for one in turn.decision.status.outbox}
    assert [one.reason for one in kept.values()][:3] == [Reason.STARTED, Reason.CANARY_READY, Reason.STEP_PASSED]
    assert {len(one.alerts.due) for one in kept.values() if one.alerts} == {50}


def test_two_gates_of_one_step() -> None:
    """Hooks of the same name; both must be open, and approvals as well."""
    gates = [{"weight": 50, "gates": [{"approval": {"count": 1}}]}]
    hooks = [{**hook(one), "name": "same"} for one in ("confirm-traffic-increase", "confirm-promotion")]
    run = driven(webhooks=hooks, steps=gates)
    run.box.hooks.answers["confirm-promotion"] = NO
    run.at(60, lambda: ask(run.box, Verb.APPROVE))
    run.at(200, lambda: run.box.hooks.answers.update({"confirm-promotion": YES}))
    assert run.run().code is Exit.PROMOTED
    assert {Reason.WAITING_FOR_APPROVAL, Reason.GATE_CLOSED} <= set(reasons(run))


@pytest.mark.parametrize(
    ("hooks", "alerted"),
    [
        ([hook("confirm-promotion")], True),
        ([hook("confirm-promotion", muteAlert=True)], False),
        ([hook("confirm-promotion", muteAlert=True), hook("confirm-promotion", name="b")], True),
    ],
)
def test_a_muted_gate_sends_no_alert(hooks: list[dict[str, Any]], alerted: bool) -> None:
    """Unless another gate is closed as well; the end of the rollout is sent."""
    alerts = [{"name": "chat", "severity": "info", "providerRef": {"name": "chat"}}]
    run = driven(webhooks=hooks, alerts=alerts)
    run.box.hooks.answers["confirm-promotion"] = NO
    run.at(300, lambda: run.box.hooks.answers.update({"confirm-promotion": YES}))
    assert run.run().code is Exit.PROMOTED
    messages = [one for turn in run.turns for one in turn.decision.messages]
    due = {one.reason for one in messages if one.alerts}
    assert Reason.GATE_CLOSED in {one.reason for one in messages}
    assert (Reason.GATE_CLOSED in due) is alerted
    assert Reason.PROMOTED in due


def gated(kind: str, **more: Any) -> dict[str, Any]:
    """A step with a gate that a call opens."""
    return {"steps": [{"weight": 50, "gates": [{"name": "go", kind: {"url": "http://tester.test/"}, **more}]}]}


@pytest.mark.parametrize(("kind", "type_"), [("webhook", "gate"), ("opa", "opa")])
def test_a_gate_of_a_step_that_a_call_opens(kind: str, type_: str) -> None:
    """Asked after each interval, once the step is done; then the rollout goes on."""
    run = driven(**gated(kind, timeout="1h"))
    run.box.hooks.answers[type_] = NO
    run.at(300, lambda: run.box.hooks.answers.update({type_: YES}))
    assert run.run().code is Exit.PROMOTED
    assert ("WaitingPromotion", 50, Reason.GATE_CLOSED) in run.timeline
    assert 20 < len(run.box.hooks.called) < 40
    waiting = next(turn.decision for turn in run.turns if turn.decision.reason is Reason.GATE_CLOSED)
    assert waiting.sentence.startswith("at 50%, go is closed: HTTP 500, until ")
    payload = run.box.hooks.called[0].payload
    assert (payload["input"] if kind == "opa" else payload).items() >= {"type": "gate", "weight": 50}.items()
    assert run.box.hooks.called[0].decides is (kind == "opa")


@pytest.mark.parametrize(
    ("answer", "on_timeout", "code"),
    [(NO, "rollback", Exit.ROLLED_BACK), (None, "rollback", Exit.ROLLED_BACK), (NO, "promote", Exit.PROMOTED),
     (None, "promote", Exit.PROMOTED)],
)  # fmt: skip
def test_a_gate_of_a_step_whose_time_is_over(answer: HookAnswer | None, on_timeout: str, code: Exit) -> None:
    """`onTimeout` says what follows, whether the call said no or hangs."""
    run = driven(**gated("webhook", timeout="1m", onTimeout=on_timeout))
    run.box.hooks.answers["gate"] = answer
    assert run.run().code is code
    if code is Exit.ROLLED_BACK:
        assert run.turns[-1].decision.status.history[0].reason is Reason.GATE_TIMED_OUT
