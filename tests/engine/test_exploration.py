"""Small worlds, explored without exception: each promise holds in each decision, and every rollout ends.

A world keeps most things benign and lets a few go every way, so that pairs of troubles meet somewhere.
With CANARY_EXPLORE=1 every world has all crashes and edits as well; that takes much longer.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Phase
from canary.engine import hooks
from canary.engine.judges.judge import Verdict
from canary.engine.phases import IDLE, TRANSITIONS

from .explore import FATES, KILLED, endless, explore
from .explore_versions import State, World
from .judged import PROMISES

WIDE = bool(os.environ.get("CANARY_EXPLORE"))
LIMIT = 2_000_000 if WIDE else 60_000
SAMPLES = ("healthy", "failing", "missing", "unreachable")
CANARY = ("available", "short", "none")
EDITS = ("as it is", "edited to 0", "edited to 35", "edited in parts", "unreadable")
WANTED = ("as it is", "a new build", "back to stable", "unreadable")
ASKS = ("nothing", "approve by ada", "reject", "pause", "resume", "promote", "skip", "rollback", "retry")
TWO_STEPS: dict[str, Any] = {"stepWeights": [10, 50]}
HELD: dict[str, Any] = {"steps": [{"weight": 10, "hold": "10s"}, {"weight": 50, "hold": "20s", "iterations": 2}]}


def gated(on_timeout: str, count: int = 1) -> dict[str, Any]:
    """A gate of two reconciles at the only step."""
    gate = {"approval": {"count": count}, "timeout": "20s", "onTimeout": on_timeout}
    return {"steps": [{"weight": 50, "gates": [gate]}]}


ANSWERS = ("yes", "no", "silent", "roll back")


def hooked(*types: str) -> dict[str, Any]:
    """One step, and a hook of each of these types."""
    return {"stepWeights": [50], "webhooks": [{"type": one, "name": one, "url": "http://x/"} for one in types]}


WORLDS = (
    World("evidence and replicas", TWO_STEPS, samples=SAMPLES, canary=CANARY, stable=("available", "none")),
    World("evidence and edits", TWO_STEPS, samples=("healthy", "failing"), route=EDITS),
    World("evidence and crashes", TWO_STEPS, samples=SAMPLES, ends=FATES),
    World("replicas and edits", TWO_STEPS, canary=(*CANARY, "unreadable", "stuck"), route=EDITS),
    World("crashes and edits", TWO_STEPS, route=(*EDITS, "edited to 100", "refused"), ends=FATES),
    World("crashes and versions", TWO_STEPS, desired_version=WANTED, ends=FATES, samples=("healthy", "failing")),
    World("versions and edits", TWO_STEPS, desired_version=WANTED, route=EDITS),
    World("versions and replicas", TWO_STEPS, desired_version=WANTED, canary=CANARY, stable=("available", "none")),
    World("people and evidence", TWO_STEPS, asks=ASKS, samples=("healthy", "failing")),
    World("people and edits", TWO_STEPS, asks=ASKS, route=("as it is", "edited to 35")),
    World("people and manifests", TWO_STEPS, asks=ASKS, says=("go on", "suspended", "deleted", "invalid")),
    World("people and replicas", TWO_STEPS, asks=ASKS, canary=CANARY),
    World("manifests and all else", TWO_STEPS, says=("go on", "suspended", "deleted", "invalid"),
          desired_version=WANTED[:2],
          samples=("healthy", "failing"), route=("as it is", "edited to 35")),
    World("held steps and time", HELD, samples=SAMPLES, steps=(0, 1, 3)),
    World("blue/green", {"iterations": 2}, samples=SAMPLES, canary=CANARY, ends=FATES),
    World("blue/green, mirrored", {"iterations": 2, "mirror": True}, samples=("healthy", "failing"), canary=CANARY,
          route=("as it is", "edited to 35")),
    World("A/B", {"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}, samples=SAMPLES, canary=CANARY,
          route=("as it is", "edited to 35")),
    World("gate, rolled back", gated("rollback"), asks=ASKS, samples=("healthy", "failing"),
          says=("go on", "deleted")),
    World("gate, promoted", gated("promote", 2), canary=CANARY,
          asks=("nothing", "approve by ada", "approve by bob", "pause", "resume"),
          stable=("available", "none"), desired_version=("as it is", "unreadable")),
    World("gate, held", gated("hold"), asks=("nothing", "approve by ada", "pause", "resume"), ends=FATES),
    World("gate, with edits and crashes", gated("rollback"), asks=("nothing", "approve by ada"), route=EDITS,
          ends=("done", "not in effect", "not saved")),
    World("hooks that gate and check", hooked("confirm-rollout", "pre-rollout", "rollout", "confirm-promotion"),
          hooks=("yes", "no", "silent"), asks=("nothing", "pause", "resume", "skip")),
    World("hooks and crashes", hooked("confirm-traffic-increase", "pre-rollout", "rollback"), hooks=ANSWERS,
          ends=FATES),
    World("hooks at a gate of a step", {"steps": [{"weight": 50, "gates": [
              {"name": "go", "webhook": {"url": "http://x/"}, "timeout": "20s"}]}]},
          hooks=("yes", "no", "silent"), asks=("nothing", "pause", "resume", "skip"), ends=("done", *KILLED[:1])),
    World("hooks and evidence", hooked("rollout", "rollback"), hooks=ANSWERS, samples=("healthy", "failing"),
          canary=CANARY, stable=("available", "none")),
    World("promotion in steps", {"stepWeights": [50], "stepWeightPromotion": 25}, samples=("healthy", "failing"),
          canary=CANARY, desired_version=WANTED),
    World("last step at 100%", {"steps": [{"weight": 50}, {"weight": 100, "gates": [{"approval": {}}]}]},
          samples=("healthy", "failing"), asks=ASKS),
    World("last step at 100%, stable gone", {"steps": [{"weight": 50}, {"weight": 100, "hold": "20s"}]},
          samples=("healthy", "failing"), stable=("available", "none"),
          asks=("nothing", "reject", "promote", "skip")),
    World("skipAnalysis, both gone", {}, spec={"skipAnalysis": True}, desired_version=WANTED[:3],
          says=("go on", "deleted"),
          canary=("available", "none"), stable=("available", "none"), asks=("nothing", "rollback")),
    World("skipAnalysis", {}, spec={"skipAnalysis": True}, canary=CANARY, route=EDITS, ends=FATES),
    World("no data rolls back", {**TWO_STEPS, "onNoData": {"after": "20s", "then": "rollback"}}, samples=SAMPLES,
          asks=("nothing", "pause", "resume")),
    World("no data promotes", {**TWO_STEPS, "onNoData": {"after": "20s", "then": "promote"}}, samples=SAMPLES),
    World("unreachable rolls back", {**TWO_STEPS, "onUnreachable": {"after": "20s", "then": "rollback"}},
          samples=(*SAMPLES, "nan")),
    World("drift reasserted", {**TWO_STEPS, "onDrift": "reassert"}, route=EDITS, samples=("healthy", "failing"),
          ends=("done", "not saved")),
    World("drift rolled back", {**TWO_STEPS, "onDrift": "rollback"}, route=EDITS, asks=("nothing", "pause")),
    World("capacity ignored", {**TWO_STEPS, "capacity": "ignore"}, canary=(*CANARY, "unreadable")),
)  # fmt: skip


ALWAYS = frozenset(
    {
        "evidence and edits",
        "replicas and edits",
        "versions and replicas",
        "no data promotes",
        "A/B",
        "hooks and evidence",
    }
)
"""Small worlds that `make test` explores; the others are long tests."""
EVERY_TRANSITION = ("versions and replicas", "skipAnalysis, both gone", "gate, held", "gate, rolled back")
"""Worlds in which, taken together, a rollout goes every way between phases."""


@pytest.mark.timeout(36_000 if WIDE else 900)
@pytest.mark.parametrize(
    "world",
    [pytest.param(one, id=one.name, marks=() if one.name in ALWAYS else pytest.mark.long) for one in WORLDS],
)
def test_every_reachable_state(world: World, record_property: Callable[[str, object], None]) -> None:
    """Promises 1 to 5, 7 and 11 in each decision; no phase transition that isn't in the table; every end."""
    found = explore(wider(world) if WIDE else world, PROMISES, LIMIT)
    broken = found.broken or [
        *(f"never ends from {one!r}" for one in endless(found, found.benign, _may_wait)),
        *(f"never ends without stable from {one!r}" for one in endless(found, found.alone, _may_stay)),
    ]
    record_property("explored", f"{world.name}: {len(found.states):,} states, {found.transitions:,} transitions")
    assert broken[:40] == []


