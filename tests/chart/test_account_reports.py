"""What the controller's account may create for reported alerts, on a real API server."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chart.release import installed, username
from tests.chart.test_account import Token
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

OWN = "status, its own finalizer, and spec.version to one of its history only"
REFUSED = "the controller creates rollbacks that an alert asks for only"


@pytest.fixture
def token(control_plane: ControlPlane, kinds: None, helm_binary: Path, namespace: str) -> Iterator[Token]:
    """Of a release that takes alerts."""
    with installed(control_plane, helm_binary, "canary-reports", {"receivers": {"secret": "hooks"}}) as release:
        yield Token(release, namespace)


def asked(token: Token, verb: str, **spec: str) -> str:
    """What the server answers to an action in the account's own name."""
    release = token.release
    author = username(release.namespace, release.name)
    body = {
        "apiVersion": "canary-controller.dev/v1beta1",
        "kind": "CanaryAction",
        "metadata": {"generateName": "web-alert-"},
        "spec": {"canary": "web", "verb": verb, "author": author, **spec},
    }
    return token.send("POST", token.path("canaryactions"), body)


def canary(history: list[str]) -> dict[str, Any]:
    """One whose rollouts replaced these versions."""
    moment = "2026-03-02T10:00:00Z"
    ended = {
        "number": 1,
        "started": moment,
        "ended": moment,
        "outcome": "Promoted",
        "reason": "Promoted",
        "message": "",
    }
    past = [
        {**ended, "stable": {"name": one, "revision": "a"}, "canary": {"name": "v2", "revision": "b"}}
        for one in history
    ]
    spec = {
        "targetRef": {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "web"},
        "version": "v2",
    }
    return {
        "apiVersion": "canary-controller.dev/v1beta1", "kind": "Canary", "metadata": {"name": "web"},
        "spec": {**spec, "analysis": {"stepWeight": 10}}, "status": {"history": past},
    }  # fmt: skip


@pytest.mark.long
def test_it_goes_back_to_versions_of_the_history_and_changes_nothing_else_of_a_spec(token: Token) -> None:
    """As an alert after a promotion asks."""
    kube, path = token.release.control_plane.kube, token.path("canaries", "web")
    made = canary(["v1"])
    kube.create(token.path("canaries"), made)
    kube.merge(f"{path}/status", {"status": made["status"]})
    refused = [
        {"version": "v9"},
        {"version": "v1", "analysis": {"stepWeight": 50}},
        {"suspend": True},
    ]
    tried = f"{path}?dryRun=All"  # what is let through before the policies are in force must change nothing
    wait_for(lambda: OWN in token.send("PATCH", tried, {"spec": refused[0]}), "the policies", within=SLOWLY)
    assert [OWN in token.send("PATCH", path, {"spec": one}) for one in refused] == [True] * len(refused)
    assert token.send("PATCH", path, {"spec": {"version": "v1"}}) == ""


@pytest.mark.long
def test_it_creates_rollbacks_of_alerts_and_no_other_action(token: Token) -> None:
    """Anyone who has its token can approve nothing."""
    refused = wait_for(partial(asked, token, "approve"), "the policies to be in force", within=SLOWLY)
    assert REFUSED in refused
    assert REFUSED in asked(token, "rollback")
    assert REFUSED in asked(token, "approve", alert="HighLatency")
    assert asked(token, "rollback", alert="HighLatency") == ""
