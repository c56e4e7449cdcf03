"""The parts together: services, Envoy before them, a load on it, and rollouts driven as `canary run` drives them.

All there is on disk lies in one folder. Nothing outlives the block of `stage`, whatever ends it.
"""

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
    settle: float = 1.0
    drain: int = 3
    weights: tuple[int, ...] = (5, 20, 50, 100)
    limit: int = 250
    """What the 99th percentile of latency may be, in milliseconds."""


def manifest(admin: str, version: str, pace: Pace) -> str:
    """An ordinary manifest, which a user could run by hand.

    It asks for `version`; `admin` is the URL of Envoy's admin interface.
    """
    steps = "\n".join(f"    - {{weight: {weight}, iterations: {pace.iterations}}}" for weight in pace.weights)
    return f"""\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {{name: {ROUTE}}}
spec:
  targetRef: {{kind: {STANDALONE[0].kind}, name: {ROUTE}}}
  envoy: {{admin: "{admin}", routes: routes/routes.yaml, log: envoy.log}}
  version: {version}  # the desired version: an Envoy cluster
  revision: "{version[1:]}.0.0"
  analysis:
    interval: {pace.interval}s  # in real life minutes
    threshold: 2
    settle: {pace.settle:g}s
    drain: {pace.drain}s
    steps:
{steps}
    metrics:
    - {{name: request-success-rate, interval: {pace.interval}s, thresholdRange: {{min: 99}}}}
    - {{name: request-duration, interval: {pace.interval}s, thresholdRange: {{max: {pace.limit}}}}}
"""


RECONCILE_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True)
class DemoStage:
    """A running demo."""

    folder: Path
    pace: Pace
    interrupts: Interrupts
    services: Services
    proxy: Proxy
    load: Load

    @property
    def manifest(self) -> Path:
        return self.folder / "canary.yaml"

    def want(self, version: str) -> None:
        """Writes the manifest that asks for a version."""
        self.manifest.write_text(manifest(self.proxy.admin, version, self.pace))

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
    with ExitStack() as stack:
        services = stack.enter_context(Services(folder / "services.log"))
        load = stack.enter_context(Load(folder / "load.log", folder / "requests.csv"))
        ports = {version: services.open(version, behaviour) for version, behaviour in versions.items()}
        proxy = stack.enter_context(Proxy(folder, ports))
        proxy.wait()
        load.start(proxy.port, rate)
        yield DemoStage(folder, pace, interrupts, services, proxy, load)
