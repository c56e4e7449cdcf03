"""State and people's actions in ConfigMaps, on a real API server: found again, guarded, and cleaned up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.action import CanaryAction, Verb
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.bootstrap import cluster
from canary.engine.errors import Conflict, Rejected, Unreachable, Unreadable
from canary.kube.client import Client, Stream, Wire
from canary.kube.errors import ApiAnswer, Forbidden
from canary.kube.requests import Request
from canary.kube.resources import CONFIG_MAPS
from canary.stores.configmap import FRESH, ConfigMapInbox, ConfigMapStore
from canary.stores.objects import Objects
from canary.stores.status_json import LIMIT
from tests.kube.conftest import Connect
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
STATE = "canary-virtualservice-shop"


def objects(namespace: str, canary: str = "shop") -> Objects:
    return Objects(namespace, "VirtualService", "shop", canary)


def at(phase: Phase, weight: int = 0) -> Status:
    return Status(phase=phase, canary_weight=weight)


def asked(verb: Verb, id_: str) -> CanaryAction:
    return CanaryAction(id=id_, target="shop", verb=verb, author="alice", verified=True, at=NOW)


class Flaky:
    """A wire that loses answers, not requests."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.losing = False

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        answer = self.wire.exchange(request, timeout)
        return ApiAnswer(504, {}, b"") if self.losing else answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        return self.wire.stream(request, timeout, silence)

    def renew(self) -> None:
        self.wire.renew()


def test_a_state_is_found_again(client: Client, namespace: str) -> None:
    """By another process on another machine; people find it by its labels."""
    store = ConfigMapStore(client, objects(namespace))
    assert store.load() is None
    version = store.save(at(Phase.WAITING), None)
    version = store.save(at(Phase.PROGRESSING, 20), version)
    found = ConfigMapStore(client, objects(namespace)).load()
    assert found is not None
    assert (found.status, found.version) == (at(Phase.PROGRESSING, 20), version)
    whichever = ConfigMapStore.at(client, namespace, "VirtualService", "shop")
    assert whichever is not None
    assert whichever.objects.canary == "shop"
    labels = {"app.kubernetes.io/managed-by": "canary", "canary-controller.dev/canary": "shop"}
    [listed] = client.find(CONFIG_MAPS, namespace, labels)
    assert listed["metadata"]["name"] == STATE
    assert listed["metadata"]["annotations"] == {"canary-controller.dev/target-ref": "VirtualService/shop"}


def test_a_save_takes_one_request(client: Client, namespace: str) -> None:
    """Loading another; nothing is read that is known."""
    store = ConfigMapStore(client, objects(namespace))
    client.calls.take()
    store.load()
    version = store.save(at(Phase.WAITING), None)
    assert client.calls.take() == {"get ConfigMap": 1, "create ConfigMap": 1}
    store.save(at(Phase.PROGRESSING), version)
    assert client.calls.take() == {"patch ConfigMap": 1}


@pytest.mark.parametrize("version", [None, "1", "read"])
def test_two_writers(client: Client, namespace: str, version: str | None) -> None:
    """Anyone who didn't read what is there writes nothing."""
    first, second = (ConfigMapStore(client, objects(namespace)) for _ in range(2))
    read = first.save(at(Phase.WAITING), None)
    second.load()
    latest = first.save(at(Phase.PROGRESSING, 20), read)
    with pytest.raises(Conflict, match="was saved by another run"):
        second.save(at(Phase.FAILED), read if version == "read" else version)
    found = second.load()
    assert found is not None
    assert (found.status, found.version) == (at(Phase.PROGRESSING, 20), latest)


def test_a_label_is_no_other_writer(client: Client, control_plane: ControlPlane, namespace: str) -> None:
    """What others add to the object stays, and keeps no one from saving."""
    store = ConfigMapStore(client, objects(namespace))
    version = store.save(at(Phase.WAITING), None)
    path = f"/api/v1/namespaces/{namespace}/configmaps/{STATE}"
    control_plane.kube.merge(path, {"metadata": {"labels": {"team": "shop"}}, "data": {"note": "hands off"}})
    store.save(at(Phase.PROGRESSING), version)
    found = control_plane.kube.read(path)
    assert (found["metadata"]["labels"]["team"], found["data"]["note"]) == ("shop", "hands off")


@pytest.mark.parametrize("first", [True, False], ids=["the first save", "a later one"])
def test_a_save_whose_answer_is_lost(client: Client, namespace: str, first: bool) -> None:
    """It may have happened: the next save finds our own state, and goes on from there."""
    wire = Flaky(client.wire)
    store = ConfigMapStore(Client(wire, fence=unfenced), objects(namespace))
    version = None if first else store.save(at(Phase.INITIALIZING), None)
    wire.losing = True
    for _ in range(2):
        with pytest.raises(Unreachable):
            store.save(at(Phase.WAITING), version)
    wire.losing = False
    store.save(at(Phase.PROGRESSING), version)
    found = store.load()
    assert found is not None
    assert found.status == at(Phase.PROGRESSING)


