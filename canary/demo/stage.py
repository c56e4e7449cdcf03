"""The parts together: services, Envoy before them, a load on it, and rollouts driven as `canary run` drives them.

All there is on disk lies in one folder. Nothing outlives the block of `stage`, however it ends.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from canary import bootstrap
from canary.engine.pairs import STANDALONE
from canary.rollout.drive import Drive, Interrupts, Options, Then
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import Behaviour

from .load import Counted, Load
from .proxy import ROUTE, Proxy
from .services import Services


@dataclass(frozen=True)
class Pace:
    """How fast and how strict a rollout is; times in seconds."""

    interval: int = 3
    iterations: int = 2
    """That each step has to pass."""
    threshold: int = 2
    """Failed evaluations that roll back."""
    settle: float = 1.0
    drain: int = 3
    weights: tuple[int, ...] = (5, 20, 50, 100)
    limit: int = 250
    """What the 99th percentile of latency may be, in milliseconds."""


BESIDE = Pace(threshold=3, settle=0.2, weights=(20, 50, 100))
"""Of two judges side by side."""
SEQUENTIAL = "sequential"
"""The judge that a rollout of the demo may have instead of `threshold`."""


def manifest(envoy: str, route: str, version: str, pace: Pace, judge: str = "") -> str:
    """An ordinary manifest, which a user could run by hand.

    It asks for `version`; `envoy` says where Envoy's admin interface and its log are.
    """
    steps = "\n".join(f"    - {{weight: {weight}, iterations: {pace.iterations}}}" for weight in pace.weights)
    sequential = judge == SEQUENTIAL
    rule = "judge: {type: sequential, warmup: 0s}" if sequential else f"threshold: {pace.threshold}"
    window = "" if sequential else f"interval: {pace.interval}s, "
    return f"""\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {{name: {route}}}
spec:
  targetRef: {{kind: {STANDALONE[0].kind}, name: {route}}}
  envoy: {{{envoy}, routes: routes/routes.yaml}}
  version: {version}  # the desired version: an Envoy cluster
  revision: "{version[1:].partition("-")[0]}.0.0"
  analysis:
    interval: {pace.interval}s  # in real life minutes
    {rule}
    settle: {pace.settle:g}s
    drain: {pace.drain}s
    steps:
{steps}
    metrics:
    - {{name: request-success-rate, {window}thresholdRange: {{min: 99}}}}
    - {{name: request-duration, {window}thresholdRange: {{max: {pace.limit}}}}}
"""


RECONCILE_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True)
class DemoStage:
    """A running demo; one of several, if there are more routes, which share all but the route."""

    route: str
    pace: Pace
    interrupts: Interrupts
    services: Services
    proxy: Proxy
    load: Load

    @property
    def manifest(self) -> Path:
        return self.proxy.sites[self.route] / "canary.yaml"

    def want(self, version: str, judge: str = "") -> None:
        """Writes the manifest that asks for a version."""
        log = os.path.relpath(self.proxy.log, self.manifest.parent)
        envoy = f'admin: "{self.proxy.admin}", log: {log}'
        self.manifest.write_text(manifest(envoy, self.route, version, self.pace, judge))

    def roll_out(self, report: Callable[[Turn], None]) -> Ending:
        """Does what the manifest asks for, to its end."""
        place = bootstrap.Place((self.manifest,))
        options = Options(on_interrupt=Then.HOLD, reconcile_interval=RECONCILE_INTERVAL)
        with bootstrap.opened(place) as run, run.lock(0.0) as check:
            return Drive(run.parts, options, report, self.interrupts, check).run()

    def count(self) -> Counted:
        """Ends the load, and counts."""
        return Counted(self.load.stop(), self.services.counts(), self.proxy.answers())


@contextmanager
def stage(
    folder: Path, versions: Mapping[str, Behaviour], rate: float, pace: Pace, interrupts: Interrupts
) -> Iterator[DemoStage]:
    """Starts everything; the first version serves. Raises Failed where a part doesn't start."""
    with stages(folder, {ROUTE: versions}, rate, pace, interrupts) as (running,):
        yield running


@contextmanager
def stages(
    folder: Path, sites: Mapping[str, Mapping[str, Behaviour]], rate: float, pace: Pace, interrupts: Interrupts
) -> Iterator[tuple[DemoStage, ...]]:
    """The same with a route for each site, each of which gets so many requests a second at the same moments.

    Versions at the same place give their first request the same answer, their second one, and so on.
    """
    with ExitStack() as stack:
        services = stack.enter_context(Services(folder / "services.log"))
        load = stack.enter_context(Load(folder / "load.log", folder / "requests.csv"))
        seeds = [random.randrange(2**32) for _ in max(sites.values(), key=len)]
        ports = {
            route: {
                version: services.open(version, behaviour, seed)
                for (version, behaviour), seed in zip(versions.items(), seeds, strict=False)
            }
            for route, versions in sites.items()
        }
        proxy = stack.enter_context(Proxy(folder, ports))
        proxy.wait()
        load.start(proxy.ports, rate)
        yield tuple(DemoStage(route, pace, interrupts, services, proxy, load) for route in sites)
