"""Bookinfo under load, a manifest, and `canary` as child processes that know the cluster by a kubeconfig."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.engine.observed import RouteSeen
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.stores.objects import MANAGED, Objects
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh
from tests.parts.kube import SLOWLY
from tests.parts.processes import Command as Run
from tests.parts.processes import command, wait_for

CANARY = (sys.executable, "-m", "canary")
NAME = "reviews"
WINDOW = "10s"
RATES = [{"name": "request-success-rate", "interval": WINDOW, "thresholdRange": {"min": 99}}]
SLOW = [{"name": "request-duration", "interval": WINDOW, "thresholdRange": {"max": 500}}]
QUICK: dict[str, Any] = {"interval": "2s", "threshold": 2, "settle": "1s", "drain": "0s", "scrapeInterval": "1s"}
STEPS = [{"weight": weight} for weight in (10, 30, 50, 80, 100)]
GATED = [{"weight": 30, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}]


def says(run: Run, words: str, within: float = SLOWLY) -> None:
    """Waits until the run has printed this."""
    try:
        wait_for(lambda: words in run.text, f"{words!r} from the run", within=within)
    except AssertionError as error:
        raise AssertionError(f"{error}; it said {run.text[-3000:]}") from None


class Site:
    """One namespace with bookinfo in it."""

    name = NAME
    """Of the target."""

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path) -> None:
        self.mesh, self.folder = mesh, folder
        self.manifest = folder / "reviews.yaml"
        self.runs: list[Run] = []
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def write(self, version: str = "v2", spec: Mapping[str, Any] | None = None, **analysis: Any) -> None:
        """The manifest; what is given of the spec and of the analysis stands beside quick defaults."""
        whole = {
            "targetRef": {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": NAME},
            "version": version,
            "metricsServer": self.mesh.prometheus.url,
            "analysis": {**QUICK, "metrics": RATES, **analysis},
            **(spec or {}),
        }
        data = {"apiVersion": "canary-controller.dev/v1beta1", "kind": "Canary"}
        new = self.manifest.with_suffix(".new")
        new.write_text(
            json.dumps({**data, "metadata": {"name": NAME, "namespace": self.mesh.namespace}, "spec": whole})
        )
        new.replace(self.manifest)

    def run(self, *options: str) -> Run:
        """Starts `canary run`; all runs of a site share one log."""
        argv = (*CANARY, "run", "-f", str(self.manifest), *options)
        self.runs.append(Run(argv, self.folder / "run.log", self._environment))
        return self.runs[-1]

    def stop(self) -> None:
        """Ends what a failed test has left running."""
        for run in self.runs:
            run.process.kill()
            run.process.wait()

    def forget(self) -> None:
        """Takes away what an earlier test has left: routes, state, lock, actions, and how versions answer."""
        self.mesh.delete("VirtualService", NAME)
        own = ",".join(f"{key}={value}" for key, value in MANAGED.items())
        for version, kind in (("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")):
            answer = self.mesh.kube.request("DELETE", self.mesh.path(version, kind), labelSelector=own)
            assert answer.ok, answer.text
        for version in bookinfo.VERSIONS:
            self.mesh.behave(f"{NAME}-{version}")

    def ask(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Another command, about this target by its name."""
        return command(*argv, self.name, "-n", self.mesh.namespace, environment=self._environment)

    @property
    def status(self) -> Status:
        """As the ConfigMap has it."""
        name = Objects(self.mesh.namespace, "VirtualService", self.name, self.name).name  # it has the weights
        answer = self.mesh.kube.request("GET", self.mesh.path("v1", "ConfigMap", name))
        return Status() if answer.status_code == 404 else Status.model_validate_json(answer.json()["data"]["status"])

    def object(self, kind: str = "VirtualService", version: str = bookinfo.ISTIO, name: str = NAME) -> Any:
        """An object as it is now, without what the API server counts in it."""
        found = self.mesh.kube.read(self.mesh.path(version, kind, name))
        volatile = ("resourceVersion", "generation", "managedFields")
        return {**found, "metadata": {k: v for k, v in found["metadata"].items() if k not in volatile}}

    def state(self, stable: str = "v1", canary: str = "v2") -> RouteSeen:
        """What the VirtualService says of a pair."""
        return read([self.object()], None, Scope(self.mesh.namespace, (NAME,)), stable, canary)

    @property
    def traffic(self) -> Traffic | None:
        return self.state().traffic

    def until(self, reason: str) -> None:
        """Waits for a saved decision."""
        wait_for(lambda: self.status.reason == reason, f"the reason {reason}", within=SLOWLY)

    def until_weight(self, weight: int) -> None:
        """Waits until the VirtualService says so."""
        wait_for(lambda: self.traffic == Traffic(weight=weight), f"weight {weight}", within=SLOWLY)


__all__ = ["GATED", "NAME", "QUICK", "RATES", "SLOW", "STEPS", "RouteSeen", "Run", "Site"]
