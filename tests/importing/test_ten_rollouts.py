"""The ten manifests run to their ends: all at the same time, by one controller, on a real API server and an Envoy.

They run as `canary import` writes them, but for time and place. An evaluation is due each second and looks at five;
at least 15 of a good build may fail; a request may take ten times as long; addresses outside of the namespace are
those of servers of the test.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.endpoint import field_of
from tests.importing.ten import TenSite
from tests.mesh.mesh import Mesh
from tests.metrics.mesh import now
from tests.parts.cluster import ControlPlane
from tests.webhooks.server import HookServer, serve

from .test_ten_manifests import FILES, imported

CHAT = "/hooks/releases"


@pytest.fixture
def server() -> Iterator[HookServer]:
    """What the manifests name outside of the cluster."""
    with serve() as found:
        yield found


@pytest.fixture
def site(
    shared: Mesh,
    kinds: None,
    scaled_objects: None,
    control_plane: ControlPlane,
    tmp_path: Path,
    server: HookServer,
) -> Iterator[TenSite]:
    made = TenSite(shared, control_plane.kubeconfig("admin"), tmp_path, server)
    yield made
    made.end()


def test_ten_manifests_are_promoted_and_rolled_back(
    site: TenSite, server: HookServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good build of each is promoted, and a bad one goes back; that of payment is good, and a person stops it."""
    monkeypatch.chdir(site.folder)
    for file in FILES:
        site.take(imported(file, site.own, capsys))
    names = {"catalogue", "checkout", "ledger", "mailer", "node-cache", "payment", "profile", "search", "storefront"}
    assert site.canaries.keys() == names | {"worker"}
    payment = {"name": "payment", "namespace": site.mesh.namespace}
    site.begin()
    since = now()

    site.push("2")
    site.until("GateClosed", "payment")
    assert site.serving()["payment"] == ("1", 0, True)
    site.loadtester.open("gate", payment)
    site.ends("Succeeded", 1)
    assert site.serving() == dict.fromkeys(site.canaries, ("2", 0, True))
    assert site.mesh.measured(since).failed == 0
    assert _chat(server) == (Counter(Started=1, Promoted=1), 0)
    assert [one.payload["phase"] for one in server.on("/released")] == ["Succeeded"]
    assert {one.payload["metadata"]["pipeline"] for one in server.on("/released")} == {"payment"}
    assert server.on("/may-increase?service=payment")
    assert server.on("/events")
    assert f"test ledger --namespace {site.mesh.namespace}\n" in (site.folder / "helm").read_text()
    assert "command refused" not in site.loadtester.log

    site.as_strict_as_written()
    site.push("3", errors=1.0)
    site.mesh.behave("payment", image="payment:3", errors=0.0)
    site.when(lambda: site.status_of("payment").canary_weight > 0, "requests to payment")
    site.loadtester.open("rollback", payment)
    site.ends("Failed", 2)
    assert site.serving() == dict.fromkeys(site.canaries, ("2", 0, True))
    failed = {one.image for one in site.mesh.measured(since).answers if one.failed}
    assert failed <= {f"{name}:3" for name in names | {"worker"} - {"payment"}}
    assert site.status_of("payment").history[0].reason == "RollbackHook"
    assert _chat(server) == (Counter(Started=2, Promoted=1, RolledBack=1), 2)
    assert [one.payload["phase"] for one in server.on("/released")] == ["Succeeded", "Failed"]


def _chat(server: HookServer) -> tuple[Counter[str], int]:
    """How many starts and ends the channel of profile got, and how many cards the people on duty: they hear of a
    rollback when it begins, and when it is over."""
    posted = [one.payload for one in server.on(CHAT)]
    reasons = [field_of(one, "Reason") for one in posted if "attachments" in one]
    ends = Counter(one for one in reasons if one in ("Started", "Promoted", "RolledBack"))
    return ends, len(posted) - len(reasons)
