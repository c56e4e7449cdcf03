"""Following a kind on a real API server, through all that goes wrong between it and us."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canary.kube import requests
from canary.kube.client import Client, ClusterAccess, Object
from canary.kube.connection import Connection
from canary.kube.errors import TooManyRequests
from canary.kube.reflector import Event, Reflector, Timing, Watch
from canary.kube.resources import CONFIG_MAPS, Resource
from canary.routers.istio import VIRTUAL_SERVICES
from tests.kube.conftest import Connect
from tests.kube.pressure import refused
from tests.kube.proxy import Proxy, proxied
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced
from tests.parts.kube import SLOWLY
from tests.parts.patience import Stopwatch
from tests.parts.processes import wait_for

QUICK = Timing(page=2, answer=5.0, longest=1.0)
MINE = "app=shop"


class Following:
    """A reflector that keeps `data.v` of ConfigMaps, and what it reported."""

    def __init__(self, client: Client, namespace: str, timing: Timing, resource: Resource = CONFIG_MAPS) -> None:
        self.reported: list[tuple[str, str | None, str | None]] = []
        self.reflector = Reflector(client, resource, value, self._tell, namespace, MINE, timing=timing)

    def wait(self, *reported: tuple[str, str | None, str | None]) -> None:
        """Until exactly this was reported since the last call, in this order."""
        wait_for(lambda: len(self.reported) >= len(reported), f"{reported}; {self.reflector.trouble}", within=SLOWLY)
        found, self.reported = self.reported, []
        assert found == list(reported)

    def synced(self) -> None:
        assert self.reflector.wait_synced(SLOWLY), self.reflector.trouble

    def _tell(self, event: Event[str]) -> None:
        if event.after == "raise":
            raise LookupError("no one home")
        self.reported.append((event.name, event.before, event.after))


def value(found: Object) -> str | None:
    """What is kept; nothing of those that say `none`, and what says `bad` can't be read."""
    said = (found.get("data") or {}).get("v")
    if said == "bad":
        raise KeyError("bad")
    return None if said == "none" else said


Follow = Callable[..., Following]


@pytest.fixture
def follow(client: Client, namespace: str) -> Iterator[Follow]:
    """Starts to follow the ConfigMaps of this test's namespace, or of another one."""
    started: list[Following] = []

    def start(by: Client = client, space: str = namespace, **more: Any) -> Following:
        started.append(Following(by, space, more.pop("timing", QUICK), **more))
        started[-1].reflector.start()
        return started[-1]

    yield start
    for each in started:
        each.reflector.stop(SLOWLY)


class Maps:
    """ConfigMaps, made and changed by someone else."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def create(self, name: str, v: str, app: str = "shop") -> Object:
        body = {"metadata": {"name": name, "labels": {"app": app}}, "data": {"v": v}}
        return self.client.create(CONFIG_MAPS, self.namespace, body)

    def change(self, name: str, v: str) -> Object:
        return self.client.patch(CONFIG_MAPS, self.namespace, name, [{"op": "add", "path": "/data/v", "value": v}])

    def delete(self, name: str) -> None:
        self.client.delete(CONFIG_MAPS, self.namespace, name)


@pytest.fixture
def maps(connect: Connect, namespace: str) -> Maps:
    """In this test's namespace, through a connection of its own."""
    return Maps(connect(), namespace)


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[Proxy]:
    """Between a reflector and the API server."""
    with proxied(int(control_plane.url.rpartition(":")[2])) as started:
        yield started


