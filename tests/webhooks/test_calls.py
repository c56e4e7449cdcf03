"""Calls off the critical path: begun once, answered later, and no hook in the way of another."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from canary.api.webhooks import HookRequest, HookSecret
from canary.engine.errors import Rejected
from canary.engine.observed import HookAnswer, HookCall
from canary.metrics.secrets import FolderSecrets, NoSecrets
from canary.metrics.sources import Allowed
from canary.webhooks import calls
from canary.webhooks.calls import HookCaller, HookCalls, HookThreads
from canary.webhooks.credentials import HookCredentials, folder_secrets
from tests.parts.processes import wait_for
from tests.webhooks.server import HookServer, Reply, serve

no_secrets = folder_secrets(NoSecrets())
BOTH = frozenset({True, False})


@pytest.fixture
def server() -> Iterator[HookServer]:
    with serve() as found:
        yield found


def call(url: str, id_: str = "1", urgent: frozenset[bool] = BOTH, **more: Any) -> HookCall:
    request = HookRequest(url=url, timeout=timedelta(seconds=5), **more)
    return HookCall(id_, request, {"name": "web"}, urgent)


def answer(hooks: HookCalls, *asked: HookCall) -> dict[str, HookAnswer]:
    """All answers, once they are there."""
    found: dict[str, HookAnswer] = {}

    def complete() -> bool:
        found.update(hooks.ask(asked))
        return len(found) == len(asked)

    wait_for(complete, "the answers")
    return found


def of(caller: HookCaller, **more: Any) -> HookCalls:
    return HookCalls(caller, "test", more.pop("secret", no_secrets), **more)


def test_asking_doesnt_wait_and_calls_once(server: HookServer) -> None:
    """Also where many reconciles ask; an answer is given until the call isn't asked for any more."""
    go, woken = threading.Event(), threading.Event()

    def late() -> Reply:
        go.wait(10)
        return Reply(202)

    server.replies["/"] = late
    hooks, asked = of(HookCaller(), answered=woken.set), call(f"{server.url}/")
    assert [hooks.ask([asked]) for _ in range(5)] == [{}] * 5
    wait_for(lambda: server.posted, "the call")
    assert not hooks.news()
    go.set()
    assert woken.wait(10)
    assert hooks.news()
    assert [hooks.ask([asked]) for _ in range(3)] == [{"1": HookAnswer(passed=True, detail="HTTP 202")}] * 3
    assert not hooks.news()
    assert hooks.ask([]) == {}
    assert len(server.posted) == 1


def test_only_urgent_answers_wake(server: HookServer) -> None:
    """A thousand load tests must not lead to a thousand reconciles."""
    woken: list[str] = []
    hooks = of(HookCaller(), answered=lambda: woken.append("now"))
    answer(hooks, call(server.url, urgent=frozenset()), call(server.url, "2", urgent=frozenset({False})))
    assert (woken, hooks.news()) == ([], False)
    answer(hooks, call(server.url, "3", urgent=frozenset({True})))
    assert woken == ["now"]


def test_retries(server: HookServer) -> None:
    """With pauses that double, each shortened by chance; the last answer counts."""
    pauses: list[float] = []
    server.replies["/"] = Reply(503)
    found = answer(of(HookCaller(pause=pauses.append)), call(f"{server.url}/", retries=7))
    assert found == {"1": HookAnswer(passed=False, detail="HTTP 503")}
    assert len(server.posted) == 8
    assert all(top / 2 <= one <= top for one, top in zip(pauses, (1, 2, 4, 8, 16, 30, 30), strict=True))
    assert len({one.headers["Idempotency-Key"] for one in server.posted}) == 1
    server.replies["/"] = Reply(403)
    answer(of(HookCaller(pause=pauses.append)), call(f"{server.url}/", "2", retries=7))
    assert (len(server.posted), len(pauses)) == (9, 7)


def test_an_abandoned_call_isnt_tried_again(server: HookServer) -> None:
    """The rollout went on without it."""
    server.replies["/"] = Reply(500)

    def abandon(_: float) -> None:
        hooks.ask([])

    hooks = of(caller := HookCaller(pause=abandon))
    hooks.ask([call(f"{server.url}/", retries=50)])
    wait_for(lambda: server.posted and not caller.threads.busy, "the end of the call")
    assert len(server.posted) == 1


def test_credentials_are_read_for_each_attempt(server: HookServer, tmp_path: Path) -> None:
    """So a Secret that is made or corrected meanwhile is used; what is wrong with one is the answer."""
    reads: list[str] = []

    def secret(name: str) -> HookCredentials:
        reads.append(name)
        if len(reads) == 1:
            raise Rejected("its Secret may not be read")
        return HookCredentials({"token": b"x"})

    asked = call(f"{server.url}/", retries=1, secret_ref=HookSecret(name="mine"))
    assert answer(of(HookCaller(pause=lambda _: None), secret=secret), asked)["1"].passed
    assert (reads, server.posted[0].headers["Authorization"]) == (["mine", "mine"], "Bearer x")
    bare = call(f"{server.url}/", secret_ref=HookSecret(name="mine"))
    assert answer(of(HookCaller()), bare)["1"].detail.startswith("there is no cluster to read the Secret mine from")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/token").write_text("y\n")
    assert answer(of(HookCaller(), secret=folder_secrets(FolderSecrets(tmp_path))), bare)["1"].passed
    assert server.posted[-1].headers["Authorization"] == "Bearer y"


