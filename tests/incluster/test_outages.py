"""The API server gone, frozen, compacted, cut off, busy or refusing; a Prometheus that never answers.

Each time: no weight above what was meant, a bad version is out as soon as there is contact, nothing starts again.
"""

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.bookinfo.site import NAME
from tests.incluster.site import API, Replica, Site
from tests.incluster.test_crashes import REPLICA, generation
from tests.kube.pressure import refused
from tests.kube.proxy import Proxy, proxied
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import get, wait_for

pytestmark = [
    pytest.mark.long,
    # urllib3 forgets a socket whose other end is gone before TLS begins; the mesh asks ten times a second.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

MINUTE = 60.0
EXPOSED = [{"weight": 50, "hold": "10m"}]
"""A step that only bad evidence ends."""
SHORT = [{"weight": weight, "hold": "4s"} for weight in (10, 20, 30, 40, 50, 60)]
AUTHORIZATION = "rbac.authorization.k8s.io/v1"
GROUPS = ["", "apps", "events.k8s.io", "coordination.k8s.io", API.partition("/")[0]]
ISTIO = [bookinfo.ISTIO.partition("/")[0]]


@pytest.fixture
def site(site: Site, control_plane: ControlPlane) -> Iterator[Site]:
    """Afterwards all that was killed or frozen runs again."""
    yield site
    site.stop()
    control_plane.mend()


def says(replica: Replica, what: str) -> None:
    """Waits until it logs so."""
    wait_for(lambda: what in replica.text, f"{what!r} in {replica.text[-3000:]}", within=2 * SLOWLY)


def exposed(site: Site, **controller: Any) -> tuple[Replica, int]:
    """A controller with a rollout that holds 50% on v2; how often the routes have been written by then."""
    replica = site.controller(**controller)
    site.apply(steps=EXPOSED)
    site.until_weight(50)
    site.when(lambda: site.status.rollout is not None and site.status.rollout.step == 1, "the step to be saved")
    return replica, generation(site)


def lowered_first(site: Site, written: int) -> None:
    """It is rolled back, and the routes were written once only: to weight 0."""
    site.until_phase("Failed")
    status = site.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.ROLLED_BACK)
    assert (site.traffic, generation(site)) == (Traffic(), written + 1)


