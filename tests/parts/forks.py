"""`canary` in forks of the test process, which has imported it already: an import of it takes more than a command."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, NoReturn

from canary.cli import NUMBERS, main
from tests.parts.patience import Patience


def command(*argv: str, environment: Mapping[str, str], within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """What a command that ends by itself has printed, and its exit code; TimeoutExpired if it doesn't end.

    For commands that ask and answer. What is killed, signalled or goes on for long is started as a process.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 3.12: this process has threads
            child = os.fork()
        if child == 0:
            _become(parent, argv, environment, output, errors)
        patience = Patience(within)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if patience.over:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise subprocess.TimeoutExpired(argv, within)
            time.sleep(0.01)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(argv, os.waitstatus_to_exitcode(ended[1]), *texts)


def _become(
    parent: int, argv: tuple[str, ...], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes]
) -> NoReturn:
    """The command instead of the test: with streams, signals, logging and warnings as a new process has them."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
        for number in NUMBERS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - until it ends
        logging.root.handlers.clear()
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        sys.argv = ["canary", *argv]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - it must never go on as the test
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
