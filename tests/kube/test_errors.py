"""What a request ends with, by the API server itself: each answer becomes one error, with the words that matter."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from canary.engine.errors import CanaryError, Conflict, Invalid, Rejected, Unreachable
from canary.engine.observed import Cause
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.kube.errors import (
    ApiAnswer,
    Failure,
    Forbidden,
    Gone,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unserved,
    VersionConflict,
    translate,
)
from canary.kube.requests import delete, get, patch
from canary.kube.resources import CONFIG_MAPS, DEPLOYMENTS, Resource
from canary.routers.istio import VIRTUAL_SERVICES
from tests.kube.conftest import Connect
from tests.kube.pressure import refused
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced
from tests.parts.kube import SLOWLY
from tests.parts.patience import Stopwatch
from tests.parts.processes import wait_for

SHOP: dict[str, Any] = {
    "metadata": {"name": "shop"},
    "spec": {"hosts": ["shop"], "http": [{"route": [{"destination": {"host": "shop", "subset": "v1"}}]}]},
}
DESTINATION = "/spec/http/0/route/0/destination"


def caught(call: Any, *arguments: Any) -> Failure:
    """What the call raises."""
    with pytest.raises(Failure) as raised:
        call(*arguments)
    assert isinstance(raised.value, CanaryError)
    return raised.value


@pytest.mark.parametrize(
    ("operation", "kind", "words"),
    [
        pytest.param(
            {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}, VersionConflict,
            "isn't as it was read",
            id="another resourceVersion",
        ),
        pytest.param(
            {"op": "test", "path": DESTINATION, "value": {"host": "shop", "subset": "v2"}}, VersionConflict,
            "VirtualService shop isn't as it was read", id="another destination",
        ),
        pytest.param(
            {"op": "replace", "path": "/spec/http/7/name", "value": "x"}, VersionConflict, "the patch doesn't apply",
            id="a route that isn't there any more",
        ),
        pytest.param(
            {"op": "add", "path": "/spec/http/0/wait", "value": 1}, Refused,
            'strict decoding error: unknown field "spec.http[0].wait"', id="a field that Istio doesn't know",
        ),
        pytest.param(
            {"op": "replace", "path": "/spec/hosts", "value": 7}, Refused, "spec.hosts in body must be of type array",
            id="a wrong type",
        ),
        pytest.param(
            {"op": "add", "path": "/metadata/name", "value": "else"}, Refused, "was refused: the name of the object",
            id="what no patch may do",
        ),
    ],
)  # fmt: skip
def test_patches_of_a_virtual_service(
    client: Client, namespace: str, operation: dict[str, Any], kind: type[Failure], words: str
) -> None:
    """What isn't as it was read is a conflict; what would be wrong is refused, with the point of what was said."""
    client.create(VIRTUAL_SERVICES, namespace, SHOP)
    error = caught(client.patch, VIRTUAL_SERVICES, namespace, "shop", [operation])
    assert (type(error), words in str(error)) == (kind, True), str(error)
    assert isinstance(error, Conflict if kind is VersionConflict else Rejected)
    assert client.get(VIRTUAL_SERVICES, namespace, "shop")["spec"] == SHOP["spec"]


def test_conflicts(client: Client, namespace: str) -> None:
    """A name that is taken, and a version that has moved on."""
    made = client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "shop"}})
    version = made["metadata"]["resourceVersion"]
    assert "already exists" in str(caught(client.create, CONFIG_MAPS, namespace, {"metadata": {"name": "shop"}}))
    client.merge(CONFIG_MAPS, namespace, "shop", version, {"data": {"by": "another"}})
    stale = caught(client.merge, CONFIG_MAPS, namespace, "shop", version, {"data": {"by": "us"}})
    assert isinstance(stale, VersionConflict)
    assert client.get(CONFIG_MAPS, namespace, "shop")["data"] == {"by": "another"}


def test_what_is_not_there(client: Client, namespace: str) -> None:
    """An object, and a namespace to put one into."""
    for error, words in [
        (caught(client.get, CONFIG_MAPS, namespace, "none"), 'configmaps "none" not found'),
        (caught(client.delete, CONFIG_MAPS, namespace, "none"), 'configmaps "none" not found'),
        (caught(client.create, CONFIG_MAPS, "none", {"metadata": {"name": "x"}}), 'namespaces "none" not found'),
    ]:
        assert (type(error), error.missing.cause) == (NotFound, Cause.ABSENT)
        assert words in str(error)