def test_a_url_outside_of_the_list(server: HookServer) -> None:
    """The controller's list of addresses holds for hooks as well."""
    allowed = Allowed((f"{server.url}/hooks",))
    caller = HookCaller(refusal=allowed.hook_refusal, quoted=allowed.names_hook)
    server.replies |= {"/hooks/a?b=c": Reply(403, b"said so"), "/other": Reply(200)}
    found = answer(of(caller), call(f"{server.url}/hooks/a?b=c"), call(f"{server.url}/other", "2"))
    assert found["1"].detail == "HTTP 403: said so"
    assert found["2"].detail == (
        f"{server.url}/other may not be called; to allow it, add it to the controller's --allowed-metrics-servers "
        "(Helm value allowedMetricsServers)"
    )
    assert server.on("/other") == []
    assert Allowed(everything=True).hook_refusal("http://any/?x") == ""
    assert Allowed(everything=True).hook_refusal("file:///etc/passwd") == "its URL can't be called"
    assert Allowed(("http://a/",)).hook_refusal("http://a@b/") != ""


def test_a_server_that_hangs_delays_no_other(server: HookServer) -> None:
    """Nor the hooks of another namespace on the same server; its own wait in line."""
    release = threading.Event()

    def hang() -> Reply:
        release.wait(20)
        return Reply()

    threads = HookThreads(most=6, per_server=3)
    with serve() as bad:
        bad.replies["/"] = hang
        caller = HookCaller(threads)
        stuck = [of(caller) for _ in range(9)]
        for hooks in stuck:
            hooks.ask([call(f"{bad.url}/")])
        wait_for(lambda: len(bad.posted) == 3, "three calls")
        assert answer(of(caller), call(server.url))["1"].passed
        elsewhere = HookCalls(caller, "other", no_secrets)
        assert answer(elsewhere, call(f"{bad.url}/quick"))["1"].passed
        assert len(bad.on("/")) == 3
        release.set()
        for hooks in stuck:
            assert answer(hooks, call(f"{bad.url}/"))["1"].passed
    wait_for(lambda: not threads.busy, "all threads to end")


def test_one_namespace_cant_take_all_threads(server: HookServer) -> None:
    """However many servers hang there."""
    release = threading.Event()

    def hang() -> Reply:
        release.wait(20)
        return Reply()

    threads = HookThreads(most=4, per_server=2, share=1)
    caller = HookCaller(threads)
    with serve() as first, serve() as second:
        for bad in (first, second):
            bad.replies["/"] = hang
            for _ in range(3):
                of(caller).ask([call(bad.url)])
        wait_for(lambda: len(first.posted) == len(second.posted) == 2, "four calls")
        for _ in range(3):
            assert answer(HookCalls(caller, "other", no_secrets), call(server.url))["1"].passed
        assert threads.busy <= 5
        release.set()
        wait_for(lambda: len(first.posted) == len(second.posted) == 3, "the calls that waited")
    wait_for(lambda: not threads.busy, "all threads to end")


def test_a_call_that_waited_too_long(monkeypatch: pytest.MonkeyPatch, server: HookServer) -> None:
    """It has an answer, though it was never sent."""
    monkeypatch.setattr(calls, "QUEUED", -1.0)
    assert answer(of(HookCaller()), call(server.url))["1"].detail.startswith("not called: ")
    assert server.posted == []


def test_a_thread_waits_for_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls one after the other take one thread, which ends when none has come for a while."""
    monkeypatch.setattr(calls, "IDLE", 0.3)
    threads, used = HookThreads(), set[int]()
    for _ in range(5):
        threads.submit(("test", "server"), lambda: used.add(threading.get_ident()), pytest.fail)
        wait_for(lambda: not threads.busy, "the job")
    assert len(used) == 1
    wait_for(lambda: not any(one.ident in used for one in threading.enumerate()), "the thread to end")
    threads.submit(("test", "server"), lambda: used.add(0), pytest.fail)
    wait_for(lambda: 0 in used, "a job of a new thread")


def test_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives none: an answer as well, and the next call is tried."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    caller = HookCaller()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert of(caller).ask([call("http://127.0.0.1:1/")]) == {}
        hooks = of(caller)
        hooks.ask([call("http://127.0.0.1:1/")])
        assert hooks.ask([call("http://127.0.0.1:1/")])["1"].detail == "not called: can't start new thread"
    assert answer(of(caller), call("http://127.0.0.1:1/"))["1"].detail == "connection refused"


def test_no_thread_for_two_calls_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each relies on the other's thread, and both are answered."""
    threads, refused, start = HookThreads(), list[str](), threading.Thread.start

    def submit(name: str) -> None:
        threads.submit(("test", name), lambda: None, lambda why: refused.append(f"{name}: {why}"))

    def refuse(self: threading.Thread) -> None:
        if len(begun) < 2:
            begun.append(self)
            submit(f"call {len(begun)}")  # between the decision to start a thread and the refusal of it
        raise RuntimeError("none")

    begun: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    submit("call 0")
    assert sorted(refused) == ["call 0: none", "call 1: none", "call 2: none"]
    monkeypatch.setattr(threading.Thread, "start", start)
    threads.submit(("test", "server"), lambda: refused.append("run"), pytest.fail)
    wait_for(lambda: "run" in refused, "a job of a new thread")


def test_many(server: HookServer) -> None:
    """Each call is answered, however many there are."""
    caller = HookCaller(HookThreads(most=16, per_server=8))
    fleet = [HookCalls(caller, f"n{index % 3}", no_secrets) for index in range(100)]

    def asked(index: int) -> list[HookCall]:
        return [call(f"{server.url}/{index}/{one}", one) for one in "ab"]

    for index, hooks in enumerate(fleet):
        hooks.ask(asked(index))
    for index, hooks in enumerate(fleet):
        assert {one.detail for one in answer(hooks, *asked(index)).values()} == {"HTTP 200"}
    assert len({one.path for one in server.posted}) == len(server.posted) == 200
