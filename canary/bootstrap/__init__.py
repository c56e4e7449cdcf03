"""The one place that wires real parts. `cli/` and `demo/` ask here; `sandbox/parts.py` has the same in memory.

`standalone.py` wires an Envoy and a state file, `cluster.py` a Kubernetes cluster with Istio; which of the two it is
stands in the manifest's `targetRef.kind`. `canaries.py` wires what commands need of Canary objects, `service.py` the
controller, `fleet.py` and `rig.py` the Canaries that it looks after. `site.py` says what they hand out.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from canary.engine.errors import Invalid
from canary.manifests.target import ManifestTarget

from . import standalone
from .settings import Area, Settings
from .site import POLL, Followed, Memory, Place, Run, WallClock
from .standalone import state_beside

__all__ = [
    "POLL", "Area", "Followed", "Memory", "Place", "Run", "Settings", "WallClock",
    "controller", "memory", "opened", "role", "running", "state_beside",
]  # fmt: skip

IN_CLUSTER = frozenset({"VirtualService"})


def opened(place: Place) -> AbstractContextManager[Run]:
    """What a run needs. Raises Invalid for a manifest or credentials that can't be used."""
    target = ManifestTarget(place.manifests, place.policy, place.prometheus)
    if target.desired().canary.spec.target_ref.kind not in IN_CLUSTER:
        return standalone.opened(place, target)
    from . import cluster  # imports `kubernetes`, which takes a while

    return cluster.opened(place, target)


def memory(place: Place, name: str | None = None) -> Memory:
    """What a rollout remembers: of a state file, of a manifest, or by name of a Canary object or a VirtualService.

    Raises Invalid where there is none, Rejected or Unreachable.
    """
    state = _state_file(place)
    if state is not None:
        return standalone.memory(state)
    from . import canaries

    return canaries.memory(place, name)


def running(place: Place, everywhere: bool = False) -> tuple[Memory, ...]:
    """All Canary objects and runs of the namespace, or of all of them. Raises Invalid, Rejected or Unreachable."""
    from . import canaries

    return canaries.running(place, everywhere)


def role(place: Place) -> str:
    """The least Role for a run of the manifest, in YAML. Raises Invalid."""
    from . import cluster

    return cluster.role_of(place)


class Service(Protocol):
    """A controller, as a process."""

    def run(self) -> None:
        """Until `stop`. Raises Invalid where it can't listen, Rejected or Unreachable."""

    def stop(self) -> None:
        """Finishes the writes in hand, releases the Lease, and ends `run`. From any thread, or a signal handler."""


def controller(settings: Settings) -> AbstractContextManager[Service]:
    """A controller for a cluster. Raises Invalid for credentials that can't be read."""
    from . import service

    return service.service(settings)


def _state_file(place: Place) -> Path | None:
    """The state file that is meant, if a file is."""
    if place.state is not None or not place.manifests:
        return place.state
    beside = state_beside(place.manifests[0])
    if beside.exists() or not _moves_in_cluster(place):
        return beside
    return None


def _moves_in_cluster(place: Place) -> bool:
    try:
        target = ManifestTarget(place.manifests, place.policy, place.prometheus)
    except Invalid:
        return False
    return target.desired().canary.spec.target_ref.kind in IN_CLUSTER