@pytest.fixture
def through(control_plane: ControlPlane, proxy: Proxy, tmp_path: Path) -> Iterator[Client]:
    """A client that the proxy carries."""
    config = json.loads(control_plane.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = tmp_path / "proxied.kubeconfig"
    path.write_text(json.dumps(config))
    connection = Connection(ClusterAccess(str(path)))
    yield Client(connection, SLOWLY, fence=unfenced)
    connection.close()


def test_what_is_needed_first_is_listed_first(client: Client, namespace: str) -> None:
    """The other one asks nothing of the server before that, and then lists as always."""
    first = Following(client, namespace, QUICK)
    second = Following(client, namespace, QUICK)
    second.reflector.start(after=(first.reflector,))
    try:
        assert not second.reflector.wait_synced(0.5)
        assert second.reflector.lists == 0
        first.reflector.start()
        second.synced()
        assert first.reflector.synced
    finally:
        for each in (first, second):
            each.reflector.stop(SLOWLY)


def test_what_is_there_and_what_happens_to_it(client: Client, follow: Follow, maps: Maps) -> None:
    """Listed in pages, then watched: created, changed, no longer kept, kept again, deleted; each is reported once."""
    for number in range(5):
        maps.create(f"m{number}", "1")
    maps.create("other", "1", app="else")
    maps.create("unkept", "none")
    client.calls.take()
    seen = follow()
    seen.synced()
    seen.wait(*((f"m{number}", None, "1") for number in range(5)))
    wait_for(lambda: seen.reflector.watches, "the watch", within=SLOWLY)
    assert client.calls.take() == {"list ConfigMap": 3, "watch ConfigMap": 1}
    maps.change("m0", "2")
    maps.change("m0", "none")
    maps.change("m0", "3")
    maps.change("unkept", "none")
    maps.create("m5", "1")
    maps.delete("m1")
    seen.wait(("m0", "1", "2"), ("m0", "2", None), ("m0", None, "3"), ("m5", None, "1"), ("m1", "1", None))
    expected = {("m0", "3"), ("m2", "1"), ("m3", "1"), ("m4", "1"), ("m5", "1")}
    assert {(name, found) for (_, name), found in seen.reflector.items(maps.namespace)} == expected
    assert seen.reflector.get(maps.namespace, "m0") == "3"
    assert [seen.reflector.get(maps.namespace, name) for name in ("m1", "other", "unkept")] == [None] * 3
    assert (seen.reflector.lists, seen.reflector.watches, seen.reflector.trouble) == (1, 1, None)


def test_all_namespaces(follow: Follow, maps: Maps, control_plane: ControlPlane) -> None:
    """One reflector for all, that tells them apart."""
    elsewhere = Maps(maps.client, control_plane.kube.create_namespace())
    maps.create("same", "here")
    seen = follow(space="")
    seen.synced()
    elsewhere.create("same", "there")
    wait_for(lambda: seen.reflector.get(elsewhere.namespace, "same"), "the other", within=SLOWLY)
    assert seen.reflector.items(maps.namespace) == [((maps.namespace, "same"), "here")]
    assert seen.reflector.items("none") == []
    assert {key[0] for key, _ in seen.reflector.items()} >= {maps.namespace, elsewhere.namespace}
    control_plane.kube.delete_namespace(elsewhere.namespace)


def test_a_watch_that_is_cut_again_and_again(follow: Follow, maps: Maps, through: Client, proxy: Proxy) -> None:
    """It watches on from where it was: nothing is lost, reported twice, or listed again."""
    maps.create("m", "0")
    seen = follow(through)
    seen.synced()
    seen.wait(("m", None, "0"))
    for number in range(5):
        wait_for(lambda at=number: seen.reflector.watches > at, "another watch", within=SLOWLY)  # type: ignore[misc]
        proxy.cut()
        maps.change("m", str(number + 1))
        seen.wait(("m", str(number), str(number + 1)))
    assert (seen.reflector.lists, seen.reflector.trouble) == (1, None)


def test_a_connection_that_died_without_a_word(follow: Follow, maps: Maps, through: Client, proxy: Proxy) -> None:
    """After some silence another is opened; as not even a bookmark came, all is listed again."""
    maps.create("m", "0")
    seen = follow(through, timing=Timing(silence=1.5, longest=1.0))
    seen.synced()
    seen.wait(("m", None, "0"))
    wait_for(lambda: seen.reflector.watches, "the watch", within=SLOWLY)
    proxy.mute()
    maps.change("m", "1")
    seen.wait(("m", "0", "1"))
    assert seen.reflector.lists >= 2


def test_a_server_that_went_and_came_back(
    follow: Follow, maps: Maps, through: Client, proxy: Proxy, control_plane: ControlPlane
) -> None:
    """Without contact what was known stays, and a sentence says why; a watch from before is too old (410), so it
    lists again, and what was deleted in between is reported as deleted."""
    maps.create("m", "0")
    maps.create("n", "0")
    seen = follow(through)
    seen.synced()
    seen.wait(("m", None, "0"), ("n", None, "0"))
    wait_for(lambda: seen.reflector.watches, "the watch", within=SLOWLY)
    proxy.refuse()
    wait_for(lambda: "Connection refused" in (seen.reflector.trouble or ""), "its trouble", within=SLOWLY)
    assert seen.reflector.get(maps.namespace, "m") == "0"
    maps.delete("m")
    maps.change("n", "1")
    control_plane.restart_api_server()
    proxy.start()
    wait_for(lambda: len(seen.reported) == 2, "what happened", within=SLOWLY)
    assert sorted(seen.reported) == [("m", "0", None), ("n", "0", "1")]
    wait_for(lambda: seen.reflector.watches > 1, "a watch", within=SLOWLY)
    assert (seen.reflector.lists, seen.reflector.trouble) == (2, None)


def test_a_frozen_server(follow: Follow, maps: Maps, control_plane: ControlPlane) -> None:
    """A request under way has its time-out; stop doesn't wait for it longer than its limit."""
    seen = follow(timing=Timing(answer=1.0, silence=1.0, longest=0.5))
    seen.synced()
    control_plane.api_server.pause()
    wait_for(lambda: "no answer" in (seen.reflector.trouble or ""), "its trouble", within=SLOWLY)
    control_plane.api_server.resume()
    maps.create("m", "0")
    seen.wait(("m", None, "0"))
    control_plane.api_server.pause()
    began = Stopwatch()
    seen.reflector.stop(0.5)
    assert began.seconds < 1.5


def test_it_ends_at_once(follow: Follow, maps: Maps) -> None:
    """Though nothing comes through the watch, and would not for minutes."""
    seen = follow()
    wait_for(lambda: seen.reflector.watches, "the watch", within=SLOWLY)
    began = Stopwatch()
    seen.reflector.stop(SLOWLY)
    assert began.seconds < 1.0
    maps.create("m", "0")
    assert seen.reported == []
    assert not seen.reflector._thread.is_alive()


def test_a_permission_that_is_missing(
    follow: Follow, maps: Maps, connect: Connect, control_plane: ControlPlane
) -> None:
    """The sentence names it; once it is granted, all goes on."""
    maps.create("m", "0")
    seen = follow(connect("alice"))
    wait_for(lambda: seen.reflector.trouble, "its trouble", within=SLOWLY)
    assert (seen.reflector.trouble or "").startswith("alice may not list configmaps in ")
    assert not seen.reflector.synced
    allow(control_plane, maps.namespace, "list")
    wait_for(lambda: "may not watch configmaps" in (seen.reflector.trouble or ""), "watch", within=SLOWLY)
    allow(control_plane, maps.namespace, "watch")
    seen.synced()
    wait_for(lambda: seen.reflector.trouble is None, "no trouble", within=SLOWLY)
    maps.change("m", "1")
    seen.wait(("m", None, "0"), ("m", "0", "1"))


def test_a_server_with_too_much_to_do(
    follow: Follow, maps: Maps, connect: Connect, control_plane: ControlPlane
) -> None:
    """It waits as long as the server asks, says so, and goes on when there is room again."""
    maps.create("m", "0")
    allow(control_plane, maps.namespace, "list")
    allow(control_plane, maps.namespace, "watch")
    alice = connect("alice")
    with refused(control_plane):
        wait_for(lambda: throttled(alice, maps.namespace), "429", within=SLOWLY)
        seen = follow(alice, timing=Timing(answer=2.5, longest=0.1))
        wait_for(lambda: "asks to wait 1s" in (seen.reflector.trouble or ""), "its trouble", within=SLOWLY)
        began = time.monotonic()
        alice.calls.take()
        wait_for(alice.calls.take, "another try", within=SLOWLY)
        assert time.monotonic() - began > 0.5
    seen.synced()
    seen.wait(("m", None, "0"))


def test_a_kind_that_is_not_served(follow: Follow) -> None:
    """A sentence says which CRDs are missing."""
    seen = follow(resource=Resource("example.com", "v1", "Shop", "shops"))
    wait_for(lambda: "has no Shop" in (seen.reflector.trouble or ""), "its trouble", within=SLOWLY)


def test_our_own_writes_are_read_at_once(follow: Follow, maps: Maps) -> None:
    """And reported when the watch has seen them, with what someone else changed just before."""
    maps.create("m", "0")
    seen = follow()
    seen.synced()
    seen.wait(("m", None, "0"))
    for number in range(20):
        maps.change("m", f"{number} by another")
        seen.reflector.put(maps.change("m", str(number + 1)))
        assert seen.reflector.get(maps.namespace, "m") == str(number + 1)
    wait_for(lambda: seen.reported and seen.reported[-1][2] == "20", "the last", within=SLOWLY)
    befores, afters = [before for _, before, _ in seen.reported], [after for *_, after in seen.reported]
    assert befores == ["0", *afters[:-1]]


def test_an_exception_is_logged(follow: Follow, maps: Maps, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it is reported or asked what to keep; no one else notices, and what can't be read stays as it was."""
    maps.create("m", "0")
    seen = follow()
    seen.synced()
    maps.change("m", "raise")
    maps.change("m", "1")
    maps.change("m", "bad")
    maps.create("n", "1")
    seen.wait(("m", None, "0"), ("m", "raise", "1"), ("n", None, "1"))
    assert seen.reflector.get(maps.namespace, "m") == "1"
    assert [message for message in caplog.messages if "handling the change of" in message] != []
    assert [message for message in caplog.messages if "can't be read, and stays as it was" in message] != []


def test_a_bookmark_moves_it_on(client: Client, follow: Follow, maps: Maps) -> None:
    """What happens to others of the kind costs no list later: the watch goes on from the bookmark."""
    seen = follow(timing=Timing(watch=(6, 6)))
    wait_for(lambda: seen.reflector.watches, "the watch", within=SLOWLY)
    made = int(maps.create("other", "1", app="else")["metadata"]["resourceVersion"])
    wait_for(lambda: int(seen.reflector.version) >= made, "a bookmark", within=SLOWLY)
    assert (seen.reported, seen.reflector.lists) == ([], 1)


def test_a_version_that_is_too_old(client: Client, control_plane: ControlPlane, namespace: str) -> None:
    """The watch says Gone, whether by its answer or by an event."""
    control_plane.restart_api_server()
    watch = Watch(client, requests.watch(VIRTUAL_SERVICES, namespace, "1", 30), 30.0)
    with pytest.raises(Exception, match="too old resource version") as raised:
        next(iter(watch.events()))
    assert type(raised.value).__name__ == "Gone"


def throttled(client: Client, namespace: str) -> bool:
    """Whether the server has too much to do for this user."""
    try:
        replace(client, timeout=0.5).find(CONFIG_MAPS, namespace)
    except TooManyRequests:
        return True
    return False


def allow(control_plane: ControlPlane, namespace: str, verb: str) -> None:
    """Alice may do this with ConfigMaps."""
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": [verb]}]
    control_plane.kube.create(f"{root}/roles", {"metadata": {"name": verb}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": verb}
    body = {"metadata": {"name": verb}, "subjects": [{"kind": "User", "name": "alice"}], "roleRef": ref}
    control_plane.kube.create(f"{root}/rolebindings", body)
