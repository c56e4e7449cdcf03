"""However and whenever the demo is ended, no process and no temporary folder is left."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.demo.watching import processes
from tests.examples import one_now
from tests.parts.processes import exit_code, wait_for

DEMO = [sys.executable, "-c", "import sys; from canary.cli import main; sys.exit(main())", "demo"]
# On a terminal of its own, as a shell would start it: then Ctrl-C and hanging up reach it as they do in life.
ON_A_TERMINAL = [
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])",
]


class Run:
    """A demo in a process of its own, its temporary files in `folder`."""

    def __init__(self, folder: Path, terminal: int | None = None, *options: str) -> None:
        self.mark = f"DEMO_TEST={folder}"
        self.folder = folder / "tmp"
        self.folder.mkdir()
        self.output = folder / "output"
        environ = {**os.environ, "TMPDIR": str(self.folder), "DEMO_TEST": str(folder), "TERM": "xterm"}
        argv = [*DEMO, *options] if terminal is None else [*ON_A_TERMINAL, *DEMO, *options]
        with self.output.open("wb") as out:
            stream = out if terminal is None else terminal
            self.process = subprocess.Popen(
                argv, env=environ, stdin=terminal, stdout=stream, stderr=stream, start_new_session=True
            )

    def reached(self, moment: Callable[["Run"], bool]) -> None:
        wait_for(lambda: moment(self) or self.process.poll() is not None, "the moment")
        assert self.process.poll() is None, self.output.read_text()

    @property
    def left(self) -> list[int]:
        return processes(self.mark)


@pytest.fixture
def start(envoy_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts a demo, which ends with the test at the latest."""
    runs: list[Run] = []

    def started(terminal: int | None = None, *options: str) -> Run:
        runs.append(Run(tmp_path, terminal, *options))
        return runs[-1]

    yield started
    for run in runs:
        run.process.kill()
        run.process.wait()


def file_there(name: str) -> Callable[[Run], bool]:
    return lambda run: any(run.folder.glob(f"canary-demo-*/{name}"))


def requests_noted(run: Run) -> bool:
    return any(path.stat().st_size > 100 for path in run.folder.glob("canary-demo-*/requests.csv"))


def traffic_shifted(run: Run) -> bool:
    return any("weight: 5}" in path.read_text() for path in run.folder.glob("canary-demo-*/routes/routes.yaml"))


MOMENTS = [
    pytest.param(traffic_shifted, signal.SIGTERM, id="while traffic is shifted"),
    pytest.param(file_there("services.log"), signal.SIGINT, id="while its services start"),
    pytest.param(file_there("envoy.log"), signal.SIGTERM, id="while Envoy starts"),
    pytest.param(file_there("admin"), signal.SIGHUP, id="once Envoy has its ports"),
    pytest.param(requests_noted, signal.SIGINT, id="under load"),
]


@pytest.mark.parametrize(("moment", "number"), one_now(MOMENTS))
def test_a_signal_leaves_nothing(
    moment: Callable[[Run], bool], number: signal.Signals, start: Callable[..., Run]
) -> None:
    """SIGINT, SIGTERM, SIGHUP: it ends by itself within a few seconds, with nothing left and no traceback."""
    run = start()
    run.reached(moment)
    run.process.send_signal(number)
    assert exit_code(run.process, 10) == 130
    assert run.left == []
    assert list(run.folder.iterdir()) == []
    assert "Traceback" not in run.output.read_text()
    assert "nothing is left running" in run.output.read_text()


def both_shifted(run: Run) -> bool:
    found = [path.read_text() for path in run.folder.glob("canary-demo-*/*/routes/routes.yaml")]
    return len(found) == 2 and all("weight: 20}" in text for text in found)


def test_a_signal_ends_two_rollouts(start: Callable[..., Run]) -> None:
    """Two judges side by side end with one signal, as a single rollout does."""
    run = start(None, "--judge", "sequential")
    run.reached(both_shifted)
    run.process.send_signal(signal.SIGINT)
    assert exit_code(run.process, 10) == 130
    assert run.left == []
    assert list(run.folder.iterdir()) == []
    assert "Traceback" not in run.output.read_text()
    assert "nothing is left running" in run.output.read_text()


@pytest.mark.long
def test_impatience_leaves_nothing(start: Callable[..., Run]) -> None:
    """Anyone who presses Ctrl-C again and again doesn't stop the tidying up."""
    run = start()
    run.reached(traffic_shifted)

    def ended() -> bool:
        run.process.send_signal(signal.SIGINT)
        return run.process.poll() is not None

    wait_for(ended, "the demo to end")
    assert run.left == []
    assert list(run.folder.iterdir()) == []


def test_kill_leaves_no_process(start: Callable[..., Run]) -> None:
    """Nothing can be tidied up after SIGKILL, but nothing goes on running either."""
    run = start()
    run.reached(traffic_shifted)
    assert len(run.left) == 4
    run.process.kill()
    wait_for(lambda: not run.left, "all of them to be gone")


@pytest.mark.parametrize("hang_up", [False, True], ids=["ctrl-c", "the terminal is closed"])
def test_a_terminal_leaves_nothing(hang_up: bool, start: Callable[..., Run]) -> None:
    """In the live view, Ctrl-C as the terminal sends it, to the whole foreground; and the end of the terminal."""
    ours, theirs = pty.openpty()
    run = start(theirs)
    os.close(theirs)
    run.reached(lambda run: drained(ours) and traffic_shifted(run))
    if hang_up:
        os.close(ours)
    else:
        os.write(ours, b"\x03")
        wait_for(lambda: drained(ours) and run.process.poll() is not None, "the demo to end")
        os.close(ours)
    assert exit_code(run.process, 10) == 130
    assert run.left == []
    assert list(run.folder.iterdir()) == []


def drained(terminal: int) -> bool:
    """Reads what there is, so that anyone who writes doesn't wait."""
    os.set_blocking(terminal, False)
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    return True