def test_a_kind_that_is_not_served(client: Client, namespace: str) -> None:
    """Nothing was learned about the object: a canary isn't lost because its pods can't be asked for."""
    error = caught(client.find, Resource("example.com", "v1", "Shop", "shops"), namespace)
    assert (type(error), error.missing.cause) == (Unserved, Cause.UNAVAILABLE)
    assert "this cluster has no Shop (example.com/v1); are its CRDs installed?" in str(error)


def test_a_permission_that_is_missing(connect: Connect, namespace: str) -> None:
    """The sentence names whose, which, and where."""
    alice = connect("alice")
    error = caught(alice.find, DEPLOYMENTS, namespace)
    assert (type(error), error.missing.cause) == (Forbidden, Cause.DENIED)
    assert str(error) == f"alice may not list deployments.apps in namespace {namespace}; a Role must allow it"
    error = caught(alice.patch, VIRTUAL_SERVICES, namespace, "shop", [])
    assert f"alice may not patch virtualservices.networking.istio.io in namespace {namespace}" in str(error)
    assert alice.me() == "alice"


def test_credentials_that_are_not_taken(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """They are read again once before giving up, so a token that was renewed meanwhile works at once."""
    config = json.loads(control_plane.kubeconfig().read_text())
    path, token = tmp_path / "kubeconfig", tmp_path / "token"
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path.write_text(json.dumps(config))
    token.write_text("no one's")
    client = Client(Connection(ClusterAccess(str(path))), SLOWLY, fence=unfenced)
    error = caught(client.find, CONFIG_MAPS, namespace)
    assert (type(error), error.missing.cause) == (Unauthorized, Cause.DENIED)
    assert isinstance(error, Unreachable)
    assert client.calls.take() == {"list ConfigMap": 2}
    token.write_text(control_plane.tokens["admin"])
    client.find(CONFIG_MAPS, namespace)
    config["users"][0]["user"] = {}
    path.write_text(json.dumps(config))
    error = caught(Client(Connection(ClusterAccess(str(path))), SLOWLY, fence=unfenced).find, CONFIG_MAPS, namespace)
    assert (type(error), "no credentials" in str(error)) == (Unauthorized, True)


def test_many_threads_whose_credentials_ran_out(control_plane: ControlPlane, tmp_path: Path) -> None:
    """One of them reads new ones, for all: a credential plugin may take a second."""
    config = json.loads(control_plane.kubeconfig().read_text())
    path, asked, plugin = (tmp_path / name for name in ("kubeconfig", "asked", "plugin"))
    version = "client.authentication.k8s.io/v1"
    given = {"apiVersion": version, "kind": "ExecCredential"}
    first, later = (
        json.dumps({**given, "status": {"token": token}}) for token in ("x", control_plane.tokens["alice"])
    )
    plugin.write_text(f"echo >> {asked}; if [ $(wc -l < {asked}) = 1 ]; then echo '{first}'; else echo '{later}'; fi")
    command = {"apiVersion": version, "command": "sh", "args": [str(plugin)], "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": command}
    path.write_text(json.dumps(config))
    client = Client(Connection(ClusterAccess(str(path))), SLOWLY, fence=unfenced)
    with ThreadPoolExecutor(6) as pool:
        assert [future.result() for future in [pool.submit(client.me) for _ in range(6)]] == ["alice"] * 6
    assert len(asked.read_text().splitlines()) == 2


def test_an_admission_policy_has_its_say(client: Client, control_plane: ControlPlane, namespace: str) -> None:
    """Its words reach the user; it is no conflict, so no one tries again and again."""
    client.create(VIRTUAL_SERVICES, namespace, SHOP)
    with policy(control_plane, namespace, "no changes on Fridays"):
        operations = [{"op": "add", "path": "/metadata/labels", "value": {"day": "friday"}}]

        def denied() -> Failure | None:
            try:
                client.patch(VIRTUAL_SERVICES, namespace, "shop", operations)
            except Failure as error:
                return error
            return None

        error = wait_for(denied, "the policy", within=SLOWLY)
    assert isinstance(error, Refused)
    assert "denied request: no changes on Fridays" in str(error)


def test_a_server_with_too_much_to_do(control_plane: ControlPlane, connect: Connect, namespace: str) -> None:
    """What it asks to wait is waited, within the time that the request has; its plain text is understood."""
    admin, alice = connect(), connect("alice", timeout=3.0)
    with refused(control_plane):
        wait_for(lambda: isinstance(failed(alice, namespace), TooManyRequests), "429", within=SLOWLY)
        alice.calls.take()
        error = failed(alice, namespace)
        assert isinstance(error, TooManyRequests)
        assert error.missing.cause is Cause.UNAVAILABLE
        assert error.after is not None
        assert error.after >= 1.0  # the server asks for more the more it has refused
        assert f"asks to wait {error.after:g}s" in str(error)
        calls = alice.calls.take()["list ConfigMap"]
        assert calls == 3 if error.after == 1.0 else 1 <= calls < 3
        assert admin.find(CONFIG_MAPS, namespace, {"none": "such"}) == []


def test_a_server_that_hangs_or_is_gone(control_plane: ControlPlane, connect: Connect, namespace: str) -> None:
    """A time-out holds, once and not three times; a refused connection is reported at once; then all goes on."""
    client = connect(timeout=1.0)
    client.find(CONFIG_MAPS, namespace)
    control_plane.api_server.pause()
    wait_for(lambda: failed(client, namespace), "it to stand still", within=SLOWLY)
    began = Stopwatch()
    error = caught(client.find, CONFIG_MAPS, namespace)
    assert (type(error), error.missing.cause) == (Unavailable, Cause.TIMED_OUT)
    assert began.seconds < 2.0
    control_plane.api_server.kill()
    error = caught(client.find, CONFIG_MAPS, namespace)
    assert (type(error), error.missing.cause) == (Unavailable, Cause.REFUSED)
    assert isinstance(error, Unreachable)
    control_plane.restart_api_server()
    wait_for(lambda: failed(client, namespace) is None, "the server again", within=SLOWLY)


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        pytest.param({"server": "https://127.0.0.1:1"}, Cause.REFUSED, "Connection refused", id="no one listens"),
        pytest.param({"server": "https://nowhere.invalid"}, Cause.REFUSED, "can't be resolved", id="no such name"),
        pytest.param({"certificate-authority": None}, Cause.REFUSED, "certificate", id="another's certificate"),
        pytest.param({"server": "http"}, Cause.RUBBISH, "HTTP request to an HTTPS server", id="no TLS"),
    ],
)
def test_a_server_that_is_not_reached(
    control_plane: ControlPlane, tmp_path: Path, changed: dict[str, str | None], kind: Cause, words: str
) -> None:
    """Each way is Unreachable, and says which it was."""
    config = json.loads(control_plane.kubeconfig().read_text())
    cluster = {**config["clusters"][0]["cluster"], **changed}
    if changed.get("server") == "http":
        cluster["server"] = control_plane.url.replace("https", "http")
    config["clusters"][0]["cluster"] = {key: value for key, value in cluster.items() if value}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    error = caught(Client(Connection(ClusterAccess(str(path))), SLOWLY, fence=unfenced).me)
    assert (type(error), error.missing.cause) == (Unavailable, kind), str(error)
    assert words in str(error)


