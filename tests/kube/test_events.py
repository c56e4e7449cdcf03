"""Events on a real API server: as kubectl shows them, reported once, and given up where the cluster says no."""

import logging
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.reason import Reason
from canary.api.status import Message
from canary.engine.errors import Unreachable
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.kube.events import CONTROLLER, LONGEST_NAME, Events, EventSubject, clipped, event
from tests.controller.objects import Wire
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced
from tests.parts.processes import wait_for

NOON = datetime(2026, 3, 14, 12, 0, 0, 250_000, tzinfo=UTC)


def said(id_: str = "1", reason: str = "StepPassed", message: str = "20% passed 3 evaluations; on to 30%") -> Message:
    return Message(id=id_, reason=Reason(reason), message=message, at=NOON)


def subject(namespace: str, name: str = "reviews", uid: str = "5bd1") -> EventSubject:
    return EventSubject("v1", "ConfigMap", namespace, name, uid)


@pytest.fixture
def client(control_plane: ControlPlane) -> Any:
    connection = Connection(ClusterAccess(str(control_plane.kubeconfig())))
    yield Client(connection, 20.0, fence=unfenced)
    connection.close()


@pytest.fixture
def about(control_plane: ControlPlane, namespace: str) -> EventSubject:
    """A real object, which kubectl can describe."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = control_plane.kube.create(path, {"metadata": {"name": "reviews"}})
    return subject(namespace, uid=made["metadata"]["uid"])


def found(control_plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = control_plane.kube.read(f"/api/v1/namespaces/{namespace}/events")["items"]
    return [item for item in items if item["involvedObject"]["name"] == "reviews"]


def kubectl(control_plane: ControlPlane, namespace: str, *words: str) -> str:
    flags = [f"--kubeconfig={control_plane.kubeconfig()}", f"--namespace={namespace}"]
    done = subprocess.run(
        [control_plane.tools / "kubectl", *flags, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    ("reason", "message", "note"),
    [
        ("Promoted", "promoted: v2 serves everything", "v2 serves everything"),
        ("RolledBack", "rolled back: not done after 10m", "not done after 10m"),
        ("StepPassed", "20% passed 3 evaluations", "20% passed 3 evaluations"),
    ],
)
def test_a_message_does_not_say_its_reason_again(reason: str, message: str, note: str) -> None:
    """They stand side by side."""
    assert event(subject("shop"), said(reason=reason, message=message), "canary")["message"] == note


def test_kubectl_describe_shows_type_reason_age_source_and_message(
    control_plane: ControlPlane, client: Client, about: EventSubject
) -> None:
    """Nothing is <unknown>, as it is for Events that lack one form of time."""
    before = datetime.now(UTC) - timedelta(minutes=3)
    Events(client, lambda: about).notify([said().but(at=before, type="Warning")])
    lines = kubectl(control_plane, about.namespace, "describe", "configmap", about.name).splitlines()
    columns = lines[-1].split(maxsplit=4)
    assert columns[:2] == ["Warning", "StepPassed"]
    assert columns[2].startswith("3m")
    assert columns[3:] == [CONTROLLER, "20% passed 3 evaluations; on to 30%"]


def test_kubectl_get_events_shows_when_it_was(
    control_plane: ControlPlane, client: Client, about: EventSubject
) -> None:
    """Also for those who read the newer group, with the moment in microseconds."""
    Events(client, lambda: about, "canary-0").notify([said()])
    listed = kubectl(control_plane, about.namespace, "get", "events", "--sort-by=.lastTimestamp")
    assert "<unknown>" not in listed
    assert "configmap/reviews" in listed
    newer = control_plane.kube.read(f"/apis/events.k8s.io/v1/namespaces/{about.namespace}/events")["items"]
    one = next(item for item in newer if item["regarding"]["name"] == "reviews")
    assert one["regarding"]["uid"] == about.uid
    assert (one["reportingController"], one["reportingInstance"]) == (CONTROLLER, "canary-0")
    assert one["eventTime"] == "2026-03-14T12:00:00.250000Z"


def test_a_message_that_is_sent_twice_makes_one_event(
    control_plane: ControlPlane, client: Client, about: EventSubject
) -> None:
    """By another process too; another message of the same words makes another one."""
    Events(client, lambda: about, "canary-0").notify([said("1")])
    Events(client, lambda: about, "canary-1").notify([said("1"), said("2")])
    assert len(found(control_plane, about.namespace)) == 2


def test_a_number_that_is_given_again_after_a_crash_is_sent(
    control_plane: ControlPlane, client: Client, about: EventSubject
) -> None:
    """A decision that was reported and could not be saved doesn't hide the one that is made after the crash."""
    Events(client, lambda: about).notify(
        [said("7"), said("7", "CanaryUnavailable").but(at=NOON + timedelta(seconds=9))]
    )
    assert {one["reason"] for one in found(control_plane, about.namespace)} == {"StepPassed", "CanaryUnavailable"}


