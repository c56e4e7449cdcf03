"""A controller whose questions stand in line until a test lets them be answered."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from canary.controller.controller import Controller
from canary.controller.slots import Question
from canary.controller.work_item import WorkItem
from canary.kube.names import NamespacedName
from tests.controller.fleet import Inline

from .virtual import Virtual


@dataclass
class Later(Executor):
    """Keeps what is submitted."""

    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = field(default_factory=list)

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor."""
        self.jobs.append((call, args))
        return Future()

    def answer(self) -> None:
        """Runs what is there, oldest first."""
        jobs, self.jobs = self.jobs, []
        for call, args in jobs:
            call(*args)

    @property
    def questions(self) -> list[Question]:
        """Those that stand in line."""
        return [args[0] for _, args in self.jobs]

    def items(self, number: int = 0) -> list[WorkItem]:
        """Who waits for one of them."""
        return list(self.jobs[number][1][2])


def waiting(many: Virtual) -> Later:
    """Its controller, started, asks by way of this."""
    later, fleet = Later(), many.fleet
    many.controller = Controller(fleet, fleet, Inline(), later, fleet.timetable, many.watcher)
    many.controller.start()
    return later


def until_asked(many: Virtual, later: Later, keys: list[NamespacedName], looks: int = 1) -> None:
    """Answers at once, until each of these has looked so often; then until the next question stands in line."""
    while not later.jobs or min(len(many.looks(key)) for key in keys) < looks:
        later.answer()
        many.fleet.advance(0.5)
