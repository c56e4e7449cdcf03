"""A steady load in a worker of its own: requests leave on time, however slowly they are answered (an open loop).

It counts every request by version and status, and notes each in a file. Latency runs from the moment at which a
request was due. Who answered stands in the response's `x-version`; what got no answer at all has status 0.
"""

import asyncio
import sys
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from .children import PATIENCE, Worker
from .pipes import answer

END = b"\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nhost: shop\r\nuser-agent: canary-demo\r\n\r\n"
COLUMNS = "sent,version,status,milliseconds"


@dataclass(frozen=True)
class Tally:
    """What one version's callers met. Times are seconds since the epoch, latencies milliseconds."""

    answers: dict[str, int]
    """By HTTP status."""
    first: float
    """When the first request left."""
    last: float
    """When the last answer arrived."""
    p50: float
    p99: float

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        """Answers of 500 and above, and requests without an answer."""
        return sum(number for status, number in self.answers.items() if not 100 <= int(status) < 500)


class Load(Worker):
    """The demo's end of this worker."""

    def __init__(self, log: Path, file: Path) -> None:
        """`file` gets a line for each request."""
        super().__init__(__name__, log, file)

    def start(self, port: int, rate: float) -> None:
        """Begins to send `rate` requests a second to 127.0.0.1."""
        self.ask("start", port=port, rate=rate)

    def tally(self) -> dict[str, Tally]:
        """What was answered so far, by version."""
        return {version: Tally(**tally) for version, tally in self.ask("tally").items()}

    def stop(self) -> dict[str, Tally]:
        """Sends no more, waits for the answers that are still due, and returns all there were."""
        self.ask("stop")
        return self.tally()


@dataclass
class Met:
    """What is counted while it happens."""

    answers: Counter[int] = field(default_factory=Counter)
    first: float = float("inf")
    last: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("f"))

    def add(self, status: int, sent: float, seconds: float) -> None:
        self.answers[status] += 1
        self.first, self.last = min(self.first, sent), max(self.last, sent + seconds)
        self.latencies.append(seconds * 1000)

    def tally(self) -> Tally:
        ordered = sorted(self.latencies)
        answers = {str(status): number for status, number in self.answers.items()}
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        return Tally(answers, self.first, self.last, p50, p99)


class Generator:
    """The worker's state: one timer, the idle connections, and what was met."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.met: dict[str, Met] = {}
        self.idle: list[Connection] = []
        self.under_way = 0
        self.sent = 0
        self.timer: asyncio.TimerHandle | None = None

    def start(self, port: int, rate: float) -> None:
        self.port, self.rate, self.began = port, rate, asyncio.get_running_loop().time()
        self.epoch = time.time() - self.began
        self._send()

    def tally(self) -> dict[str, dict[str, Any]]:
        return {version: asdict(met.tally()) for version, met in self.met.items()}

    async def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        until = asyncio.get_running_loop().time() + PATIENCE / 2
        while self.under_way and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        self.file.flush()

    def note(self, version: str, status: int, due: float) -> None:
        """One request is over."""
        self.under_way -= 1
        sent, seconds = self.epoch + due, asyncio.get_running_loop().time() - due
        self.met.setdefault(version, Met()).add(status, sent, seconds)
        print(f"{sent:.3f},{version},{status},{seconds * 1000:.1f}", file=self.file)

    def _send(self) -> None:
        """Sends what is due by now, and comes back for the next one."""
        loop = asyncio.get_running_loop()
        while (due := self.began + self.sent / self.rate) <= loop.time():
            self.sent += 1
            self.under_way += 1
            if self.idle:
                self.idle.pop().send(due)
            else:
                Connection.open(self, due)
        self.timer = loop.call_at(due, self._send)


class Connection(asyncio.Protocol):
    """One keep-alive connection to Envoy, with one request at a time."""

    def __init__(self, generator: Generator, due: float) -> None:
        self.generator = generator
        self.due: float | None = due
        self.received = b""
        self.transport: asyncio.Transport | None = None

    @classmethod
    def open(cls, generator: Generator, due: float) -> None:
        """Connects, and sends the request that is waiting for it."""
        loop = asyncio.get_running_loop()
        connecting = loop.create_task(
            loop.create_connection(lambda: cls(generator, due), "127.0.0.1", generator.port)
        )
        connecting.add_done_callback(lambda task: generator.note("", 0, due) if task.exception() else None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(REQUEST)

    def send(self, due: float) -> None:
        assert self.transport is not None
        self.due, self.received = due, b""
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(END)
        if not found:
            return
        headers = head.decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in headers[1:])
        if len(body) >= int(fields["content-length"]):
            self._over(fields.get("x-version", ""), int(headers[0].split(" ")[1]))
            self.generator.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.generator.idle:
            self.generator.idle.remove(self)
        self._over("", 0)

    def _over(self, version: str, status: int) -> None:
        if self.due is not None:
            due, self.due = self.due, None
            self.generator.note(version, status, due)


async def main() -> None:
    """The worker."""
    with Path(sys.argv[1]).open("w", encoding="ascii") as file:
        print(COLUMNS, file=file)
        generator = Generator(file)
        await answer({"start": generator.start, "tally": generator.tally, "stop": generator.stop})


if __name__ == "__main__":
    asyncio.run(main())
