"""A replica that goes wrong at a write: `python -m tests.incluster.replica controller …`, set by the environment.

KILLED=FILE  dies once at each kind of write that the API server accepted; FILE has those that were
FROZEN=KIND  stops itself (SIGSTOP) right before its first write to this kind is sent, the guard already asked
WRITES=FILE  appends each write with the status of its answer
HELD=FILE    doesn't learn that the phase that the file names was saved, as long as there is such a file
KEPT=SECONDS removes actions that are older, and allows clocks no difference
"""

import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from canary.cli import main
from canary.controller import garbage_collection, process
from canary.engine import verbs
from canary.kube.client import Stream
from canary.kube.connection import Connection
from canary.kube.errors import ApiAnswer
from canary.kube.requests import Request
from canary.kube.resources import CANARIES, LEASES
from canary.stores import canary as canary_store

LEADS = "canary"
"""The Lease of the leader, which is written whenever it is due."""


class Faulty:
    """The wire of the replica."""

    def __init__(self, wire: Connection) -> None:
        self.wire, self.host, self.namespace = wire, wire.host, wire.namespace
        self._lock = threading.Lock()
        self._frozen = os.environ.get("FROZEN", "")

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        if not request.writes or (request.resource == LEASES and request.name == LEADS):
            return self.wire.exchange(request, timeout)
        if request.resource.kind == self._frozen:
            self._frozen = ""
            _freeze()
        answer = self.wire.exchange(request, timeout)
        with self._lock:
            self._wrote(request, answer)
        while "HELD" in os.environ and _is_held(Path(os.environ["HELD"]), answer):
            time.sleep(0.01)
        return answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        return self.wire.stream(request, timeout, silence)

    def renew(self) -> None:
        self.wire.renew()

    def close(self) -> None:
        self.wire.close()

    def _wrote(self, request: Request, answer: ApiAnswer) -> None:
        if "WRITES" in os.environ:
            with Path(os.environ["WRITES"]).open("a") as file:
                file.write(f"{answer.status} {request.verb} {request.resource.kind}\n")
        if "KILLED" in os.environ and 200 <= answer.status < 300:
            _die_once(Path(os.environ["KILLED"]), request, answer)


def _freeze() -> None:
    """Returns once the process is woken: the kernel stops its threads one after the other."""
    before = time.monotonic()
    os.kill(os.getpid(), signal.SIGSTOP)
    while time.monotonic() - before < 1.0:
        time.sleep(0.01)


def _is_held(file: Path, answer: ApiAnswer) -> bool:
    with suppress(FileNotFoundError):
        return f'"phase":"{file.read_text()}"' in answer.body.decode()
    return False


def _die_once(file: Path, request: Request, answer: ApiAnswer) -> None:
    """The last line of the file is the phase that was saved last."""
    *killed, phase = file.read_text().splitlines() if file.exists() else ["Unsaved"]
    if request.resource == CANARIES:
        phase = (json.loads(answer.body).get("status") or {}).get("phase") or phase
    what = f"{request.verb} {request.resource.kind}{'/status' if request.subresource else ''}"
    moment = f"{phase}: {what}"
    if moment not in killed:
        _write(file, [*killed, moment, phase])
        os.kill(os.getpid(), signal.SIGKILL)
    _write(file, [*killed, phase])


def _write(file: Path, lines: Sequence[str]) -> None:
    """Whole, for anyone who reads it at this moment."""
    beside = file.with_suffix(".new")
    beside.write_text("\n".join(lines))
    beside.replace(file)


def _replace(module: ModuleType, name: str, value: Any) -> None:
    """Raises AttributeError where the module has no such name any more: it would go right then."""
    getattr(module, name)
    setattr(module, name, value)


if __name__ == "__main__":
    if "KEPT" in os.environ:
        for module in (verbs, canary_store, garbage_collection):
            _replace(module, "KEPT", timedelta(seconds=float(os.environ["KEPT"])))
        _replace(canary_store, "SKEW", timedelta())
    _replace(process, "Connection", lambda access: Faulty(Connection(access)))
    main()
