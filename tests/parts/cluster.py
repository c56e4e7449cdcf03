"""A real Kubernetes control plane: etcd, API server, controllers and scheduler, and kwok, which plays the kubelet.

cluster-tools/build makes the programs, modules.py finds the CRDs and what kwok does, kube.py talks to the API server.
Deployments, DaemonSets and Jobs progress, though no container runs. How pods go wrong is in cluster-tools/stages:
an image that ends with -unready or -crashing, the annotation test/ready-after.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import modules
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import Child, free_port, get, wait_for

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

# What the API server's --token-auth-file has after the token. Alice has no rights.
USERS = {"admin": 'admin,admin,"system:masters"', "alice": "alice,alice"}


def find() -> Path | None:
    """The folder that has all programs: KUBEBUILDER_ASSETS, or where `make cluster-tools` put them."""
    done = subprocess.run([modules.FOLDER / "build", "find"], stdout=subprocess.PIPE, text=True, check=False)
    folder = Path(done.stdout.strip())
    return folder if all(os.access(folder / program, os.X_OK) for program in PROGRAMS) else None


def provides() -> str:
    """The command after which `find` finds them; KUBEBUILDER_ASSETS comes first, even without all programs."""
    return (
        "unset KUBEBUILDER_ASSETS; make cluster-tools" if "KUBEBUILDER_ASSETS" in os.environ else "make cluster-tools"
    )


class Program:
    """One process of the control plane. It starts again with the same command, and so on the same port."""

    def __init__(self, binary: Path, home: Path, flags: Iterable[str]) -> None:
        self.command = [str(binary), *flags]
        self.home = home
        self.child: Child | None = None
        self.paused = False
        self.disturbed = False
        """Whether it has been away since it was said to be well, if it is back or not."""

    def start(self) -> Child:
        log = self.home / f"{Path(self.command[0]).name}.log"
        self.child = Child(self.command, log, {"HOME": str(self.home)})
        return self.child

    def stop(self) -> None:
        """Ask it to end, and kill it after 5 s: the API server would wait a minute for open watches."""
        if self.child is not None:
            self.disturbed = True
            self.child.stop()

    def kill(self) -> None:
        if self.child is not None:
            self.disturbed = True
            self.child.kill()

    def pause(self) -> None:
        """Freeze it: connections are taken by the kernel, and nothing is answered."""
        if self.child is not None:
            self.child.pause()
            self.paused = self.disturbed = True

    def resume(self) -> None:
        if self.child is not None:
            self.child.resume()
            self.paused = False

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Paused meanwhile, and not longer, for a test with what other tests use after it."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @property
    def running(self) -> bool:
        """Whether it does its work: neither ended nor frozen."""
        return self.child is not None and self.child.alive and not self.paused


class ControlPlane:
    """A cluster that keeps its ports, certificates and objects in `folder` while its processes come and go."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self.tools = tools
        self.folder = folder
        self.url = f"https://127.0.0.1:{free_port()}"
        self.ca = folder / "certs" / "apiserver.crt"  # the API server's own certificate, which it makes itself
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        self.kube = Kube(self.url, self.ca, self.tokens)
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self.etcd = self._program("etcd", self._etcd_flags())
        self.api_server = self._program("kube-apiserver", self._api_server_flags())
        self.controller_manager = self._program("kube-controller-manager", self._controller_manager_flags())
        self.scheduler = self._program("kube-scheduler", self._client_flags())
        self.kwok = self._program("kwok", self._kwok_flags())
        self.programs = (self.etcd, self.api_server, self.controller_manager, self.scheduler, self.kwok)

    def start(self, nodes: int = 3) -> None:
        """Start everything, and return when the nodes are ready, and Istio's and Gateway API's objects are served."""
        tokens = "".join(f"{self.tokens[user]},{rest}\n" for user, rest in USERS.items())
        (self.folder / "tokens.csv").write_text(tokens)
        etcd = self.etcd.start()
        wait_for(lambda: get(f"{self._etcd_url}/health")[0] == 200, "etcd", child=etcd, within=SLOWLY)
        self.kube.wait_until_ready(self.api_server.start())
        for program in (self.controller_manager, self.scheduler, self.kwok):
            program.start()
        self.kube.create_crds(modules.crds())
        self.kube.create_nodes(*(f"node-{number}" for number in range(1, nodes + 1)))

    def kill(self) -> None:
        """End all processes at once; their logs stay in `folder`, the objects don't."""
        for program in reversed(self.programs):
            program.kill()
        self.kube.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def restart_api_server(self) -> None:
        """Kill the API server and start it again: objects and tokens stay, each watch ends and is too old."""
        self.api_server.kill()
        self.kube.wait_until_ready(self.api_server.start())

    def mend(self) -> None:
        """All that a test has killed or frozen runs again, and nothing of it is left for the next one.

        After an outage of a server its clients begin again: those that are there wait up to a minute before they
        look again, and act on what they knew before.
        """
        if not any(program.disturbed for program in self.programs):
            return
        servers, clients = self.programs[:2], self.programs[2:]
        if any(program.disturbed for program in servers):
            for program in clients:
                program.kill()
        for program in self.programs:
            program.resume()
            if not program.running:
                program.start()
            program.disturbed = False
        self.kube.wait_until_ready(self.api_server.child)

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file for one of the users."""
        path = self.folder / f"{user}.kubeconfig"
        if path.exists():
            return path
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(config, indent=2))
        return path

    def _program(self, name: str, flags: Iterable[str]) -> Program:
        return Program(self.tools / name, self.folder, flags)

    def _etcd_flags(self) -> list[str]:
        peers = f"http://127.0.0.1:{free_port()}"
        return [
            "--name=default",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--watch-progress-notify-interval=5s",
        ]

    def _api_server_flags(self) -> list[str]:
        key = self.ca.with_suffix(".key")
        return [
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.url.rpartition(':')[2]}",
            f"--cert-dir={self.ca.parent}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        ]

    def _client_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig()}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]

    def _controller_manager_flags(self) -> list[str]:
        return [
            *self._client_flags(),
            f"--service-account-private-key-file={self.ca.with_suffix('.key')}",
            f"--root-ca-file={self.ca}",
            "--horizontal-pod-autoscaler-sync-period=1s",
            # A node that has said nothing for a while isn't dead, but kwok or the API server frozen: kwok would
            # never make the pods ready again that are marked unready then.
            "--node-monitor-grace-period=24h",
        ]

    def _kwok_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig()}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=0",  # none: a new kwok would wait until its predecessor's are over
            *(f"--config={stage}" for stage in modules.stages()),
        ]