@pytest.mark.long
def test_every_transition_is_taken() -> None:
    """The table of phase transitions has none that a rollout never takes."""
    found = [explore(world, (), LIMIT) for world in WORLDS if world.name in EVERY_TRANSITION]
    assert TRANSITIONS.keys() - set().union(*(one.phases for one in found)) == set()


def wider(world: World) -> World:
    """The world with all that crashes and foreign hands can add to it."""
    return replace(world, route=EDITS, ends=FATES, samples=SAMPLES if len(world.samples) > 1 else world.samples)


def _may_wait(state: State) -> bool:
    """At rest, or waiting for a person as long as the person likes."""
    if state.status.phase in IDLE | {Phase.TERMINATING} and state.rollout is None:
        return True
    rollout = state.rollout
    held = (gate for gate in rollout.gates if gate.deadline is None and not gate.hook) if rollout is not None else ()
    return rollout is not None and (rollout.pause is not None or any(held))


def _may_stay(state: State) -> bool:
    """Without stable all may wait but what has every request already, and wasn't found worse."""
    rollout = state.rollout
    if rollout is None or rollout.end is not None or _may_wait(state) or rollout.gates:
        return True
    worse = rollout.evaluation is not None and Verdict(rollout.evaluation.verdict) is Verdict.ROLL_BACK
    worse = worse or hooks.rollback_asked(rollout) is not None
    return worse or state.foreign or state.route != Traffic(weight=100) or rollout.desired != state.route