def promoted(site: Site, written: int, steps: int) -> None:
    """One rollout came to its end, and each weight was written once."""
    site.until_phase("Succeeded")
    assert (site.status.rollouts, site.status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert generation(site) == written + steps + 1


def lasted(since: float, seconds: float) -> None:
    """Returns when so much time has passed."""
    wait_for(lambda: time.monotonic() - since > seconds, f"{seconds:g} s", within=seconds + SLOWLY, every=0.2)


# ---- no API server ---------------------------------------------------------------------------------------------


def test_the_api_server_is_gone_for_a_minute(site: Site, control_plane: ControlPlane) -> None:
    """v2 turns bad meanwhile; the watches are too old afterwards, and the first write is weight 0."""
    replica, written = exposed(site)
    control_plane.api_server.kill()
    gone = time.monotonic()
    site.mesh.behave("reviews-v2", errors=1.0)
    lasted(gone, MINUTE)
    assert replica.process.poll() is None
    control_plane.restart_api_server()
    lowered_first(site, written)


def test_the_api_server_is_frozen_for_a_minute(site: Site, control_plane: ControlPlane) -> None:
    """It takes connections and answers nothing: a healthy rollout goes on where it stood."""
    site.controller()
    written = generation(site)
    site.apply(steps=SHORT)
    site.until_weight(20)
    control_plane.api_server.pause()
    lasted(time.monotonic(), MINUTE)
    control_plane.api_server.resume()
    promoted(site, written, len(SHORT))


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[Proxy]:
    """Between the controller and the API server."""
    with proxied(int(control_plane.url.rpartition(":")[2])) as started:
        yield started


@pytest.fixture
def behind(proxy: Proxy, control_plane: ControlPlane, tmp_path: Path) -> dict[str, str]:
    """The environment of a controller that goes through the proxy."""
    config = json.loads(control_plane.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = tmp_path / "proxied.kubeconfig"
    path.write_text(json.dumps(config))
    return {"KUBECONFIG": str(path)}


def test_every_connection_is_cut_each_second_for_a_minute(site: Site, proxy: Proxy, behind: dict[str, str]) -> None:
    """A rollout goes on meanwhile, one step after the other, and comes to its end."""
    site.controller(environment=behind)
    written, began, over = generation(site), time.monotonic(), threading.Event()
    site.apply(steps=SHORT)

    def cut() -> None:
        while time.monotonic() - began < MINUTE and not over.wait(1.0):
            proxy.cut()

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        site.until_weight(30)
        cutting.join()
    finally:
        over.set()
    promoted(site, written, len(SHORT))
    assert proxy.opened > MINUTE


def compact(site: Site, control_plane: ControlPlane) -> None:
    """etcd forgets all that was before now, and the API server begins again: no one can watch on from before."""
    flag = "--listen-client-urls="
    etcd = next(one for one in control_plane.etcd.command if one.startswith(flag)).removeprefix(flag)
    revision = site.mesh.kube.read(site.mesh.path("v1", "ConfigMap"))["metadata"]["resourceVersion"]
    body = json.dumps({"revision": revision, "physical": True}).encode()
    with urllib.request.urlopen(f"{etcd}/v3/kv/compaction", body, timeout=30) as answer:
        assert answer.status == 200
    control_plane.restart_api_server()


def test_what_happened_meanwhile_was_compacted(
    site: Site, proxy: Proxy, behind: dict[str, str], control_plane: ControlPlane
) -> None:
    """No one tells of a change that was made while there was no contact: it is listed again, and seen."""
    replica, written = exposed(site, environment=behind)
    proxy.refuse()
    site.change(suspend=True)
    compact(site, control_plane)
    proxy.start()
    says(replica, "listing again")
    site.until("Suspended")
    assert (site.traffic, generation(site), site.status.rollouts) == (Traffic(weight=50), written, 1)
    site.change(suspend=False)
    site.when(lambda: site.status.reason != "Suspended", "it to go on")
    site.mesh.behave("reviews-v2", errors=1.0)
    lowered_first(site, written)


# ---- a busy API server -----------------------------------------------------------------------------------------


@contextmanager
def another_writer(site: Site, control_plane: ControlPlane) -> Iterator[list[int]]:
    """Patches an annotation of Canary and VirtualService again and again; the list has a number for each."""
    over, done = threading.Event(), [0]
    kube = Kube(control_plane.url, control_plane.ca, control_plane.tokens)
    paths = (site.path("Canary", NAME), site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME))

    def write() -> None:
        while not over.wait(0.005):
            done[0] += 1
            for path in paths:
                kube.merge(path, {"metadata": {"annotations": {"written": str(done[0])}}})

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield done
    finally:
        over.set()
        writing.join()
        kube.close()


@pytest.mark.parametrize("errors", [0.0, 1.0], ids=["a healthy version", "a bad version"])
def test_another_client_writes_all_the_time(
    site: Site, control_plane: ControlPlane, tmp_path: Path, record_property: Any, errors: float
) -> None:
    """Read again, decided again: the same end, though many writes meet another version of the object."""
    site.controller(environment={"WRITES": str(tmp_path / "writes")}, program=REPLICA)
    steps = SHORT[:3]
    site.apply("v1", steps=steps)
    site.until("AlreadyServing")
    site.mesh.behave("reviews-v2", errors=errors)
    written = generation(site)
    with another_writer(site, control_plane) as done:
        site.change(version="v2")
        site.until_phase("Failed" if errors else "Succeeded")
    statuses = [line.split()[0] for line in (tmp_path / "writes").read_text().splitlines()]
    conflicts = sum(status in ("409", "422") for status in statuses)
    record_property(f"errors {errors:g}: writes, conflicts, other writes", (len(statuses), conflicts, done[0]))
    assert conflicts > 0
    assert site.status.rollouts == 1
    assert generation(site) == written + (2 if errors else len(steps) + 1)


def allow(site: Site, name: str, groups: list[str]) -> None:
    """Alice may do everything with these API groups in the namespace."""
    metadata = {"name": name}
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}]
    reference = {"apiGroup": AUTHORIZATION.partition("/")[0], "kind": "Role", "name": name}
    alice = {"kind": "User", "name": "alice", "apiGroup": AUTHORIZATION.partition("/")[0]}
    about = {"apiVersion": AUTHORIZATION, "metadata": metadata}
    site.mesh.apply({**about, "kind": "Role", "rules": rules})
    site.mesh.apply({**about, "kind": "RoleBinding", "roleRef": reference, "subjects": [alice]})


