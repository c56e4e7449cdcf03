"""Clients of the control plane, as admin and as alice, who has no rights."""

from collections.abc import Callable, Iterator

import pytest

from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced

Connect = Callable[..., Client]


@pytest.fixture
def connect(control_plane: ControlPlane) -> Iterator[Connect]:
    """A client of any user; `timeout` in seconds."""
    connections: list[Connection] = []

    def start(user: str = "admin", timeout: float = 20.0) -> Client:
        connections.append(Connection(ClusterAccess(str(control_plane.kubeconfig(user)))))
        return Client(connections[-1], timeout, fence=unfenced)

    yield start
    for connection in connections:
        connection.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    """Admin's client, patient with a busy machine."""
    return connect()
