"""A steady load in a worker of its own: requests leave on time, however slowly they are answered (an open loop).

It counts every request by version and status, and notes each in a file. Latency runs from the moment at which a
request was due. Who answered stands in the response's `x-version`; what got no answer at all has status 0.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from .children import PATIENCE, Worker, answer

END = b"\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nhost: shop\r\nuser-agent: canary-demo\r\n\r\n"
STOPS = 5
"""How often answers are waited for; Envoy gives each request up after 15 seconds."""
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
    left: float
    """When the last request left."""
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

    def start(self, ports: Sequence[int], rate: float) -> None:
        """Begins to send `rate` requests a second to each of these ports of 127.0.0.1, at the same moments."""
        self.ask("start", ports=ports, rate=rate)

    def tally(self) -> dict[str, Tally]:
        """What was answered so far, by version."""
        return {version: Tally(**tally) for version, tally in self.ask("tally").items()}

    def stop(self) -> dict[str, Tally]:
        """Sends no more, waits for the answers that are still due, and returns all there were."""
        for _ in range(STOPS):
            if self.ask("stop") == 0:
                break
        return self.tally()


class Met(NamedTuple):
    """How one request was answered."""

    status: int
    sent: float
    seconds: float


def tallied(met: Sequence[Met]) -> Tally:
    """What there is to say of all requests of a version."""
    answers = Counter(str(one.status) for one in met)
    seconds = sorted(one.seconds for one in met)
    p50, p99 = (seconds[int(len(seconds) * share)] * 1000 for share in (0.5, 0.99))
    sent, last = [one.sent for one in met], max(one.sent + one.seconds for one in met)
    return Tally(dict(answers), first=min(sent), last=last, left=max(sent), p50=p50, p99=p99)


class Generator:
    """The worker's state: one timer, what is under way, the idle connections to Envoy by port, and what was met."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.met: dict[str, list[Met]] = {}
        self.idle: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}
        self.under_way: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.timer: asyncio.TimerHandle | None = None

    def start(self, ports: Sequence[int], rate: float) -> None:
        self.idle = {port: [] for port in ports}
        self.rate, self.began = rate, asyncio.get_running_loop().time()
        self.epoch = time.time() - self.began
        self._send()

    def tally(self) -> dict[str, dict[str, Any]]:
        return {version: asdict(tallied(met)) for version, met in self.met.items()}

    async def stop(self) -> int:
        """How many requests are still under way."""
        if self.timer is not None:
            self.timer.cancel()
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=PATIENCE / 2)
        self.file.flush()
        return len(self.under_way)

    async def _request(self, port: int, due: float) -> None:
        version, status = await self._answer(port)
        sent, seconds = self.epoch + due, asyncio.get_running_loop().time() - due
        self.met.setdefault(version, []).append(Met(status, sent, seconds))
        print(f"{sent:.3f},{version},{status},{seconds * 1000:.1f}", file=self.file)

    async def _answer(self, port: int) -> tuple[str, int]:
        """The version and status that answer one request, which has a connection of its own meanwhile."""
        try:
            reader, writer = await self._connection(port)
        except OSError:
            return "", 0
        try:
            writer.write(REQUEST)
            head = (await reader.readuntil(END)).decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:-2])
            await reader.readexactly(int(fields["content-length"]))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return "", 0
        self.idle[port].append((reader, writer))
        return fields.get("x-version", ""), int(head[0].split(" ")[1])

    async def _connection(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle[port]:
            reader, writer = self.idle[port].pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port)

    def _send(self) -> None:
        """Sends what is due by now, and comes back for the next one."""
        loop = asyncio.get_running_loop()
        while (due := self.began + self.sent / self.rate) <= loop.time():
            self.sent += 1
            for port in self.idle:
                task = loop.create_task(self._request(port, due))
                self.under_way.add(task)
                task.add_done_callback(self.under_way.discard)
        self.timer = loop.call_at(due, self._send)


async def main() -> None:
    """The worker."""
    with Path(sys.argv[1]).open("w", encoding="ascii") as file:
        print(COLUMNS, file=file)
        generator = Generator(file)
        await answer({"start": generator.start, "tally": generator.tally, "stop": generator.stop})


if __name__ == "__main__":
    asyncio.run(main())


Answers = Mapping[str, Mapping[str, int]]
"""By version and HTTP status."""


@dataclass(frozen=True)
class Counted:
    """What the three who can count have counted, once no request is under way any more."""

    load: Mapping[str, Tally]
    services: Answers
    envoy: Answers

    @property
    def agree(self) -> bool:
        """Whether they counted the same; a version can't count what it didn't answer (503 and 504, from Envoy)."""
        load = {version: tally.answers for version, tally in self.load.items()}
        reached = {version: {**answers, "503": 0, "504": 0} for version, answers in load.items()}
        met = {version: answers for version, answers in self.services.items() if answers}
        return load == _positive(self.envoy) and _positive(reached) == met


def _positive(answers: Answers) -> dict[str, dict[str, int]]:
    """Without zeros, and without those who have nothing else."""
    counted = {version: {key: n for key, n in by.items() if n} for version, by in answers.items()}
    return {version: by for version, by in counted.items() if by}
