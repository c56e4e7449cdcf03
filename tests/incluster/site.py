"""Bookinfo under load, Canary objects, and controllers as child processes."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.engine.observed import RouteSeen
from canary.istio.reading import read
from canary.istio.scope import Scope
from tests.bookinfo.site import NAME, QUICK, RATES
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh
from tests.parts.kube import SLOWLY
from tests.parts.processes import Command, free_port, wait_for

CANARY = (sys.executable, "-m", "canary")
API = "canary-controller.dev/v1beta1"
PLURALS = {"Canary": "canaries", "CanaryAction": "canaryactions", "CanaryPolicy": "canarypolicies"}


class Replica(Command):
    """One `canary controller`."""

    def __init__(self, argv: tuple[str, ...], log: Path, environment: Mapping[str, str], port: int) -> None:
        super().__init__(argv, log, environment)
        self.port = port

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self, within: float = 30.0) -> int:
        """Its exit code."""
        return super().ends(within)


class Site:
    """One namespace with bookinfo and a Canary in it."""

    name = NAME
    """Of the Canary, unless a test says otherwise, and of its VirtualService."""

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path) -> None:
        self.mesh, self.folder = mesh, folder
        self.replicas: list[Replica] = []
        # Canaries name the Prometheus of their test, as a controller without one of its own has it.
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "CANARY_ALLOWED_METRICS_SERVERS": "*"}

    def controller(
        self, *options: str, environment: Mapping[str, str] | None = None, program: Sequence[str] = CANARY
    ) -> Replica:
        """Starts one more replica; each has a log of its own."""
        port = free_port()
        argv = (
            *(*program, "controller", "--namespace", self.mesh.namespace, "--lease-namespace", self.mesh.namespace),
            *("--listen", f"127.0.0.1:{port}", "--lease-duration", "6s", "--resync", "30s", *options),
        )
        log = self.folder / f"controller-{len(self.replicas)}.log"
        self.replicas.append(Replica(argv, log, {**self.environment, **(environment or {})}, port))
        return self.replicas[-1]

    def stop(self) -> None:
        """Ends what a test has left running."""
        for replica in self.replicas:
            replica.process.kill()
            replica.process.wait()

    def path(self, kind: str, name: str = "", namespace: str | None = None) -> str:
        """Of our kinds, and of others as the mesh has it."""
        space = namespace or self.mesh.namespace
        tail = f"/{name}" if name else ""
        return f"/apis/{API}/namespaces/{space}/{PLURALS[kind]}{tail}"

    def apply(
        self, version: str | None = "v2", name: str = "", spec: Mapping[str, Any] | None = None, **analysis: Any
    ) -> None:
        """The Canary; what is given of the spec and of the analysis stands beside quick defaults."""
        whole = {
            "targetRef": {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": NAME},
            "version": version,
            "metricsServer": self.mesh.prometheus.url,
            "analysis": {**QUICK, "metrics": RATES, **analysis},
            **(spec or {}),
        }
        name = name or self.name
        body = {"apiVersion": API, "kind": "Canary", "metadata": {"name": name}, "spec": whole}
        there = self.mesh.kube.request("GET", self.path("Canary", name))
        if there.status_code == 404:
            self.mesh.kube.create(self.path("Canary"), body)
            return
        answer = self._replaced(name, body)
        while answer.status_code == 409:  # the controller wrote its finalizer in between
            answer = self._replaced(name, body)
        assert answer.ok, answer.text

    def _replaced(self, name: str, body: Mapping[str, Any]) -> Any:
        version = self.found(name)["metadata"]["resourceVersion"]
        known = {**body, "metadata": {"name": name, "resourceVersion": version}}
        return self.mesh.kube.request("PUT", self.path("Canary", name), known, fieldValidation="Strict")

    def change(self, name: str = "", **spec: Any) -> None:
        """Merges into the spec."""
        self.mesh.kube.merge(self.path("Canary", name or self.name), {"spec": spec})

    def delete(self, name: str = "") -> None:
        self.mesh.kube.request("DELETE", self.path("Canary", name or self.name))

    def act(self, verb: str, name: str = "", **spec: Any) -> None:
        """A CanaryAction."""
        name = name or self.name
        body = {
            "metadata": {"generateName": f"{name}-{verb}-"},
            "spec": {"canary": name, "verb": verb, "author": "ada", **spec},
        }
        self.mesh.kube.create(self.path("CanaryAction"), {"apiVersion": API, "kind": "CanaryAction", **body})

    def forget(self) -> None:
        """Takes away what an earlier test has left."""
        kube = self.mesh.kube
        for kind in ("CanaryAction", "CanaryPolicy", "Canary"):
            for found in kube.read(self.path(kind))["items"]:
                name = found["metadata"]["name"]
                if found["metadata"].get("finalizers"):
                    kube.merge(self.path(kind, name), {"metadata": {"finalizers": None}})
                kube.request("DELETE", self.path(kind, name))
        self.mesh.delete("VirtualService", NAME)
        kube.request("DELETE", self.mesh.path("coordination.k8s.io/v1", "Lease"))
        for version in bookinfo.VERSIONS:
            self.mesh.behave(f"{NAME}-{version}")

    def found(self, name: str = "") -> Any:
        """The Canary object."""
        return self.mesh.kube.read(self.path("Canary", name or self.name))

    @property
    def status(self) -> Status:
        return self.status_of(self.name)

    def status_of(self, name: str = "") -> Status:
        """As the object has it."""
        return Status.model_validate(self.found(name).get("status") or {})

    def object(self, kind: str = "VirtualService", version: str = bookinfo.ISTIO, name: str = "") -> Any:
        """An object as it is now, without what the API server counts in it."""
        found = self.mesh.kube.read(self.mesh.path(version, kind, name or self.name))
        volatile = ("resourceVersion", "generation", "managedFields")
        return {**found, "metadata": {k: v for k, v in found["metadata"].items() if k not in volatile}}

    def state(self, stable: str = "v1", canary: str = "v2") -> RouteSeen:
        """What the VirtualService says of a pair."""
        return read([self.object()], None, Scope(self.mesh.namespace, (self.name,)), stable, canary)

    @property
    def traffic(self) -> Traffic | None:
        return self.state().traffic

    def until(self, reason: str, name: str = "") -> None:
        """Waits for a saved decision."""
        self.when(lambda: self.status_of(name).reason == reason, f"the reason {reason}")

    def until_phase(self, phase: str, name: str = "") -> None:
        """Waits for a phase."""
        self.when(lambda: self.status_of(name).phase == phase, f"the phase {phase}")

    def until_weight(self, weight: int) -> None:
        """Waits until the VirtualService says so."""
        self.when(lambda: self.traffic == Traffic(weight=weight), f"weight {weight}")

    def when(self, condition: Callable[[], bool], what: str, every: float = 0.05) -> None:
        """Waits for a condition; what the controllers logged goes with the failure."""
        try:
            wait_for(condition, what, within=SLOWLY, every=every)
        except AssertionError as error:
            logs = "\n".join(replica.text[-3000:] for replica in self.replicas)
            found = self.mesh.kube.read(self.path("Canary"))["items"]
            reported = "\n".join(f"{one['metadata']['name']}: {one.get('status')}" for one in found)
            raise AssertionError(f"{error}\n{reported}\n{logs}") from None
