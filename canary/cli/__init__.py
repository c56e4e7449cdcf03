"""The command line: the way in, and what signals do. app.py comes next, then one file per command."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit code of a command that a signal ended, `Exit.INTERRUPTED`: importing that takes as long as all before."""

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a command to stop: caught while it works, ignored from then on until the process is gone."""


class Process:
    """Whether this process is the command: it leaves with the command's exit code."""

    leaves = False


def main() -> None:
    """Run `canary` with the process's arguments and leave with its exit code."""
    gc.disable()  # until the modules of the command are imported: see `collect_garbage`
    _heed_signals()
    try:
        _open_streams()
        from canary.cli.app import run

        Process.leaves = True
        code = run(sys.argv[1:])
        _ignore_signals()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def collect_garbage() -> None:
    """Start garbage collection, which `main` stopped. It leaves out what exists: modules, which stay to the end.

    While modules are imported there is no garbage, and to look for it would be a fifth of the time to start.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _heed_signals() -> None:
    """Until a command has handlers of its own, and where it needs none: as Ctrl-C, which frees what is held."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _ignore_signals() -> None:
    """Until the process is gone. The interpreter, as it ends, gives every other handler back to the system."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def _open_streams() -> None:
    """Standard streams that the caller closed (`>&-`) lead nowhere: a file opened later must not take their place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 # for the life of the process


@contextmanager
def caught(handler: Callable[..., None]) -> Iterator[None]:
    """Calls the handler for each signal; a later one would take the exit code of what has ended already."""
    before = {number: signal.signal(number, handler) for number in heeded()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_IGN if Process.leaves else old)


def heeded() -> list[signal.Signals]:
    """Those that ask to stop: under nohup, which ignores SIGHUP, a closed terminal doesn't."""
    return [one for one in NUMBERS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
