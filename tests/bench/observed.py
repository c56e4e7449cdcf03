"""What the API server tells of objects, each with the moment at which it arrived.

The watches are a process of their own: what the mesh of this one is busy with delays no moment.
"""

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

import requests

from tests.parts.kube import SLOWLY, Kube

Data = Any
Reported = tuple[float, str, bytes]
"""When a line arrived, the kind that it is of, and the line."""


@dataclass(frozen=True)
class Arrival:
    """One event of a watch."""

    at: float
    """Seconds since the epoch."""
    kind: str
    found: Data
    """The object as it was then."""


class Watches:
    """Watches of several kinds of objects, until the API server or this process ends."""

    def __init__(self, kube: Kube, paths: Mapping[str, str]) -> None:
        """By kind, the list that is watched; what is in it already isn't reported."""
        self._arrivals: list[Arrival] = []
        self._news = threading.Condition()
        since = {kind: kube.read(path)["metadata"]["resourceVersion"] for kind, path in paths.items()}
        requested = {
            kind: f"{kube.url}{path}?watch=true&resourceVersion={since[kind]}" for kind, path in paths.items()
        }
        fresh = multiprocessing.get_context("spawn")
        reported: Queue[Reported] = fresh.Queue()
        access = (str(kube.ca), kube.tokens["admin"])
        fresh.Process(target=_watch_all, args=(requested, access, reported), daemon=True).start()
        threading.Thread(target=self._take, args=(reported,), daemon=True).start()

    def first(self, kind: str, true: Callable[[Data], bool], since: float, what: str) -> Arrival:
        """The first after a moment of which something is true; waits for it."""
        found: list[Arrival] = []

        def there() -> bool:
            found[:] = [one for one in self._arrivals if one.kind == kind and one.at > since and true(one.found)][:1]
            return bool(found)

        with self._news:
            assert self._news.wait_for(there, SLOWLY), f"no {kind} with {what} in {SLOWLY:g} s: {self._last(kind)}"
        return found[0]

    def _last(self, kind: str) -> str:
        return str([one.found.get("status") or one.found["spec"] for one in self._arrivals if one.kind == kind][-1:])

    def _take(self, reported: "Queue[Reported]") -> None:
        while True:
            at, kind, line = reported.get()
            with self._news:
                self._arrivals.append(Arrival(at, kind, json.loads(line)["object"]))
                self._news.notify_all()


def _watch_all(urls: Mapping[str, str], access: tuple[str, str], reported: "Queue[Reported]") -> None:
    """What the process of the watches does."""
    threads = [threading.Thread(target=_watch, args=(kind, url, access, reported)) for kind, url in urls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch(kind: str, url: str, access: tuple[str, str], reported: "Queue[Reported]") -> None:
    authority, token = access
    with requests.Session() as session, suppress(requests.RequestException):
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"
        answer = session.get(url, params={"timeoutSeconds": "7200"}, stream=True, verify=authority, timeout=7200)
        for line in answer.iter_lines(chunk_size=None):
            reported.put((time.time(), kind, line))
