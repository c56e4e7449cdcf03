"""A rollout without a cluster: an Envoy with a route file, a state file with its inbox and lock beside it."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from canary.api.canary import CanarySpec
from canary.api.pinned import Policy
from canary.api.status import Status
from canary.engine.errors import Invalid
from canary.engine.policy import source_of
from canary.envoy.admin import Admin
from canary.manifests.target import ManifestTarget
from canary.metrics.credentials import from_environment
from canary.metrics.envoy import EnvoyCounters
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.metrics.sources import Sources
from canary.rollout.ports import Metrics, Parts
from canary.routers.envoy import EnvoyRouter
from canary.stores import lock
from canary.stores.file import FileStore
from canary.stores.inbox import FileInbox, me
from canary.workloads.envoy import EnvoyWorkloads

from .site import READS, Memory, Place, Run, Silent, WallClock, keeping


def state_beside(manifest: Path) -> Path:
    """Where the state of a manifest is kept, unless the user says otherwise: `shop.yaml` → `shop.state.json`."""
    return manifest.with_name(f"{manifest.stem}.state.json")


@contextmanager
def opened(place: Place, target: ManifestTarget) -> Iterator[Run]:
    """Raises Invalid for a manifest that can't be used."""
    canary = target.desired().canary
    spec = canary.spec
    if spec.envoy is None:
        raise Invalid("spec.envoy: missing; an EnvoyRoute needs envoy.admin and envoy.routes")
    state = place.state or state_beside(place.manifests[0])
    inbox = FileInbox(state)
    with ExitStack() as stack:
        admin = Admin(spec.envoy.admin)
        stack.callback(admin.close)
        parts = Parts(
            target=target,
            router=EnvoyRouter.of(spec, admin, place.manifests[0].parent),
            workloads=EnvoyWorkloads(admin),
            metrics=_metrics(stack, spec, target.desired().policy, admin),
            store=FileStore(state, canary.metadata.name),
            inbox=inbox,
            notifier=Silent(),
            clock=WallClock(),
            pool=stack.enter_context(ThreadPoolExecutor(READS, thread_name_prefix="read")),
        )
        howto = f"--state {state}" if place.state else f"-f {place.manifests[0]}"
        yield Run(parts, lambda patience: lock.held(state, patience), inbox.post, me(), howto)


def memory(state: Path) -> Memory:
    """The memory in a state file. Raises Invalid where there is none, Rejected or Unreachable."""
    store = FileStore.at(state)
    if store is None:
        raise Invalid(f"{state} isn't there; nothing has run yet, or its state is elsewhere (--state)")
    stored = store.load()
    return Memory(
        name=store.name,
        store=store,
        post=keeping(FileInbox(state).post),
        holder=lambda: lock.holder(state),
        author=me(),
        howto=f"--state {state}",
        status=Status() if stored is None else stored.status,
        proves=True,
    )


def _metrics(stack: ExitStack, spec: CanarySpec, policy: Policy, admin: Admin) -> Metrics:
    """Builtins from Prometheus where a server is named, else from Envoy's own counters."""
    dialect = Dialect(provider=spec.provider or "envoy")
    prometheus = Prometheus(spec.metrics_server, from_environment(os.environ), dialect)
    stack.callback(prometheus.close)
    if source_of(spec) == "prometheus":
        return prometheus
    counters = stack.enter_context(EnvoyCounters(admin, policy.scrape_interval))
    return Sources(counters, prometheus)
