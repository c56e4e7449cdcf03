"""Alerts that are reported to the controller roll a rollout back, on a real API server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from canary.api.plan import Traffic
from tests.incluster.site import Replica, Site
from tests.parts.alertmanager import PROVIDES, Alertmanager, find

TOKEN = "t0ken-of-the-hooks"
ON = [{"alert": "HighLatency", "labels": {"service": "reviews"}}]


def report(replica: Replica, body: Any, token: str = TOKEN) -> int:
    """The status of the answer."""
    connection = HTTPConnection("127.0.0.1", replica.port, timeout=30)
    try:
        text, headers = json.dumps(body), {"Authorization": f"Bearer {token}"}
        connection.request("POST", "/hooks/generic", text, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def rolling(site: Site) -> Replica:
    """A rollout that stays at 50%, and the replica that leads."""
    replica = site.controller(environment={"CANARY_HOOKS_TOKEN": TOKEN})
    site.apply(rollbackOn=ON, steps=[{"weight": 50, "hold": "1h"}])
    site.until_weight(50)
    return replica


def test_only_a_matching_alert_rolls_back_and_through_any_replica(site: Site, rolling: Replica) -> None:
    """With the alert as the reason, and as a version that failed."""
    other = site.controller(environment={"CANARY_HOOKS_TOKEN": TOKEN})
    alert = {"alert": "HighLatency", "labels": {"service": "reviews"}, "message": "p99 is 2 s"}
    assert report(rolling, alert, "wrong") == 401
    assert report(rolling, {**alert, "labels": {"service": "ratings"}}) == 200
    assert site.status.canary_weight == 50
    site.when(lambda: _answers(other, alert), "the other replica to list the Canaries")
    site.until_phase("Failed")
    assert site.traffic == Traffic()
    (ended, *_) = site.status.history
    assert (ended.outcome, ended.reason) == ("RolledBack", "AlertFired")
    assert ended.message == "the alert HighLatency asked to roll back: p99 is 2 s"
    for replica in (rolling, other):
        assert TOKEN not in replica.text


def test_an_alert_after_the_promotion_brings_the_version_before_back(site: Site) -> None:
    """As `canary undo` does: by a rollout, which the alert that goes on firing doesn't end. An Event says why."""
    replica = site.controller(environment={"CANARY_HOOKS_TOKEN": TOKEN})
    site.apply(rollbackOn=ON, watchAfterPromotion="1h", steps=[{"weight": 50}])
    site.until_phase("Succeeded")
    alert = {"alert": "HighLatency", "labels": {"service": "reviews"}, "startsAt": datetime.now(UTC).isoformat()}
    assert report(replica, alert) == 200
    site.when(lambda: site.status.rollouts == 2, "the rollout back to begin")
    assert report(replica, alert) == 200
    site.until_phase("Succeeded")
    assert [one.canary.name for one in site.status.history] == ["v1", "v2"]
    assert report(replica, alert) == 200
    assert site.mesh.kube.read(site.path("Canary", "reviews"))["spec"]["version"] == "v1"
    said = "going back to v1"
    found = site.mesh.kube.read(f"/api/v1/namespaces/{site.mesh.namespace}/events")["items"]
    assert [one["reason"] for one in found if one["message"].startswith(said)] == ["AlertFired"]


def _answers(replica: Replica, alert: Any) -> bool:
    try:
        return report(replica, alert) == 200 and "rollback asked for" in replica.text
    except OSError:
        return False


@pytest.fixture
def alertmanager(rolling: Replica, tmp_path: Path) -> Iterator[Alertmanager]:
    """One that reports to the controller."""
    binary = find() or pytest.skip(f"Alertmanager is missing: `{PROVIDES}` provides it")
    made = Alertmanager(
        binary, tmp_path / "alertmanager", f"http://127.0.0.1:{rolling.port}/hooks/alertmanager", TOKEN
    )
    made.start()
    yield made
    made.stop()


@pytest.mark.long
def test_a_real_alertmanager_rolls_back(site: Site, alertmanager: Alertmanager) -> None:
    """As it fires, with its summary."""
    alertmanager.fire(alertname="HighLatency", service="reviews", severity="page")
    site.until_phase("Failed")
    (ended, *_) = site.status.history
    assert ended.reason == "AlertFired"
    assert "HighLatency of {" in ended.message
