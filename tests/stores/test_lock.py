"""One run at a time, and looking at the lock disturbs no one."""

import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from canary.engine.errors import Conflict, Unreachable
from canary.stores.lock import held, holder


def test_the_holder_is_named(tmp_path: Path) -> None:
    """Another run is refused with the process that has the lock, and since when."""
    state = tmp_path / "shop.state.json"
    with held(state):
        assert f"process {os.getpid()}" in (holder(state) or "")
        with pytest.raises(Conflict, match=f"process {os.getpid()} on .*, since "), held(state):
            pass
    assert holder(state) is None


def test_asking_for_the_holder_writes_nothing(tmp_path: Path) -> None:
    """`canary status` in a folder of someone else's leaves no file there."""
    assert holder(tmp_path / "shop.state.json") is None
    assert list(tmp_path.iterdir()) == []


def test_asking_for_the_holder_keeps_no_run_from_starting(tmp_path: Path) -> None:
    """Commands that ask all the time never make a run end with `another run holds the target`."""
    state, stop = tmp_path / "shop.state.json", threading.Event()

    def ask() -> None:
        while not stop.is_set():
            holder(state)

    curious = [threading.Thread(target=ask) for _ in range(3)]
    for thread in curious:
        thread.start()
    try:
        for _ in range(50):
            with held(state):
                pass
    finally:
        stop.set()
        for thread in curious:
            thread.join()


def test_a_run_waits_as_long_as_its_option_says(tmp_path: Path) -> None:
    """With patience, the lock is taken as soon as the other run has ended."""
    state = tmp_path / "shop.state.json"
    first = held(state)
    first.__enter__()
    timer = threading.Timer(0.6, first.__exit__, (None, None, None))
    timer.start()
    start = time.monotonic()
    with held(state, patience=20):
        assert 0.4 < time.monotonic() - start < 10
    timer.join()


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    """Where not even the lock can be written, nothing starts, and that is no internal error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(Unreachable, match="lock can't be written"), held(tmp_path / "shop.state.json"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
