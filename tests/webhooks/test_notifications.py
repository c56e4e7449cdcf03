"""Hooks that only hear of a rollout: called for each message, once in the ordinary case, and by the next process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.status import Message
from canary.engine.errors import Conflict
from canary.engine.observed import Stored
from canary.metrics.secrets import NoSecrets
from canary.ports import Alerts, Clock
from canary.rollout.drive import Drive, Options
from canary.sandbox.parts import Sandbox
from canary.webhooks import calls
from canary.webhooks.calls import HookCaller, HookCalls
from canary.webhooks.credentials import folder_secrets
from canary.webhooks.notifications import HookNotifications, beside
from tests.parts.processes import wait_for
from tests.rollout.wired import sandbox
from tests.webhooks.server import HookServer, Reply, serve


@pytest.fixture
def server() -> Iterator[HookServer]:
    with serve() as found:
        yield found


def box(server: HookServer, *types: str, scenario: str = "good", **more: Any) -> Sandbox:
    """A rollout with a hook of each type, at a path of its type."""
    hooks = [{"type": one, "name": one, "url": f"{server.url}/{one}", **more} for one in types]
    return sandbox(scenario, webhooks=hooks)


def notifications(made: Sandbox, **more: Any) -> HookNotifications:
    called = HookCalls(HookCaller(pause=lambda _: None), "default", folder_secrets(NoSecrets()))
    return HookNotifications(called, made.target.resolved, **more)


@dataclass
class Patient(Clock):
    """Virtual time, in which real threads get on."""

    clock: Clock
    alerts: Alerts

    def now(self) -> datetime:
        return self.clock.now()

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        if isinstance(self.alerts, HookNotifications):
            threads = self.alerts.calls.caller.threads
            wait_for(lambda: not threads.busy, "the calls")
        self.clock.wait(seconds, woken)


def driven(made: Sandbox, alerts: Alerts) -> Exit:
    parts = replace(made.parts, alerts=alerts, clock=Patient(made.clock, alerts))
    return Drive(parts, Options(reconcile_interval=timedelta(seconds=5)), lambda turn: None).run().code


@pytest.mark.parametrize(
    ("scenario", "code", "phase"), [("good", Exit.PROMOTED, "Succeeded"), ("bad", Exit.ROLLED_BACK, "Failed")]
)
def test_a_whole_rollout(server: HookServer, scenario: str, code: Exit, phase: str) -> None:
    """Each message is an event, and the end is reported once; nothing is left in the outbox."""
    made = box(server, "event", "post-rollout", scenario=scenario, metadata={"team": "shop"})
    assert driven(made, notifications(made)) is code
    events = [one.payload for one in server.on("/event")]
    stored = made.store.stored
    assert stored is not None
    assert stored.status.outbox == ()
    assert len(events) == stored.status.message_count
    reported = [one["metadata"] for one in events]
    assert {(one["team"], one["eventType"] in ("Normal", "Warning")) for one in reported} == {("shop", True)}
    assert [one["reason"] for one in events][:2] == ["Started", "CanaryReady"]
    assert reported[0]["eventMessage"].startswith("rolling out v2 (b)")
    assert int(reported[0]["timestamp"]) // 1000 == int(made.world.start.timestamp())
    [end] = [one.payload for one in server.on("/post-rollout")]
    assert (end["phase"], end["version"], end["revision"]) == (phase, "v2", "b")
    assert end["metadata"] == {"team": "shop"}
    assert events[1].items() >= {"phase": "Progressing", "weight": 20, "step": 1, "namespace": "default"}.items()


def test_a_failed_call_is_given_up_after_its_retries(server: HookServer) -> None:
    """It is logged, as in Flagger, and keeps no other message."""
    server.replies["/post-rollout"] = Reply(500)
    made = box(server, "post-rollout", retries=2)
    assert driven(made, notifications(made)) is Exit.PROMOTED
    assert len(server.on("/post-rollout")) == 3
    assert len({one.headers["Idempotency-Key"] for one in server.on("/post-rollout")}) == 1
    assert made.store.stored is not None
    assert made.store.stored.status.outbox == ()


def test_a_call_waits_for_a_thread_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch, server: HookServer) -> None:
    """A message that was never sent isn't over."""
    monkeypatch.setattr(calls, "QUEUED", -1.0)
    made = box(server, "post-rollout")
    assert driven(made, notifications(made)) is Exit.PROMOTED
    assert len(server.on("/post-rollout")) == 1


def over(made: Sandbox, server: HookServer) -> tuple[Message, ...]:
    """The outbox of a rollout that has just ended, with calls that no process has made."""

    class Silent(Alerts):
        def deliver(self, messages: Any) -> tuple[Message, ...]:
            return tuple(messages)

    driven(made, Silent())
    assert made.store.stored is not None
    return made.store.stored.status.outbox


def test_the_next_process_calls_what_was_left(server: HookServer) -> None:
    """The outbox names the hooks; one that was deleted from the spec meanwhile isn't called."""
    made = box(server, "post-rollout", "event")
    outbox = over(made, server)
    assert [one.alerts.due for one in outbox if one.alerts][-1] == (
        "webhook/0/3bac", "webhook/1/b64a",
    )  # fmt: skip
    there = notifications(made)
    assert there.deliver(outbox) == outbox
    wait_for(lambda: all(one.alerts is None for one in there.deliver(outbox)), "all calls")
    assert len(server.on("/post-rollout")) == 1
    assert len(server.on("/event")) == len(outbox)
    without = replace(made.target.value, webhooks=())
    made.target.value = without
    assert all(one.alerts is None for one in notifications(made).deliver(outbox))


def test_a_process_that_no_longer_leads_calls_none(server: HookServer) -> None:
    """Its successor does."""

    def leads() -> None:
        raise Conflict("another replica leads")

    made = box(server, "post-rollout")
    outbox = over(made, server)
    deposed = notifications(made, leads=leads)
    assert deposed.deliver(outbox) == outbox
    wait_for(lambda: not deposed.calls.caller.threads.busy, "the thread to end")
    assert deposed.deliver(outbox) == outbox
    assert server.posted == []


def test_beside_alerts(server: HookServer) -> None:
    """Each takes what is its own; a message stays until both are done."""

    class Chat(Alerts):
        def __init__(self) -> None:
            self.done = False
            self.seen: set[tuple[str, ...]] = set()

        def deliver(self, messages: Any) -> tuple[Message, ...]:
            self.seen |= {one.alerts.due for one in messages if one.alerts}
            return tuple(one.but(alerts=None) for one in messages) if self.done else tuple(messages)

    made, chat = box(server, "post-rollout"), Chat()
    message = over(made, server)[-1]
    assert message.alerts is not None
    due = message.alerts.but(due=("chat", *message.alerts.due))
    joined = beside(notifications(made), chat)

    def left() -> tuple[str, ...]:
        [found] = joined.deliver([message.but(alerts=due)])
        return found.alerts.due if found.alerts else ()

    wait_for(lambda: left() == ("chat",), "the hook")
    chat.done = True
    assert left() == ()
    assert chat.seen == {("chat",)}
    assert beside(None, chat) is chat


def test_nothing_is_kept_of_a_status_without_such_hooks(server: HookServer) -> None:
    """Most Canaries have none, and pay nothing for them."""
    made = box(server, "rollout")
    driven(made, notifications(made))
    stored = made.store.stored
    assert isinstance(stored, Stored)
    assert stored.status.outbox == ()
    assert server.posted == []
