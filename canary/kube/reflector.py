"""Follows one kind: lists it, watches what changes, and keeps a projection of each object (`cache.py`).

    list, page by page ──► watch from there ──► ended, cut, silent, timed out: watch on from what was seen last
         ▲                       │
         └── 410, or never a word┘              any failure: again, after a pause that grows to half a minute

One thread a reflector. What was kept stays readable while there is no contact.
"""

import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic_core import from_json

from canary.engine.errors import CanaryError, Rejected
from canary.engine.observed import Cause

from . import requests
from .cache import Cache, Change
from .client import Client, Object, Stream
from .errors import ApiAnswer, Forbidden, Gone, TooManyRequests, Unavailable, Unserved, translate
from .names import NamespacedName
from .rate_limiter import Backoff
from .requests import Request
from .resources import Resource

BOOKMARK, DELETED = "BOOKMARK", "DELETED"


class Happening(NamedTuple):
    """One event of a watch."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    object: Object


class Watch:
    """One open watch, read line by line. One thread reads, any thread may close."""

    def __init__(self, client: Client, request: Request, silence: float) -> None:
        """Opens it; a connection on which nothing comes for `silence` seconds is given up. Raises as `send` does."""
        self._request = request
        self._stream: Stream = client.stream(request, silence)

    def events(self) -> Iterator[Happening]:
        """Until the server ends it. Raises the Failure that an ERROR event stands for (Gone), or Unavailable."""
        for line in _lines(self._stream.chunks()):
            yield self._event(line)

    def close(self) -> None:
        """A reader returns at once."""
        self._stream.close()

    def _event(self, line: bytes) -> Happening:
        try:
            found = from_json(line)
            event = Happening(found["type"], found["object"])
            event.object.get("metadata")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Unavailable(
                Cause.RUBBISH, f"{self._request}: not an event: {line[:80].decode(errors='replace')}"
            ) from None
        if event.type == "ERROR":  # which holds the Status that an answer would have had
            status = int(event.object.get("code") or 500)
            raise translate(self._request, ApiAnswer(status, {}, json.dumps(event.object).encode()))
        return event


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines; a chunk may hold several, or a piece of one."""
    begun: list[bytes] = []
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            begun.append(line)
            yield b"".join(begun)
            begun = []
        if rest:
            begun.append(rest)


T = TypeVar("T")
log = logging.getLogger(__name__)


class Event(NamedTuple, Generic[T]):
    """One object whose projection changed; `before` is None where it wasn't kept, `after` where it isn't any more."""

    namespace: str
    name: str
    before: T | None
    after: T | None


@dataclass(frozen=True)
class Timing:
    """All in seconds."""

    page: int = 500
    """Objects of a list that are in memory as a whole at once."""
    answer: float = 30.0
    """What a page may take, and the beginning of a watch."""
    watch: tuple[int, int] = (300, 600)
    """How long the server keeps a watch open: anything between these, so that not all end at once."""
    silence: float = 150.0
    """After which a watch counts as dead; bookmarks come about once a minute."""
    longest: float = 30.0
    """The longest pause after failures, and the pause where a permission is missing."""
    short: float = 1.0
    """A watch that lasted less is followed by a pause."""


USUAL = Timing()


