"""Inputs that may cost a process its life are tried in one of its own: time, peak memory and tracebacks of each.

`tried("tests.fuzz.some_module", 10_000)` asks `prepared(random)` of that module for so many calls, and makes them;
only the calls are measured. As a program: `python -m tests.fuzz.child MODULE INPUTS SEED`.
"""

import ctypes
import importlib
import json
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

MIB = 2**20
SOME = 30
"""Inputs that `make test` tries; a long test tries 10,000."""
SLOW = 2.0
"""Seconds of processor time of the child for one input; other processes on the machine don't count."""
LARGE = 200 * MIB
"""Bytes that one input may take beside what the process has."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Tried:
    """What became of the inputs."""

    inputs: int = 0
    slowest: float = 0.0
    largest: int = 0
    bad: list[str] = field(default_factory=list)
    """The inputs, by their seeds, that ended in a traceback, took long or much."""


def tried(module: str, inputs: int, seed: int = 1, within: float = 1800) -> Tried:
    """In a child process. Raises AssertionError where it died: then its last line says of which input."""
    command = [sys.executable, "-m", "tests.fuzz.child", module, str(inputs), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    return Tried(**json.loads(done.stdout))


def _memory(name: str) -> int:
    """VmRSS or VmHWM, in bytes."""
    [line] = [one for one in _STATUS.read_text().splitlines() if one.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def _main(module: str, inputs: int, seed: int) -> Tried:
    prepared = importlib.import_module(module).prepared
    found, trim = Tried(), ctypes.CDLL(None).malloc_trim
    prepared(Random(seed))()  # imports, and caches
    for number in range(seed, seed + inputs):
        print(f"input {number}", file=sys.stderr, flush=True)
        call = prepared(Random(number))
        trim(0)
        _CLEAR.write_text("5")
        before, began, wrong = _memory("VmRSS"), time.process_time(), ""
        try:
            call()
        except BaseException:  # noqa: BLE001 - a panic of native code is none
            wrong = traceback.format_exc()
        taken, grown = time.process_time() - began, _memory("VmHWM") - before
        if taken > SLOW or grown > LARGE:
            wrong += f"{taken:.1f}s, {grown / MIB:.0f} MiB"
        if wrong:
            found.bad.append(f"input {number}: {wrong}")
        found.inputs += 1
        found.slowest, found.largest = max(found.slowest, taken), max(found.largest, grown)
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
