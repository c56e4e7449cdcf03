"""Small worlds of a target that is released through a primary, explored without exception."""

from collections.abc import Callable

import pytest

from .explore import endless, explore
from .explore_primary import State, World, settled
from .judged_primary import PROMISES

LIMIT = 60_000
ONE_STEP, TWO_STEPS = {"stepWeights": [50]}, {"stepWeights": [10, 50]}
PUSHES = ("nothing", "a push", "a push of what is promoted")
HANDS = ("nothing", "primary deleted", "primary edited", "route deleted", "target scaled to zero", "target scaled up")
UNREADY = ("ready", "primary stuck", "primary refused", "primary down")
PODS = ("ready", "canary down", "primary down", "both down", "canary stuck", "unreadable")
SAMPLES = ("healthy", "failing")
ASKS = ("nothing", "pause", "resume", "promote", "rollback")
KEPT = {"port": 80, "primaryLabels": "keep"}

WORLDS = (
    World("pushes and evidence", TWO_STEPS, happened=PUSHES, samples=SAMPLES),
    World("pushes and pods", TWO_STEPS, happened=PUSHES, pods=PODS),
    World("kept labels", ONE_STEP, spec={"service": KEPT}, happened=(*PUSHES, "route deleted")),
    World("few replicas", {**TWO_STEPS, "canaryReplicas": "matchWeight"},
          happened=("nothing", "a push", "target scaled to zero"), pods=("ready", "canary down", "both down")),
    World("failed promotions", TWO_STEPS, happened=PUSHES, pods=UNREADY),
    World("other clients", TWO_STEPS, happened=(*HANDS, "a push"), samples=SAMPLES),
    World("another process", ONE_STEP, happened=(*PUSHES, "promoted by another process"), samples=SAMPLES),
    World("people", ONE_STEP, happened=PUSHES, asks=ASKS),
    World("manifests", TWO_STEPS, happened=PUSHES, says=("go on", "suspended", "deleted", "invalid"),
          desired_version=("as it is", "unreadable")),
    World("deletions", TWO_STEPS, spec={"revertOnDeletion": True}, happened=(*PUSHES, "primary deleted"),
          says=("go on", "deleted"), pods=("ready", "canary down", "primary down")),
)  # fmt: skip
ALWAYS = frozenset({"pushes and evidence"})
"""Small worlds that `make test` explores; the others are long tests."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "world",
    [pytest.param(one, id=one.name, marks=() if one.name in ALWAYS else pytest.mark.long) for one in WORLDS],
)
def test_every_reachable_state(world: World, record_property: Callable[[str, object], None]) -> None:
    """Each promise in each decision; no phase transition that isn't in the table; every way comes to rest."""
    found = explore(world, PROMISES, LIMIT)
    record_property("explored", f"{world.name}: {len(found.states):,} states, {found.transitions:,} transitions")
    broken = found.broken or [f"never comes to rest from {one!r}" for one in endless(found, found.benign, waits)]
    assert broken[:40] == []


def waits(state: State) -> bool:
    """At rest, or for a person as long as the person likes: paused, or with a route that another client changed."""
    rollout = state.rollout
    return settled(state) or state.foreign or (rollout is not None and rollout.pause is not None)