def test_something_that_is_no_api_server() -> None:
    """A redirect, a proxy's 502 and 504: nothing trustworthy was learned."""
    request = get(CONFIG_MAPS, "shop", "x")
    for status, kind in [
        (302, Cause.RUBBISH),
        (502, Cause.UNAVAILABLE),
        (504, Cause.TIMED_OUT),
    ]:
        error = translate(request, ApiAnswer(status, {}, b"<html>"))
        assert (type(error), error.missing.cause) == (Unavailable, kind)


@pytest.mark.parametrize(
    ("status", "headers", "message", "kind", "words"),
    [
        pytest.param(429, {"retry-after": "7"}, None, TooManyRequests, "asks to wait 7s", id="too many requests"),
        pytest.param(410, {}, "too old resource version: 1 (7)", Gone, "too old", id="what is known no more"),
        pytest.param(
            429, {}, "storage is (re)initializing", TooManyRequests, "asks to wait 1s",
            id="a kind that isn't served yet"
        ),
        pytest.param(
            403, {}, 'admission webhook "x" denied the request: not today', Refused, "not today", id="a webhook's 403"
        ),
        pytest.param(403, {}, "exceeded quota: pods=0", Refused, "exceeded quota", id="a quota"),
        pytest.param(
            422, {}, "the server rejected our request due to an error in our request", Refused, "due to an error",
            id="422 without causes, but not of a JSON patch",
        ),
    ],
)  # fmt: skip
def test_translations(
    status: int, headers: dict[str, str], message: str | None, kind: type[Failure], words: str
) -> None:
    """What a control plane of ours doesn't say on demand."""
    body = (
        json.dumps({"kind": "Status", "message": message}) if message else "too many requests, please try again later"
    )
    error = translate(delete(CONFIG_MAPS, "shop", "x"), ApiAnswer(status, headers, body.encode()))
    assert (type(error), words in str(error)) == (kind, True), str(error)


