"""The parts together: services, Envoy before them, a load on it, and rollouts driven as `canary run` drives them.

All there is on disk lies in one folder. Nothing outlives the block of `stage`, whatever ends it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from canary import bootstrap
from canary.rollout.drive import Drive, Interrupts, Options, Then
from canary.rollout.ending import Ending
from canary.rollout.tick import Turn
from canary.sandbox.scenarios import Behaviour

from .counted import Counted
from .load import Load
from .manifest import Pace, manifest
from .proxy import Proxy
from .services import Services

TICK = timedelta(seconds=1)


@dataclass(frozen=True)
class Stage:
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
        options = Options(on_interrupt=Then.HOLD, tick=TICK)
        with bootstrap.opened(place) as run, run.lock(0.0):
            return Drive(run.parts, options, report, self.interrupts).run()

    def count(self) -> Counted:
        """Ends the load, and counts."""
        return Counted(self.load.stop(), self.services.counts(), self.proxy.answers())


@contextmanager
def stage(
    folder: Path, versions: Mapping[str, Behaviour], rate: float, pace: Pace, interrupts: Interrupts
) -> Iterator[Stage]:
    """Starts everything; the first version serves. Raises Failed where a part doesn't start."""
    with ExitStack() as stack:
        services = stack.enter_context(Services(folder / "services.log"))
        load = stack.enter_context(Load(folder / "load.log", folder / "requests.csv"))
        ports = {version: services.open(version, behaviour) for version, behaviour in versions.items()}
        proxy = stack.enter_context(Proxy(folder, ports))
        proxy.wait()
        load.start(proxy.port, rate)
        yield Stage(folder, pace, interrupts, services, proxy, load)
