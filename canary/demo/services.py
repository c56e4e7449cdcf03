"""Versions of a small HTTP service, all in one worker: how each behaves, and what each counts itself.

A version answers 200, or 500 where it is to fail, after a latency drawn from a lognormal distribution. It says
its name in `x-version`. Requests to /healthz are answered at once and counted nowhere. `proxy.py` stands before.
"""

import asyncio
import math
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canary.sandbox.scenarios import Behaviour

from .children import Worker
from .pipes import answer

Z99 = 2.326
"""The 99th percentile of the standard normal distribution."""
HEALTH = b"GET /healthz "
END = b"\r\n\r\n"
WORDS = {200: "OK", 500: "Internal Server Error"}


class Services(Worker):
    """The demo's end of this worker."""

    def __init__(self, log: Path) -> None:
        super().__init__(__name__, log)

    def open(self, version: str, behaviour: Behaviour) -> int:
        """Starts one more version; the port on 127.0.0.1 that it answers on."""
        port: int = self.ask("open", version=version, behaviour=asdict(behaviour))
        return port

    def counts(self) -> dict[str, dict[str, int]]:
        """By version and HTTP status, the answers that it gave."""
        counts: dict[str, dict[str, int]] = self.ask("counts")
        return counts


class Service:
    """One version, in the worker."""

    def __init__(self, version: str, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.answers: Counter[int] = Counter()
        self.connections: set[Connection] = set()
        self.server: asyncio.Server | None = None
        self.met = False
        body = f"{version}\n"
        head = f"x-version: {version}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        self.text = {code: f"HTTP/1.1 {code} {word}\r\n{head}".encode() for code, word in WORDS.items()}
        self.sigma = math.log(behaviour.p99 / behaviour.p50) / Z99

    async def open(self) -> int:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0, backlog=512)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def take(self) -> tuple[float, int]:
        """For one request: the seconds until it is answered, and the status."""
        if not self.met and self.behaviour.dies_after is not None:
            asyncio.get_running_loop().call_later(self.behaviour.dies_after, self.die)
        self.met = True
        drawn = random.lognormvariate(math.log(self.behaviour.p50), self.sigma)
        status = 500 if random.random() < self.behaviour.errors else 200
        return min(drawn, 3 * self.behaviour.p99) / 1000, status

    def die(self) -> None:
        """As a process that crashes: nobody listens any more, and what is under way is never answered."""
        if self.server is not None:
            self.server.close()
        for connection in tuple(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One keep-alive connection; Envoy sends the next request only after an answer."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: asyncio.Transport | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.service.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while END in self.received:
            request, _, self.received = self.received.partition(END)
            self._request(request)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def _request(self, request: bytes) -> None:
        if request.startswith(HEALTH):
            self._write(200)
            return
        delay, status = self.service.take()
        asyncio.get_running_loop().call_later(delay, self._respond, status)

    def _respond(self, status: int) -> None:
        if self._write(status):
            self.service.answers[status] += 1

    def _write(self, status: int) -> bool:
        if self.transport is None:
            return False
        self.transport.write(self.service.text[status])
        return True


async def main() -> None:
    """The worker."""
    services: dict[str, Service] = {}

    async def open_one(version: str, behaviour: dict[str, Any]) -> int:
        services[version] = Service(version, Behaviour(**behaviour))
        return await services[version].open()

    def counts() -> dict[str, Counter[int]]:
        return {version: service.answers for version, service in services.items()}

    await answer({"open": open_one, "counts": counts})


if __name__ == "__main__":
    asyncio.run(main())
