"""Small worlds, explored without exception: each promise holds in each decision, and every rollout ends.

A world keeps most things benign and lets a few go every way, so that pairs of troubles meet somewhere.
With CANARY_EXPLORE=1 every world has all crashes and edits as well; that takes much longer.
"""

import os
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import pytest

from canary.api.status import Phase
from canary.engine.phases import IDLE, TRANSITIONS

from .explore import FATES, Found, World, explore
from .judged import judged

WIDE = bool(os.environ.get("CANARY_EXPLORE"))
LIMIT = 2_000_000 if WIDE else 60_000
SAMPLES = ("healthy", "failing", "missing", "unreachable")
CANARY = ("available", "short", "none")
EDITS = ("as it is", "edited to 0", "edited to 35", "edited in parts", "unreadable")
WANTED = ("the same", "a new build", "back to stable", "unreadable")
ASKS = ("nothing", "approve by ada", "reject", "pause", "resume", "promote", "skip", "rollback", "retry")
TWO_STEPS: dict[str, Any] = {"stepWeights": [10, 50]}
HELD: dict[str, Any] = {"steps": [{"weight": 10, "hold": "10s"}, {"weight": 50, "hold": "20s", "looks": 2}]}


def gated(on_timeout: str, count: int = 1) -> dict[str, Any]:
    """A gate of two ticks at the only step."""
    gate = {"approval": {"count": count}, "timeout": "20s", "onTimeout": on_timeout}
    return {"steps": [{"weight": 50, "gates": [gate]}]}


