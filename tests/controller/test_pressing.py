"""Which Canaries are looked at right after a start."""

from datetime import UTC, datetime
from typing import Any

import pytest

from canary.controller.settings import Area
from canary.controller.watches import ClusterFleet
from canary.rollout.drive import WallClock
from canary.stores.projection import FINALIZER

from .objects import Wire, canary, client

DONE = {"phase": "Succeeded", "observedGeneration": 1}
ASLEEP = {"at rest": ({}, DONE), "at rest, with someone else's finalizer": ({"finalizers": ["a.b/c"]}, DONE)}
AWAKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "new": ({}, {}),
    "edited while no one looked": ({"generation": 2}, DONE),
    "in a rollout": ({"finalizers": [FINALIZER]}, {**DONE, "rollout": {"number": 1}}),
    "after a rollout, before its Lease was released": ({"finalizers": [FINALIZER]}, DONE),
    "deleted": ({"finalizers": ["a.b/c"], "deletionTimestamp": "2026-03-02T10:00:00Z"}, DONE),
}


@pytest.mark.parametrize(
    ("metadata", "status", "pressing"),
    [
        *(pytest.param(*row, True, id=name) for name, row in AWAKE.items()),
        *(pytest.param(*row, False, id=name) for name, row in ASLEEP.items()),
    ],
)
def test_what_is_not_at_rest_for_sure_is_looked_at_first(
    metadata: dict[str, Any], status: dict[str, Any], pressing: bool
) -> None:
    """Thousands at rest wait for their turn, evenly."""
    fleet = ClusterFleet(client(Wire()), Area("shop"), WallClock(), lambda namespace, at: at > datetime.now(UTC))
    fleet.canaries.put(canary(status=status, **metadata))
    assert fleet.pressing(("shop", "reviews")) is pressing
    assert not fleet.pressing(("shop", "others"))