def test_long_words_are_cut() -> None:
    """A server may quote a whole object; a person reads its beginning."""
    status = {"message": "spec is wrong " * 1000, "details": {"name": "shop"}}
    error = translate(patch(CONFIG_MAPS, "shop", "x", []), ApiAnswer(422, {}, json.dumps(status).encode()))
    assert isinstance(error, Refused)
    assert len(str(error)) < 400


def test_the_account_of_a_pod(control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no kubeconfig is, the pod's own; its token is read again when the kubelet has renewed it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("an old one")
    (tmp_path / "ca.crt").write_bytes(control_plane.ca.read_bytes())
    (tmp_path / "namespace").write_text("shop")
    pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": control_plane.url.rpartition(":")[2]}
    connection = Connection(ClusterAccess(environment=pod, account=tmp_path))
    assert connection.namespace == "shop"
    (tmp_path / "token").write_text(control_plane.tokens["alice"])
    assert Client(connection, SLOWLY, fence=unfenced).me() == "alice"


@pytest.mark.parametrize(
    ("context", "namespace", "user", "found"),
    [
        pytest.param(None, None, "admin", "prod", id="the current context and its namespace"),
        pytest.param("other", None, "alice", "default", id="another context, which has none"),
        pytest.param("other", "shop", "alice", "shop", id="--namespace comes first"),
    ],
)
def test_the_context_of_a_kubeconfig(
    control_plane: ControlPlane, tmp_path: Path, context: str | None, namespace: str | None, user: str, found: str
) -> None:
    """As kubectl would take it, also from several files."""
    first = json.loads(control_plane.kubeconfig().read_text())
    first["contexts"][0]["context"]["namespace"] = "prod"
    second = json.loads(control_plane.kubeconfig("alice").read_text())
    second["contexts"][0]["name"] = "other"
    del second["current-context"]
    for name, config in (("first", first), ("second", second)):
        (tmp_path / name).write_text(json.dumps(config))
    both = f"{tmp_path / 'first'}:{tmp_path / 'second'}"
    connection = Connection(ClusterAccess(None, context, namespace, {"KUBECONFIG": both}))
    assert (Client(connection, SLOWLY, fence=unfenced).me(), connection.namespace) == (user, found)


def test_places_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials are the user's to mend, before anything is sent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("clusters: [")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    for place in (
        ClusterAccess(str(tmp_path / "none"), environment={}),
        ClusterAccess(str(rubbish), environment={}),
        ClusterAccess(environment=pod, account=tmp_path),
    ):
        with pytest.raises(Invalid, match="no credentials for a cluster"):
            Connection(place)


def failed(client: Client, namespace: str) -> Failure | None:
    """What reading ends with, if not with an answer."""
    try:
        client.find(CONFIG_MAPS, namespace)
    except Failure as error:
        return None if isinstance(error, Forbidden) else error
    return None


@contextmanager
def policy(control_plane: ControlPlane, namespace: str, message: str) -> Iterator[None]:
    """An admission policy that denies every update of a VirtualService in this namespace."""
    root = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    rule = {"apiGroups": ["networking.istio.io"], "apiVersions": ["*"], "operations": ["UPDATE"]}
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["virtualservices"]}]},
        "validations": [{"expression": "false", "message": message}],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {
        "policyName": namespace,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    kube = control_plane.kube
    kube.create(root, {"metadata": {"name": namespace}, "spec": spec})
    kube.create(root.replace("policies", "policybindings"), {"metadata": {"name": namespace}, "spec": binding})
    yield
    for path in (root.replace("policies", "policybindings"), root):
        kube.request("DELETE", f"{path}/{namespace}")
