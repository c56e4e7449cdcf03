"""Alerts of whole rollouts: each end once, also across a crash; a slow or dead endpoint never delays a reconcile."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from canary.alerts.alert_queue import AlertQueue
from canary.alerts.canary_alerts import CanaryAlerts
from canary.alerts.receiver import Receiver
from canary.api.reason import Reason
from canary.api.status import DueAlerts, Message, Status
from canary.ports import Parts
from canary.rollout.drive import Drive, Options
from canary.rollout.record import Record, worth_saving
from canary.sandbox.parts import Sandbox
from canary.stores.status_json import text
from tests.alerts.endpoint import Endpoint, endpoint, field_of
from tests.engine.situations import NOW
from tests.parts.patience import Stopwatch
from tests.rollout.wired import Driven, Killed, sandbox

ALERTS = [{"name": "chat", "severity": "info", "providerRef": {"name": "chat"}}]


def with_alerts(box: Sandbox, at: Endpoint, queue: AlertQueue | None = None) -> Parts:
    """Parts whose alerts go to the endpoint. Virtual time would outrun it, so the run waits for each alert."""
    queue = queue or AlertQueue(shortest=0.01)
    sender = CanaryAlerts(queue, "uid", box.target.resolved, lambda *_: Receiver("slack", at.url), "web", "eu-1")
    return replace(box.parts, alerts=sender, clock=Patient(box.clock, queue))


class Patient:
    """A virtual clock that advances after all alerts were sent."""

    def __init__(self, clock: Any, queue: AlertQueue) -> None:
        self.clock, self.queue = clock, queue

    def now(self) -> Any:
        return self.clock.now()

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        assert self.queue.wait(20)
        self.clock.wait(seconds, woken)


def test_a_promotion_is_reported_at_its_start_and_its_end() -> None:
    """Once each, with where it stands and what to do; no step, and nothing stays in the status."""
    box = sandbox(alerts=ALERTS)
    with endpoint() as at:
        over = Driven(box, parts=with_alerts(box, at)).run()
    assert over.reason == "Promoted"
    assert at.reasons == ["Started", "Promoted"]
    start, end = (one.body for one in at.posted)
    assert field_of(start, "Weight") == "0%"
    assert field_of(end, "Weight") == "100%"
    assert field_of(end, "Command") == "canary undo web"
    assert field_of(end, "Cluster") == "eu-1"
    assert "request-success-rate" in field_of(end, "Evidence")
    assert end["attachments"][0]["color"] == "good"
    stored = box.store.load()
    assert stored is not None
    assert stored.status.outbox == ()


def test_a_rollback_is_reported_in_red() -> None:
    """When it begins, and when it is over."""
    box = sandbox("bad", alerts=[{**ALERTS[0], "severity": "error"}])
    with endpoint() as at:
        Driven(box, parts=with_alerts(box, at)).run()
    assert at.reasons[-1] == "RolledBack"
    assert {one.body["attachments"][0]["color"] for one in at.posted} == {"danger"}
    assert field_of(at.posted[-1].body, "Command") == "canary retry web"


def test_an_endpoint_that_fails_at_first_gets_each_alert_once() -> None:
    """In the order of the messages."""
    failures = [(500, "")] * 4
    box = sandbox(alerts=ALERTS)
    with endpoint(lambda _: failures.pop() if failures else (200, "ok")) as at:
        Driven(box, parts=with_alerts(box, at)).run()
    assert at.reasons == ["Started"] * 5 + ["Promoted"]


def test_an_endpoint_that_hangs_delays_no_reconcile() -> None:
    """A whole rollout is over before it answers."""
    free = threading.Event()

    def hangs(_: Any) -> tuple[int, str]:
        free.wait(30)
        return 200, "ok"

    box = sandbox(alerts=ALERTS)
    with endpoint(hangs) as at:
        queue = AlertQueue(shortest=0.01)
        parts = replace(with_alerts(box, at, queue), clock=box.clock)
        began = Stopwatch()
        over = Drive(parts, Options(), lambda turn: None).run()
        assert over.reason == "Promoted"
        assert began.seconds < 8
        stored = box.store.load()
        assert stored is not None
        assert [one.reason for one in stored.status.outbox] == ["Started", "Promoted"]
        queue.clear()
        free.set()
        assert queue.wait(20)


@pytest.mark.parametrize("die_at", range(8))
def test_no_end_is_lost_in_a_crash_and_none_is_sent_twice_after_it_was_saved(die_at: int) -> None:
    """The process dies after each of its saves; the next one has only what was saved."""
    box = sandbox(alerts=ALERTS)
    with endpoint() as at:
        dying = with_alerts(box, at)
        saves = Saves(box.store, die_at)
        with pytest.raises(Killed):
            Drive(replace(dying, store=saves), Options(), lambda turn: None).run()
        Drive(with_alerts(box, at), Options(), lambda turn: None).run()
    assert at.reasons[-1] == "Promoted"
    assert at.reasons.count("Promoted") <= 2
    assert set(at.reasons) >= {"Started", "Promoted"} or at.reasons == ["Promoted"]


class Saves:
    """A store at whose n-th save the process dies, just after it."""

    def __init__(self, store: Any, die_at: int) -> None:
        self.store, self.left = store, die_at

    def load(self) -> Any:
        return self.store.load()

    def save(self, status: Any, version: Any) -> Any:
        made = self.store.save(status, version)
        self.left -= 1
        if self.left < 0:
            raise Killed
        return made


def test_what_is_due_survives_in_the_stored_status() -> None:
    """As JSON, in which a status is kept."""
    free = threading.Event()
    box = sandbox(alerts=ALERTS)
    with endpoint(lambda _: (200 + free.wait(30), "ok")) as at:
        queue = AlertQueue(shortest=0.01)
        parts = replace(with_alerts(box, at, queue), clock=box.clock)
        Drive(parts, Options(), lambda turn: None).run()
        stored = box.store.load()
        queue.clear()
        free.set()
        assert queue.wait(20)
    assert stored is not None
    start, end = Status.model_validate_json(text(stored.status)).outbox
    assert (start.reason, end.reason) == ("Started", "Promoted")
    assert end.alerts is not None
    assert (end.alerts.notified, end.alerts.due, end.alerts.weight) == (True, ("chat:/chat",), 100)


def test_that_an_alert_is_sent_is_saved_at_once() -> None:
    """Else an upgrade of the controller within a minute would send it again; an Event bears its message's name."""
    alerts = DueAlerts(due=("chat:/chat",), notified=True)
    message = Message(id="1", reason=Reason.STARTED, message="begins", at=NOW, alerts=alerts)
    due = Status(outbox=(message,))
    sent = replace(Record(Status(), due, saved_at=NOW), status=due.but(outbox=()))
    assert worth_saving(sent, NOW)
    reported = due.but(outbox=(message.but(alerts=None),))
    assert not worth_saving(replace(sent, saved=reported), NOW)
