"""How a replica ends: within ten seconds, also where the API server hangs."""

import threading
from typing import Any, cast

from canary.controller.process import LAST, PARTING, POLL, ended
from canary.kube import lease
from tests.parts.patience import Stopwatch


class Hanging:
    """A watch that doesn't end as long as anybody waits for it."""

    def __init__(self) -> None:
        self.reported = threading.Event()

    def stop(self, timeout: float) -> None:
        self.reported.set()
        threading.Event().wait(timeout)


def test_watches_that_hang_are_waited_for_together() -> None:
    """Each is notified before the first is waited for; one after the other they would take as many seconds."""
    watches, began = [Hanging() for _ in range(11)], Stopwatch()
    ended(cast(Any, watches))
    assert all(each.reported.is_set() for each in watches)
    assert began.seconds < len(watches) * LAST / 2


def test_all_that_an_end_may_wait_for_is_less_than_ten_seconds() -> None:
    """To notice, for writes in hand, for the thread that renews, to give the Lease back, and for the watches."""
    renewing = 1.0
    assert POLL + PARTING + renewing + lease.PARTING + LAST < 10
