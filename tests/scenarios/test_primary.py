"""Whole rollouts of a target that has a primary, on virtual time: what is copied, scaled and served when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.canary import Metadata
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Phase, Status, Version
from canary.engine.errors import Rejected
from canary.engine.observed import Cause, Missing, PodsRefused, PrimarySeen, RouteSeen, Stored, WorkloadSeen
from canary.engine.resolved import resolve_spec
from canary.manifests.linting import load
from canary.rollout.drive import Options
from canary.sandbox.parts import Sandbox, SandboxPrimary, SandboxTarget
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate
from canary.sandbox.world import world_of
from canary.show.records import record
from tests.engine.situations import manifest
from tests.rollout.wired import QUICK, Driven, ask

DEPLOYMENT: dict[str, Any] = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "service": {"port": 80},
    "version": None,
    "revision": "",
}
ONE_STEP = [{"weight": 50}]


def box(
    scenario: str = "good", stable: str | None = "a", spec: dict[str, Any] | None = None, **analysis: Any
) -> Sandbox:
    """A Deployment that has revision b, beside a primary with revision a, or none yet."""
    world = world_of(SCENARIOS[scenario], "web-primary", "web-canary", rps=50.0, seed=1)
    canary = manifest({**DEPLOYMENT, **(spec or {})}, **{**QUICK, **analysis})
    made = Sandbox(world, SandboxTarget(resolve_spec(canary), revision="b"))
    if stable:
        primary(made).revision, primary(made).replicas = stable, 0
        made.store.stored = Stored(Status(stable=Version(name="web-primary", revision=stable)), "0")
    return made


def primary(made: Sandbox) -> SandboxPrimary:
    assert made.primary is not None
    return made.primary


def test_promoted() -> None:
    """Copied while the last step's traffic stays, then back to the primary, then scaled down."""
    run = Driven(made := box(steps=[{"weight": 20}, {"weight": 50}]))
    assert run.run().code is Exit.PROMOTED
    assert [one.weight for one in made.router.writes] == [20, 50, 0]
    assert primary(made).writes == ["scale 3", "copy b", "scale 0"]
    assert record(run.turns[-1])["weight"] == 0
    status = run.turns[-1].decision.status
    assert (status.stable, status.failed, status.phase) == (
        Version(name="web-primary", revision="b"),
        None,
        Phase.SUCCEEDED,
    )
    copied = next(turn for turn in run.turns if turn.decision.reason is Reason.PROMOTING and turn.decision.actions)
    assert copied.decision.status.canary_weight == 50


@pytest.mark.parametrize(
    ("away", "code"),
    [
        pytest.param(5, Exit.UNANALYSED, id="shorter than its patience"),
        pytest.param(15, Exit.ERROR, id="for longer"),
    ],
)
def test_the_cluster_is_away_while_the_primary_gets_ready(away: float, code: Exit) -> None:
    """The run counts how long it has read nothing, not how long it has been running: provisioning takes minutes."""
    made = box(stable=None)
    primary(made).slow = True
    run = Driven(made, Options(reconcile_interval=timedelta(seconds=1)))
    real, unknown = made.target.desired_version, Missing(Cause.TIMED_OUT, "no answer")

    def answers(yes: bool) -> None:
        made.target.desired_version = real if yes else lambda: unknown  # type: ignore[method-assign]

    run.at(60, lambda: answers(False)).at(60 + away, lambda: answers(True))
    run.at(90, lambda: setattr(primary(made), "slow", False))
    assert run.run().code is code


def test_a_bad_version() -> None:
    """Nothing is copied, and the target is scaled to zero after it has drained."""
    run = Driven(made := box("bad", steps=ONE_STEP))
    assert run.run().code is Exit.ROLLED_BACK
    assert ([one.weight for one in made.router.writes], primary(made).writes) == ([50, 0], ["scale 3", "scale 0"])
    status = run.turns[-1].decision.status
    assert (status.stable, status.failed) == (
        Version(name="web-primary", revision="a"),
        Version(name="web-canary", revision="b"),
    )


