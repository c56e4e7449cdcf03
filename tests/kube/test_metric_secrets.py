"""Secrets of MetricTemplates on a real API server: read by name, and what is said where they can't be."""

import base64

from canary.engine.observed import Cause, Missing
from canary.kube.client import Client
from canary.metrics.secrets import ClusterSecrets
from tests.kube.conftest import Connect
from tests.parts.cluster import ControlPlane


def test_a_secret_is_read_by_name(
    control_plane: ControlPlane, connect: Connect, client: Client, namespace: str
) -> None:
    """With its values; one that is missing or forbidden is no empty one."""
    data = {"token": base64.b64encode(b"t0ken\n").decode()}
    control_plane.kube.create(
        f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "creds"}, "type": "Opaque", "data": data}
    )
    assert ClusterSecrets(client).read(namespace, "creds") == {"token": "t0ken"}
    gone = ClusterSecrets(client).read(namespace, "gone")
    assert gone == Missing(Cause.DENIED, f"the Secret gone doesn't exist in namespace {namespace}")
    forbidden = ClusterSecrets(connect("alice")).read(namespace, "creds")
    assert isinstance(forbidden, Missing)
    assert forbidden.cause is Cause.DENIED
    assert "alice may not get secrets" in forbidden.detail
