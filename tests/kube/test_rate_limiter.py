"""Whose turn it is: so many requests a second, those that lower exposure first."""

import threading
import time

import pytest

from canary.kube.client import Client
from canary.kube.errors import TooManyRequests
from canary.kube.rate_limiter import RateLimiter
from canary.kube.resources import CONFIG_MAPS
from tests.kube.conftest import Connect
from tests.parts.fences import unfenced
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for


class Clock:
    """Stands still until it is asked to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_second() -> None:
    """A burst at once, then as many as time has passed for; no more than the burst is saved up."""
    clock = Clock()
    rate_limiter = RateLimiter(10, 3, clock)
    assert [rate_limiter.turn(False, 0) for _ in range(4)] == [True, True, True, False]
    clock.now += 0.25
    assert [rate_limiter.turn(False, 0) for _ in range(3)] == [True, True, False]
    clock.now += 60
    assert [rate_limiter.turn(False, 0) for _ in range(4)] == [True, True, True, False]


def test_it_is_held_in_real_time() -> None:
    """Anyone who waits goes when it is time."""
    rate_limiter = RateLimiter(20, 1)
    began = time.monotonic()
    assert all(rate_limiter.turn(False, SLOWLY) for _ in range(11))
    assert time.monotonic() - began >= 0.45


def test_what_is_urgent_goes_first() -> None:
    """Before all who came earlier, which keep their order."""
    rate_limiter, went = RateLimiter(4, 1), list[str]()
    assert rate_limiter.turn(False, 0)
    threads = [threading.Thread(target=go, args=(rate_limiter, name, went)) for name in ("a", "b", "c", "urgent")]
    for number, thread in enumerate(threads):
        thread.start()
        wait_for(lambda at=number: len(rate_limiter._line) + len(went) == at + 1, "it to stand in line")  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert went.index("urgent") <= 1  # one may have gone before it came
    assert [name for name in went if name != "urgent"] == ["a", "b", "c"]


def test_a_pause_holds_all_but_what_is_urgent() -> None:
    """As long as the server asked, and no one waits longer than he has time."""
    clock = Clock()
    rate_limiter = RateLimiter(10, 5, clock)
    rate_limiter.pause(2.0)
    assert (rate_limiter.turn(False, 0), rate_limiter.turn(True, 0)) == (False, True)
    assert rate_limiter._line == []
    clock.now += 2.0
    assert rate_limiter.turn(False, 0)


def test_without_a_limit_no_request_waits() -> None:
    """As `canary run` has it: a 429 of one request holds no other."""
    rate_limiter = RateLimiter()
    rate_limiter.pause(60)
    assert all(rate_limiter.turn(False, 0) for _ in range(1000))


@pytest.mark.parametrize(("qps", "burst"), [(0, 1), (-1, 1), (5, 0)])
def test_paces_that_are_none(qps: float, burst: int) -> None:
    """They are refused where they are written."""
    with pytest.raises(ValueError, match="qps above 0"):
        RateLimiter(qps, burst)


def test_a_client_keeps_its_pace(connect: Connect, namespace: str) -> None:
    """What finds no turn in its time isn't sent; the urgent one of the same client is."""
    plain = connect(timeout=0.2)
    client = Client(plain.wire, 0.2, rate_limiter=RateLimiter(0.5, 1), fence=unfenced)
    client.find(CONFIG_MAPS, namespace, {"none": "such"})
    client.calls.take()
    with pytest.raises(
        TooManyRequests, match=r"list ConfigMap in .* not sent within 0\.2s; at most 0\.5 may be a second"
    ):
        client.find(CONFIG_MAPS, namespace)
    assert client.calls.take() == {}
    patient = Client(plain.wire, SLOWLY, rate_limiter=client.rate_limiter, fence=unfenced)
    assert patient.urgent().find(CONFIG_MAPS, namespace, {"none": "such"}) == []


def go(rate_limiter: RateLimiter, name: str, went: list[str]) -> None:
    assert rate_limiter.turn(name == "urgent", SLOWLY)
    went.append(name)
