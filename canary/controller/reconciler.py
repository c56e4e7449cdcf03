"""One Canary of a cluster, wired for the controller: what it reads is in memory, what it writes asks the leader."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from canary.api.canary import Canary, CanarySpec
from canary.api.reason import Reason
from canary.api.status import Status, Version
from canary.controller.ownership import OwnedStore
from canary.controller.slots import jitter
from canary.engine.errors import Unreachable
from canary.engine.observed import Missing
from canary.engine.pairs import dialect_for
from canary.engine.resolved import ResolvedSpec
from canary.engine.targets import target_of
from canary.kube.client import Client
from canary.kube.names import NamespacedName, ObjectRef
from canary.ports import Alerts, Clock, Metrics, Notifier, Parts, Primary, Target
from canary.registry import CLUSTER, cluster_for, primary_for, workloads_for
from canary.rollout.fencing import Fence, FencedRouter, Purpose
from canary.routers.cluster import ClusterRouter
from canary.stores.canary import ActionInbox
from canary.stores.projection import CanarySeen
from canary.webhooks.calls import HookCalls
from canary.webhooks.notifications import HookNotifications
from canary.workloads.kubernetes import KubernetesWorkloads

from .ports import Reconciler
from .specs import Specs


@dataclass(frozen=True)
class CanaryTarget(Target):
    """One Canary object: what it says now, and what really runs behind the version that it asks for."""

    seen: Callable[[], CanarySeen | None]
    specs: Specs
    revision: Callable[[str], str | Missing]
    """The revision that runs behind a version now."""
    conflict: Callable[[CanarySeen], str]
    """The Canary or run that also moves the target, as a sentence; empty if there is none."""

    def resolved(self) -> ResolvedSpec:
        """See the port. Raises Unreachable once the object is gone."""
        seen = self.seen()
        if seen is None:
            raise Unreachable("the Canary doesn't exist any more")
        return self.specs.of(seen, self.conflict(seen))

    def desired_version(self) -> Version | Missing:
        manifest = self.resolved().manifest
        _, name = target_of(manifest).names(manifest)
        revision = self.revision(name)
        return revision if isinstance(revision, Missing) else Version(name=name, revision=revision)


Labels = Mapping[str, str]


@dataclass(frozen=True)
class Outside:
    """What a reconciler is given."""

    client: Client
    """Reads from memory."""
    leads: Callable[[], None]
    """Raises Conflict once the term is over in which the Canary was wired."""
    seen: Callable[[], CanarySeen | None]
    older: Callable[[CanarySeen], NamespacedName | None]
    """The older Canary that moves the same routes."""
    metrics: Callable[[CanarySpec], Metrics]
    """The Prometheus that a spec asks for."""
    reads: Callable[[tuple[ObjectRef, ...]], None]
    """Called with the objects that this Canary turned out to stand on."""
    notifier: Notifier
    clock: Clock
    hooks: HookCalls
    alerts: Callable[[Callable[[], ResolvedSpec]], Alerts] | None = None
    """Who sends its alerts, given how its spec is read."""
    follow: Callable[[], None] = lambda: None
    """Called where a target's pods read ConfigMaps, which are watched from then on."""
    confined: bool = True
    """Whether routes of other namespaces are forbidden: a user who may create a Canary here must not move them with
    the controller's rights."""


DISPUTED = (Reason.STABLE_IS_WANTED, Reason.STABLE_UNKNOWN, Reason.CONFLICT)
"""Why a Canary at rest stands still while a run moves its target."""


