"""One Canary of a cluster, wired for the controller: what it reads is in memory, what it writes asks the leader."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.controller.fleet import Key
from canary.controller.slots import jitter
from canary.engine.errors import RAISES, Conflict, Rejected, Unreachable
from canary.engine.observed import Missing, RouteSeen
from canary.istio.scope import Ref, Scope
from canary.kinds.inbox import ActionInbox
from canary.kinds.seen import CanarySeen
from canary.kinds.target import CanaryTarget
from canary.kinds.tenancy import TenantStore
from canary.kinds.wishes import Wishes
from canary.kube.client import Client
from canary.rollout.ports import Clock, Metrics, Notifier, Parts
from canary.routers.istio import IstioRouter
from canary.workloads.kubernetes import KubernetesWorkloads

from .cluster import scope_of

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Outside:
    """What a rig is given."""

    client: Client
    """Reads from memory; its writes ask whether this replica leads."""
    seen: Callable[[], CanarySeen | None]
    older: Callable[[CanarySeen], Key | None]
    """The older Canary that moves the same routes."""
    metrics: Callable[[str | None], Metrics]
    """By URL of a Prometheus."""
    reads: Callable[[tuple[Ref, ...]], None]
    """Told which VirtualServices this Canary turned out to stand on."""
    notifier: Notifier
    clock: Clock
    confined: bool = True
    """Whether VirtualServices of other namespaces are out of bounds: whoever may create a Canary here must not move
    them with the controller's rights."""


@dataclass(frozen=True)
class SureRouter:
    """The port Router: raises only where the server itself still says of the build what was read of a watch, and
    moves nothing of which somebody else may have the Lease."""

    router: IstioRouter
    workloads: KubernetesWorkloads
    claim: Callable[[], None]
    """Takes the Lease of the target, or raises."""

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """See the port."""
        return self.router.read(stable, canary)

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """See the port. Raises Conflict as well where the canary's workload was changed since it was read, or the
        target turns out to be somebody else's. Where that can't be told, exposure is lowered all the same."""
        raises = traffic != Traffic()
        if raises and not self.workloads.still(canary):
            raise Conflict(f"the workload behind {canary} has changed since it was read")
        try:
            self.claim()
        except (Rejected, Unreachable):
            if raises:
                raise
        self.router.write(stable, canary, traffic, token)


@dataclass
class ClusterRig:
    """See `controller.fleet.Rig`. Its router and what it measures by follow the spec."""

    key: Key
    uid: str
    """Of the Canary object."""
    outside: Outside
    wishes: Wishes
    store: TenantStore
    inbox: ActionInbox
    selectors: dict[str, Labels] = field(default_factory=dict)
    """Labels of the pods of each version, as they were read last."""
    workloads: KubernetesWorkloads = field(init=False)
    target: CanaryTarget = field(init=False)
    _router: IstioRouter | None = None
    _scope: Scope | None = None

    def __post_init__(self) -> None:
        self.workloads = KubernetesWorkloads(self._guarded(), self.key[0], self._selector, watched=True)
        self.target = CanaryTarget(self.outside.seen, self.wishes, self.workloads.revision, self._conflict)

    @property
    def parts(self) -> Parts:
        """Its ports, for the spec as it is now. Raises Unreachable once the Canary is gone."""
        desired = self.target.desired()
        self.wishes.jitter = jitter(self.key, desired.policy.interval)
        return Parts(
            target=self.target,
            router=SureRouter(self._routes(), self.workloads, self.store.claim),
            workloads=self.workloads,
            metrics=self.outside.metrics(desired.canary.spec.metrics_server),
            store=self.store,
            inbox=self.inbox,
            notifier=self.outside.notifier,
            clock=self.outside.clock,
        )

    @property
    def source(self) -> Hashable:
        """The Prometheus that answers its queries."""
        return self.target.desired().canary.spec.metrics_server

    def tidy(self, status: Status, now: datetime) -> None:
        """Without a rollout lets go of the target; removes old actions."""
        if self._router is not None:
            self.outside.reads(tuple(self._router.versions))
        if status.rollout is None:
            self.store.release()
        self.inbox.remove_old(status, now)

    def unread(self, why: str, now: datetime) -> None:
        """See the port."""
        self.store.complain(why, now)

    def raises(self, why: str, now: datetime) -> None:
        """See the port."""
        self.store.complain(why, now, RAISES)

    def rest(self) -> None:
        """What was read of routes is in memory once more, in the mirror, and so is what is wished."""
        self._router = None
        self.wishes.forget()

    def concerned(self, labels: Labels) -> bool:
        """Whether pods with these labels stand behind one of its versions, as far as is known."""
        wanted = list(self.selectors.values())  # a tick may be adding to them
        return any(one.items() <= labels.items() for one in wanted)

    def meets(self, workload: str) -> None:
        """A workload behind one of its versions, by uid: if it is a new one, it is looked for anew."""
        if workload not in self.workloads.known.values():
            self.workloads.forget()

    def has_read(self, ref: Ref, version: str) -> bool:
        """Whether it has this resourceVersion of a VirtualService before it already: its own write, mostly."""
        return self._router is not None and self._router.versions.get(ref) == version

    @property
    def running(self) -> bool:
        """Whether a rollout is running."""
        seen = self.outside.seen()
        return seen is not None and seen.active

    def _conflict(self, seen: CanarySeen) -> str:
        older = self.outside.older(seen)
        if older is not None:
            return f"the Canary {'/'.join(older)} moves these routes, and is older; delete one of the two"
        return self.store.rival

    def _routes(self) -> IstioRouter:
        scope = replace(scope_of(self.target.desired().canary, self.key[0]), confined=self.outside.confined)
        if self._router is None or scope != self._scope:
            self._router, self._scope = IstioRouter(self._guarded(), scope), scope
        return self._router

    def _guarded(self) -> Client:
        """Writes nothing while somebody else has the target."""
        return self.outside.client.guarded(self._check)

    def _check(self) -> None:
        self.outside.client.guard()
        if self.store.rival:
            raise Unreachable(f"nothing is written: {self.store.rival}")

    def _selector(self, version: str) -> Labels | Missing:
        found = self._routes().selector(version)
        if not isinstance(found, Missing):
            self.selectors[version] = dict(found)
        return found