def test_a_state_that_is_deleted_in_between(client: Client, namespace: str) -> None:
    """The run knows what it was: it is made again."""
    store = ConfigMapStore(client, objects(namespace))
    version = store.save(at(Phase.WAITING), None)
    client.delete(CONFIG_MAPS, namespace, STATE)
    version = store.save(at(Phase.PROGRESSING), version)
    store.save(at(Phase.SUCCEEDED), version)


@pytest.mark.parametrize("data", [{"format": "2"}, {"format": "none"}, None])
def test_a_state_that_is_garbled_in_between(
    client: Client, control_plane: ControlPlane, namespace: str, data: dict[str, str] | None
) -> None:
    """It is left alone, and no later try can save it: a run that ends doesn't wait for one."""
    store = ConfigMapStore(client, objects(namespace))
    version = store.save(at(Phase.PROGRESSING, 20), None)
    control_plane.kube.merge(f"/api/v1/namespaces/{namespace}/configmaps/{STATE}", {"data": data})
    for _ in range(2):
        with pytest.raises(Unreadable):
            store.save(at(Phase.FAILED), version)


def test_what_may_not_be_saved_keeps_nothing_from_being_lowered(connect: Connect, namespace: str) -> None:
    """A permission that went, a namespace that ends: the same as a cluster that isn't reached."""
    with pytest.raises(Unreachable, match="alice may not create configmaps"):
        ConfigMapStore(connect("alice"), objects(namespace)).save(at(Phase.WAITING), None)
    with pytest.raises(Unreachable, match='namespaces "none" not found'):
        ConfigMapStore(connect(), objects("none")).save(at(Phase.WAITING), None)
    with pytest.raises(Forbidden, match="alice may not get configmaps"):
        ConfigMapStore(connect("alice"), objects(namespace)).load()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"format": "2", "canary": "shop", "status": "{}"}, "was written by a newer canary", id="newer"),
        pytest.param({"format": "1", "canary": "cart", "status": "{}"}, "the state of Canary cart", id="another's"),
        pytest.param({"format": "1", "canary": "shop", "status": "{"}, "status, which isn't JSON", id="cut off"),
        pytest.param({"format": "1", "canary": "shop"}, "status, which isn't JSON", id="no status"),
        pytest.param({"some": "thing"}, "it isn't canary's", id="someone's ConfigMap"),
        pytest.param(None, "it isn't canary's", id="empty"),
    ],
)
def test_what_is_no_state_of_ours(client: Client, namespace: str, data: dict[str, str] | None, words: str) -> None:
    """It is refused, and left alone."""
    client.create(CONFIG_MAPS, namespace, {"metadata": {"name": STATE}, "data": data})
    with pytest.raises(Rejected, match=words):
        ConfigMapStore(client, objects(namespace)).load()


def test_a_status_that_is_too_large(client: Client, namespace: str) -> None:
    """The oldest summaries make way; what is going on is kept."""
    summary = RolloutSummary(
        number=1,
        stable=Version(name="v1"),
        canary=Version(name="v2"),
        started=NOW,
        ended=NOW,
        outcome=Outcome.PROMOTED,
        reason=Reason.PROMOTED,
        message="ü" * 900,
    )
    history = tuple(summary.but(number=number) for number in range(10, 0, -1))
    store = ConfigMapStore(client, objects(namespace))
    store.save(at(Phase.SUCCEEDED).but(history=history), None)
    found, text = store.load(), client.get(CONFIG_MAPS, namespace, STATE)["data"]["status"]
    assert found is not None
    assert found.status.history == history[: len(found.status.history)]
    assert 12 * 1024 < len(text.encode()) <= LIMIT


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("reviews", "canary-virtualservice-reviews", id="a name"),
        pytest.param("reviews.v2", "canary-virtualservice-reviews.v2", id="with a dot"),
        pytest.param("r" * 253, f"canary-virtualservice-{'r' * 147}-b146157e2c", id="as long as names get"),
    ],
)
def test_names_of_objects(client: Client, namespace: str, target: str, expected: str) -> None:
    """Readable, stable, and always allowed by Kubernetes, as are those of actions and all labels."""
    named = Objects(namespace, "VirtualService", target, target)
    assert named.name == expected
    assert len(named.action("x" * 300)) <= 253
    assert named.action("A.b") != named.action("a.b") != named.action("a-b")
    ConfigMapStore(client, named).save(Status(), None)
    ConfigMapInbox(client, named).post(asked(Verb.PAUSE, "20260314T150926-pause-Ümläut"))
    assert len(client.find(CONFIG_MAPS, namespace, named.selector("action"))) == 1


