"""A reconcile that raises is reported where people look: few of them see the controller's log."""

from dataclasses import dataclass, field
from datetime import datetime

from canary.api.status import Phase
from canary.engine.errors import Unreachable
from tests.controller.fleet import SandboxRig

from .virtual import Virtual


@dataclass
class Raising(SandboxRig):
    """Raises in each reconcile, until it is mended."""

    error: Exception | None = None
    said: list[str] = field(default_factory=list)
    away: bool = False

    def raises(self, why: str, now: datetime) -> None:
        self.said.append(why)
        if self.away:
            raise Unreachable("the API server is away")

    def tidy(self, status: object, now: datetime) -> None:
        if self.error is not None:
            raise self.error


def test_a_reconcile_that_raises_twice_in_a_row_is_reported_in_the_object() -> None:
    """In one line, without anything secret; it goes on by itself once that is over."""
    many = Virtual()
    key = many.add("web")
    many.fleet.reconcilers[key] = reconciler = Raising(
        many.box(key), error=ValueError("two\nlines of http://ann:s3cret@host")
    )
    many.controller.start()
    assert (len(many.watcher.crashes), reconciler.said) == (1, [])
    many.fleet.advance(30)
    assert set(reconciler.said) == {
        "the reconcile failed, and the controller retries: ValueError: two lines of http://host"
    }
    assert len(reconciler.said) == len(many.watcher.crashes) - 1 > 2
    reconciler.error, reconciler.said = None, []
    many.fleet.advance(7200)
    assert (reconciler.said, many.status(key).phase) == ([], Phase.SUCCEEDED)


def test_what_can_not_be_reported_either_stops_nothing() -> None:
    """It is tried again, as the reconcile is."""
    many = Virtual()
    key = many.add("web")
    many.fleet.reconcilers[key] = Raising(many.box(key), error=ValueError("x" * 9000), away=True)
    many.controller.start()
    many.fleet.advance(30)
    assert set(many.watcher.hindrances) == {(key, "can't say so in its status: the API server is away")}
    assert len(many.watcher.crashes) > 3
    assert len(many.fleet.reconcilers[key].said[0]) < 600  # type: ignore[attr-defined]