@dataclass
class ClusterReconciler(Reconciler):
    """Its router and what it measures by follow the spec."""

    key: NamespacedName
    uid: str
    """Of the Canary object."""
    outside: Outside
    specs: Specs
    store: OwnedStore
    inbox: ActionInbox
    target: CanaryTarget = field(init=False)
    fence: Fence = field(init=False)
    _router: ClusterRouter | None = None
    _scope: Hashable = None
    _disputed: bool = False

    def __post_init__(self) -> None:
        self.fence = Fence(self.outside.leads, self.store, self._same_build)
        self.target = CanaryTarget(self.outside.seen, self.specs, self._revision, self._conflict)

    @cached_property
    def workloads(self) -> KubernetesWorkloads:
        """What runs behind its versions. The kind of a target can't be changed."""
        spec, namespace = self._manifest().spec, self.key[0]
        return workloads_for(self.outside.client, spec, namespace, self._selector, self._manifest, watched=True)

    @cached_property
    def primary(self) -> Primary | None:
        """The primary of a target that has one."""
        client = self.fence.client(self.outside.client, Purpose.PRIMARY)
        return primary_for(client, self._manifest().spec, self.key[0], self._manifest, self.fence.primary)

    @cached_property
    def alerts(self) -> Alerts:
        """What sends the Canary's alerts, and calls the hooks that are notifications."""
        alerts = self.outside.alerts and self.outside.alerts(self.target.resolved)
        return HookNotifications(self.outside.hooks, self.target.resolved, alerts, self.outside.leads)

    @property
    def parts(self) -> Parts:
        """Its ports, for the spec as it is now. Raises Unreachable once the Canary is gone."""
        resolved = self.target.resolved()
        self.specs.jitter = jitter(self.key, resolved.policy.interval)
        return Parts(
            target=self.target,
            router=FencedRouter(self._routes(), self.fence),
            workloads=self.workloads,
            metrics=self.outside.metrics(resolved.manifest.spec),
            store=self.store,
            inbox=self.inbox,
            notifier=self.outside.notifier,
            clock=self.outside.clock,
            primary=self.primary,
            alerts=self.alerts,
            hooks=self.outside.hooks,
        )

    @property
    def source(self) -> Hashable:
        """The Prometheus that answers its queries."""
        spec = self.target.resolved().manifest.spec
        return spec.metrics_server, dialect_for(spec)

    def tidy(self, status: Status, now: datetime) -> None:
        """Without a rollout lets go of the target; removes old actions."""
        if self._router is not None:
            self.outside.reads(tuple(self._router.versions))
        if self.workloads.follows:
            self.outside.follow()
        self._disputed = status.rollout is None and status.reason in DISPUTED
        if status.rollout is None:
            self.store.release(status.reverts)
        self.inbox.remove_taken(status, now)

    def unread(self, why: str, now: datetime) -> None:
        self.store.complain(why, now)

    def raises(self, why: str, now: datetime) -> None:
        self.store.complain(why, now, Reason.CONTROLLER_ERROR)

    def rest(self) -> None:
        """What was read of routes is in the watched state as well, and so is the spec."""
        self._router = None
        self.specs.forget()

    def concerned(self, labels: Labels) -> bool:
        """Whether pods with these labels stand behind one of its versions, as far as is known."""
        wanted = list(self.workloads.labels.values())  # a reconcile may be adding to them
        return any(one.items() <= labels.items() for one in wanted)

    def meets(self, workload: str) -> None:
        """A workload behind one of its versions, by uid: a new one is searched again."""
        if workload not in self.workloads.known.values():
            self.workloads.forget()

    def depends_on(self, config_map: str) -> bool:
        """Whether its target's pods read this ConfigMap, as far as is known."""
        return self.workloads.depends_on(config_map)

    @property
    def polls(self) -> bool:
        """See `controller.ports.Reconciler`."""
        return self.workloads.polls

    def has_read(self, ref: ObjectRef, version: str) -> bool:
        """Whether it has this resourceVersion of an object before it already: its own write, mostly."""
        return self._router is not None and self._router.versions.get(ref) == version

    @property
    def running(self) -> bool:
        """Whether a rollout is running."""
        seen = self.outside.seen()
        return seen is not None and seen.active

    def _manifest(self) -> Canary:
        return self.target.resolved().manifest

    def _selector(self, version: str) -> Labels | Missing:
        return self._routes().selector(version)

    def _revision(self, version: str) -> str | Missing:
        return self.workloads.revision(version)

    def _same_build(self, version: str) -> bool:
        return self.workloads.still(version)

    def _conflict(self, seen: CanarySeen) -> str:
        older = self.outside.older(seen)
        if older is not None:
            return f"the Canary {'/'.join(older)} moves these routes, and is older; delete one of the two"
        return self.store.look() if self._disputed else self.store.rival

    def _routes(self) -> ClusterRouter:
        canary = self.target.resolved().manifest
        provider = cluster_for(canary.spec) or CLUSTER[0]  # of another kind it has problems, so that nothing moves
        scope = provider, provider.scope(canary, self.key[0], self.outside.confined)
        if self._router is None or scope != self._scope:
            client = self.fence.client(self.outside.client, Purpose.TRAFFIC)
            self._router, self._scope = provider.router(client, scope[1]), scope
        return self._router
