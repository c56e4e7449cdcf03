"""Versions of a small HTTP service, all in one worker: how each behaves, and what each counts itself.

A version answers 200, or 500 where it is to fail, after a latency drawn from a lognormal distribution. It says
its name in `x-version`. Requests to /healthz are answered at once and counted nowhere. `proxy.py` stands before.
"""

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from canary.sandbox.scenarios import Behaviour

from .children import Worker, answer

Z99 = 2.326
"""The 99th percentile of the standard normal distribution."""
HEALTH = b"GET /healthz "
END = b"\r\n\r\n"
WORDS = {200: "OK", 500: "Internal Server Error"}


class Services(Worker):
    """The demo's end of this worker."""

    def __init__(self, log: Path) -> None:
        super().__init__(__name__, log)

    def open(self, version: str, behaviour: Behaviour, seed: int | None = None) -> int:
        """Starts one more version; the port on 127.0.0.1 that it answers on. Versions with the same seed give their
        first request the same answer, their second one, and so on."""
        return int(self.ask("open", version=version, behaviour=asdict(behaviour), seed=seed))

    def counts(self) -> dict[str, dict[str, int]]:
        """By version and HTTP status, the answers that it gave."""
        return dict(self.ask("counts"))


class DemoService:
    """One version, in the worker."""

    def __init__(self, version: str, behaviour: Behaviour, seed: int | None) -> None:
        self.behaviour, self.random = behaviour, random.Random(seed)
        self.answers: Counter[int] = Counter()
        self.connections: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.met = False
        body = f"{version}\n"
        head = f"x-version: {version}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        self.text = {code: f"HTTP/1.1 {code} {word}\r\n{head}".encode() for code, word in WORDS.items()}
        self.sigma = math.log(behaviour.p99 / behaviour.p50) / Z99

    async def open(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512)
        return int(self.server.sockets[0].getsockname()[1])

    def take(self) -> tuple[float, int]:
        """For one request: the seconds until it is answered, and the status."""
        if not self.met and self.behaviour.dies_after is not None:
            asyncio.get_running_loop().call_later(self.behaviour.dies_after, self.die)
        self.met = True
        drawn = self.random.lognormvariate(math.log(self.behaviour.p50), self.sigma)
        status = 500 if self.random.random() < self.behaviour.errors else 200
        return min(drawn, 3 * self.behaviour.p99) / 1000, status

    def die(self) -> None:
        """As a process that crashes: connections are refused, and what is under way is never answered."""
        if self.server is not None:
            self.server.close()
        for connection in self.connections:
            connection.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One keep-alive connection; Envoy sends the next request only after an answer."""
        self.connections.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):  # Envoy or `die` has closed it
            while True:
                request = await reader.readuntil(END)
                if request.startswith(HEALTH):
                    writer.write(self.text[200])
                    continue
                delay, status = self.take()
                await asyncio.sleep(delay)
                if reader.at_eof() or writer.is_closing():
                    break
                writer.write(self.text[status])
                self.answers[status] += 1
        self.connections.discard(writer)
        writer.close()


async def main() -> None:
    """The worker."""
    services: dict[str, DemoService] = {}

    async def open_one(version: str, behaviour: dict[str, Any], seed: int | None) -> int:
        services[version] = DemoService(version, Behaviour(**behaviour), seed)
        return await services[version].open()

    def counts() -> dict[str, Counter[int]]:
        return {version: service.answers for version, service in services.items()}

    await answer({"open": open_one, "counts": counts})


if __name__ == "__main__":
    asyncio.run(main())
