"""Steady requests, and what users got: the mesh's own truth. Each answer is noted when it has arrived.

An open loop: requests leave on time, however slowly they are answered.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 30.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Answer:
    """What came back for one request. Times are seconds since the epoch."""

    sent: float
    at: float
    source: str
    host: str
    status: int
    """0 where the connection went away, or nothing came within 30 s."""
    headers: Mapping[str, str]

    @property
    def workload(self) -> str:
        """Who answered; "" where no pod did."""
        return self.headers.get("x-mesh-workload", "")

    @property
    def version(self) -> str:
        return self.headers.get("x-mesh-version", "")

    @property
    def image(self) -> str:
        return self.headers.get("x-mesh-image", "")

    @property
    def pod(self) -> str:
        return self.headers.get("x-mesh-pod", "")

    @property
    def failed(self) -> bool:
        """No answer, 5xx, or a gRPC status that is 5xx in HTTP."""
        grpc = self.headers.get("grpc-status", "")
        return not 0 < self.status < 500 or grpc in ("2", "4", "12", "13", "14", "15")


@dataclass(frozen=True)
class Wanted:
    """Which requests to send: `port` is where the source's sidecar listens."""

    source: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    fresh: bool
    """Each on a connection of its own."""
    sni: str = ""
    """The server that a TLS connection asks for; without one it isn't encrypted."""

    def text(self) -> bytes:
        headers = {"host": self.host, "user-agent": "mesh", **self.headers}
        lines = [f"GET {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Load:
    """Requests at a steady rate, until it is stopped."""

    def __init__(self, generator: "Generator", wanted: Wanted) -> None:
        self.desired_version = wanted
        self._generator = generator
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Return when all answers have arrived."""
        self._generator.call(self._end())

    async def begin(self, rps: float) -> None:
        self._task = asyncio.create_task(self._run(rps))

    async def _end(self) -> None:
        self._ended.set()
        if self._task is not None:
            await self._task

    async def _run(self, rps: float) -> None:
        loop = asyncio.get_running_loop()
        start, number, flying = loop.time(), 0, set[asyncio.Task[Answer]]()
        while not self._ended.is_set():
            await asyncio.sleep(max(0.0, start + number / rps - loop.time()))
            task = asyncio.create_task(self._generator.one(self.desired_version))
            flying.add(task)
            task.add_done_callback(flying.discard)
            number += 1
        await asyncio.gather(*flying)


class Generator:
    """A thread that sends requests; all answers in the order of their arrival."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._idle: dict[int, list[Connection]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Give up what is under way, and close all connections."""
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def load(self, wanted: Wanted, rps: float) -> Load:
        """Begin with a steady load."""
        load = Load(self, wanted)
        self.call(load.begin(rps))
        return load

    def burst(self, wanted: Wanted, count: int, width: int = 8) -> list[Answer]:
        """So many requests, a few at a time; what came back, in the order in which it was sent."""

        async def all_of_them() -> list[Answer]:
            gate = asyncio.Semaphore(width)

            async def one() -> Answer:
                async with gate:
                    return await self.one(wanted)

            return list(await asyncio.gather(*(one() for _ in range(count))))

        return self.call(all_of_them())

    def call(self, what: Coroutine[Any, Any, T]) -> T:
        """Run something in the thread, and return what it returns."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(what, self._loop)
        return future.result(2 * _PATIENCE)

    async def one(self, wanted: Wanted) -> Answer:
        """Send one request, and note its answer."""
        sent = time.time()
        try:
            status, headers = await asyncio.wait_for(self._exchange(wanted), _PATIENCE)
        except (OSError, EOFError, TimeoutError):
            status, headers = 0, {}
        answer = Answer(sent, time.time(), wanted.source, wanted.host, status, headers)
        self.answers.append(answer)
        return answer

    async def _exchange(self, wanted: Wanted) -> tuple[int, dict[str, str]]:
        idle = self._idle.setdefault(wanted.port, [])
        reader, writer = idle.pop() if idle and not wanted.fresh else await _connect(wanted)
        keep = False
        try:
            writer.write(wanted.text())
            status, headers = await _answer(reader)
            keep = not wanted.fresh and headers.get("connection") != "close"
        finally:
            if keep:
                idle.append((reader, writer))
            else:
                writer.close()
        return status, headers

    async def _close(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for _, writer in (one for idle in self._idle.values() for one in idle):
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                continue


async def _connect(wanted: Wanted) -> Connection:
    if not wanted.sni:
        return await asyncio.open_connection("127.0.0.1", wanted.port)
    return await asyncio.open_connection("127.0.0.1", wanted.port, ssl=_trusting(), server_hostname=wanted.sni)


@cache
def _trusting() -> ssl.SSLContext:
    """Takes any certificate: what is looked at is where a connection goes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    else:
        await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers
