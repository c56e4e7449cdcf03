"""podinfo under load, its Canary as an object, and controllers as child processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from canary.api.status import Status
from canary.engine.observed import RouteSeen
from tests.bookinfo.site import QUICK
from tests.incluster.objects import truth
from tests.incluster.site import Site
from tests.mesh.mesh import Mesh
from tests.metrics.mesh import now
from tests.podinfo.site import NAME, SERVICE, STEPS, PodinfoSite

AT_REST = ("AlreadyServing", "UnanalysedRevision", "Promoted", "RolledBack", "Rejected", "Returned")
HOLDS = [{"weight": 50, "hold": "1h"}]


class ControlledSite(Site):
    """One namespace with podinfo and its Canary in it."""

    name = NAME
    users_own: type[PodinfoSite] = PodinfoSite

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path) -> None:
        super().__init__(mesh, kubeconfig, folder)
        self.podinfo = self.users_own(mesh, kubeconfig, folder)
        self.since = now()
        self._tag = 1

    def begin(self) -> None:
        """podinfo with its own Service and users, and nothing of canary's."""
        self.forget()
        self.podinfo.begin()
        self.since, self._tag = now(), 1

    def end(self) -> None:
        self.stop()
        if self.podinfo.load is not None:
            self.podinfo.end()

    def forget(self) -> None:
        """The objects of canary's own kinds before those that a controller would make again."""
        self.end()
        super().forget()
        self.podinfo.forget()

    def apply(
        self,
        version: str | None = None,
        name: str = "",
        spec: Mapping[str, Any] | None = None,
        **analysis: Any,
    ) -> None:
        """The Canary, as for Flagger."""
        target = {"apiVersion": "apps/v1", "kind": self.podinfo.kind, "name": NAME}
        whole = {"targetRef": target, "version": None, "service": SERVICE, **(spec or {})}
        given = {key: value for key, value in whole.items() if value is not None or key == "version"}
        super().apply(version, name, given, **{**QUICK, "drain": "1s", "steps": STEPS, **analysis})

    def settle(self, **written: Any) -> None:
        """The Canary with this spec; its target serves, and nothing moves."""
        self.apply(**written)
        self.when(lambda: self.resting and self.observed, "the Canary to be at rest")
        self.mesh.wait_loaded()
        self.since = now()

    def rest(self) -> None:
        """At rest with the usual spec and a running controller, as after the first rollout or any other."""
        alive = self.replicas and self.replicas[-1].process.poll() is None
        if not alive or not self._there or not self.there(NAME) or not self.resting or self.status.phase == "Failed":
            self.begin()
            self.controller()
        self.settle()

    def there(self, name: str) -> bool:
        """Whether there is such a workload."""
        path = self.mesh.path("apps/v1", self.podinfo.kind, name)
        return bool(self.mesh.kube.request("GET", path).status_code == 200)

    @property
    def _there(self) -> bool:
        return bool(self.mesh.kube.request("GET", self.path("Canary", NAME)).status_code == 200)

    @property
    def observed(self) -> bool:
        """Whether the status speaks of the newest spec."""
        found = self.found()
        status = Status.model_validate(found.get("status") or {})
        return bool(status.observed_generation == found["metadata"]["generation"])

    @property
    def resting(self) -> bool:
        """No rollout, and the target scaled to zero."""
        status = self.status
        done = status.stable is not None and status.rollout is None and status.reason in AT_REST
        return done and self.podinfo.replicas() == 0

    def push(self, suffix: str = "", ready_after: str | None = None, **behaviour: Any) -> str:
        """A new build as with `kubectl set image`; its image. `behaviour` is how it answers."""
        self._tag += 1
        tag = f"{self._tag}{suffix}"
        self.podinfo.behave(tag, **behaviour)
        container = {"name": "main", "image": f"podinfo:{tag}"}
        annotations = {"metadata": {"annotations": {"test/ready-after": ready_after}}}
        self.merge({"template": {**annotations, "spec": {"containers": [container]}}})
        return f"podinfo:{tag}"

    def merge(self, spec: Mapping[str, Any], name: str = NAME) -> None:
        """Into the spec of a workload, as a person does by hand."""
        self.mesh.kube.merge(self.mesh.path("apps/v1", self.podinfo.kind, name), {"spec": spec})

    def met(self, **only: str) -> int:
        """Answers to users since the test began, of an image or a workload."""
        return self.mesh.measured(self.since).of(**only).total

    @contextmanager
    def users(self, host: str = NAME, **request: Any) -> Iterator[None]:
        """20 more requests a second."""
        load = self.mesh.load(host, 20, **request)
        try:
            yield
        finally:
            load.stop()

    @property
    def image(self) -> str:
        """Of the primary."""
        return self.podinfo.image()

    def ends(self, phase: str, number: int) -> None:
        """Waits until rollout `number` is over, in this phase."""
        self.when(lambda: self.status.rollouts == number and self.status.rollout is None, f"rollout {number} to end")
        assert self.status.phase == phase, self.status

    @property
    def failed(self) -> int:
        """Requests of users that failed since the test began; each is printed, for a test that fails by it."""
        found = [one for one in self.mesh.measured(self.since).answers if one.failed]
        for one in found:
            print(datetime.fromtimestamp(one.at, UTC).isoformat(), one.status, one.workload, one.image)
        return len(found)

    def images(self, since: datetime | None = None) -> set[str]:
        """Those that users were answered by."""
        return {one.image for one in self.mesh.measured(since or self.since).answers}

    def serving(self) -> set[str]:
        """Images that answer users, as the routes are now."""
        self.mesh.wait_loaded()
        return {one.image for one in self.mesh.ask(NAME, 40).answers}

    def state(self, stable: str = "podinfo-primary", canary: str = "podinfo-canary") -> RouteSeen:
        return super().state(stable, canary)

    def scale(self, replicas: int) -> None:
        """The target, by hand."""
        self.mesh.scale(NAME, replicas)

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason."""
        return truth(self, kind, NAME)
