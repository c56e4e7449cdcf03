"""What a workload's own status says of its pods."""

from datetime import UTC, datetime
from typing import Any

import pytest

from canary.engine.observed import PodsRefused
from canary.workloads import pods

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
QUOTA = "exceeded quota: full, requested: pods=1, used: pods=4, limited: pods=0"
WEBHOOK = 'admission webhook "x.example" denied the request: no'


def deployment(message: str, status: str = "True", generation: int = 2) -> dict[str, Any]:
    """As Kubernetes 1.34 writes it; the other condition stays from the rollout before."""
    failed = {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": message}
    conditions = [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        {**failed, "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": 2, "conditions": conditions}}


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (f'pods "web-d65c78d69-v27mr" is forbidden: {QUOTA}', QUOTA),
        ('Pod "web-d65c78d69-abcde" is invalid: spec: too long', "spec: too long"),
        (WEBHOOK, WEBHOOK),
        ("a" * 100_000, "a" * pods.LONGEST),
    ],
)
def test_pods_that_are_refused(message: str, why: str) -> None:
    """In the same words for each pod that was tried, and in few."""
    assert pods.refused(deployment(message)) == PodsRefused(SINCE, why)


def test_pods_that_are_not_refused_any_more() -> None:
    assert pods.refused(deployment("no", status="False")) is None
    assert pods.refused(deployment("of an older spec", generation=3)) is None
    assert pods.refused({}) is None
