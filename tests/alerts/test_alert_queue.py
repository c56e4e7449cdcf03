"""Alerts are sent in order, again after a failure, once if they were taken, and past a receiver that hangs."""

import threading
from collections.abc import Callable

from canary.alerts.alert_queue import REFUSALS, AlertQueue, QueuedAlert
from canary.engine.errors import Conflict, Rejected, Unreachable

HOUR = 3600.0


class Receiver:
    """Notes what arrives; fails with the given errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.taken, self.done = list(errors), list[str](), list[str]()

    def alert(self, id_: str, to: str = "chat", within: float = HOUR) -> QueuedAlert:
        def send() -> None:
            if self.errors:
                raise self.errors.pop(0)
            self.taken.append(id_)

        return QueuedAlert(id_, to, "shop/web", send, within, done=lambda: self.done.append(id_))


def quick(counted: Callable[[str], None] = lambda result: None) -> AlertQueue:
    return AlertQueue(counted, shortest=0.01)


def waits(stuck: threading.Event) -> None:
    """As a server that doesn't answer."""
    assert stuck.wait(60)


def test_alerts_of_a_receiver_go_out_in_order_though_the_first_ones_fail() -> None:
    """A chat shows the start of a rollout before its end."""
    counted: list[str] = []
    receiver, queue = Receiver(*[Unreachable("down")] * 3), quick(counted.append)
    for number in range(5):
        assert not queue.offer(receiver.alert(str(number)))
    assert queue.wait(20)
    assert receiver.taken == ["0", "1", "2", "3", "4"]
    assert counted == ["failed"] * 3 + ["sent"] * 5


def test_an_alert_that_was_sent_is_done_and_goes_out_once() -> None:
    """However often it is offered, before and after."""
    receiver, queue = Receiver(), quick()
    for _ in range(3):
        queue.offer(receiver.alert("a"))
    assert queue.wait(20)
    assert queue.offer(receiver.alert("a"))
    assert (receiver.taken, receiver.done) == (["a"], ["a"])


def test_a_receiver_that_hangs_delays_only_its_own() -> None:
    """Others are sent to meanwhile, and an offer never waits."""
    stuck, receiver, queue = threading.Event(), Receiver(), quick()
    hangs = QueuedAlert("hangs", "slow", "shop/web", lambda: waits(stuck), HOUR)
    queue.offer(hangs)
    for number in range(20):
        queue.offer(receiver.alert(str(number), to=f"chat-{number % 3}"))
    while not queue.wait(0.05) and len(receiver.taken) < 20:
        pass
    assert sorted(receiver.taken) == sorted(map(str, range(20)))
    stuck.set()
    assert queue.wait(20)


def test_what_is_refused_again_and_again_is_given_up() -> None:
    """No retry helps, and the next alert must get its turn."""
    receiver, queue = Receiver(*[Rejected("HTTP 404")] * REFUSALS), quick()
    queue.offer(receiver.alert("a"))
    queue.offer(receiver.alert("b"))
    assert queue.wait(20)
    assert receiver.taken == ["b"]
    assert receiver.done == ["a", "b"]
    assert queue.offer(receiver.alert("a"))


def test_what_can_not_be_sent_in_time_is_given_up() -> None:
    """An hour after the message no one needs it."""
    receiver, queue = Receiver(*[Unreachable("down")] * 3), quick()
    queue.offer(receiver.alert("a", within=0.0))
    assert queue.wait(20)
    assert (receiver.taken, receiver.done) == ([], ["a"])


def test_an_alert_of_another_process_is_not_done() -> None:
    """Which leads now, and sends it: it stays in the status until it says so."""
    receiver, queue = Receiver(Conflict("this replica doesn't lead")), quick()
    queue.offer(receiver.alert("a"))
    assert queue.wait(20)
    assert (receiver.taken, receiver.done) == ([], [])
    assert not queue.offer(receiver.alert("a"))
    assert queue.wait(20)
    assert receiver.taken == ["a"]


def test_cleared_alerts_are_not_sent() -> None:
    """The next leader finds them in the status."""
    stuck, receiver, queue = threading.Event(), Receiver(), quick()
    queue.offer(QueuedAlert("hangs", "chat", "shop/web", lambda: waits(stuck), HOUR))
    queue.offer(receiver.alert("a"))
    queue.clear()
    stuck.set()
    assert queue.wait(20)
    assert receiver.taken == []


def test_an_unexpected_error_is_retried_and_reported_without_its_text() -> None:
    """It may hold a token."""
    receiver, queue = Receiver(RuntimeError("https://hooks/T0")), quick()
    queue.offer(receiver.alert("a"))
    assert queue.wait(20)
    assert receiver.taken == ["a"]
