"""podinfo under load, a manifest as for Flagger, and `canary run` as child processes."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from canary.api.plan import Traffic
from canary.engine.observed import RouteSeen
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.stores.objects import MANAGED
from canary.workloads import pods
from tests.bookinfo.site import QUICK, RATES, Site
from tests.mesh import bookinfo
from tests.mesh.load import Load
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

NAME, PRIMARY = "podinfo", "podinfo-primary"
STEPS = [{"weight": 20}, {"weight": 50}]
SERVICE = {"port": 9898}
NODES = 3
"""Of the test cluster."""


class PodinfoSite(Site):
    """One namespace with podinfo in it."""

    name = NAME
    kind = "Deployment"
    load: Load | None = None

    def begin(self) -> None:
        """The user's own objects, and users."""
        self.push("1")
        self.mesh.apply(bookinfo.service(NAME, 9898))
        self.ready()
        self.load = self.mesh.load(NAME, 60)
        self.since = now()

    def ready(self) -> None:
        """Returns when podinfo has rolled out, and Envoy knows it."""
        self.mesh.ready(NAME)

    def end(self) -> None:
        if self.load is not None:
            self.load.stop()
        self.stop()

    def push(self, tag: str, replicas: int | None = 2) -> None:
        """As `kubectl apply` of a manifest with another image; without replicas as `kubectl set image`."""
        image = f"podinfo:{tag}"
        if replicas is not None:
            self.mesh.deploy(NAME, {"app": NAME}, replicas, image)
            return
        container = {"name": "main", "image": image}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        self.mesh.kube.merge(self.mesh.path("apps/v1", self.kind, NAME), change)

    def behave(self, tag: str, errors: float = 0.0, **more: Any) -> None:
        """How a build answers, in the target and in the primary."""
        for workload in (NAME, PRIMARY):
            self.mesh.behave(workload, image=f"podinfo:{tag}", errors=errors, **more)

    def write(self, version: str = "", spec: Mapping[str, Any] | None = None, **analysis: Any) -> None:
        """The manifest."""
        more = {
            "targetRef": {"apiVersion": "apps/v1", "kind": self.kind, "name": NAME},
            "version": None,
            "service": SERVICE,
        }
        super().write(
            spec={**more, **(spec or {})}, **{**QUICK, "drain": "2s", "metrics": RATES, "steps": STEPS, **analysis}
        )

    def provisioned(self, **written: Any) -> None:
        """The first run: the primary serves the first build."""
        self.write(**written)
        run = self.run("--allow-unanalysed")
        assert run.ends() == 0, run.text

    def forget(self) -> None:
        """Takes away what an earlier test has left."""
        kube = self.mesh.kube
        for workload in (NAME, PRIMARY):
            self.mesh.behave(workload)
        for kind, names in {
            "VirtualService": (NAME,),
            "DestinationRule": (PRIMARY, "podinfo-canary"),
            "Deployment": (NAME, PRIMARY),
            "DaemonSet": (NAME, PRIMARY),
            "Service": (NAME, PRIMARY, "podinfo-canary"),
        }.items():
            for name in names:
                with suppress(AssertionError):
                    self.mesh.delete(kind, name)
        for name in (NAME, PRIMARY):
            kube.request("DELETE", self.mesh.path("autoscaling/v2", "HorizontalPodAutoscaler", name))
        own = ",".join(f"{key}={value}" for key, value in MANAGED.items())
        for version, kind in (("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")):
            kube.request("DELETE", self.mesh.path(version, kind), labelSelector=own)
        for version, kind in (("apps/v1", "ControllerRevision"), ("v1", "ConfigMap"), ("v1", "Secret")):
            kube.request("DELETE", self.mesh.path(version, kind), labelSelector="canary-controller.dev/primary")

    def state(self, stable: str = PRIMARY, canary: str = "podinfo-canary") -> RouteSeen:
        """What the VirtualService says of the pair."""
        return read([self.object()], None, Scope(self.mesh.namespace, (NAME,)), stable, canary)

    def object(self, kind: str = "VirtualService", version: str = bookinfo.ISTIO, name: str = NAME) -> Any:
        return super().object(kind, version, name)

    def autoscale(self, most: int) -> None:
        """A scaler of the target."""
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
        spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most}
        kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        self.mesh.apply({**kind, "metadata": {"name": NAME}, "spec": spec})

    def scaler(self, *fields: str) -> tuple[Any, ...]:
        """Fields of the primary's."""
        found = self.mesh.kube.read(self.mesh.path("autoscaling/v2", "HorizontalPodAutoscaler", PRIMARY))
        return tuple(found["spec"][field] for field in fields)

    def deployment(self, name: str = NAME) -> Any:
        """The workload as it is now."""
        return self.mesh.kube.read(self.mesh.path("apps/v1", self.kind, name))

    def image(self, name: str = PRIMARY) -> str:
        """The image of a workload's pods."""
        return str(self.deployment(name)["spec"]["template"]["spec"]["containers"][0]["image"])

    def replicas(self, name: str = NAME) -> int:
        return int(self.deployment(name)["spec"]["replicas"])

    @property
    def failed(self) -> int:
        """Requests of users that failed since the test began."""
        return self.mesh.measured(self.since).failed

    def at_rest(self, image: str) -> None:
        """The primary has the image and everything, the target nothing."""
        wait_for(lambda: self.traffic == Traffic(), "everything to go to the primary")
        assert (self.image(), self.replicas()) == (f"podinfo:{image}", 0)


class DaemonSite(PodinfoSite):
    """The same with podinfo on each node."""

    kind = "DaemonSet"

    def push(self, tag: str, replicas: int | None = 2) -> None:
        """`replicas` only says which way it is pushed."""
        if replicas is None:
            super().push(tag, None)
            return
        made = bookinfo.deployment(NAME, {"app": NAME}, 0, f"podinfo:{tag}")
        del made["spec"]["replicas"]
        self.mesh.apply({**made, "kind": self.kind})

    def ready(self) -> None:
        wait_for(self.on_each_node, "podinfo to run on each node", within=SLOWLY)
        self.mesh.wait_loaded()

    def on_each_node(self, name: str = NAME) -> bool:
        """Whether it has a pod that can answer on each node."""
        found = self.deployment(name)
        return pods.observed(found) and pods.available(found) == pods.desired_version(found) == NODES

    def replicas(self, name: str = NAME) -> int:
        return pods.desired_version(self.deployment(name))

    @property
    def pods(self) -> list[Any]:
        """Those of the target."""
        found = self.mesh.kube.request("GET", self.mesh.path("v1", "Pod"), labelSelector=f"app={NAME}")
        return list(found.json()["items"])
