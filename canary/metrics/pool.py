"""Blocking calls side by side, and no waiting for those that outlive the deadline."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

ABREAST = 8
"""Calls at a time; fewer than the connections that a session keeps."""


def run(calls: Sequence[Callable[[], T]], deadline: float) -> list[T | None]:
    """The results in order; None for a call that wasn't over at `deadline` (of time.monotonic).

    The threads are daemons of this call only: one that is stuck holds up neither the next call nor the exit.
    """
    results: list[T | None] = [None] * len(calls)
    waiting, open_, over = list(enumerate(calls)), len(calls), threading.Condition()

    def work() -> None:
        nonlocal open_
        while True:
            with over:
                if not waiting or time.monotonic() > deadline:
                    return
                index, call = waiting.pop(0)
            try:
                results[index] = call()
            finally:
                with over:
                    open_ -= 1
                    over.notify()

    for _ in range(min(ABREAST, len(calls))):
        threading.Thread(target=work, name="canary-metrics", daemon=True).start()
    with over:
        over.wait_for(lambda: not open_, max(deadline - time.monotonic(), 0))
        return list(results)
