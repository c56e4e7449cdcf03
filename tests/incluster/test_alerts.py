"""Alerts of the controller, on a real API server: from an AlertProvider in another namespace, across a crash."""

import base64
import signal
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from tests.alerts.endpoint import Endpoint, Posted, endpoint, field_of
from tests.incluster.site import API, Site
from tests.parts.processes import wait_for

ALERTS = [{"name": "team", "severity": "info", "providerRef": {"name": "on-call", "namespace": "default"}}]


@pytest.fixture
def up() -> Event:
    """Set once the chat works."""
    return Event()


@pytest.fixture
def chat(site: Site, up: Event) -> Iterator[Endpoint]:
    """A chat that is down at first, and the AlertProvider with its Secret, in a namespace of the platform team."""
    kube, secret = site.mesh.kube, "/api/v1/namespaces/default/secrets"
    provider = f"/apis/{API}/namespaces/default/alertproviders"
    with endpoint(lambda _: (200, "ok") if up.is_set() else (503, "")) as at:
        data = {"address": base64.b64encode(f"{at.url}/T0".encode()).decode()}
        kube.create(secret, {"metadata": {"name": "slack"}, "data": data})
        spec = {"type": "slack", "secretRef": {"name": "slack"}, "templates": {"Promoted": "{{ name }} is out"}}
        kube.create(
            provider, {"apiVersion": API, "kind": "AlertProvider", "metadata": {"name": "on-call"}, "spec": spec}
        )
        yield at
    for path in (f"{secret}/slack", f"{provider}/on-call"):
        kube.request("DELETE", path)


def shown(posted: list[Posted]) -> list[dict[str, Any]]:
    return [one.body for one in posted]


def test_each_alert_is_sent_once_by_the_next_controller(site: Site, chat: Endpoint, up: Event) -> None:
    """While the chat is down nothing waits for it. What is due is in the status, and the address in no output."""
    first = site.controller("--cluster-name", "eu-1")
    site.apply(alerts=ALERTS, stepWeights=[50])
    site.until_phase("Succeeded")
    site.when(lambda: all(one.alerts for one in site.status.outbox), "Events of all messages")
    due = [str(one.reason) for one in site.status.outbox]  # on a busy machine also of a check that failed
    assert (due[0], due[-1]) == ("Started", "Promoted")
    first.send(signal.SIGKILL)
    first.ends()
    tried = len(chat.posted)
    assert tried > 0
    up.set()
    second = site.controller("--cluster-name", "eu-1")
    wait_for(lambda: site.status.outbox == (), "an empty outbox")
    sent = shown(chat.posted[tried:])
    assert sorted(str(field_of(one, "Reason")) for one in sent) == sorted(due)
    [end] = [one for one in sent if field_of(one, "Reason") == "Promoted"]
    assert field_of(end, "Canary") == f"{site.name}.{site.mesh.namespace}"
    assert field_of(end, "Cluster") == "eu-1"
    assert field_of(end, "Command") == f"canary undo {site.name} -n {site.mesh.namespace}"
    assert end["attachments"][0]["text"] == f"{site.name} is out"
    for replica in (first, second):
        assert "/T0" not in replica.text
    assert "503" in first.text
