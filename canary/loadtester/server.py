"""The routes of Flagger's load tester: `/` starts a command, `/gate/*` and `/rollback/*` keep gates in memory."""

import hmac
import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from canary.engine.errors import Invalid
from canary.web import Page, Posted, Posts, Serving, page

from .commands import KINDS, AllowedCommands, Busy, Ended, Processes

MOST_GATES = 10_000
"""Open gates; each is a name and a namespace."""
CONNECTIONS = 128
SPARE = 15.0
"""Seconds in which a command that took too long is ended, and its answer is sent."""
_NAME = re.compile(r"[\w.-]{1,253}", re.ASCII)
DEFAULT = "127.0.0.1:9090"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadTesterSettings:
    """What it is started with."""

    allowed: AllowedCommands
    listen: str = DEFAULT
    timeout: float = 3600.0
    """Seconds for each command."""
    token: str = ""
    """What clients must send; empty for none."""


@dataclass
class _Call:
    """What a hook sends."""

    name: str
    namespace: str
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def canary(self) -> str:
        return f"{self.name}.{self.namespace}"


class LoadTester:
    """Listens from `start` to `stop`."""

    def __init__(self, settings: LoadTesterSettings) -> None:
        """Raises Invalid for an address that can't be."""
        self._settings = settings
        self._processes = Processes(settings.timeout)
        self._gates: set[str] = set()
        self._counts = {"passed": 0, "failed": 0, "refused": 0}
        self._lock = threading.Lock()
        pages: dict[str, Callable[[_Call, Posted], Page]] = {
            "/": self._command,
            "/gate/approve": lambda call, posted: page("OK"),
            "/gate/halt": lambda call, posted: page("Forbidden", HTTPStatus.FORBIDDEN),
        }
        for word in ("gate", "rollback"):
            pages |= {
                f"/{word}/check": lambda call, posted, word=word: self._check(word, call),  # type: ignore[misc]
                f"/{word}/open": lambda call, posted, word=word: self._open(word, call),  # type: ignore[misc]
                f"/{word}/close": lambda call, posted, word=word: self._close(word, call),  # type: ignore[misc]
            }
        posts = Posts(
            {path: self._page(path, make) for path, make in pages.items()},
            longest=settings.timeout + SPARE,
            most=CONNECTIONS,
        )
        self._serving = Serving(settings.listen, self._metrics, lambda: (), lambda: (), posts=posts)

    @property
    def port(self) -> int:
        """The one that is listened on."""
        return self._serving.port

    def start(self) -> None:
        """Raises Invalid if nothing can listen there."""
        self._serving.start()

    def stop(self) -> None:
        """End all commands, then all connections."""
        self._processes.stop()
        self._serving.stop()

    def _page(self, path: str, make: Callable[[_Call, Posted], Page]) -> Callable[[Posted], Page]:
        """With what holds for all paths: who may ask, and what the body is."""

        def answer(posted: Posted) -> Page:
            given = (posted.headers.get("Authorization") or "").encode("utf-8", "replace")
            if self._settings.token and not hmac.compare_digest(given, f"Bearer {self._settings.token}".encode()):
                return page("the token is missing or wrong", HTTPStatus.UNAUTHORIZED)
            if path in ("/gate/approve", "/gate/halt"):
                return make(_Call("", ""), posted)
            try:
                return make(_call(posted.body), posted)
            except Invalid as error:
                return page(str(error), HTTPStatus.BAD_REQUEST)

        return answer

    # ---- gates --------------------------------------------------------------------------------------------------

    def _check(self, word: str, call: _Call) -> Page:
        with self._lock:
            is_open = f"{word} {call.canary}" in self._gates
        return page("Approved") if is_open else page("Forbidden", HTTPStatus.FORBIDDEN)

    def _open(self, word: str, call: _Call) -> Page:
        with self._lock:
            if len(self._gates) >= MOST_GATES:
                return page(f"there are {MOST_GATES} open gates; close some", HTTPStatus.SERVICE_UNAVAILABLE)
            self._gates.add(f"{word} {call.canary}")
        log.info("%s opened canary=%s", word, call.canary)
        return page("", HTTPStatus.ACCEPTED)

    def _close(self, word: str, call: _Call) -> Page:
        with self._lock:
            self._gates.discard(f"{word} {call.canary}")
        log.info("%s closed canary=%s", word, call.canary)
        return page("", HTTPStatus.ACCEPTED)

    # ---- commands -----------------------------------------------------------------------------------------------

    def _command(self, call: _Call, posted: Posted) -> Page:
        if not call.metadata:
            raise Invalid("the body has no metadata; write metadata: {cmd: …} at the hook")
        kind, text = call.metadata.get("type") or "cmd", call.metadata.get("cmd") or ""
        if kind not in KINDS:
            raise Invalid(f"metadata.type {kind!r} is unknown; there are {', '.join(KINDS)}")
        try:
            command = self._settings.allowed.command(kind, text)
        except Invalid as error:
            self._count("refused")
            log.warning("command refused canary=%s reason=%s", call.canary, error)
            return page(str(error), HTTPStatus.FORBIDDEN)
        try:
            if kind == "cmd":
                self._processes.begin((call.canary, *command), command, lambda ended: self._ended(call, text, ended))
                return page("", HTTPStatus.ACCEPTED)
            ended = self._processes.run(command, posted.gone)
        except Busy:
            return page("too many commands are running; call again later", HTTPStatus.SERVICE_UNAVAILABLE)
        self._ended(call, text, ended)
        if ended.problem:
            words = f"{ended.problem}: {ended.output}" if ended.output else ended.problem
            return page(words, HTTPStatus.INTERNAL_SERVER_ERROR)
        return page(ended.output if call.metadata.get("returnCmdOutput") == "true" else "")

    def _ended(self, call: _Call, text: str, ended: Ended) -> None:
        self._count("failed" if ended.problem else "passed")
        what = f"canary={call.canary} seconds={ended.seconds:.1f} command={text!r}"
        if ended.problem:
            log.warning("command failed %s problem=%r output=%r", what, ended.problem, ended.output)
        elif call.metadata.get("logCmdOutput") == "true":
            log.info("command finished %s output=%r", what, ended.output)
        else:
            log.info("command finished %s", what)

    def _count(self, result: str) -> None:
        with self._lock:
            self._counts[result] += 1

    def _metrics(self) -> bytes:
        with self._lock:
            counts = dict(self._counts)
        lines = [
            "# HELP canary_loadtester_commands_total Commands of hooks by result.",
            "# TYPE canary_loadtester_commands_total counter",
            *(f'canary_loadtester_commands_total{{result="{name}"}} {number}' for name, number in counts.items()),
            "# HELP canary_loadtester_commands_running Commands that run now.",
            "# TYPE canary_loadtester_commands_running gauge",
            f"canary_loadtester_commands_running {self._processes.running}",
        ]
        return ("\n".join(lines) + "\n").encode()


def _call(body: bytes) -> _Call:
    """Raises Invalid."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("the body must be JSON with name and namespace") from None
    if not isinstance(data, dict):
        raise Invalid("the body must be a JSON object with name and namespace")
    name, namespace, metadata = (data.get(one) for one in ("name", "namespace", "metadata"))
    if not all(isinstance(one, str) and _NAME.fullmatch(one) for one in (name, namespace)):
        raise Invalid("the body must have name and namespace of the Canary")
    if metadata is not None and not isinstance(metadata, dict):
        raise Invalid("metadata must be a JSON object")
    return _Call(
        str(name), str(namespace), {key: value for key, value in (metadata or {}).items() if isinstance(value, str)}
    )
