"""Work is begun once or reported to the caller, where a pool can't start a thread; and no rollout is lost by that."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from canary.controller.controller import WAITS, Controller
from canary.controller.work_item import ASKING, submit
from canary.kube.names import NamespacedName
from tests.controller.fleet import Inline
from tests.controller.virtual import HELD, Virtual

FULL = "can't start new thread"


class Full(ThreadPoolExecutor):
    """A pool of a process that may have no further thread, until it may."""

    full = True

    def _adjust_thread_count(self) -> None:
        if self.full:
            raise RuntimeError(FULL)
        super()._adjust_thread_count()


class Begins(Executor):
    """Raises though another thread has begun the work already."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor."""
        call(*args)
        raise RuntimeError(FULL)


def test_what_was_refused_to_the_caller_is_not_begun_later() -> None:
    """The pool has it in line still; the caller has seen to it in another way by then."""
    done: list[str] = []
    with Full(2) as pool:
        with pytest.raises(RuntimeError, match=FULL):
            submit(pool, done.append, "first")
        pool.full = False
        submit(pool, done.append, "second")
    assert done == ["second"]


def test_what_was_begun_is_not_refused_to_the_caller() -> None:
    """It would be done twice."""
    done: list[str] = []
    submit(Begins(), done.append, "once")
    assert done == ["once"]


class Now(Inline):
    """Can't begin the next things, so many of them."""

    fails = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor."""
        if self.fails:
            self.fails -= 1
            raise RuntimeError(FULL)
        return super().submit(call, *args, **kwargs)


def three() -> tuple[Virtual, list[NamespacedName], Now, Now]:
    """Rollouts that evaluation in the same seconds, each asking another source; and their workers and askers."""
    many, workers, askers = Virtual(), Now(), Now()
    many.controller = Controller(many.fleet, many.fleet, workers, askers, many.fleet.timetable, many.watcher)
    keys = [many.add(f"web-{number}", source=f"source-{number}", **HELD) for number in range(3)]
    many.controller.start()
    many.fleet.advance(60)
    return many, keys, workers, askers


@pytest.mark.parametrize("pool", ["workers", "askers"])
def test_a_thread_that_can_not_be_started_costs_a_second(pool: str) -> None:
    """Of one rollout, and is logged; the others of its slot look as they would have."""
    many, keys, workers, askers = three()
    before = {key: len(many.looks(key)) for key in keys}
    {"workers": workers, "askers": askers}[pool].fails = 1
    many.fleet.advance(30)
    assert {len(many.looks(key)) - before[key] for key in keys} == {3}
    assert [str(error) for _, error in many.watcher.crashes] == [FULL]


def test_threads_that_can_never_be_started_are_reported() -> None:
    """The evaluation is one without an answer then; afterwards, as many questions may be under way as before."""
    many, keys, _, askers = three()
    askers.fails = ASKING * (WAITS + 1) * len(keys)
    many.fleet.advance(300)
    assert f"it could not be asked: {FULL}" in str(many.watcher.turns[keys[0]])
    askers.fails = 0
    looks = [len(many.looks(key)) for key in keys]
    many.fleet.advance(60)
    assert min(len(many.looks(key)) - before for key, before in zip(keys, looks, strict=True)) >= 5
    assert "earlier questions" not in str(many.watcher.turns)
