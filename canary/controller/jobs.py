"""Work for a pool that may be unable to start a further thread: begun once, or told to the caller, never both.

`ThreadPoolExecutor.submit` raises then, but has put the work in line: another of its threads may begin it later.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec

P = ParamSpec("P")


def submit(pool: Executor, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Raises RuntimeError where nobody will ever call: the pool is shut down, or has no thread to spare."""
    ticket: Future[None] = Future()

    def begin(*args: P.args, **kwargs: P.kwargs) -> None:
        if ticket.set_running_or_notify_cancel():
            call(*args, **kwargs)

    try:
        pool.submit(begin, *args, **kwargs)
    except RuntimeError:
        if ticket.cancel():
            raise