WORLDS = (
    World("evidence and replicas", TWO_STEPS, samples=SAMPLES, canary=CANARY, stable=("available", "none")),
    World("evidence and edits", TWO_STEPS, samples=("healthy", "failing"), route=EDITS),
    World("evidence and crashes", TWO_STEPS, samples=SAMPLES, fates=FATES),
    World("replicas and edits", TWO_STEPS, canary=(*CANARY, "unreadable", "stuck"), route=EDITS),
    World("crashes and edits", TWO_STEPS, route=(*EDITS, "edited to 100", "refused"), fates=FATES),
    World("crashes and wishes", TWO_STEPS, wanted=WANTED, fates=FATES, samples=("healthy", "failing")),
    World("wishes and edits", TWO_STEPS, wanted=WANTED, route=EDITS),
    World("wishes and replicas", TWO_STEPS, wanted=WANTED, canary=CANARY, stable=("available", "none")),
    World("people and evidence", TWO_STEPS, asks=ASKS, samples=("healthy", "failing")),
    World("people and edits", TWO_STEPS, asks=ASKS, route=("as it is", "edited to 35")),
    World("people and manifests", TWO_STEPS, asks=ASKS, says=("go on", "suspended", "deleted", "invalid")),
    World("people and replicas", TWO_STEPS, asks=ASKS, canary=CANARY),
    World("manifests and all else", TWO_STEPS, says=("go on", "suspended", "deleted", "invalid"), wanted=WANTED[:2],
          samples=("healthy", "failing"), route=("as it is", "edited to 35")),
    World("held steps and time", HELD, samples=SAMPLES, steps=(0, 1, 3)),
    World("blue/green", {"iterations": 2}, samples=SAMPLES, canary=CANARY, fates=FATES),
    World("blue/green, mirrored", {"iterations": 2, "mirror": True}, samples=("healthy", "failing"), canary=CANARY,
          route=("as it is", "edited to 35")),
    World("A/B", {"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}, samples=SAMPLES, canary=CANARY,
          route=("as it is", "edited to 35")),
    World("gate, rolled back", gated("rollback"), asks=ASKS, samples=("healthy", "failing"),
          says=("go on", "deleted")),
    World("gate, promoted", gated("promote", 2), canary=CANARY,
          asks=("nothing", "approve by ada", "approve by bob", "pause", "resume"),
          stable=("available", "none"), wanted=("the same", "unreadable")),
    World("gate, held", gated("hold"), asks=("nothing", "approve by ada", "pause", "resume"), fates=FATES),
    World("gate, with edits and crashes", gated("rollback"), asks=("nothing", "approve by ada"), route=EDITS,
          fates=("done", "not in effect", "not saved")),
    World("promotion in steps", {"stepWeights": [50], "stepWeightPromotion": 25}, samples=("healthy", "failing"),
          canary=CANARY, wanted=WANTED),
    World("last step at 100%", {"steps": [{"weight": 50}, {"weight": 100, "gates": [{"approval": {}}]}]},
          samples=("healthy", "failing"), asks=ASKS),
    World("skipAnalysis", {}, spec={"skipAnalysis": True}, canary=CANARY, route=EDITS, fates=FATES),
    World("no data rolls back", {**TWO_STEPS, "onNoData": {"after": "20s", "then": "rollback"}}, samples=SAMPLES,
          asks=("nothing", "pause", "resume")),
    World("no data promotes", {**TWO_STEPS, "onNoData": {"after": "20s", "then": "promote"}}, samples=SAMPLES),
    World("unreachable rolls back", {**TWO_STEPS, "onUnreachable": {"after": "20s", "then": "rollback"}},
          samples=(*SAMPLES, "nan")),
    World("drift reasserted", {**TWO_STEPS, "onDrift": "reassert"}, route=EDITS, samples=("healthy", "failing"),
          fates=("done", "not saved")),
    World("drift rolled back", {**TWO_STEPS, "onDrift": "rollback"}, route=EDITS, asks=("nothing", "pause")),
    World("capacity ignored", {**TWO_STEPS, "capacity": "ignore"}, canary=(*CANARY, "unreadable")),
)  # fmt: skip


@pytest.mark.timeout(36_000 if WIDE else 900)
def test_every_reachable_state(record_property: Callable[[str, object], None]) -> None:
    """Promises 1 to 5, 7 and 11 in each decision; every phase transition of the table, and no other; every end."""
    found = {world.name: explore(wider(world) if WIDE else world, judged, LIMIT) for world in WORLDS}
    broken = [complaint for one in found.values() for complaint in one.broken]
    taken = set().union(*(one.phases for one in found.values()))
    broken += [f"{a} → {b} is in the table and is never taken" for a, b in sorted(TRANSITIONS.keys() - taken)]
    for name, one in found.items():
        broken += [f"{name}: never ends from {trail}" for trail in endless(one)]
    states, steps = sum(len(one.states) for one in found.values()), sum(one.transitions for one in found.values())
    record_property("explored", f"{len(found)} worlds, {states:,} states, {steps:,} transitions")
    assert broken[:40] == []


def wider(world: World) -> World:
    """The world with all that crashes and foreign hands can add to it."""
    return replace(world, route=EDITS, fates=FATES, samples=SAMPLES if len(world.samples) > 1 else world.samples)


def endless(found: Found) -> list[str]:
    """States from which nobody acts, nothing changes, and still the rollout doesn't end."""
    ends: dict[Hashable, bool] = {}
    for key in found.states:
        trail = []
        while key not in ends and key not in trail and not _may_wait(found, key):
            trail.append(key)
            key = found.benign[key]  # noqa: PLW2901 - walks on
        over = ends.get(key, False) or _may_wait(found, key)
        ends.update(dict.fromkeys(trail, over))
    return [str(found.states[key]) for key, over in ends.items() if not over][:3]


def _may_wait(found: Found, key: Hashable) -> bool:
    """At rest, or waiting for a person as long as the person likes."""
    state = found.states[key]
    if state.status.phase in IDLE | {Phase.TERMINATING} and state.rollout is None:
        return True
    rollout = state.rollout
    return rollout is not None and (rollout.pause is not None or any(g.deadline is None for g in rollout.gates))
