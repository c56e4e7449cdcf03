"""The one place that wires real parts. `cli/` and `demo/` ask here; `sandbox/parts.py` has the same in memory.

`standalone.py` wires an Envoy and a state file, `cluster.py` a Kubernetes cluster; which of the two it is, and which
router, `registry.py` tells by the manifest's `targetRef.kind`. `canaries.py` wires what commands need of Canary
objects; the controller wires its own Canaries, in `controller/`. `site.py` says what they hand out.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from canary.api.canary import CanarySpec
from canary.engine.errors import Invalid
from canary.engine.pairs import STANDALONE, listed
from canary.rollout.drive import POLL, WallClock
from canary.stores.lock import FOLDER

from .site import Followed, Memory, Past, Place, Run

if TYPE_CHECKING:  # what wires a rollout is imported by the commands that need it, so that the others start sooner
    from canary.engine.probing import MetricAnswer
    from canary.engine.resolved import ResolvedSpec
    from canary.registry import StandaloneProvider
    from canary.rollout.backtest import Recording

__all__ = [
    "POLL", "Followed", "Memory", "Past", "Place", "Run", "WallClock",
    "alerting", "flaggers", "memory", "metrics", "opened", "recorded", "role", "running", "standalone_kind",
]  # fmt: skip


def opened(place: Place) -> AbstractContextManager[Run]:
    """What a run needs. Raises Invalid for a manifest or credentials that can't be used."""
    target = place.target
    provider = _standalone(target.resolved().manifest.spec)
    if provider is not None:
        from . import standalone

        return standalone.opened(place, target, provider)
    from . import cluster  # imports `kubernetes`, which takes a while

    return cluster.opened(place, target)


def alerting(run: Run, urls: Sequence[str]) -> Run:
    """The run with alerts to these URLs. Raises Invalid for one that can't be used, without the URL."""
    if not urls:
        return run
    from . import notify  # imports what sends alerts, which most runs don't need

    return notify.alerting(run, urls)


def metrics(place: Place) -> "tuple[MetricAnswer, ...]":
    """What each metric of the manifest says now. Raises Invalid, Unreachable or Rejected."""
    from . import checking

    with opened(place) as run:
        return checking.answers(run)


def recorded(place: Place, past: Past) -> "AbstractContextManager[tuple[ResolvedSpec, Recording]]":
    """A rollout of the past, to be judged again. Raises Invalid for what is missing or contradicts itself."""
    from . import backtest  # only one command needs it

    return backtest.recorded(place, past)


def memory(place: Place, name: str | None = None) -> Memory:
    """What a rollout remembers: of a state file, of a manifest, or by name of a Canary object or its target.

    Raises Invalid where there is none, Rejected or Unreachable.
    """
    state = _state_file(place)
    if state is not None:
        from . import standalone

        return standalone.memory(state)
    from . import canaries

    return canaries.memory(place, name)


def standalone_kind(place: Place) -> str | None:
    """The kind of a manifest whose target is in no cluster: no Canary object stands for it. Raises Invalid."""
    if not place.manifests:
        return None
    spec = place.named.resolved().manifest.spec
    return spec.target_ref.kind if _standalone(spec) is not None else None


def running(place: Place, everywhere: bool = False) -> tuple[Memory, ...]:
    """All Canary objects and runs of the namespace, or of all of them. Raises Invalid, Rejected or Unreachable."""
    from . import canaries

    return canaries.running(place, everywhere)


def flaggers(place: Place, everywhere: bool = False) -> tuple[Mapping[str, Any], ...]:
    """All objects of Flagger in the namespace, or in all of them. Raises Invalid, Rejected or Unreachable."""
    from . import canaries

    return canaries.flaggers(place, everywhere)


def role(place: Place) -> str:
    """The least Role for a run of the manifest, in YAML. Raises Invalid."""
    from . import cluster

    return cluster.role_of(place)


def _state_file(place: Place) -> Path | None:
    """The state file of these options, if it is a file. Raises Invalid if a manifest doesn't determine it."""
    if place.state is not None or not place.manifests:
        return place.state
    try:
        target = place.named
    except Invalid as error:
        where = f"name the state file with --state; it is in {FOLDER} beside the route file"
        raise Invalid(f"{error}\nFor {listed(map(str, STANDALONE), 'or')}, {where}.") from error
    if _standalone(target.resolved().manifest.spec) is None:
        return None
    from . import standalone

    return standalone.state_of(place, target)


def _standalone(spec: CanarySpec) -> "StandaloneProvider | None":
    """What moves a target without a cluster; None for a target of a cluster."""
    from canary.registry import standalone_for

    return standalone_for(spec)
