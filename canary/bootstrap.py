"""The one place that wires real parts: a manifest, a standalone Envoy, a state file, a clock.

`cli/` and `demo/` ask here for `Parts`; `sandbox/parts.py` has the same ports in memory.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from canary.api.action import CanaryAction, Verb
from canary.api.canary import CanarySpec
from canary.api.status import Message, Policy, Status
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
from canary.stores.lock import held
from canary.workloads.envoy import EnvoyWorkloads

__all__ = ["POLL", "Memory", "Standalone", "held", "me", "memory", "retry", "standalone", "state_beside"]

POLL = 0.1
"""Seconds between two looks at signals and the inbox while a run waits."""
READS = 6
"""Reads of one tick that run side by side: version, route, two workloads, actions, metrics."""


@dataclass(frozen=True)
class Standalone:
    """Where a rollout without a cluster finds its things."""

    manifests: Sequence[Path]
    state: Path
    policy: str | None = None
    prometheus: str | None = None
    """Overrides the manifest's `metricsServer`."""


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not woken():
            time.sleep(min(left, POLL))


class Silent:
    """Tells nobody: what a run has to say is on its own output already."""

    def tell(self, messages: Sequence[Message]) -> None:
        return None


def state_beside(manifest: Path) -> Path:
    """Where the state of a manifest is kept, unless the user says otherwise: `shop.yaml` → `shop.state.json`."""
    return manifest.with_name(f"{manifest.stem}.state.json")


@contextmanager
def standalone(place: Standalone) -> Iterator[Parts]:
    """The parts of a rollout on a standalone Envoy. Raises Invalid for a manifest that can't be used."""
    target = ManifestTarget(place.manifests, place.policy, place.prometheus)
    canary = target.desired().canary
    spec = canary.spec
    if spec.envoy is None:
        raise Invalid("spec.envoy: missing; an EnvoyRoute needs envoy.admin and envoy.routes")
    with ExitStack() as stack:
        admin = Admin(spec.envoy.admin)
        stack.callback(admin.close)
        pool = stack.enter_context(ThreadPoolExecutor(READS, thread_name_prefix="read"))
        yield Parts(
            target=target,
            router=EnvoyRouter.of(spec, admin, place.manifests[0].parent),
            workloads=EnvoyWorkloads(admin),
            metrics=_metrics(stack, spec, target.desired().policy, admin),
            store=FileStore(place.state, canary.metadata.name),
            inbox=FileInbox(place.state),
            notifier=Silent(),
            clock=WallClock(),
            pool=pool,
        )


@dataclass(frozen=True)
class Memory:
    """What a run remembers, for commands that look at it or ask something of it."""

    name: str
    """Of the Canary."""
    store: FileStore
    inbox: FileInbox
    status: Status
    """As it was when it was opened."""

    def read(self) -> Status:
        """As it is now. Raises Rejected or Unreachable."""
        stored = self.store.load()
        return Status() if stored is None else stored.status

    def holder(self) -> str | None:
        """Who runs now and since when, or None."""
        return lock.holder(self.store.path)


def memory(state: Path) -> Memory:
    """The memory in a state file. Raises Invalid where there is none, Rejected or Unreachable."""
    store = FileStore.at(state)
    if store is None:
        raise Invalid(f"{state} isn't there; nothing has run yet, or its state is elsewhere (--state)")
    stored = store.load()
    return Memory(store.name, store, FileInbox(state), Status() if stored is None else stored.status)


def retry(state: Path, parts: Parts) -> None:
    """Asks to try again what failed, if anything did."""
    stored = parts.store.load()
    if stored is None or stored.status.failed is None or stored.status.rollout is not None:
        return
    now, name = parts.clock.now(), parts.target.desired().canary.metadata.name
    action = CanaryAction(id=f"{now:%Y%m%dT%H%M%S.%f}-retry", target=name, verb=Verb.RETRY, author=me(), at=now)
    FileInbox(state).post(action)


def _metrics(stack: ExitStack, spec: CanarySpec, policy: Policy, admin: Admin) -> Metrics:
    """Builtins from Prometheus where a server is named, else from Envoy's own counters."""
    prometheus = Prometheus(
        spec.metrics_server, from_environment(os.environ), Dialect(provider=spec.provider or "envoy")
    )
    stack.callback(prometheus.close)
    if source_of(spec) == "prometheus":
        return prometheus
    counters = stack.enter_context(EnvoyCounters(admin, policy.scrape_interval))
    return Sources(counters, prometheus)
