"""Child processes that end with the demo, even if it is killed; `answer` is the other end of a `Worker`.

Each is in a session of its own, so that a terminal's Ctrl-C reaches the demo alone, which then ends them.
"""

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Linux' PR_SET_PDEATHSIG, set by a small program that then becomes the child: no code of ours runs between
# fork and exec of a process with threads. The demo may have died before that: hence the check.
_DIES_WITH_PARENT = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
PATIENCE = 10.0
"""Seconds that a worker may think about a question."""


class Failed(Exception):
    """A part of the demo doesn't start, or is gone; the message is for its user."""


class Child:
    """A program that runs until the block ends, or the thread that started it. `log` gets what it prints."""

    def __init__(self, argv: Sequence[str | Path], log: Path, pipes: bool = False) -> None:
        self.log = log
        self.name = Path(argv[0]).name
        wrapped = [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *map(str, argv)]
        talk = subprocess.PIPE if pipes else subprocess.DEVNULL
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                wrapped, bufsize=0, stdin=talk, stdout=talk if pipes else out, stderr=out, start_new_session=True
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends it and returns when it has ended; there is nothing to clean up."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """The last three lines that it printed; of its errors where they are marked."""
        said = self.log.read_text(errors="replace").splitlines()
        marked = [line for line in said if "[critical]" in line or "[error]" in line]
        return "\n".join((marked or said)[-3:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Worker(Child):
    """One of our own modules, which answers questions; see `answer`."""

    def __init__(self, module: str, log: Path, *arguments: str | Path) -> None:
        super().__init__([sys.executable, "-P", "-m", module, *arguments], log, pipes=True)
        self.name = module

    def ask(self, question: str, **details: Any) -> Any:
        """What the worker answers. Raises Failed where it doesn't."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps([question, details]).encode() + b"\n")
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            line = self.process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if not line:
            raise Failed(f"{self.name} doesn't answer `{question}`:\n{self.said()}")
        return json.loads(line)


async def answer(answers: Mapping[str, Callable[..., Any]]) -> None:
    """The worker's end: questions on standard input, answers on standard output, a line of JSON each.

    What is asked for by name is called, and awaited where that is due. The end of standard input is the end of it.
    """
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        question, details = json.loads(line)
        result = answers[question](**details)
        print(json.dumps(await result if isawaitable(result) else result), flush=True)
