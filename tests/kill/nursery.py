"""Bears a process for every point, lets it die there, and starts another one that goes on.

A process of its own without threads, so that it may fork: `python -m tests.kill.nursery CASE EVERY` takes every so
many points. One JSON line a point.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from canary.api.plan import Traffic
from canary.stores.file import FileStore
from tests.kill.world import Durable, live

KILLED = -9


def main(name: str, every: int) -> None:
    """The undisturbed end first, then the end after a death at each point."""
    with tempfile.TemporaryDirectory() as root:
        whole = _child(Path(root) / "whole", name, fatal=0)
        print(json.dumps(whole), flush=True)
        for fatal in range(1, whole["points"] + 1, every):
            folder = Path(root) / str(fatal)
            died = _child(folder, name, fatal)
            resumed = _child(folder, name, fatal=0)
            print(json.dumps({**resumed, "fatal": fatal, "died": died["code"]}), flush=True)


def _child(folder: Path, name: str, fatal: int) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code, points = live(folder, name, fatal)
        (folder / "points").write_text(str(points))
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"code": code, **_left(folder)} if code != KILLED else {"code": code}


def _left(folder: Path) -> dict[str, Any]:
    """What a run left behind, for comparing."""
    stored = FileStore(folder / "state.json", "shop").load()
    world = Durable(folder / "world.json", {})
    if stored is None:
        return {}
    return {
        "points": int((folder / "points").read_text()),
        "phase": stored.status.phase,
        "outcome": stored.status.history[0].outcome if stored.status.history else None,
        "rollouts": stored.status.rollouts,
        "traffic": world.traffic.wire(),
        "clean": world.traffic in (Traffic(), Traffic(weight=100)),
        "rose": world.state["rose"],
        "reported": _lines(folder / "reported"),
        "failed": stored.status.failed_checks,
        "messages": stored.status.message_count,
        "received": _lines(folder / "received"),
    }


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
