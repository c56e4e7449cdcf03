"""The terminal that the live view is typed on, with real pseudo-terminals."""

import os
import subprocess
import sys

import pytest

STALLED = """
import os, pty, signal, sys, termios, threading, time
_, terminal = pty.openpty()
sys.stdin = open(terminal, closefd=False)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
threading.Thread(target=os.write, args=(terminal, b"x" * 1_000_000), daemon=True).start()
time.sleep(0.5)
from canary.show.live_view import Keys
keys, echoes = Keys(True), lambda: bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
keys.silence()
silent = echoes()
keys.restore()
os.write(1, f"{silent} {echoes()}".encode())
os._exit(0)
"""
BACKGROUND = """
import os, pty, sys
_, terminal = pty.openpty()
os.setsid()
os.close(os.open(os.ttyname(terminal), os.O_RDWR))  # the controlling terminal from here on
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    sys.stdin = sys.stdout = open(terminal, "r", closefd=False)
    from canary.show.live_view import Keys
    from canary.show.outputs import Output, report_for
    keys = Keys(True)
    keys.silence()
    keys.restore()
    with report_for(Output.TEXT, "shop", live=True) as report:
        os._exit(0 if type(report.report).__name__ == "Lines" else 1)
_, status = os.waitpid(child, os.WUNTRACED)
os.write(1, ("stopped" if os.WIFSTOPPED(status) else str(os.WEXITSTATUS(status))).encode())
os.WIFSTOPPED(status) and os.kill(child, 9)
"""


@pytest.mark.parametrize(
    ("program", "said"), [(STALLED, "False True"), (BACKGROUND, "0")], ids=["stalled, with signals", "background"]
)
def test_the_terminal_holds_no_process_up(program: str, said: str) -> None:
    """Neither one that takes no more output, also while signals come, nor the system's stop of background jobs."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == (said, "")
