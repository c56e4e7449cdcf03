"""Python programs as forks of a process that has imported canary: an import takes seconds of a busy machine.

That process is multiprocessing's fork server, one for a test run's worker. A fork has streams, signals and
environment of its own, and is killed when the worker ends; how the interpreter starts and ends is not in it, so
a test of that starts a process.
"""

import ctypes
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.parts.imported"])


class Fork:
    """`python -m MODULE …`, with what subprocess.Popen has for a process; both outputs are added to files."""

    def __init__(
        self, module: str, argv: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        files = (str(output), str(errors))
        for file in (output, errors):  # the fork may begin late
            file.touch()
        self._process = _SERVER.Process(
            target=_become, args=(module, list(argv), dict(environment), files), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or less than 0: the signal that ended it; None before its end."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises subprocess.TimeoutExpired after so many seconds."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(module: str, argv: list[str], environment: Mapping[str, str], files: tuple[str, str]) -> NoReturn:
    """The program, in the fork."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: with the server, which ends with the tests
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for descriptor, file in enumerate(files, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 - until it ends
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        sys.argv = ["canary", *argv]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the server's own code must not go on in a fork
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
