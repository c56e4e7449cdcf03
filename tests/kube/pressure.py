"""Makes the API server answer 429 to alice: one request at a time, and somebody who takes that seat."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for


@contextmanager
def limited(control_plane: ControlPlane) -> Iterator[None]:
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
    wait_for(
        lambda: kube.request("GET", "/version", user="alice").headers.get(header) == uid, "limits", within=SLOWLY
    )
    yield
    kube.request("DELETE", f"{root}/flowschemas/alice")
    kube.request("DELETE", f"{root}/prioritylevelconfigurations/alice")


@contextmanager
def item(control_plane: ControlPlane) -> Iterator[None]:
    """Takes it: a request whose body never comes."""
    context = ssl.create_default_context(cafile=str(control_plane.ca))
    port = int(control_plane.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        head = (
            "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {control_plane.tokens['alice']}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        secured.sendall(head.encode())
        yield