class Reflector(Generic[T]):
    """`project` says what is kept of an object, None for nothing; `changed` is called when that changes.

    Both are called from the reflector's thread, `changed` without a lock and in order. What `changed` or `project`
    raises is logged: a change counts as handled, and an object that can't be projected stays as it was.
    """

    def __init__(  # noqa: PLR0913 # what to follow, what to keep, whom to tell; `timing` is for tests
        self,
        client: Client,
        resource: Resource,
        project: Callable[[Object], T | None],
        changed: Callable[[Event[T]], None],
        namespace: str = "",
        selector: str = "",
        *,
        timing: Timing = USUAL,
    ) -> None:
        """All namespaces for an empty one; `selector` in kubectl's words."""
        self.resource = resource
        self.namespace = namespace
        self.selector = selector
        self.lists = 0
        """Whole lists that were begun."""
        self.watches = 0
        """Watches that were opened."""
        self.version = ""
        """The resourceVersion to watch on from; empty where it has to list."""
        self.trouble: str | None = None
        """Why it can't list or watch now, as a sentence."""
        self.unserved = False
        """Whether the cluster has no such kind now; asked again as after other failures."""
        self.last_seen = -math.inf
        """When the server last showed a sign of life here, by time.monotonic."""
        self._client = replace(client, timeout=timing.answer)
        self._project = project
        self._changed = changed
        self._timing = timing
        self._kept: Cache[T] = Cache()
        self._synced, self._over = threading.Event(), threading.Event()
        self._watch: Watch | None = None
        self._after: Sequence[Reflector[Any]] = ()
        self._failures, self._relists = Backoff(longest=timing.longest), Backoff(longest=timing.longest)
        self._thread = threading.Thread(target=self._run, name=f"watch {resource.plural}", daemon=True)

    @property
    def synced(self) -> bool:
        """Whether it has listed all there is, once; what happened since may be late (`trouble`, `last_seen`)."""
        return self._synced.is_set()

    @property
    def alive(self) -> bool:
        """Whether it still follows; a thread that isn't there any more is nothing that goes by."""
        return self._thread.is_alive() or not self._thread.ident

    def wait_synced(self, timeout: float) -> bool:
        return self._synced.wait(timeout)

    def start(self, after: Sequence["Reflector[Any]"] = ()) -> None:
        """Lists once these are synced, so that what is needed first has the connection and the processor first."""
        self._after = after
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ends it; a request that is under way is not waited for longer than `timeout`."""
        self._over.set()
        watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def get(self, namespace: str, name: str) -> T | None:
        return self._kept.get(namespace, name)

    def items(self, namespace: str | None = None) -> Sequence[tuple[NamespacedName, T]]:
        """All of one namespace, which is cheap, or all."""
        return self._kept.items(namespace)

    def put(self, found: Object) -> None:
        """Takes the answer to our own write, so that we read what we wrote; `changed` follows when the watch sees it.

        From any thread.
        """
        self._kept.wrote(_key(found), _version(found), self._project(found))

    def _run(self) -> None:
        for each in self._after:
            while not each.wait_synced(0.2) and not self._over.is_set():
                continue
        while not self._over.is_set():
            pause = self._followed()
            if pause:
                self._over.wait(pause)

    def _followed(self) -> float:
        """One list, if one is due, and one watch; the pause after it."""
        began = time.monotonic()
        try:
            if not self.version:
                self._list()
            self._watched()
        except Gone as error:
            log.info("%s: %s; listing again", self, error)
            self.version = ""
            return self._relists.next()
        except CanaryError as error:
            return self._failed(error)
        except Exception as error:  # of our own making: the thread goes on, and says so
            log.exception("%s", self)
            self.trouble = f"{self}: internal error: {error!r}"
            return self._failures.next()
        self._relists.reset()
        return 0.0 if time.monotonic() - began >= self._timing.short else self._failures.next()

    def _failed(self, error: CanaryError) -> float:
        if self._over.is_set():
            return 0.0
        if self.trouble != str(error):
            log.warning("%s: %s", self, error)
        self.trouble, self.unserved = str(error), isinstance(error, Unserved)
        if isinstance(error, Rejected):
            self.version = ""
        match error:
            case Forbidden():
                return self._timing.longest * random.uniform(0.8, 1.0)
            case TooManyRequests():
                return self._failures.next(error.after)
        return self._failures.next()

    def _list(self) -> None:
        """Page by page; what isn't there any more is gone. Raises Failure."""
        self.lists += 1
        seen: set[NamespacedName] = set()
        after: str | None = ""
        while after is not None and not self._over.is_set():
            after, version = self._listed(after, seen)
        if after is None:
            for key, change in self._kept.left_over(seen, int(version)):
                self._tell(key, change)
            self._kept.reached(int(version))
            self.version = version
            self._synced.set()

    def _listed(self, after: str, seen: set[NamespacedName]) -> tuple[str | None, str]:
        """One page, which is forgotten before the next is asked for; what the next goes on after, and its version."""
        page = requests.listing(self.resource, self.namespace, self.selector, self._timing.page, after)
        answer = self._client.send(page)
        self._healthy()
        metadata = answer.get("metadata") or {}
        version = str(metadata.get("resourceVersion") or "0")
        self._kept.set_back(int(version))
        for one in answer.get("items") or []:
            self._saw(one)
            seen.add(_key(one))
        return metadata.get("continue") or None, version

    def _watched(self) -> None:
        seconds, since = random.randint(*self._timing.watch), self.version
        request = requests.watch(self.resource, self.namespace, since, seconds, self.selector)
        self._watch = watch = Watch(self._client, request, self._timing.silence)
        self.watches += 1
        self._healthy()
        self._failures.reset()
        if self._over.is_set():
            watch.close()
        try:
            self._read(watch)
        except Unavailable as error:
            log.debug("%s: %s; watching on", self, error)
            if error.missing.cause is Cause.TIMED_OUT and self.version == since:
                self.version = ""  # not even a bookmark: this resourceVersion may never come
        finally:
            self._watch = None

    def _read(self, watch: Watch) -> None:
        for event in watch.events():
            if self._over.is_set():
                return
            self.last_seen = time.monotonic()
            if event.type != BOOKMARK:
                self._saw(event.object, deleted=event.type == DELETED)
            self.version = str(event.object["metadata"]["resourceVersion"])
            self._kept.reached(int(self.version))

    def _saw(self, found: Object, deleted: bool = False) -> None:
        key = _key(found)
        try:
            value = None if deleted else self._project(found)
        except Exception:
            log.exception("%s: %s/%s can't be read, and stays as it was", self, *key)
            return
        change = self._kept.saw(key, _version(found), value)
        if change is not None:
            self._tell(key, change)

    def _tell(self, key: NamespacedName, change: Change[T]) -> None:
        try:
            self._changed(Event(*key, change.before, change.after))
        except Exception:
            log.exception("%s: handling the change of %s/%s failed", self, *key)

    def _healthy(self) -> None:
        self.trouble, self.unserved, self.last_seen = None, False, time.monotonic()

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"watch of {self.resource.full_name}{where}"


def _key(found: Object) -> NamespacedName:
    metadata = found["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _version(found: Object) -> int:
    return int(found["metadata"]["resourceVersion"])
