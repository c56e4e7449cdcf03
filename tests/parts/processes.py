"""Children of the test run: started so that they die with it, waited for, stopped, and their logs shown."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.parts.forks import Fork
from tests.parts.patience import Patience

T = TypeVar("T")

# Linux' PR_SET_PDEATHSIG, set by a small program that then becomes the child: subprocess' preexec_fn warns
# in a process with threads, which a pytest-xdist worker is. A test run in the background, or under nohup, ignores
# signals, and its children would as well: a shell can't trap what it was started to ignore. The parent may
# have died before: hence the check.
_DIES_WITH_PARENT = """\
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the test run is over")
os.execvp(sys.argv[2], sys.argv[2:])
"""

# Below Linux' ephemeral range (32768 and up), so that no outgoing connection takes a port before its server.
_PORTS = range(20000, 32000)
_given: set[int] = set()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that no one listens on, and that this process hasn't been given before."""
    for _ in range(200):
        port = random.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no free port on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")


def get(url: str, timeout: float = 1.0) -> tuple[int, str]:
    """The status and body of a GET; only a server that can't be reached raises (an OSError)."""
    try:
        answer = urllib.request.urlopen(url, timeout=timeout)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode()


def bound(argv: Sequence[str | Path]) -> list[str]:
    """The command to start a program by, as a process that is killed when the thread that started it ends.

    However it ends: a test run that is killed leaves nothing behind.
    """
    return [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *map(str, argv)]


def exit_code(process: subprocess.Popen[Any] | Fork, within: float = 90.0) -> int:
    """The exit code of a process that ends by itself; it is killed, and TimeoutError raised, if it doesn't."""
    patience = Patience(within)
    while not patience.over:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
    process.kill()
    raise TimeoutError(f"it didn't end within {within:g} s")


def command(*argv: str, environment: Mapping[str, str], within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """What a command that ends by itself has printed, and its exit code; TimeoutError if it doesn't end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        code = exit_code(Fork("canary", argv, environment, output, errors), within)
        return subprocess.CompletedProcess(argv, code, output.read_text(), errors.read_text())


class Command:
    """A `canary` command as a process, which dies with the test run; what it prints is added to `log`.

    `python -m MODULE` is forked from a process that has imported canary.
    """

    def __init__(self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | Fork
        first, *rest = map(str, argv)
        if [first, *rest[:1]] == [sys.executable, "-m"]:
            self.process = Fork(rest[1], rest[2:], environment, log, log)
            return
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                bound(argv), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def ends(self, within: float = 90.0) -> int:
        """Its exit code."""
        try:
            return exit_code(self.process, within)
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.text}") from None


class Child:
    """A program that runs until it is stopped, or until the thread that started it ends.

    `environment` is added to the test run's own.
    """

    def __init__(self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.name = Path(argv[0]).name
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                bound(argv),
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self, within: float = 5.0) -> None:
        """Ask it to end (SIGTERM, also if it is paused); kill it if it hasn't after `within` seconds."""
        if self.alive:
            self._process.terminate()
            self.resume()
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its sockets stay open, and nothing answers."""
        self._process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(") ")[2][0] in "TZX", f"{self.name} to stop")

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 20) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Program:
    """A real program that is started by its class, once or again after its end."""

    child: Child | None = None

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()

    def pause(self) -> None:
        """Freeze it: connections are taken by the kernel, and nothing is answered."""
        if self.child is not None:
            self.child.pause()

    def resume(self) -> None:
        if self.child is not None:
            self.child.resume()


def wait_for(
    check: Callable[[], T],
    what: str,
    *,
    child: Child | None = None,
    within: float = 30.0,
    every: float = 0.05,
) -> T:
    """Call `check` until it returns something true, and return that; times are in seconds of a quiet machine.

    It is called often at first, and then every so many seconds: a check may cost a program some milliseconds.
    An OSError of the check (connection refused, say) means not yet. When the time is over, or when the child
    has ended, the failure says what was waited for, what the check last gave, and how the child's log ends.
    """
    patience, pause = Patience(within), 0.005
    last: object = None
    while not patience.over:
        try:
            if result := check():
                return result
            last = result
        except OSError as error:
            last = error
        if child is not None and not child.alive:
            raise AssertionError(f"{child.name} ended before {what}:\n{child.tail()}")
        time.sleep(min(pause, every))
        pause *= 1.5
    log = f"\n{child.name} printed:\n{child.tail()}" if child is not None else ""
    raise AssertionError(f"waited {within:g} s for {what}; last: {last!r}{log}")
