"""Makes the API server answer 429 to alice: one request at a time, and someone who takes that seat."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for


@contextmanager
def _limited(control_plane: ControlPlane) -> Iterator[None]:
    """Alice gets one request at a time."""
    root, kube = "/apis/flowcontrol.apiserver.k8s.io/v1", control_plane.kube
    shares = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    level = {"type": "Limited", "limited": {**shares, "limitResponse": {"type": "Reject"}}}
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}]
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    subjects = [{"kind": "User", "user": {"name": "alice"}}]
    schema = {
        "priorityLevelConfiguration": {"name": "alice"},
        "matchingPrecedence": 2,
        "rules": [{"subjects": subjects, "resourceRules": rules, "nonResourceRules": paths}],
    }
    made = kube.create(f"{root}/prioritylevelconfigurations", {"metadata": {"name": "alice"}, "spec": level})
    kube.create(f"{root}/flowschemas", {"metadata": {"name": "alice"}, "spec": schema})
    uid, header = made["metadata"]["uid"], "X-Kubernetes-PF-PriorityLevel-UID"
    try:
        wait_for(
            lambda: kube.request("GET", "/version", user="alice").headers.get(header) == uid, "limits", within=SLOWLY
        )
        yield
    finally:
        kube.request("DELETE", f"{root}/flowschemas/alice")
        kube.request("DELETE", f"{root}/prioritylevelconfigurations/alice")


@contextmanager
def refused(control_plane: ControlPlane) -> Iterator[None]:
    """429 with Retry-After for each request of hers: the one that she may have hangs."""
    with _limited(control_plane):
        held = wait_for(lambda: _held(control_plane), "alice's seat", within=SLOWLY)
        assert held is not None
        try:
            yield
        finally:
            held.close()


def _held(control_plane: ControlPlane) -> ssl.SSLSocket | None:
    """A request whose body never comes; None where it was refused itself, since another one had the seat."""
    context = ssl.create_default_context(cafile=str(control_plane.ca))
    context.check_hostname = False
    port = int(control_plane.url.rpartition(":")[2])
    held = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30))
    head = (
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {control_plane.tokens['alice']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    held.sendall(head.encode())
    for _ in range(20):
        if control_plane.kube.request("GET", "/version", user="alice").status_code == 429:
            held.settimeout(0.2)
            try:
                held.recv(1)
            except TimeoutError:
                return held
            break
    held.close()
    return None