def forbid(site: Site, name: str) -> None:
    """She may not any more."""
    site.mesh.kube.request("DELETE", site.mesh.path(AUTHORIZATION, "RoleBinding", name))


@pytest.fixture
def alice(site: Site, control_plane: ControlPlane) -> dict[str, str]:
    """The environment of a controller that may do what it needs in the namespace, as her."""
    allow(site, "own", GROUPS)
    allow(site, "routes", ISTIO)
    return {"KUBECONFIG": str(control_plane.kubeconfig("alice"))}


def test_the_api_server_answers_429_to_everything(
    site: Site, control_plane: ControlPlane, alice: dict[str, str]
) -> None:
    """It waits as asked, and says so; what comes first afterwards is weight 0."""
    replica, written = exposed(site, environment=alice)
    with refused(control_plane):
        site.mesh.behave("reviews-v2", errors=1.0)
        says(replica, "Too many requests")
        assert generation(site) == written
    lowered_first(site, written)


# ---- permissions -----------------------------------------------------------------------------------------------


def readiness(replica: Replica) -> tuple[int, str]:
    return get(f"http://127.0.0.1:{replica.port}/readyz", timeout=10.0)


def test_a_permission_is_taken_away_in_mid_rollout(site: Site, alice: dict[str, str]) -> None:
    """The log names it; once it is given back, the bad version is out."""
    replica, written = exposed(site, environment=alice)
    forbid(site, "routes")
    site.mesh.behave("reviews-v2", errors=1.0)
    says(replica, "alice may not patch virtualservices.networking.istio.io")
    assert (site.traffic, generation(site)) == (Traffic(weight=50), written)
    allow(site, "routes", ISTIO)
    lowered_first(site, written)


def test_without_a_permission_nothing_begins(site: Site, alice: dict[str, str]) -> None:
    """/readyz and the log name what is missing; given, the controller begins by itself."""
    forbid(site, "routes")
    replica = site.controller(environment=alice)
    site.apply(steps=EXPOSED)
    wanted = "alice may not list virtualservices.networking.istio.io"
    site.when(lambda: wanted in readiness(replica)[1], "/readyz to name it")
    assert readiness(replica)[0] == 503
    says(replica, wanted)
    assert site.traffic == Traffic()
    allow(site, "routes", ISTIO)
    site.until_weight(50)
    site.when(lambda: readiness(replica)[0] == 200, "/readyz to be well")


# ---- no Prometheus ---------------------------------------------------------------------------------------------


@pytest.fixture
def mute() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_prometheus_that_hangs_delays_only_its_own(site: Site, mute: str) -> None:
    """Another Canary with another Prometheus comes to its end meanwhile; the one that hangs holds, and says why."""
    route = {"name": "default", "route": bookinfo.to("reviews", v1=100)}
    site.mesh.apply(bookinfo.virtual_service("other", route))
    site.controller()
    other = {"targetRef": {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": "other"}}
    site.apply(steps=EXPOSED)
    site.until_weight(50)
    site.change(metricsServer=mute)
    site.apply(name="other", spec={**other, "host": "reviews"}, steps=SHORT[:2])
    site.until_phase("Succeeded", "other")
    site.when(lambda: site.status.reason == "MetricsUnreachable", "the hold to be reported")
    assert (site.status.phase, site.traffic) == ("Progressing", Traffic(weight=50))
    site.delete("other")
    site.mesh.delete("VirtualService", "other")


def test_a_lost_version_is_rolled_back_though_prometheus_hangs(site: Site, mute: str) -> None:
    """No one waits for its answer where there are no pods."""
    site.controller()
    site.apply(steps=EXPOSED, unreadyGrace="1s")
    site.until_weight(50)
    site.change(metricsServer=mute)
    written = generation(site)
    site.mesh.scale("reviews-v2", 0)
    lowered_first(site, written)
