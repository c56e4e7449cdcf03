"""All Canaries of a cluster: shared watches, and which Canary an event wakes.

Canary             itself, where what people write has changed; those that want the same routes with it
CanaryAction       the Canary that it names
policy, template   those that refer to it
VirtualService     those that move it, unless it is their own write
DestinationRule, Service      those of the namespace
Deployment and the like       those whose versions' pods it makes
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from pydantic import ValidationError

from canary.api.action import CanaryAction
from canary.api.status import Status
from canary.controller.fleet import Key
from canary.engine.errors import Conflict, Invalid
from canary.engine.observed import Missing
from canary.istio.scope import Ref
from canary.kinds.departed import Departed
from canary.kinds.inbox import ActionInbox, asked
from canary.kinds.leftovers import Leftovers
from canary.kinds.movers import Movers
from canary.kinds.seen import CanarySeen, seen
from canary.kinds.sharing import older
from canary.kinds.store import CanaryStore
from canary.kinds.tenancy import Joint, Tenants, TenantStore
from canary.kinds.wishes import Shared, Wishes
from canary.kube import projections
from canary.kube.client import Client
from canary.kube.lease import Lease
from canary.kube.mirror import Mirror
from canary.kube.pace import Pace
from canary.kube.reflector import Event, Reflector
from canary.kube.resources import (
    CANARIES,
    CANARY_ACTIONS,
    CANARY_POLICIES,
    CLUSTER_CANARY_POLICIES,
    DAEMON_SETS,
    DEPLOYMENTS,
    DESTINATION_RULES,
    METRIC_TEMPLATES,
    SERVICES,
    STATEFUL_SETS,
    VIRTUAL_SERVICES,
    Resource,
)
from canary.metrics.allowed import Confined
from canary.metrics.credentials import NONE, from_environment
from canary.metrics.nobody import Nobody
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.notifiers.events import Events, EventSubject
from canary.rollout.ports import Clock, Metrics
from canary.stores.lease import TargetLease
from canary.stores.objects import Objects
from canary.workloads.pods import REVISION_NUMBER

from .cluster import KIND
from .rig import ClusterRig, Outside
from .settings import Area

WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
Kept = Reflector[bytes]


@dataclass
class ClusterFleet:
    """See `controller.fleet.Fleet`."""

    client: Client
    area: Area
    clock: Clock
    verified: Callable[[str, datetime], bool]
    """Whether authors of actions that were made in a namespace at a time are proved."""
    asked: Callable[[Missing | None], None] = lambda missing: None
    """Told of each request to a Prometheus, and why it wasn't answered."""
    instance: str = "canary"
    """Who tells Events: the pod's name."""
    term: Lease | None = None
    """The Lease by which this replica leads; asked before each write."""
    wake: Callable[[Key], None] = lambda key: None
    forget: Callable[[Key], None] = lambda key: None
    _rigs: dict[Key, ClusterRig] = field(default_factory=dict)
    listening: bool = False
    """Whether anybody is there to be woken."""
    _movers: Movers = field(default_factory=Movers)
    _tenants: WeakValueDictionary[Ref, Tenants] = field(default_factory=WeakValueDictionary)
    """By VirtualService, the Canaries whose rollouts hold its Lease; as long as one of them is wired."""
    _departed: Departed = field(default_factory=Departed)
    _prometheus: dict[str | None, Prometheus] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Raises Invalid for credentials of the environment that contradict each other."""
        self._own = from_environment(os.environ)
        space = self.area.namespace
        watching = replace(self.client, pace=Pace())  # few requests, and all else waits for them
        self.canaries = Reflector(watching, CANARIES, seen, self._canary, space, self.area.selector)
        self.actions = Reflector(watching, CANARY_ACTIONS, asked, self._action, space)
        policies = (CANARY_POLICIES, METRIC_TEMPLATES, *(() if space else (CLUSTER_CANARY_POLICIES,)))
        self._shared: dict[Resource, Kept] = {
            kind: Reflector(watching, kind, projections.routing, self._referred, space) for kind in policies
        }
        watched = {
            VIRTUAL_SERVICES: (projections.routing, self._virtual_service),
            DESTINATION_RULES: (projections.routing, self._nearby),
            SERVICES: (projections.service, self._nearby),
            **dict.fromkeys(WORKLOADS, (projections.workload, self._workload)),
        }
        self._kept: dict[Resource, Kept] = {
            kind: Reflector(watching, kind, project, self._since(kind, changed), space)
            for kind, (project, changed) in watched.items()
        }
        self._writer = self.client.guarded(self._leads)
        self.leftovers = Leftovers(self._writer, self.canaries, self.actions)
        self._mirror = Mirror(**vars(self._writer), kept=self._kept)
        self._wants = Shared(
            policies=self._shared[CANARY_POLICIES].get,
            cluster_policies=_nothing if space else self._shared[CLUSTER_CANARY_POLICIES].get,
            templates=self._shared[METRIC_TEMPLATES].get,
            metrics_server=self.area.metrics_server,
            names=self._policies,
            refusal=self.area.allowed.refusal,
        )
        self._refused: set[Any] = set()

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
        """All watches."""
        return (self.canaries, self.actions, *self._shared.values(), *self._kept.values())

    @contextmanager
    def led(self, term: Lease, wake: Callable[[Key], None], forget: Callable[[Key], None]) -> Iterator[None]:
        """While this replica leads: events wake, and writes are sent as long as `term` allows."""
        self.term, self.wake, self.forget, self.listening = term, wake, forget, True
        try:
            yield
        finally:
            self.term, self.listening = None, False
            self.wake = self.forget = lambda key: None
            with self._lock:
                self._rigs.clear()
                self._tenants.clear()

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

    def all(self) -> Iterable[Key]:
        """See the port."""
        return [key for key, _ in self.canaries.items()]

    def pressing(self, key: Key) -> bool:
        """See the port."""
        found = self.canaries.get(*key)
        return found is not None and (found.active or found.deleted or found.guarded)

    def standing(self, key: Key) -> Status | None:
        """Where a Canary stands by its object; None where that can't be told."""
        found = self.canaries.get(*key)
        try:
            return Status.model_validate_json(found.status) if found is not None and found.status else None
        except ValidationError:
            return None

    def rig(self, key: Key) -> ClusterRig | None:
        """See the port."""
        found = self.canaries.get(*key)
        if found is None:
            return None
        with self._lock:
            rig = self._rigs.get(key)
            if rig is None or rig.uid != found.uid:
                if self.term is None:
                    raise Conflict("this replica doesn't lead")
                rig = self._rigs[key] = self._rigged(key, found, self.term)
            return rig

    def _rigged(self, key: Key, found: CanarySeen, term: Lease) -> ClusterRig:
        namespace, name = key
        target = found.refs[0] if found.refs else Ref(namespace, name)
        writer = self.client.guarded(partial(self._leads, term))  # a tick may outlive its term
        store = CanaryStore(writer, self.canaries, namespace, name, found.uid)
        subject = EventSubject(CANARIES.api_version, CANARIES.kind, namespace, name, found.uid)
        outside = Outside(
            client=self._mirror.guarded(writer.guard),
            seen=lambda: self._same(key, found.uid),
            older=lambda mine: older(key, mine, self._rivals(namespace, mine)),
            metrics=self._metrics,
            reads=lambda refs: self._movers.add(key, refs),
            notifier=Events(writer, lambda: subject, self.instance, self._refused),
            clock=self.clock,
            confined=not self.area.cross_namespace,
        )
        lease = TargetLease(self.client, Objects(target.namespace, KIND, target.name, name), term)
        joint = Joint(lease, self._tenants.setdefault(target, Tenants()), found.uid)
        inbox = ActionInbox(writer, self.actions, key, found.born, partial(self.verified, namespace))
        return ClusterRig(key, found.uid, outside, Wishes(self._wants), TenantStore(store, joint), inbox)

    def _same(self, key: Key, uid: str) -> CanarySeen | None:
        """The Canary, unless another one has its name by now."""
        found = self.canaries.get(*key)
        return found if found is not None and found.uid == uid else None

    def _rivals(self, namespace: str, mine: CanarySeen) -> Iterable[tuple[Key, CanarySeen]]:
        """Canaries that name one of the same VirtualServices, and may move it: what else they name blocks nobody."""
        keys = {key for key in self._movers.of(*mine.refs) if self.area.cross_namespace or key[0] == namespace}
        return [(key, found) for key in keys if (found := self.canaries.get(*key)) is not None]

    def _metrics(self, server: str | None) -> Metrics:
        try:
            with self._lock:
                if server not in self._prometheus:
                    known = self._own if server == self.area.metrics_server else NONE
                    self._prometheus[server] = Prometheus(server, known, Dialect("istio"), told=self.asked)
                found = self._prometheus[server]
        except Invalid as error:
            return Nobody(str(error))
        allowed = self.area.allowed
        return Confined(found, server, allowed) if allowed.prefixes else found

    def forget_unused(self) -> None:
        """Lets go of what is in memory only so that it is at hand, and perhaps for nobody that is still there."""
        self._mirror.parsed.clear()
        with self._lock:
            for server in [one for one, each in self._prometheus.items() if not each.forget()]:
                del self._prometheus[server]

    def close(self) -> None:
        """Lets go of connections; the watches are stopped by whoever started them."""
        for each in self._prometheus.values():
            each.close()

    # ---- what wakes -------------------------------------------------------------------------------------------

    def _canary(self, event: Event[CanarySeen]) -> None:
        key, before, after = (event.namespace, event.name), event.before, event.after
        another = before is None or after is None or before.uid != after.uid
        if before is not None and another:
            self._departs(key, before)
            self.forget(key)
        named, names = before.refs if before else (), after.refs if after else ()
        if after is None:
            self._movers.remove(key)
        elif another or named != names:  # else what was found out about it is still true
            self._movers.replace(key, names)
        if after is not None and (another or before is None or before.wish != after.wish):
            self.wake(key)
        if named != names:
            for other in self._movers.of(*named, *names) - {key}:
                self.wake(other)

    def _departs(self, key: Key, before: CanarySeen) -> None:
        """It isn't there any more, though its rollout may have been running: somebody took the finalizer."""
        with self._lock:
            rig, term = self._rigs.pop(key, None), self.term
            if rig is None and term is not None and before.guarded:
                rig = self._rigged(key, before, term)
        if rig is not None and (rig.store.leave() or before.guarded):
            self._departed.add(rig.store.tenancy, rig.outside.client.guard)

    def _action(self, event: Event[CanaryAction]) -> None:
        if event.before is None and event.after is not None:
            self.wake((event.namespace, event.after.target))

    def _referred(self, event: Event[bytes]) -> None:
        with self._lock:
            rigs = dict(self._rigs)
        for key, rig in rigs.items():
            if rig.wishes.refers(event.namespace, event.name):
                self.wake(key)

    def _virtual_service(self, event: Event[bytes]) -> None:
        version = json.loads(event.after)["metadata"].get("resourceVersion") if event.after else None
        for key in self._movers.of(Ref(event.namespace, event.name)):
            rig = self._rigs.get(key)
            if rig is None or version is None or not rig.has_read(Ref(event.namespace, event.name), version):
                self.wake(key)

    def _since(self, kind: Resource, changed: Callable[[Event[bytes]], None]) -> Callable[[Event[bytes]], None]:
        """Passes on what happens after the kind was listed once: the first list is no news."""
        return lambda event: changed(event) if self._kept[kind].synced else None

    def _nearby(self, event: Event[bytes]) -> None:
        """A change that reaches any Canary that moves something in the namespace."""
        for key in self._movers.near(event.namespace) if self.listening else ():
            self.wake(key)

    def _workload(self, event: Event[bytes]) -> None:
        """Idle rollouts care for builds only, running ones for replicas as well."""
        if not self.listening:
            return
        there = [json.loads(found) for found in (event.before, event.after) if found]
        labels = [found["spec"]["template"]["metadata"]["labels"] for found in there]
        rebuilt = _build(event.before) != _build(event.after)
        for key, _ in self.canaries.items(event.namespace):
            rig = self._rigs.get(key)
            if rig is None:
                if rebuilt:
                    self.wake(key)
            elif any(rig.concerned(one) for one in labels):  # its pods may have left a version
                rig.meets(there[-1]["metadata"]["uid"])
                if rebuilt or rig.running:
                    self.wake(key)


def _nothing(_namespace: str, _name: str) -> None:
    """Who looks after one namespace doesn't know the cluster's policies; a Canary that refers to one says so."""


def _build(found: bytes | None) -> tuple[object, ...]:
    """What changes with the build that a workload runs."""
    if found is None:
        return ()
    data = json.loads(found)
    about, status = data["metadata"], data["status"]
    numbered = (about.get("annotations") or {}).get(REVISION_NUMBER)
    seen = (status.get("updateRevision"), status.get("observedGeneration"))
    return (about["uid"], about.get("generation"), numbered, *seen)
