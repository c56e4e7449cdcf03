"""How many replicas the target of a primary gets, and how many of both must be available, on virtual time."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.engine.actions import Provision
from tests.rollout.wired import Driven

from .test_primary import box, primary

BETA = [{"headers": {"x-user": {"exact": "beta"}}}]


@pytest.mark.parametrize(
    ("replicas", "analysis", "scaled"),
    [
        (None, {"steps": [{"weight": 20}, {"weight": 50}]}, [10]),
        ("full", {"steps": [{"weight": 20}, {"weight": 50}]}, [10]),
        ("matchWeight", {"steps": [{"weight": 15}, {"weight": 20}, {"weight": 50}]}, [2, 5]),
        ("matchWeight", {"steps": [{"mirror": 30}, {"weight": 1}, {"weight": 100}]}, [3, 10]),
        ("matchWeight", {"steps": None, "iterations": 2, "match": BETA}, [10]),
        ("matchWeight", {"steps": [{"weight": 50}], "capacity": "ignore"}, [5]),
        (1, {"steps": [{"weight": 10}]}, [1]),
        (4, {"steps": [{"weight": 20}, {"weight": 50}]}, [4, 5]),
        (4, {"steps": [{"weight": 20}, {"weight": 50}], "capacity": "ignore"}, [4]),
        (20, {"steps": [{"weight": 20}]}, [20]),
    ],
)
def test_the_replicas_of_the_canary(replicas: int | str | None, analysis: dict[str, Any], scaled: list[int]) -> None:
    """They grow before the step that needs them, and are zero at the end."""
    made = box(canaryReplicas=replicas, **analysis)
    made.world.replicas = 10
    run = Driven(made)
    assert run.run().code is Exit.PROMOTED
    written = [one for one in primary(made).writes if one.startswith("scale")]
    assert written == [f"scale {one}" for one in (*scaled, 0)]


def begins(made: Driven) -> float:
    """Seconds until the first weight."""
    first = next(turn for turn in made.turns if turn.decision.status.canary_weight)
    return (first.at - made.turns[0].at).total_seconds()


@pytest.mark.parametrize(("threshold", "waits"), [(None, False), (67, False), (100, True)])
def test_an_increase_waits_for_a_share_of_the_canary(
    threshold: int | None, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three replicas are more than 20% needs; the share is rounded down, as in Flagger."""
    made = box(steps=[{"weight": 20}], canaryReadyThreshold=threshold)
    available = {"web-canary": 2, "web-primary": 3}
    monkeypatch.setattr(made.world, "available", available.__getitem__)
    run = Driven(made).at(60, lambda: available.update({"web-canary": 3}))
    assert run.run().code is Exit.PROMOTED
    assert (begins(run) >= 60) is waits
    said = {turn.decision.sentence for turn in run.turns if "canaryReadyThreshold" in turn.decision.sentence}
    assert said == ({"web-canary has 2 of 3 replicas, and canaryReadyThreshold 100% asks for 3"} if waits else set())


@pytest.mark.parametrize(
    ("threshold", "before", "after"), [(None, False, True), (60, False, False), (100, True, True)]
)
def test_a_share_of_the_primary(
    threshold: int | None, before: bool, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a threshold an increase needs one of its replicas, and a promotion all of them."""
    made = box(steps=[{"weight": 20}], primaryReadyThreshold=threshold)
    available = {"web-canary": 3, "web-primary": 3}
    monkeypatch.setattr(made.world, "available", available.__getitem__)
    run = Driven(made).at(1, lambda: available.update({"web-primary": 2}))
    run.at(120, lambda: available.update({"web-primary": 3}))
    assert run.run().code is Exit.PROMOTED
    said = [turn for turn in run.turns if turn.decision.reason is Reason.PRIMARY_NOT_READY]
    assert any("primaryReadyThreshold" in turn.decision.sentence for turn in said) is before
    copied = [turn.at for turn in run.turns if turn.decision.reason is Reason.PROMOTING]
    assert any(turn.at >= copied[0] for turn in said) is after or before
    late = run.turns[-1].at - run.turns[0].at > timedelta(seconds=120)
    assert late is (before or after)


@pytest.mark.parametrize(("threshold", "ready"), [(None, 100), (60, 60)])
def test_a_share_of_the_first_primary(threshold: int | None, ready: int) -> None:
    """The routes wait for the same share as a promotion does."""
    run = Driven(box(stable=None, primaryReadyThreshold=threshold))
    run.run()
    actions = [one for turn in run.turns for one in turn.decision.actions if isinstance(one, Provision)]
    assert {one.ready for one in actions} == {ready}


@pytest.mark.parametrize(("replicas", "gives_up"), [("matchWeight", True), (2, True), ("full", False)])
def test_replicas_that_never_start(replicas: int | str, gives_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for a later step have as long as those for the first one; before, the pods are counted on to come."""
    spec = {"progressDeadlineSeconds": 60}
    made = box(spec=spec, steps=[{"weight": 20}, {"weight": 50}], canaryReplicas=replicas, deadline="10m")
    made.world.replicas = 10
    available = {"web-canary": 2, "web-primary": 10}
    monkeypatch.setattr(made.world, "available", available.__getitem__)
    run = Driven(made)
    assert run.run().code is Exit.ROLLED_BACK
    lasted = run.turns[-1].at - run.turns[0].at
    if gives_up:
        said = [turn.decision.sentence for turn in run.turns if turn.decision.reason is Reason.CANARY_NEVER_READY]
        assert said[0] == "web-canary has 2 available replicas, 1m after it grew"
    assert (timedelta(seconds=60) < lasted < timedelta(minutes=5)) is gives_up


@pytest.mark.parametrize("replicas", ["full", "matchWeight", 9])
def test_a_daemon_set_loses_a_node(replicas: int | str) -> None:
    """Both versions lose a replica; the canary has one on each node with any requested number."""
    daemon_set = {"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"}}
    made = box(spec=daemon_set, steps=[{"weight": 100, "hold": "1m"}], canaryReplicas=replicas)
    primary(made).nodes = True
    run = Driven(made).at(30, lambda: setattr(made.world, "replicas", 2))
    assert run.run().code is Exit.PROMOTED


def test_a_deployment_is_judged_by_the_replicas_that_it_had() -> None:
    """Also if the scaler of the primary has changed since."""
    made = box(steps=[{"weight": 100, "hold": "1m"}])
    run = Driven(made).at(30, lambda: setattr(made.world, "replicas", 2))
    assert run.run().code is Exit.ROLLED_BACK