class Reconciling:
    """A clock that goes on when it is asked to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_actions_arrive_unverified(client: Client, namespace: str) -> None:
    """No one proves who made a ConfigMap, with any text in it; the poster's own name is the server's word."""
    clock = Reconciling()
    inbox, poster = ConfigMapInbox(client, objects(namespace), clock), ConfigMapInbox(client, objects(namespace))
    assert inbox.read() == ()
    poster.post(asked(Verb.PAUSE, "20260314T150926-pause-1a2b3c"))
    poster.post(asked(Verb.PAUSE, "20260314T150926-pause-1a2b3c"))
    assert poster.author() == "admin"
    assert inbox.read() == ()
    clock.now += FRESH
    [found] = inbox.read()
    assert found == asked(Verb.PAUSE, "20260314T150926-pause-1a2b3c").but(verified=False, at=found.at)
    assert abs(datetime.now(UTC) - found.at) < timedelta(minutes=1)  # the API server's clock, not the author's


def test_what_an_inbox_has_posted_it_also_sees(client: Client, namespace: str) -> None:
    """`canary run --retry` posts right after it has read: the retry is no two seconds late. It counts once."""
    clock = Reconciling()
    inbox = ConfigMapInbox(client, objects(namespace), clock)
    assert inbox.read() == ()
    inbox.post(asked(Verb.RETRY, "a"))
    assert [one.id for one in inbox.read()] == ["a"]
    ConfigMapInbox(client, objects(namespace)).post(asked(Verb.RETRY, "b"))
    inbox.post(asked(Verb.RETRY, "b"))  # as after a lost answer: it is there already
    assert [one.id for one in inbox.read()] == ["a", "b"]
    clock.now += FRESH
    assert [one.id for one in inbox.read()] == ["a", "b"]


def test_an_inbox_that_is_asked_often(client: Client, namespace: str) -> None:
    """A run that waits looks ten times a second; the server is asked every two seconds."""
    clock = Reconciling()
    inbox = ConfigMapInbox(client, objects(namespace), clock)
    client.calls.take()
    for _ in range(50):
        inbox.read()
        clock.now += 0.1
    assert client.calls.take() == {"list ConfigMap": 3}


def test_an_inbox_that_cannot_be_read(control_plane: ControlPlane, connect: Connect, namespace: str) -> None:
    """What lay there last still counts; who wants to know why asks for an evaluation."""
    clock, client = Reconciling(), connect(timeout=1.0)
    inbox = ConfigMapInbox(client, objects(namespace), clock)
    inbox.post(asked(Verb.PAUSE, "a"))
    assert [one.id for one in inbox.read()] == ["a"]
    control_plane.api_server.kill()
    clock.now += FRESH
    assert [one.id for one in inbox.read()] == ["a"]
    with pytest.raises(Unreachable):
        inbox.look()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(lambda inside: inside.action("b"), asked(Verb.PROMOTE, "a"), id="under another's name"),
        pytest.param(lambda inside: inside.action("a"), None, id="no action at all"),
    ],
)
def test_what_is_no_action(
    client: Client, namespace: str, name: Callable[[Objects], str], text: CanaryAction | None
) -> None:
    """An id has one place, so it can't be asked twice under two names."""
    inside = objects(namespace)
    data = {"action": text.model_dump_json(by_alias=True) if text else "{}"}
    client.create(CONFIG_MAPS, namespace, {"metadata": inside.metadata(name(inside), "action"), "data": data})
    assert ConfigMapInbox(client, inside).read() == ()


def test_actions_that_were_taken_are_removed(client: Client, namespace: str) -> None:
    """An hour after they were made; what wasn't taken stays, and so does the state."""
    inbox = ConfigMapInbox(client, objects(namespace))
    ConfigMapStore(client, objects(namespace)).save(Status(), None)
    for id_ in ("taken", "waiting"):
        inbox.post(asked(Verb.PAUSE, id_))
    status, now = Status(actions_taken=("taken",)), datetime.now(UTC)
    assert inbox.remove_taken(status, now + timedelta(minutes=30)) == 0
    assert inbox.remove_taken(status, now + timedelta(minutes=61)) == 1
    inbox.look()
    assert [one.id for one in inbox.read()] == ["waiting"]
    assert inbox.remove_taken(status, now + timedelta(minutes=61)) == 0
    assert client.get(CONFIG_MAPS, namespace, STATE)["data"]["status"]


def test_a_state_that_can_not_be_read_hides_no_other(client: Client, namespace: str) -> None:
    """Its row says why; someone has edited it by hand."""
    for target in ("shop", "tea"):
        store = ConfigMapStore(client, Objects(namespace, "VirtualService", target, target))
        version = store.save(at(Phase.SUCCEEDED), None)
    client.merge(
        CONFIG_MAPS, namespace, "canary-virtualservice-tea", version, {"data": {"status": '{"phase": "Tea"}'}}
    )
    found = cluster.runs(client, namespace)
    assert [(one.name, one.status.phase) for one in found] == [("shop", Phase.SUCCEEDED), ("tea", Phase.INITIALIZING)]
    assert (
        "is not a state that can be read (wrong: phase); delete it to start from the beginning"
        in found[1].status.message
    )