@pytest.mark.parametrize(
    ("scenario", "copied", "served"),
    [pytest.param("good", ["copy b"], "b", id="promoted"), pytest.param("bad", [], "a", id="rolled back")],
)
def test_the_pods_of_a_service_are_its_users(scenario: str, copied: list[str], served: str) -> None:
    """What the canary's Service selects is copied; nothing is scaled, and the end waits until requests are over."""
    service = {"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}}
    made = box(scenario, steps=[{"weight": 20}, {"weight": 50}], spec=service, drain="20s")
    run = Driven(made)
    run.run()
    highest = 50 if copied else 20
    assert ([one.weight for one in made.router.writes][-2:], primary(made).writes) == ([highest, 0], copied)
    assert run.turns[-1].decision.status.stable == Version(name="web-primary", revision=served)
    reasons = [turn.decision.reason for turn in run.turns]
    assert Reason.DRAINING in reasons[reasons.index(Reason.PROMOTING) if copied else 0 :]
    run.run()
    assert primary(made).writes == copied


def test_a_push_to_pods_that_serve_already_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Service selects what it did, so no rollout starts; the run doesn't end as if it had judged the build."""
    service = {"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}}
    made = box(spec=service, stable="b")
    read = made.workloads.read

    def pushed(version: str) -> WorkloadSeen | Missing:
        seen = read(version)
        assert isinstance(seen, WorkloadSeen)
        return replace(seen, unjudged="c") if version == "web-primary" else seen

    run = Driven(made)
    assert run.run().code is Exit.PROMOTED
    monkeypatch.setattr(made.workloads, "read", pushed)
    assert run.run().code is Exit.UNANALYSED
    assert "build c of web-primary" in run.turns[-1].decision.sentence


def test_the_first_revision_serves_without_an_analysis() -> None:
    run = Driven(made := box(stable=None))
    assert run.run().code is Exit.UNANALYSED
    assert (made.router.writes, primary(made).writes) == ([], ["copy b", "scale 0"])
    status = run.turns[-1].decision.status
    assert (status.phase, status.stable) == (Phase.INITIALIZED, Version(name="web-primary", revision="b"))


@pytest.mark.parametrize("analysis", [
    {"steps": None, "stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 20},
    {"steps": None, "iterations": 2, "match": [{"headers": {"x-user": {"exact": "beta"}}}]},
    {"steps": [{"weight": 100}]},
])  # fmt: skip
def test_every_strategy_ends_with_everything_on_the_primary(analysis: dict[str, Any]) -> None:
    run = Driven(made := box(**analysis))
    assert run.run().code is Exit.PROMOTED
    assert made.world.traffic == Traffic()
    assert primary(made).writes == ["scale 3", "copy b", "scale 0"]


def test_back_in_steps() -> None:
    made = box(steps=None, stepWeight=50, maxWeight=50, stepWeightPromotion=20)
    run = Driven(made)
    run.run()
    assert [one.weight for one in made.router.writes] == [50, 30, 10, 0]
    said = [turn.decision.sentence for turn in run.turns if "is ready; back to" in turn.decision.sentence]
    assert [one.rpartition(" ")[2] for one in said] == ["30%", "10%", "0%"]


def test_skip_analysis() -> None:
    """The primary gets it once the target is available; no user meets the canary."""
    run = Driven(made := box(spec={"skipAnalysis": True}))
    assert run.run().code is Exit.PROMOTED
    assert (made.router.writes, primary(made).writes) == ([], ["scale 3", "copy b", "scale 0"])


def test_a_push_during_the_analysis_starts_again() -> None:
    """In the same reconcile the canary loses its traffic; what is promoted is the second push alone."""
    run = Driven(made := box(steps=[{"weight": 50, "hold": "30s"}]))
    run.at(12, lambda: setattr(made.target, "revision", "c"))
    assert run.run().code is Exit.SUPERSEDED
    assert ([one.weight for one in made.router.writes], "copy b" in primary(made).writes) == ([50, 0], False)
    assert Driven(made).run().code is Exit.PROMOTED
    assert [one for one in primary(made).writes if one.startswith("copy")] == ["copy c"]


def test_a_push_during_the_promotion_waits() -> None:
    """The primary gets what was analysed; the canary, whose pods are replaced, loses its traffic at once."""
    made = box(steps=ONE_STEP)

    def copied(revision: str) -> None:
        SandboxPrimary.copy(primary(made), revision)
        made.target.revision = "c"

    primary(made).copy = copied  # type: ignore[method-assign]
    run = Driven(made)
    assert run.run().code is Exit.PROMOTED
    status = run.turns[-1].decision.status
    assert (status.stable, primary(made).revision) == (Version(name="web-primary", revision="b"), "b")
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).revision == "c"


def test_a_primary_that_does_not_get_ready_gets_the_old_template_again() -> None:
    made = box(steps=ONE_STEP)
    primary(made).broken = frozenset({"b"})
    run = Driven(made)
    ending = run.run()
    assert (ending.code, run.turns[-1].decision.status.history[0].reason) == (
        Exit.ROLLED_BACK,
        Reason.PROMOTION_FAILED,
    )
    assert primary(made).writes == ["scale 3", "copy b", "copy a", "scale 0"]
    assert (made.world.traffic.weight, run.turns[-1].decision.status.stable) == (
        0,
        Version(name="web-primary", revision="a"),
    )


def test_a_primary_whose_pods_are_refused_gets_the_old_template_again() -> None:
    """Kubernetes counts no deadline where it can make no pod, so the Canary's own is counted."""
    made = box(steps=ONE_STEP, spec={"progressDeadlineSeconds": 120})
    primary(made).refused = "exceeded quota: full"
    run = Driven(made)
    assert run.run().code is Exit.ROLLED_BACK
    waits = next(turn for turn in run.turns if turn.decision.reason is Reason.PRIMARY_NOT_READY)
    failed = next(turn for turn in run.turns if turn.decision.reason is Reason.PROMOTION_FAILED)
    assert waits.decision.sentence.endswith("; its pods are refused: exceeded quota: full")
    assert timedelta(seconds=119) <= failed.at - waits.at <= timedelta(seconds=130)
    history = run.turns[-1].decision.status.history[0]
    assert (history.reason, primary(made).revision) == (Reason.PROMOTION_FAILED, "a")


def test_a_daemon_set_has_as_long_as_a_canary_to_get_ready() -> None:
    """Its controller never says that it doesn't; a primary that takes a little less is waited for."""
    daemon_set = {"targetRef": {**DEPLOYMENT["targetRef"], "kind": "DaemonSet"}, "progressDeadlineSeconds": 60}
    made = box(steps=ONE_STEP, spec=daemon_set)
    primary(made).broken, primary(made).silent = frozenset({"b"}), True
    run = Driven(made)
    assert run.run().code is Exit.ROLLED_BACK
    status = run.turns[-1].decision.status
    assert (status.history[0].reason, status.stable) == (
        Reason.PROMOTION_FAILED,
        Version(name="web-primary", revision="a"),
    )
    assert status.history[0].message == "web-primary doesn't get ready with b: not in 1m"
    made = box(steps=ONE_STEP, spec=daemon_set)
    primary(made).slow = primary(made).silent = True
    assert Driven(made).at(60, lambda: setattr(primary(made), "slow", False)).run().code is Exit.PROMOTED


@pytest.mark.parametrize("why", ["stuck", "refused"])
def test_what_was_said_of_the_primary_before_the_copy_fails_no_promotion(why: str) -> None:
    """One of three replicas never got ready with the last template either, and the threshold asks for one."""
    made = box(steps=ONE_STEP, primaryReadyThreshold=50, spec={"progressDeadlineSeconds": 60})
    before = PodsRefused(made.world.now - timedelta(hours=1), "exceeded quota: full")
    primary(made).broken = frozenset({"a"}) if why == "stuck" else frozenset()
    primary(made)._refused = lambda: before if why == "refused" else None  # type: ignore[method-assign]
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).revision == "b"


def test_enough_of_a_primary_is_promoted_in_decreases_although_one_replica_never_gets_ready() -> None:
    steps = {"steps": None, "stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 10}
    made = box("good", "a", None, **steps, primaryReadyThreshold=50)
    primary(made).broken = frozenset({"b"})
    assert Driven(made).run().code is Exit.PROMOTED
    assert [one.weight for one in made.router.writes] == [50, 40, 30, 20, 10, 0]


def test_traffic_stays_until_the_primary_is_ready() -> None:
    """A primary that takes its time keeps half of the traffic at the canary."""
    made = box(steps=ONE_STEP)

    def copied(revision: str) -> None:
        SandboxPrimary.copy(primary(made), revision)
        primary(made).slow = True

    primary(made).copy = copied  # type: ignore[method-assign]
    run = Driven(made).at(60, lambda: setattr(primary(made), "slow", False))
    assert run.run().code is Exit.PROMOTED
    waited = [turn for turn in run.turns if turn.decision.reason is Reason.PRIMARY_NOT_READY]
    assert len(waited) > 1
    assert {turn.decision.status.canary_weight for turn in waited} == {50}
    assert [one.weight for one in made.router.writes] == [50, 0]


def test_a_failed_revision_is_not_tried_again_and_the_promoted_one_is_at_rest() -> None:
    made = box("bad", steps=ONE_STEP)
    Driven(made).run()
    before = list(primary(made).writes)
    assert Driven(made).run().code is Exit.ROLLED_BACK
    made.target.revision = "a"
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).writes == before


def test_a_person_promotes() -> None:
    made = box(steps=[{"weight": 20, "hold": "1h"}, {"weight": 50}])
    run = Driven(made).at(15, lambda: ask(made, Verb.PROMOTE))
    assert run.run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 3", "copy b", "scale 0"]


def test_set_back_to_the_promoted_revision() -> None:
    made = box(steps=[{"weight": 20, "hold": "1h"}])
    run = Driven(made).at(15, lambda: setattr(made.target, "revision", "a"))
    assert run.run().code is Exit.SUPERSEDED
    assert (made.world.traffic.weight, primary(made).writes) == (0, ["scale 3", "scale 0"])
    assert run.turns[-1].decision.status.phase is Phase.SUCCEEDED


def test_a_deletion_gives_the_target_back() -> None:
    """With the promoted template, though another one failed; and the primary goes once its requests are answered."""
    made = box("bad", steps=ONE_STEP, spec={"revertOnDeletion": True})
    Driven(made).run()
    metadata = {"deletionTimestamp": made.world.now.isoformat(), "name": "web"}
    spec = {**DEPLOYMENT, "revertOnDeletion": True}
    canary = manifest(spec, **QUICK).model_copy(update={"metadata": Metadata.model_validate(metadata)})
    made.target.value = resolve_spec(canary)
    assert Driven(made).run().code is Exit.GONE
    assert primary(made).writes[-2:] == ["return a", "remove"]
    assert made.target.revision == "a"


@pytest.mark.parametrize("name", ["podinfo", "payment-service", "service"])
@pytest.mark.parametrize(("scenario", "code"), [("good", Exit.PROMOTED), ("bad", Exit.ROLLED_BACK)])
def test_the_examples(name: str, scenario: str, code: Exit) -> None:
    """Manifests as people write them for Flagger: 10, 20, 30, 40, 50%, then everything to the primary."""
    given = load([f"examples/{name}/canary.yaml"])
    made = sandbox_of(resolve_spec(given.canary), SCENARIOS[scenario])
    assert simulate(made, lambda turn: None).code is code
    weights = [10, 20, 30, 40, 50, 0] if code is Exit.PROMOTED else [10, 0]
    assert [one.weight for one in made.router.writes] == weights


def test_an_edited_primary_gets_its_template_again_in_mid_rollout() -> None:
    """What the canary is compared with stays what was promoted, and the rollout goes on."""
    made = box(steps=[{"weight": 50, "hold": "30s"}])
    run = Driven(made).at(12, lambda: setattr(primary(made), "revision", ""))
    assert run.run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 3", "copy a", "copy b", "scale 0"]
    assert run.turns[-1].decision.status.history[0].stable == Version(name="web-primary", revision="a")


def test_a_service_that_is_changed_in_mid_rollout_selects_the_primary_again() -> None:
    """Else clients that no route reaches would meet the canary; the rollout goes on."""
    run = Driven(made := box(steps=[{"weight": 50, "hold": "30s"}]))
    run.at(12, lambda: setattr(primary(made), "diverted", "web"))
    assert run.run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 3", "select web", "copy b", "scale 0"]
    assert [one.weight for one in made.router.writes] == [50, 0]


@pytest.mark.parametrize(
    ("on_drift", "code", "writes", "weights"),
    [
        ("rollback", Exit.ROLLED_BACK, ["scale 3", "adopt routes to a", "scale 0"], [50]),
        ("reassert", Exit.PROMOTED, ["scale 3", "adopt routes to a", "copy b", "scale 0"], [50, 50, 0]),
    ],
)
def test_routes_that_are_applied_again_in_mid_rollout_are_adopted(
    on_drift: str, code: Exit, writes: list[str], weights: list[int]
) -> None:
    """They lead to neither version, so no weight can be written: by a rollback at its end, else before the weight."""
    run = Driven(made := box(steps=[{"weight": 50, "hold": "30s"}], onDrift=on_drift))
    read, write, here = made.router.read, made.router.write, primary(made)
    there, applied = here.read, False

    def apply_again() -> None:
        nonlocal applied
        applied = True

    def seen(stable: str | None, canary: str) -> RouteSeen | Missing:
        return RouteSeen("applied", {}, None, "no route leads to the pair") if applied else read(stable, canary)

    def written(stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        if applied:
            raise Rejected("no route leads to the pair")
        write(stable, canary, traffic, token)

    def provision(revision: str, ready: int = 100) -> None:
        nonlocal applied
        here.writes.append(f"adopt routes to {revision}")
        made.router.set(Traffic())
        applied = False

    def incomplete() -> PrimarySeen | Missing:
        found = there()
        assert isinstance(found, PrimarySeen)
        return replace(found, missing=("VirtualService web",)) if applied else found

    made.router.read, made.router.write = seen, written  # type: ignore[method-assign]
    here.read, here.provision = incomplete, provision  # type: ignore[method-assign]
    assert run.at(12, apply_again).run().code is code
    assert here.writes == writes
    assert [one.weight for one in made.router.writes] == weights
    assert not any(turn.trouble for turn in run.turns if on_drift == "reassert")
    sentences = " ".join(turn.decision.sentence for turn in run.turns)
    assert "no route leads to the pair; adopting the routes again" in sentences


def test_an_edited_primary_gets_its_template_again_at_rest() -> None:
    made = box("bad", steps=ONE_STEP)
    Driven(made).run()
    before = list(primary(made).writes)
    primary(made).revision = ""
    Driven(made).run()
    assert primary(made).writes == [*before, "copy a"]


def test_an_edited_primary_keeps_no_rollback_from_happening() -> None:
    """The canary loses its traffic in the reconcile that finds it bad, also if the primary needs a change."""
    made = box("bad", steps=ONE_STEP)

    def never(revision: str) -> None:
        primary(made).writes.append(f"copy {revision}")

    primary(made).copy = never  # type: ignore[method-assign]
    run = Driven(made).at(9, lambda: setattr(primary(made), "revision", ""))
    run.at(40, lambda: setattr(primary(made), "revision", "a"))
    assert run.run().code is Exit.ROLLED_BACK
    assert [one.weight for one in made.router.writes] == [50, 0]
    assert "copy a" in primary(made).writes


def configured(steps: list[dict[str, Any]] | None = None, replicas: int = 0) -> Sandbox:
    """The same build with another configuration than the primary's."""
    made = box(stable="b-1", steps=steps or ONE_STEP)
    made.target.revision, primary(made).replicas = "b-2", replicas
    primary(made).started = "b-1"
    return made


def test_an_edit_of_the_configuration_alone_is_a_rollout() -> None:
    run = Driven(made := configured())
    assert run.run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 3", "copy b-2", "scale 0"]
    assert (primary(made).started, run.turns[-1].decision.status.stable) == (
        "b-2",
        Version(name="web-primary", revision="b-2"),
    )


def test_pods_that_were_there_before_are_replaced_before_the_rollout() -> None:
    """They have read the old configuration; their Deployment replaces none of them."""
    run = Driven(made := configured(replicas=2))
    assert run.run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 0", "scale 3", "copy b-2", "scale 0"]
    assert primary(made).started == "b-2"


def test_an_edit_of_the_configuration_during_the_analysis_starts_again_with_new_pods() -> None:
    """Once the old ones have answered what they had begun: none of them is in the second rollout."""
    run = Driven(made := configured([{"weight": 50, "hold": "30s"}]))
    run.at(22, lambda: setattr(made.target, "revision", "b-3"))
    assert run.run().code is Exit.SUPERSEDED
    assert ([one.weight for one in made.router.writes], primary(made).writes) == ([50, 0], ["scale 3", "scale 0"])
    back = next(turn for turn in run.turns if turn.decision.reason is Reason.SUPERSEDED)
    assert back.observed.desired_version == Version(name="web-canary", revision="b-3")
    drained = [turn.at for turn in run.turns if turn.decision.reason is Reason.DRAINING]
    scaled = next(turn.at for turn in run.turns if turn.decision.reason is Reason.SCALING_DOWN)
    assert drained
    assert (scaled - back.at).total_seconds() >= 5
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).writes[2:] == ["scale 3", "copy b-3", "scale 0"]
    assert primary(made).started == "b-3"


def test_an_edit_of_the_configuration_during_the_promotion_waits() -> None:
    made = configured()

    def copied(revision: str) -> None:
        SandboxPrimary.copy(primary(made), revision)
        made.target.revision = "b-3"

    primary(made).copy = copied  # type: ignore[method-assign]
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).revision == "b-2"
    assert Driven(made).run().code is Exit.PROMOTED
    assert (primary(made).revision, primary(made).started) == ("b-3", "b-3")


def test_an_edit_right_before_pods_are_started_is_another_rollout() -> None:
    """What is kept for them is what they will read: the target isn't scaled up for another one."""
    made = configured()
    scale = primary(made).scale

    def late(replicas: int, revision: str = "") -> None:
        if revision == "b-2":
            made.target.revision = "b-3"
        scale(replicas, revision)

    primary(made).scale = late  # type: ignore[method-assign]
    assert Driven(made).run().code is Exit.SUPERSEDED
    assert (primary(made).writes, made.router.writes) == ([], [])
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).writes == ["scale 3", "copy b-3", "scale 0"]


def test_a_failed_configuration_is_not_tried_again_and_the_old_one_is_at_rest() -> None:
    made = configured()
    primary(made).broken = frozenset({"b-2"})
    assert Driven(made).run().code is Exit.ROLLED_BACK
    assert primary(made).writes == ["scale 3", "copy b-2", "copy b-1", "scale 0"]
    made.target.revision = "b-1"
    assert Driven(made).run().code is Exit.PROMOTED
    assert primary(made).writes[4:] == []
