"""All Canaries of a cluster: shared watches, and which Canary an event wakes.

Canary             itself, where what people write has changed; those that want the same routes with it
CanaryAction       the Canary that it names
policy, template   those that refer to it
routes             those that move them, unless it is their own write
Service, and what else routers read      those of the namespace
Deployment and the like       those whose versions' pods it makes
ConfigMap          those whose target's pods read it; watched once there is such a target
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from pydantic import ValidationError

from canary.alerts.canary_alerts import Alerting
from canary.api.action import CanaryAction
from canary.api.status import Status
from canary.controller.garbage_collection import GarbageCollector, Releases
from canary.controller.ownership import Joint, OwnedStore, Owners, References, older
from canary.controller.specs import Shared, Specs
from canary.engine.errors import Conflict
from canary.engine.observed import Missing
from canary.kube import projections
from canary.kube.cached_client import CachedClient
from canary.kube.client import Client
from canary.kube.events import Events, EventSubject
from canary.kube.lease import Lease
from canary.kube.names import NamespacedName, ObjectRef
from canary.kube.rate_limiter import RateLimiter
from canary.kube.reflector import USUAL, Event, Reflector
from canary.kube.resources import (
    CANARIES,
    CANARY_ACTIONS,
    CANARY_POLICIES,
    CLUSTER_CANARY_POLICIES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from canary.ports import Clock
from canary.primary import configs
from canary.registry import CLUSTER, moves
from canary.rollout.fencing import Fence, Purpose
from canary.stores.canary import ActionInbox, CanaryStore, asked
from canary.stores.lease import TargetLease
from canary.stores.objects import Objects
from canary.stores.projection import CanarySeen, seen
from canary.webhooks.calls import HookCaller, HookCalls
from canary.webhooks.credentials import hook_secrets
from canary.workloads.pods import build

from .evidence import MetricSources
from .ports import Fleet
from .reconciler import ClusterReconciler, Outside
from .settings import Area

WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
PAGE = 50
"""ConfigMaps that are in memory as a whole at once: one may have a MiB."""
Kept = Reflector[bytes]
Data = Mapping[str, Any]


@dataclass
class ClusterFleet(Fleet):
    """The Canaries of a cluster."""

    client: Client
    area: Area
    clock: Clock
    verified: Callable[[str, datetime], bool]
    """Whether authors of actions that were made in a namespace at a time are proved."""
    asked: Callable[[Missing | None], None] = lambda missing: None
    """Called for each request to a Prometheus, with the cause if it wasn't answered."""
    instance: str = "canary"
    """Who tells Events: the pod's name."""
    alerting: Alerting | None = None
    """Who sends alerts; None sends none."""
    term: Lease | None = None
    """The Lease by which this replica leads; asked before each write."""
    wake: Callable[[NamespacedName], None] = lambda key: None
    forget: Callable[[NamespacedName], None] = lambda key: None
    _reconcilers: dict[NamespacedName, ClusterReconciler] = field(default_factory=dict)
    _follows: bool = False
    """Whether ConfigMaps are watched."""
    listening: bool = False
    """Whether there is a Canary to wake."""
    _references: References = field(default_factory=References)
    _owners: WeakValueDictionary[ObjectRef, Owners] = field(default_factory=WeakValueDictionary)
    """By target, the Canaries whose rollouts hold its Lease; as long as one of them is wired."""
    _releases: Releases = field(default_factory=Releases)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Raises Invalid for credentials of the environment that contradict each other."""
        space = self.area.namespace
        watching = replace(self.client, rate_limiter=RateLimiter())  # few requests, and all else waits for them
        self.canaries = Reflector(
            watching, CANARIES, partial(seen, moves=moves), self._canary, space, self.area.selector
        )
        self.actions = Reflector(watching, CANARY_ACTIONS, asked, self._action, space)
        policies = (CANARY_POLICIES, METRIC_TEMPLATES, *(() if space else (CLUSTER_CANARY_POLICIES,)))
        self._shared: dict[Resource, Kept] = {
            kind: Reflector(watching, kind, projections.routing, self._referred, space) for kind in policies
        }
        self._kept = self._reflectors(watching, space)
        self._kept[CONFIG_MAPS] = self._config_maps = Reflector(
            watching, CONFIG_MAPS, configs.projected, self._configuration, space, timing=replace(USUAL, page=PAGE)
        )
        remover = Fence(self._leads).client(self.client, Purpose.ACTIONS)
        self.garbage = GarbageCollector(remover, self.canaries, self.actions)
        self._cached = CachedClient(**vars(self.client), kept=self._kept)
        self._wants = Shared(
            policies=self._shared[CANARY_POLICIES].get,
            cluster_policies=_nothing if space else self._shared[CLUSTER_CANARY_POLICIES].get,
            templates=self._shared[METRIC_TEMPLATES].get,
            metrics_server=self.area.metrics_server,
            names=self._policies,
            refusal=self.area.allowed.refusal,
            hook_refusal=self.area.allowed.hook_refusal,
        )
        self._refused: set[Any] = set()
        # what a server says is shown only if the administrator named the server
        self._hooks = HookCaller(refusal=self.area.allowed.hook_refusal, quoted=self.area.allowed.names_hook)
        self.evidence = MetricSources(self.client, lambda: self.area, self._headers, self.asked)

    def _reflectors(self, watching: Client, space: str) -> dict[Resource, Kept]:
        """Of the objects that are moved or read in a rollout, by what each changes of a Canary."""
        watched: dict[Resource, tuple[Callable[[Data], bytes], Callable[[Event[bytes]], None]]] = {
            **{one.routes: (projections.routing, partial(self._routes, one.routes.kind)) for one in CLUSTER},
            **{each: (projections.routing, self._nearby) for one in CLUSTER for each in one.nearby},
            SERVICES: (projections.service, self._nearby),
            **dict.fromkeys(WORKLOADS, (projections.workload, self._workload)),
        }
        return {
            kind: Reflector(watching, kind, project, self._since(kind, changed), space)
            for kind, (project, changed) in watched.items()
        }

    def _headers(self, namespace: str, name: str) -> Mapping[str, tuple[str, ...]] | None:
        """Those of a MetricTemplate; None if there is none."""
        found = self._shared[METRIC_TEMPLATES].get(namespace, name)
        if found is None:
            return None
        headers = (json.loads(found)["spec"].get("provider") or {}).get("headers") or {}
        return {header: tuple(values) for header, values in headers.items()}

    def _policies(self, kind: str, namespace: str) -> tuple[str, ...]:
        """Names of the policies that there are."""
        found = [
            reflector.items(None if kind == CLUSTER_CANARY_POLICIES.kind else namespace)
            for resource, reflector in self._shared.items()
            if resource.kind == kind
        ]
        return tuple(name for each in found for (_, name), _ in each)

    @property
    def reflectors(self) -> tuple[Reflector[Any], ...]:
        """All watches that were started, or are to be."""
        spared = None if self._follows else self._config_maps
        kept = (each for each in self._kept.values() if each is not spared)
        return (self.canaries, self.actions, *self._shared.values(), *kept)

    @property
    def needed(self) -> tuple[Reflector[Any], ...]:
        """Watches that must have listed before all Canaries can be looked after."""
        routers = [[self._kept[kind] for kind in (one.routes, *one.nearby)] for one in CLUSTER]
        spared = [*dispensable(routers), self._config_maps]
        return tuple(each for each in self.reflectors if each not in spared)

    def follow(self) -> None:
        """Watches ConfigMaps from now on: most clusters have many, and not all have a target whose pods read some."""
        with self._lock:
            if self._follows:
                return
            self._follows = True
        self._config_maps.start(after=self.first)

    @contextmanager
    def led(
        self, term: Lease, wake: Callable[[NamespacedName], None], forget: Callable[[NamespacedName], None]
    ) -> Iterator[None]:
        """While this replica leads: events wake, and writes are sent as long as `term` allows."""
        self.term, self.wake, self.forget, self.listening = term, wake, forget, True
        try:
            yield
        finally:
            self.term, self.listening = None, False
            if self.alerting is not None:
                self.alerting.queue.clear()
            self.wake = self.forget = lambda key: None
            with self._lock:
                self._reconcilers.clear()
                self._owners.clear()

    def _leads(self, during: Lease | None = None) -> None:
        """Raises Conflict where this replica doesn't lead (any more); `during`: in that term, not in a later one."""
        term = self.term
        if term is None or during not in (None, term):
            raise Conflict("this replica doesn't lead")
        term.check()

    @property
    def first(self) -> tuple[Reflector[Any], ...]:
        """Watches without which nothing can be decided."""
        return (self.canaries, self.actions, *self._shared.values())

    # ---- what the controller asks -----------------------------------------------------------------------------

    def all(self) -> Iterable[NamespacedName]:
        return [key for key, _ in self.canaries.items()]

    def pressing(self, key: NamespacedName) -> bool:
        found = self.canaries.get(*key)
        return found is not None and (found.active or found.deleted or found.guarded)

    def standing(self, key: NamespacedName) -> Status | None:
        """Where a Canary stands by its object; None if that isn't known."""
        found = self.canaries.get(*key)
        try:
            return Status.model_validate_json(found.status) if found is not None and found.status else None
        except ValidationError:
            return None

    def specs(self) -> Specs:
        """Reads the spec of one Canary; on each replica."""
        return Specs(self._wants)

    def reconciler(self, key: NamespacedName) -> ClusterReconciler | None:
        found = self.canaries.get(*key)
        if found is None:
            return None
        with self._lock:
            reconciler = self._reconcilers.get(key)
            if reconciler is None or reconciler.uid != found.uid:
                if self.term is None:
                    raise Conflict("this replica doesn't lead")
                reconciler = self._reconcilers[key] = self._wired(key, found, self.term)
            return reconciler

    def _wired(self, key: NamespacedName, found: CanarySeen, term: Lease) -> ClusterReconciler:
        namespace, name = key
        target = found.refs[0] if found.refs else CLUSTER[0].named(namespace, name)
        fence = Fence(partial(self._leads, term))  # a reconcile may outlive its term
        store = CanaryStore(fence.client(self.client, Purpose.STATUS), self.canaries, namespace, name, found.uid)
        subject = EventSubject(CANARIES.api_version, CANARIES.kind, namespace, name, found.uid)
        outside = Outside(
            client=self._cached,
            leads=fence.leads,
            seen=lambda: self._same(key, found.uid),
            older=lambda mine: older(key, mine, self._rivals(namespace, mine)),
            metrics=self.evidence.of,
            reads=lambda refs: self._references.add(key, refs),
            notifier=Events(fence.client(self.client, Purpose.EVENTS), lambda: subject, self.instance, self._refused),
            clock=self.clock,
            alerts=None if self.alerting is None else self.alerting.of(key, found.uid, fence.leads, self.wake),
            hooks=HookCalls(self._hooks, namespace, hook_secrets(self._cached, namespace), lambda: self.wake(key)),
            follow=self.follow,
            confined=not self.area.cross_namespace,
        )
        leaser = Fence(term.check).client(self.client, Purpose.TARGET_LEASE)
        lease = TargetLease(leaser, Objects(target.namespace, target.kind, target.name, name), term)
        joint = Joint(lease, self._owners.setdefault(target, Owners()), found.uid)
        remover, verified = fence.client(self.client, Purpose.ACTIONS), partial(self.verified, namespace)
        inbox = ActionInbox(remover, self.actions, key, found.born, verified)
        return ClusterReconciler(key, found.uid, outside, Specs(self._wants), OwnedStore(store, joint), inbox)

    def _same(self, key: NamespacedName, uid: str) -> CanarySeen | None:
        """The Canary, unless another one has its name by now."""
        found = self.canaries.get(*key)
        return found if found is not None and found.uid == uid else None

    def _rivals(self, namespace: str, mine: CanarySeen) -> Iterable[tuple[NamespacedName, CanarySeen]]:
        """Canaries that name one of the same objects, and may move it: other names don't block other Canaries."""
        keys = {key for key in self._references.of(*mine.refs) if self.area.cross_namespace or key[0] == namespace}
        return [(key, found) for key in keys if (found := self.canaries.get(*key)) is not None]

    def forget_unused(self) -> None:
        """Drops caches, which may be for Canaries that no longer exist."""
        self._cached.parsed.clear()
        self.evidence.forget()

    def close(self) -> None:
        """Lets go of connections; the starter of the watches stops them."""
        self.evidence.close()

    # ---- what wakes -------------------------------------------------------------------------------------------

    def _canary(self, event: Event[CanarySeen]) -> None:
        key, before, after = (event.namespace, event.name), event.before, event.after
        another = before is None or after is None or before.uid != after.uid
        if before is not None and another:
            self._departs(key, before)
            self.forget(key)
        named, names = before.refs if before else (), after.refs if after else ()
        if after is None:
            self._references.remove(key)
        elif another or named != names:  # else what was found out about it is still true
            self._references.replace(key, names)
        if after is not None and (another or before is None or before.manifest != after.manifest):
            self.wake(key)
        if named != names:
            for other in self._references.of(*named, *names) - {key}:
                self.wake(other)

    def _departs(self, key: NamespacedName, before: CanarySeen) -> None:
        """It was deleted while its rollout may have been running: a user removed the finalizer."""
        with self._lock:
            reconciler, term = self._reconcilers.pop(key, None), self.term
            if reconciler is None and term is not None and before.guarded:
                reconciler = self._wired(key, before, term)
        if reconciler is not None and (reconciler.store.leave() or before.guarded):
            self._releases.add(reconciler.store.ownership, reconciler.outside.leads)

    def _action(self, event: Event[CanaryAction]) -> None:
        if event.before is None and event.after is not None:
            self.wake((event.namespace, event.after.target))

    def _referred(self, event: Event[bytes]) -> None:
        with self._lock:
            reconcilers = dict(self._reconcilers)
        for key, reconciler in reconcilers.items():
            if reconciler.specs.refers(event.namespace, event.name):
                self.wake(key)

    def _routes(self, kind: str, event: Event[bytes]) -> None:
        ref = ObjectRef(kind, event.namespace, event.name)
        version = json.loads(event.after)["metadata"].get("resourceVersion") if event.after else None
        for key in self._references.of(ref):
            reconciler = self._reconcilers.get(key)
            if reconciler is None or version is None or not reconciler.has_read(ref, version):
                self.wake(key)

    def _since(self, kind: Resource, changed: Callable[[Event[bytes]], None]) -> Callable[[Event[bytes]], None]:
        """Passes on what happens after the kind was listed once: the first list is no news."""
        return lambda event: changed(event) if self._kept[kind].synced else None

    def _nearby(self, event: Event[bytes]) -> None:
        """A change that reaches any Canary that moves something in the namespace."""
        for key in self._references.near(event.namespace) if self.listening else ():
            self.wake(key)

    def _workload(self, event: Event[bytes]) -> None:
        """Idle rollouts care for builds only, running ones for replicas as well."""
        if not self.listening:
            return
        there = [json.loads(found) for found in (event.before, event.after) if found]
        labels = [found["spec"]["template"]["metadata"]["labels"] for found in there]
        rebuilt = build(event.before) != build(event.after)
        for key, _ in self.canaries.items(event.namespace):
            reconciler = self._reconcilers.get(key)
            if reconciler is None:
                if rebuilt:
                    self.wake(key)
            elif any(reconciler.concerned(one) for one in labels):  # its pods may have left a version
                reconciler.meets(there[-1]["metadata"]["uid"])
                if rebuilt or reconciler.running:
                    self.wake(key)

    def _configuration(self, event: Event[bytes]) -> None:
        for key, _ in self.canaries.items(event.namespace) if self.listening else ():
            reconciler = self._reconcilers.get(key)
            if reconciler is not None and reconciler.depends_on(event.name):
                self.wake(key)


def dispensable(routers: Sequence[Sequence[Reflector[Any]]]) -> list[Reflector[Any]]:
    """Watches on kinds that the cluster doesn't have, if it has those of another router: a Canary that needs them
    says so itself."""
    absent = [[each for each in those if each.unserved] for those in routers]
    return [each for those in absent for each in those] if not all(absent) else []


def _nothing(_namespace: str, _name: str) -> None:
    """A controller of one namespace can't read ClusterCanaryPolicies; a Canary that refers to one says so."""
