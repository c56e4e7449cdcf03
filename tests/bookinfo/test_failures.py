"""kill -9 in each phase; an API server that is gone, frozen, busy, compacted, or no longer takes our credentials.

If any of them is missing, the run says so, lowers first when it is back, and ends as it would have ended.
"""

import json
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase
from tests.bookinfo.site import GATED, NAME, Run, Site, says
from tests.kube.pressure import refused
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import wait_for

pytestmark = [
    pytest.mark.long,
    # urllib3 forgets a socket whose other end is gone before TLS begins; the mesh asks ten times a second.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

AUTHORIZATION = "rbac.authorization.k8s.io/v1"
OWN = "canary-virtualservice-reviews"
EXPOSED = [{"weight": 50, "hold": "5m"}]
"""A step that only bad evidence ends."""
OVERDUE = "the lock wasn't renewed for"
SHORT = [{"weight": 30}, {"weight": 60}]


@pytest.fixture
def site(site: Site, control_plane: ControlPlane) -> Iterator[Site]:
    """Afterwards all that was killed or frozen runs again."""
    yield site
    control_plane.mend()


def path(site: Site, kind: str = "VirtualService", version: str = bookinfo.ISTIO, name: str = NAME) -> str:
    return site.mesh.path(version, kind, name)


def generation(site: Site) -> int:
    """How often the routes have been written; annotations don't count."""
    return int(site.mesh.kube.read(path(site))["metadata"]["generation"])


def exposed(site: Site, *options: str) -> Run:
    """A run that holds 50% on v2."""
    site.write("v2", steps=EXPOSED)
    run = site.run("-o", "json", *options)
    site.until_weight(50)
    return run


def lowered_first(site: Site, run: Run, written: int) -> None:
    """It ended with a rollback, and after `written` the routes were written once only: to weight 0."""
    assert run.ends() == Exit.ROLLED_BACK, run.text
    assert (site.traffic, generation(site)) == (Traffic(), written + 1)
    assert site.status.history[0].outcome == Outcome.ROLLED_BACK


# ---- kill -9 ---------------------------------------------------------------------------------------------------


def killed_in_each_phase(site: Site) -> tuple[set[Phase], Run]:
    """Kills the run once in each phase that was saved; what the next one needs is there, the lock is free.

    A dead run's lease is deleted, so that no one has to wait for its end: test_lock.py has that wait.
    """
    killed: set[Phase] = set()
    run = site.run()
    while run.process.poll() is None:
        phase = site.status.phase
        if site.status.rollouts and phase not in killed | {Phase.SUCCEEDED, Phase.FAILED}:
            run.process.kill()
            run.process.wait()
            killed.add(phase)
            site.mesh.kube.request("DELETE", path(site, "Lease", "coordination.k8s.io/v1", OWN))
            run = site.run()
        time.sleep(0.005)
    return killed, run


def test_killed_in_each_phase_a_healthy_rollout_is_promoted(site: Site) -> None:
    """One rollout, and no weight is given back."""
    site.write("v2", steps=SHORT, drain="2s")
    written = generation(site)
    killed, run = killed_in_each_phase(site)
    assert killed >= {Phase.WAITING, Phase.PROGRESSING, Phase.PROMOTING, Phase.FINALISING}
    assert run.ends() == Exit.PROMOTED
    status = site.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert generation(site) == written + len(SHORT) + 1
    assert site.state("v2", "v1").traffic == Traffic()


def test_killed_in_each_phase_a_bad_version_is_rolled_back(site: Site) -> None:
    """No one meets it again."""
    site.write("v2", steps=SHORT, drain="2s")
    site.mesh.behave("reviews-v2", errors=1.0)
    killed, run = killed_in_each_phase(site)
    assert killed >= {Phase.WAITING, Phase.PROGRESSING, Phase.FINALISING}
    assert run.ends() == Exit.ROLLED_BACK
    assert (site.status.rollouts, site.status.history[0].outcome) == (1, Outcome.ROLLED_BACK)
    assert site.traffic == Traffic()


# ---- no API server ---------------------------------------------------------------------------------------------


def test_the_api_server_is_gone_for_30_seconds(site: Site, control_plane: ControlPlane) -> None:
    """v2 turns bad meanwhile: the run says what is missing, and the first write afterwards is weight 0."""
    run, written = exposed(site), generation(site)
    control_plane.api_server.kill()
    site.mesh.behave("reviews-v2", errors=1.0)
    gone = time.monotonic()
    says(run, "no connection to https://127.0.0.1")
    says(run, OVERDUE)
    wait_for(lambda: time.monotonic() - gone > 30, "30 s without an API server", within=SLOWLY)
    assert run.process.poll() is None
    control_plane.restart_api_server()
    lowered_first(site, run, written)


def test_the_api_server_is_frozen_past_the_lease(site: Site, control_plane: ControlPlane) -> None:
    """It takes connections and answers nothing: nothing is raised, and a healthy rollout goes on where it was."""
    site.write("v2", steps=[{"weight": 30, "hold": "8s"}, {"weight": 60}])
    run = site.run("-o", "json")
    site.until_weight(30)
    written, frozen = generation(site), time.monotonic()
    control_plane.api_server.pause()
    says(run, "no answer")
    wait_for(lambda: time.monotonic() - frozen > 16, "a lease without a renewal", within=SLOWLY)
    control_plane.api_server.resume()
    assert run.ends() == Exit.PROMOTED
    assert generation(site) == written + 2


def test_etcd_is_compacted(site: Site, control_plane: ControlPlane) -> None:
    """Nothing in a run stands on old revisions."""
    site.write("v2", steps=GATED)
    run = site.run("-o", "json")
    site.until("WaitingForApproval")
    flag = "--listen-client-urls="
    etcd = next(one for one in control_plane.etcd.command if one.startswith(flag)).removeprefix(flag)
    revision = site.mesh.kube.read(site.mesh.path("v1", "ConfigMap"))["metadata"]["resourceVersion"]
    body = json.dumps({"revision": revision, "physical": True}).encode()
    with urllib.request.urlopen(f"{etcd}/v3/kv/compaction", body, timeout=30) as answer:
        assert answer.status == 200
    site.ask("approve")
    assert run.ends() == Exit.PROMOTED


# ---- a busy API server -----------------------------------------------------------------------------------------


@pytest.fixture
def role(site: Site) -> str:
    """The name of the Role that `--print-rbac` prints, made in the namespace."""
    site.write("v2", steps=EXPOSED)
    printed = site.run("--print-rbac")
    assert printed.ends() == 0
    site.mesh.apply(printed.text)
    printed.log.unlink()
    return f"canary-{NAME}"


def bind(site: Site, role: str, **subject: str) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    metadata = {"name": f"{role}-{subject['name']}"}
    body = {"apiVersion": AUTHORIZATION, "kind": "RoleBinding", "metadata": metadata}
    site.mesh.apply({**body, "roleRef": reference, "subjects": [subject]})


def test_the_api_server_answers_429_to_everything(site: Site, role: str, control_plane: ControlPlane) -> None:
    """As a user with no more than the printed Role: it waits as asked, says so, and lowers first."""
    bind(site, role, kind="User", name="alice", apiGroup="rbac.authorization.k8s.io")
    run = exposed(site, "--kubeconfig", str(control_plane.kubeconfig("alice")))
    written = generation(site)
    with refused(control_plane):
        site.mesh.behave("reviews-v2", errors=1.0)
        says(run, OVERDUE)
        says(run, "Too many requests")
    lowered_first(site, run, written)


# ---- credentials -----------------------------------------------------------------------------------------------


class Account:
    """A service account whose tokens end when the test says so: each is bound to a Secret that can be deleted."""

    def __init__(self, site: Site, control_plane: ControlPlane, file: Path) -> None:
        self.site, self.file = site, file
        self._config = json.loads(control_plane.kubeconfig().read_text())
        self._tokens: dict[str, str] = {}
        self._kube = Kube(control_plane.url, control_plane.ca, self._tokens)
        site.mesh.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "canary"}})

    def renew(self, name: str) -> None:
        """Writes a new token, which is good while this Secret is there, into the kubeconfig."""
        self.site.mesh.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})
        bound = {"apiVersion": "v1", "kind": "Secret", "name": name}
        request = {"spec": {"boundObjectRef": bound, "expirationSeconds": 600}}
        accounts = self.site.mesh.path("v1", "ServiceAccount", "canary")
        token = self.site.mesh.kube.create(f"{accounts}/token", request)["status"]["token"]
        self._tokens[name] = token
        self._config["users"][0]["user"] = {"token": token}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self._config))
        new.replace(self.file)

    def expire(self, name: str) -> None:
        """Returns when its token is refused; the API server believes in it for 10 s more."""
        self.site.mesh.kube.request("DELETE", self.site.mesh.path("v1", "Secret", name))
        ask = partial(self._kube.request, "GET", "/version", user=name)
        wait_for(lambda: ask().status_code == 401, f"the token of {name} to be refused", within=SLOWLY)


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced before it ends", "replaced too late"])
def test_the_credentials_expire(
    replaced: bool, site: Site, role: str, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """A new token is taken without a word; without one the run says who refuses it, and goes on once there is."""
    bind(site, role, kind="ServiceAccount", name="canary", namespace=site.mesh.namespace)
    account = Account(site, control_plane, tmp_path / "kubeconfig")
    account.renew("old")
    run, written = exposed(site, "--kubeconfig", str(account.file)), generation(site)
    if replaced:
        account.renew("new")
    account.expire("old")
    site.mesh.behave("reviews-v2", errors=1.0)
    if not replaced:
        says(run, "Unauthorized")
        says(run, OVERDUE)
        account.renew("new")
    lowered_first(site, run, written)
    assert ("Unauthorized" in run.text) is not replaced


def test_the_role_that_is_printed_is_enough(site: Site, role: str, control_plane: ControlPlane) -> None:
    """A whole rollout, with an approval, by a user who has nothing else."""
    bind(site, role, kind="User", name="alice", apiGroup="rbac.authorization.k8s.io")
    site.write("v2", steps=GATED)
    run = site.run("-o", "json", "--kubeconfig", str(control_plane.kubeconfig("alice")))
    site.until("WaitingForApproval")
    assert site.ask("approve").returncode == 0
    assert run.ends() == Exit.PROMOTED
    assert "may not" not in run.text
