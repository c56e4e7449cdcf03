"""Signals at the beginning of a command and at its end: one exit code, and no traceback."""

import signal
import subprocess
import sys

import pytest

from tests.parts.processes import bound

ENDING = """
import os, signal, sys
from canary.cli import app, caught, main

def run(argv):
    with caught(lambda *_: print("caught")):
        os.kill(os.getpid(), {number})
    os.kill(os.getpid(), {number})
    return 6

app.run = run
sys.argv = ["canary"]
try:
    main()
finally:
    os.kill(os.getpid(), {number})
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_last_moments_takes_no_exit_code(number: signal.Signals) -> None:
    """Caught while the command works, ignored once it has ended: 6, not -1, -2 or -15."""
    ended = subprocess.run(
        bound([sys.executable, "-c", ENDING.format(number=int(number))]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (6, "caught\n", "")


BEGINNING = """
import os, sys

class Meanwhile:
    def find_spec(self, name, *_):
        if name == "canary.cli.app":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Meanwhile())
from canary.cli import main
sys.argv = ["canary", "version"]
main()
"""
LOOKING = """
import os, sys
from canary.cli import app, main

sys.argv = ["canary", "version"]
import canary.cli.version
canary.cli.version.command = lambda: os.kill(os.getpid(), {number})
main()
"""


@pytest.mark.parametrize("program", [BEGINNING, LOOKING], ids=["while it is imported", "while it looks"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_a_command_has_handlers_ends_it_with_130(program: str, number: signal.Signals) -> None:
    """Whichever signal, whenever: not -2 with a traceback, and not -15."""
    ended = subprocess.run(
        bound([sys.executable, "-c", program.format(number=int(number))]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    """SIGHUP is ignored before the command starts, and goes on to be."""
    program = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from canary.cli import caught\n"
        "with caught(lambda *_: print('caught')): os.kill(os.getpid(), signal.SIGHUP)"
    )
    ended = subprocess.run(
        bound([sys.executable, "-c", program]), capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