def test_a_long_message_is_taken_with_an_ellipsis(
    control_plane: ControlPlane, client: Client, about: EventSubject
) -> None:
    """The API server refuses 1025 bytes, and counts bytes, not characters."""
    Events(client, lambda: about).notify([said(message="ä" * 2000)])
    (one,) = found(control_plane, about.namespace)
    assert one["message"].endswith("ä…")
    assert 1020 < len(one["message"].encode()) <= 1024


def test_the_longest_names_are_taken(control_plane: ControlPlane, client: Client, namespace: str) -> None:
    """The name of an Event must not be longer than that of what it is about."""
    name = f"{'a' * 235}.-{'b' * 16}"
    assert len(name) == LONGEST_NAME
    Events(client, lambda: subject(namespace, name)).notify([said()])
    items = control_plane.kube.read(f"/api/v1/namespaces/{namespace}/events")["items"]
    assert [item["involvedObject"]["name"] for item in items if item["reason"] == "StepPassed"] == [name]


def test_who_may_not_write_events_goes_on_and_says_so_once(
    control_plane: ControlPlane, about: EventSubject, caplog: pytest.LogCaptureFixture
) -> None:
    """The outbox must not fill up for want of a permission; one line for all Canaries of the namespace."""
    connection, refused = Connection(ClusterAccess(str(control_plane.kubeconfig("alice")))), set[Any]()
    client = Client(connection, 20.0, fence=unfenced)
    with caplog.at_level(logging.WARNING):
        Events(client, lambda: about, refused=refused).notify([said("1"), said("2")])
        Events(client, lambda: about, refused=refused).notify([said("3")])
    connection.close()
    (line,) = caplog.messages
    assert f"alice may not create events in namespace {about.namespace}" in line


def test_a_namespace_that_ends_takes_no_more_events(
    control_plane: ControlPlane, client: Client, about: EventSubject, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither while it ends nor once it is gone can trying again help."""
    control_plane.kube.delete_namespace(about.namespace)
    path = f"/api/v1/namespaces/{about.namespace}"
    wait_for(lambda: "deletionTimestamp" in _metadata(control_plane, path), "its end", within=60)
    with caplog.at_level(logging.WARNING):
        Events(client, lambda: about).notify([said("1"), said("2")])
    assert len(caplog.messages) == 1


def _metadata(control_plane: ControlPlane, path: str) -> dict[str, Any]:
    answer = control_plane.kube.request("GET", path)
    return {"deletionTimestamp": "gone"} if answer.status_code == 404 else dict(answer.json()["metadata"])


@pytest.mark.parametrize("status", [500, 503, 504])
def test_what_may_pass_later_is_sent_again(status: int) -> None:
    """Those before it are reported; it and those after it wait for the next reconcile."""
    wire = Wire([{}, status])
    with pytest.raises(Unreachable):
        Events(Client(wire, fence=unfenced), lambda: subject("shop")).notify(
            [said("1", "Started"), said("2"), said("3")]
        )
    assert [body["reason"] for body in wire.bodies] == ["Started", "StepPassed"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_what_was_refused_keeps_nothing_else_back(status: int) -> None:
    """Or was reported before."""
    wire = Wire([status, {}])
    Events(Client(wire, fence=unfenced), lambda: subject("shop")).notify([said("1"), said("2", "Promoted")])
    assert [body["reason"] for body in wire.bodies] == ["StepPassed", "Promoted"]


def test_a_cut_never_splits_a_character() -> None:
    """Bytes are counted, characters are kept."""
    assert clipped("aä…", 6) == "aä…"
    assert clipped("aäää", 6) == "aä…"
    assert event(subject("shop"), said(), "canary")["message"] == "20% passed 3 evaluations; on to 30%"
