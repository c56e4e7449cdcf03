"""A rollout without a cluster: an Envoy with a route file, a state file with its inbox and lock beside it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from canary.api.canary import CanarySpec, EnvoyProxy
from canary.api.status import Status
from canary.engine.errors import Invalid
from canary.engine.pairs import dialect_for, source_of
from canary.envoy.admin import Admin
from canary.manifests.target import ManifestTarget
from canary.metrics.credentials import from_environment
from canary.metrics.envoy import EnvoyCounters
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.metrics.providers.adapter import Providers, Routed, Surroundings
from canary.metrics.secrets import NoSecrets
from canary.metrics.secrets import from_environment as secrets_of
from canary.metrics.sources import Sources
from canary.ports import Metrics, Parts
from canary.registry import StandaloneProvider
from canary.rollout.drive import WallClock
from canary.stores import lock, presence
from canary.stores.file import FileInbox, FileStore, me
from canary.webhooks.calls import HookCaller, HookCalls
from canary.webhooks.credentials import folder_secrets
from canary.webhooks.notifications import HookNotifications

from .site import READS, Memory, Place, Run, Silent, headers_of, keeping


def state_of(place: Place, target: ManifestTarget) -> Path:
    """The state file that a run of the manifest uses: that of the run at work, else its own."""
    canary = target.resolved().manifest
    kept = lock.StatePaths.of(place.manifests[0], _envoy(canary.spec).routes)
    return lock.state_of_holder(kept.lock) or kept.state(canary.metadata.name)


@contextmanager
def opened(place: Place, target: ManifestTarget, provider: StandaloneProvider) -> Iterator[Run]:
    """Raises Invalid for a manifest that can't be used."""
    canary = target.resolved().manifest
    spec, envoy = canary.spec, _envoy(canary.spec)
    kept = lock.StatePaths.of(place.manifests[0], envoy.routes)
    state = place.state or kept.state(canary.metadata.name)
    inbox = FileInbox(state)
    secrets = folder_secrets(secrets_of(os.environ, NoSecrets()))
    hooks = HookCalls(HookCaller(quoted=lambda url: True), canary.metadata.namespace, secrets)
    with ExitStack() as stack:
        admin = Admin(envoy.admin)
        stack.callback(admin.close)
        parts = Parts(
            target=target,
            router=provider.router(spec, admin, place.manifests[0].parent),
            workloads=provider.workloads(admin),
            metrics=_metrics(
                stack, target, lambda: provider.counters(admin, target.resolved().policy.scrape_interval)
            ),
            store=FileStore(state, canary.metadata.name),
            inbox=inbox,
            notifier=Silent(),
            clock=WallClock(),
            alerts=HookNotifications(hooks, target.resolved),
            hooks=hooks,
            pool=stack.enter_context(ThreadPoolExecutor(READS, thread_name_prefix="read")),
        )
        howto = f"--state {state}" if place.state else f"-f {place.manifests[0]}"
        yield Run(
            parts, lambda patience: kept.held(state, patience), inbox.post, me(), howto, server=spec.metrics_server
        )


def memory(state: Path) -> Memory:
    """The memory in a state file. Raises Invalid where there is none, Rejected or Unreachable."""
    store = FileStore.at(state)
    if store is None:
        raise Invalid(f"{state} doesn't exist; nothing has run yet, or its state is in another file (--state)")
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
        saved=stored.at if stored is not None else None,
        presence=lambda: presence.of_file(state, store),
    )


def _envoy(spec: CanarySpec) -> EnvoyProxy:
    if spec.envoy is None:
        raise Invalid(f"spec.envoy: missing; {spec.target_ref.kind} needs envoy.admin and envoy.routes")
    return spec.envoy


def _metrics(stack: ExitStack, target: ManifestTarget, counters: Callable[[], EnvoyCounters]) -> Metrics:
    """Builtins from Prometheus where a server is named, else from Envoy's own counters."""
    spec = target.resolved().manifest.spec
    dialect = Dialect(dialect_for(spec))
    prometheus = Prometheus(spec.metrics_server, from_environment(os.environ), dialect)
    stack.callback(prometheus.close)
    providers = Providers(Surroundings(secrets_of(os.environ, NoSecrets()), headers_of(target)))
    stack.callback(providers.close)
    routed = Routed(prometheus, providers, spec.metrics_server)
    if source_of(spec) == "prometheus":
        return routed
    return Sources(stack.enter_context(counters()), routed)
