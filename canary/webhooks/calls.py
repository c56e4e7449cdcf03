"""Calls of webhooks side by side, off the critical path: a reconcile begins them, and later ones see the answers.

Threads are shared by all Canaries of a process, in queues: one for each namespace and server. So a server that hangs
delays no hook of another server, nor the hooks of other namespaces.
"""

import logging
import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from canary.api.webhooks import HookRequest
from canary.engine.errors import CanaryError
from canary.engine.observed import HookAnswer, HookCall
from canary.ports import Hooks

from .credentials import NONE, HookCredentials, SecretOf
from .exchange import HookExchange, Response

log = logging.getLogger(__name__)

MOST, PER_SERVER, SHARE = 512, 64, 16
"""Calls at a time: of a process, of one namespace to one server, and those that a namespace may have if others have
taken all."""
QUEUED = 60.0
"""Seconds that a call may wait for a thread."""
IDLE = 15.0
"""Seconds that a thread waits for another job."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts, at most."""
Refused = Callable[[str], None]
Job = tuple[Callable[[], None], Refused]
"""What to run, and what is called with the reason if it can't be run."""
QueueKey = tuple[str, str]
"""Namespace and server."""


class HookThreads:
    """Runs jobs in daemon threads, as many as are needed, up to a limit.

    A thread without a job waits a while for the next one: a reconcile that starts a thread is held up by it.
    """

    def __init__(self, most: int = MOST, per_server: int = PER_SERVER, share: int = SHARE) -> None:
        self._most, self._per_server, self._share = most, per_server, share
        self._waiting: dict[QueueKey, deque[Job]] = {}
        self._next: deque[tuple[QueueKey, Job]] = deque()
        """For the next thread that is free; each counts as busy already."""
        self._busy: Counter[QueueKey] = Counter()
        self._threads = self._idle = 0
        self._lock = threading.Condition()

    @property
    def busy(self) -> int:
        """How many are running."""
        return self._busy.total()

    def submit(self, key: QueueKey, job: Callable[[], None], refused: Refused) -> None:
        """Runs the job soon; calls `refused` instead, with the reason, where the system gives no thread."""
        with self._lock:
            self._waiting.setdefault(key, deque()).append((job, refused))
            if not self._room(key):
                return
            self._go_on(key)
            if self._idle >= len(self._next):
                self._lock.notify()
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="canary-hook", daemon=True).start()
        except RuntimeError as error:
            for _, refuse in self._left():
                refuse(str(error))

    def _left(self) -> list[Job]:
        """The jobs that no thread does, when one can't be started: also those of others that relied on it."""
        with self._lock:
            self._threads -= 1
            if self._threads:
                return []
            left = [job for _, job in self._next] + [job for jobs in self._waiting.values() for job in jobs]
            self._waiting.clear()
            self._next.clear()
            self._busy.clear()
            return left

    def _work(self) -> None:
        while taken := self._taken():
            key, (job, _) = taken
            try:
                job()
            except Exception:
                log.exception("a webhook can't be called")
            with self._lock:
                self._free(key)
                following = next(filter(self._room, self._waiting), None)
                if following is not None:
                    self._waiting[following] = self._waiting.pop(following)  # the others first, next time
                    self._go_on(following)

    def _taken(self) -> tuple[QueueKey, Job] | None:
        """None for a thread that has waited for a job long enough."""
        with self._lock:
            self._idle += 1
            there = self._lock.wait_for(lambda: self._next, IDLE)
            self._idle -= 1
            if there:
                return self._next.popleft()
            self._threads -= 1
            return None

    def _go_on(self, key: QueueKey) -> None:
        waiting = self._waiting[key]
        self._busy[key] += 1
        self._next.append((key, waiting.popleft()))
        if not waiting:
            del self._waiting[key]

    def _room(self, key: QueueKey) -> bool:
        """Whether one more may run: servers that hang in other namespaces don't take the last thread."""
        if self._busy[key] >= self._per_server:
            return False
        return self._busy.total() < self._most or self._of(key[0]) < self._share

    def _of(self, namespace: str) -> int:
        return sum(count for one, count in self._busy.items() if one[0] == namespace)

    def _free(self, key: QueueKey) -> None:
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]


