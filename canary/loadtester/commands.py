"""Which commands may be started, and their processes.

Each word of a command must match a word of a pattern. No shell reads it. Its process is in a group of its own, which
ends with it, at a time limit, and with the server.
"""

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO

from canary.engine.errors import Invalid

LARGEST = 16 * 1024
"""Bytes that are kept of what a command prints."""
MOST = 16
"""Commands at one time."""
POLL = 0.1
"""Seconds between two looks at a client that waits."""
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "KUBECONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that commands get, beside KUBERNETES_* and HELM_*; the server's own may be secret."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    problem: str
    """What is wrong; empty if it ended with code 0."""
    output: str
    seconds: float


class Busy(Exception):
    """As many commands as may run are running."""


class Processes:
    """The commands that run."""

    def __init__(self, timeout: float, most: int = MOST) -> None:
        """`timeout` is in seconds, for each command."""
        self._timeout, self._most = timeout, most
        self._lock = threading.Lock()
        self._running: dict[object, subprocess.Popen[bytes] | None] = {}
        self._stopping = threading.Event()

    @property
    def running(self) -> int:
        """How many."""
        with self._lock:
            return len(self._running)

    def begin(self, key: tuple[str, ...], command: Sequence[str], done: Callable[[Ended], None]) -> bool:
        """Start a command without waiting. Nothing is started while one with the same key runs. Raises Busy."""
        if not self._enter(key):
            return False

        def work() -> None:
            done(self._carried(key, command, lambda: False))

        threading.Thread(target=work, name="command").start()
        return True

    def run(self, command: Sequence[str], gone: Callable[[], bool]) -> Ended:
        """Start a command and wait for its end, or until no client waits any more. Raises Busy."""
        key = object()
        self._enter(key)
        return self._carried(key, command, gone)

    def stop(self) -> None:
        """End all commands, and start no more."""
        self._stopping.set()
        limit = time.monotonic() + GRACE + 1.0
        while self.running and time.monotonic() < limit:
            time.sleep(POLL)

    def _enter(self, key: object) -> bool:
        with self._lock:
            if key in self._running:
                return False
            if len(self._running) >= self._most or self._stopping.is_set():
                raise Busy
            self._running[key] = None
            return True

    def _carried(self, key: object, command: Sequence[str], gone: Callable[[], bool]) -> Ended:
        try:
            return self._run(command, gone)
        finally:
            with self._lock:
                del self._running[key]

    def _run(self, command: Sequence[str], gone: Callable[[], bool]) -> Ended:
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            return Ended(f"{command[0]} can't be started: {error.strerror or error}", "", 0.0)
        if process.stdout is None:
            raise AssertionError("it was asked for")
        output = _Output(process.stdout)
        problem = self._waited(process, began, gone)
        _end(process)
        text = output.text()
        if not problem and process.returncode:
            code = process.returncode
            problem = f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
        return Ended(problem, text, time.monotonic() - began)

    def _waited(self, process: subprocess.Popen[bytes], began: float, gone: Callable[[], bool]) -> str:
        """Why it has to be ended; empty if it has ended."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
                return ""
            if self._stopping.is_set():
                return "the load tester stops"
            if time.monotonic() - began > self._timeout:
                return f"it took more than {self._timeout:g} s"
            if gone():
                return "the client that waited is gone"


class _Output:
    """Reads what a command prints, all of it, and keeps its beginning."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._kept = stream, bytearray()
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while data := os.read(self._stream.fileno(), 65536):
                self._kept += data[: LARGEST - len(self._kept)]

    def text(self) -> str:
        """A child that left the group may still hold the pipe; it isn't waited for."""
        self._thread.join(1.0)
        return bytes(self._kept).decode("utf-8", "replace").strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group, children in the background too."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in KEPT or name.startswith(("KUBERNETES_", "HELM_"))
    }


REST = "**"
"""At the end of a pattern: any further words."""
ANY = "*"
_SHELL = set("|&;<>()$`\\\n")
"""What only a shell understands."""
PROGRAMS = {"helm": "helm", "helmv3": "helm", "kubectl": "kubectl"}
"""By type of a hook: the program that its command is for."""
KINDS = ("cmd", "bash", *PROGRAMS)


@dataclass(frozen=True)
class AllowedCommands:
    """The commands that may be started."""

    patterns: tuple[tuple[str, ...], ...] = ()
    """A program, and a pattern for each argument."""
    scripts: tuple[str, ...] = ()
    """Texts that bash may run, word for word; `*` stands for any text."""

    def command(self, kind: str, text: str) -> Sequence[str]:
        """The program and its arguments for a hook of this type. Raises Invalid with what to allow."""
        if kind == "bash" and (text in self.scripts or ANY in self.scripts):
            return ("bash", "-c", text)
        if _SHELL & set(text):
            if kind == "bash":
                raise Invalid(
                    f"the script isn't allowed; start the load tester with --allow-bash {shlex.quote(text)}"
                )
            raise Invalid(
                f"a command of type {kind} is started without a shell, and has | & ; < > ( ) $ ` or \\; "
                "write type: bash, and allow it with --allow-bash"
            )
        words = _words(text)
        command = (PROGRAMS[kind], *words) if kind in PROGRAMS else words
        if not any(matches(pattern, command) for pattern in self.patterns):
            raise Invalid(
                f"{shlex.join(command)} isn't allowed; start the load tester with "
                f"--allow {shlex.quote(f'{command[0]} {REST}')}, or with a pattern for each argument"
            )
        return command


def allowed(patterns: Sequence[str], scripts: Sequence[str]) -> AllowedCommands:
    """What the options say. Raises Invalid."""
    read = []
    for text in patterns:
        pattern = _words(text)
        if set("*?[/") & set(pattern[0]):
            raise Invalid(f"--allow {text!r} must begin with the name of a program, without wildcards and without /")
        if REST in pattern[:-1]:
            raise Invalid(f"--allow {text!r} has {REST} before its end; write * for one argument")
        read.append(pattern)
    return AllowedCommands(tuple(read), tuple(scripts))


def matches(pattern: Sequence[str], command: Sequence[str]) -> bool:
    """Whether each word fits. A wildcard stands for text within one argument."""
    more = pattern[-1] == REST and len(pattern) > 1
    fixed = pattern[:-1] if more else pattern
    if len(command) < len(fixed) or (len(command) > len(fixed) and not more):
        return False
    pairs = zip(fixed[1:], command[1:], strict=False)
    return command[0] == fixed[0] and all(fnmatchcase(word, one) for one, word in pairs)


def _words(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise Invalid(f"the command {text!r} has a quote that isn't closed") from None
    if not words or not words[0]:
        raise Invalid("the command is empty; write it in metadata.cmd")
    return words
