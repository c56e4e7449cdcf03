"""Which weights were served when, as the mesh says it, and what users got meanwhile."""

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import sqrt
from types import TracebackType
from typing import Any, Self

from tests.bookinfo.site import NAME
from tests.mesh import bookinfo
from tests.mesh.mesh import Measured, Mesh
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import wait_for

ENOUGH = 40
"""Answers below which a share says nothing."""
Weights = Mapping[str, int]


@dataclass(frozen=True)
class Served:
    """A time in which Envoy had the same routes all along."""

    weights: Weights
    """Per cent by subset, of the route that everybody takes."""
    since: datetime
    until: datetime


class Watched(AbstractContextManager["Watched"]):
    """Reads a VirtualService's last route again and again, each time until Envoy has it."""

    def __init__(
        self, mesh: Mesh, name: str = NAME, kind: str = "http", host: str = NAME, source: str = "client"
    ) -> None:
        """`host` is what users call, `source` who they are."""
        self._mesh, self._kind, self._who = mesh, kind, {"source": source, "host": host}
        self._path = mesh.path(bookinfo.ISTIO, "VirtualService", name)
        self._kube = Kube(mesh.kube.url, mesh.kube.ca, mesh.kube.tokens)
        self._seen: list[tuple[Weights, datetime]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._kube.close()

    @property
    def served(self) -> list[Served]:
        """One after the other."""
        found = [(weights, [at for _, at in some]) for weights, some in groupby(self._seen, lambda one: one[0])]
        return [Served(weights, moments[0], moments[-1]) for weights, moments in found]

    def measured(self, served: Served, **other: str) -> Measured:
        """What users got of the requests that were sent meanwhile: those who were named first, or others.

        On a busy machine an answer comes seconds after its request, which the weights before have sent.
        """
        answers = self._mesh.measured(served.since, served.until, **{**self._who, **other}).answers
        return Measured(tuple(one for one in answers if one.sent >= served.since.timestamp()))

    def at_last(self, **weights: int) -> None:
        """Waits until users have been served so for long enough to measure it."""

        def there() -> bool:
            last = self.served[-1:]
            return bool(last) and last[0].weights == weights and self.measured(last[0]).total > ENOUGH

        wait_for(there, f"users to be served {weights}", within=SLOWLY)

    def followed(self, way: Sequence[Served]) -> None:
        """At each step users met each version as often as its weight says, within the binomial bound."""
        for one in way:
            met = self.measured(one)
            assert met.total > ENOUGH, one
            assert set(met.versions) <= set(one.weights), (one, met.versions)
            for version, percent in one.weights.items():
                assert likely(met.versions[version], percent, met.total), (one, met.versions)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            before = self._kube.read(self._path)
            self._mesh.wait_loaded()
            if self._kube.read(self._path)["spec"] == before["spec"]:
                self._seen.append((weights_of(before["spec"][self._kind][-1]), now()))


def versions(mesh: Mesh, since: str) -> list[Any]:
    """Each state that the VirtualService has been in after a resourceVersion: the API server tells them all again."""
    query = {"watch": "true", "timeoutSeconds": "1", "resourceVersion": since}
    path = mesh.path(bookinfo.ISTIO, "VirtualService")
    answer = mesh.kube.request("GET", path, fieldSelector=f"metadata.name={NAME}", **query)
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert all(one["type"] == "MODIFIED" for one in events), events
    return [one["object"] for one in events]


def weights_of(route: Mapping[str, Any]) -> Weights:
    """Per cent by subset; versions without weight aren't in it."""
    entries = route["route"]
    weights = {one["destination"]["subset"]: one.get("weight", 100 if len(entries) == 1 else 0) for one in entries}
    total = sum(weights.values())
    return {name: round(100 * weight / total) for name, weight in weights.items() if weight}


def likely(found: int, percent: float, total: int) -> bool:
    """Whether a count is within five standard deviations of its share: it fails once in a million."""
    share = percent / 100
    return abs(found - share * total) <= 5 * sqrt(total * share * (1 - share))