@dataclass
class HookCaller:
    """What all Canaries of a process share."""

    threads: HookThreads = field(default_factory=HookThreads)
    refusal: Callable[[str], str] = lambda url: ""
    """Why a URL may not be called, in a sentence; empty where it may."""
    quoted: Callable[[str], bool] = lambda url: False
    """Whether what the server of a URL says may be shown."""
    pause: Callable[[float], None] = time.sleep

    def begin(
        self,
        namespace: str,
        call: HookCall,
        secret: SecretOf,
        wanted: Callable[[], bool],
        done: Callable[[Response], None],
        patience: float | None = None,
    ) -> None:
        """Calls in another thread; `done` is called once, unless the call isn't `wanted` any more. It waits for a
        thread for so many seconds, QUEUED if that isn't given."""
        queued, limit = time.monotonic(), QUEUED if patience is None else patience

        def job() -> None:
            if not wanted():
                return
            if time.monotonic() - queued > limit:
                done(Response(passed=False, detail=f"not called: too many others took longer than {limit:g}s"))
            else:
                done(self._attempts(call, secret, wanted))

        def refused(why: str) -> None:
            done(Response(passed=False, detail=f"not called: {why}"))

        self.threads.submit((namespace, urlsplit(call.request.url).netloc), job, refused)

    def _attempts(self, call: HookCall, secret: SecretOf, wanted: Callable[[], bool]) -> Response:
        answer = Response(passed=False, detail="not called")
        for attempt in range(call.request.retries + 1):
            if attempt:
                self.pause(min(2.0 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0))
            if not wanted():
                break
            answer = self._once(call, secret)
            if not answer.again:
                break
        return answer

    def _once(self, call: HookCall, secret: SecretOf) -> Response:
        try:
            credentials = _credentials(call.request, secret)
        except CanaryError as error:
            return Response(passed=False, detail=str(error), again=True)
        except Exception as error:  # noqa: BLE001 # a call always ends with an answer
            return Response(passed=False, detail=f"its Secret can't be read ({type(error).__name__})")
        quoted = self.quoted(call.request.url)
        exchange = HookExchange(call.request, call.payload, call.id, credentials, self.refusal, call.decides, quoted)
        return exchange.call()


def _credentials(request: HookRequest, secret: SecretOf) -> HookCredentials:
    return NONE if request.secret_ref is None else secret(request.secret_ref.name)


@dataclass
class HookCalls(Hooks):
    """The port Hooks for one Canary. `ask` is for one thread at a time."""

    caller: HookCaller
    namespace: str
    secret: SecretOf
    answered: Callable[[], None] = lambda: None
    """Called after each answer that is urgent."""
    _answers: dict[str, HookAnswer | None] = field(default_factory=dict)
    """By id; None while a call is under way."""
    _news: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, calls: Sequence[HookCall]) -> Mapping[str, HookAnswer]:
        wanted = {call.id for call in calls}
        with self._lock:
            self._news = False
            for gone in self._answers.keys() - wanted:
                del self._answers[gone]
            known = {id_: answer for id_, answer in self._answers.items() if answer is not None}
        self.begin(calls)
        return known

    def begin(self, calls: Sequence[HookCall]) -> None:
        with self._lock:
            fresh = [call for call in calls if call.id not in self._answers]
            self._answers |= dict.fromkeys((call.id for call in fresh), None)
        for call in fresh:
            self._call(call)

    def news(self) -> bool:
        return self._news

    def _call(self, call: HookCall) -> None:
        def done(response: Response) -> None:
            with self._lock:
                if call.id not in self._answers:
                    return
                self._answers[call.id] = HookAnswer(response.passed, response.detail)
                urgent = response.passed in call.urgent
                self._news = self._news or urgent
            if urgent:
                self.answered()

        self.caller.begin(self.namespace, call, self.secret, lambda: call.id in self._answers, done)

    def notify(self, call: HookCall, wanted: Callable[[], bool], done: Callable[[Response], None]) -> None:
        """A call that must be made, however long it waits for a thread, and whose answer isn't kept; `done` is called
        once, unless it isn't `wanted` any more."""
        self.caller.begin(self.namespace, call, self.secret, wanted, done, math.inf)
