"""A mesh for each test module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.cluster import ControlPlane

from .mesh import Mesh, mesh


@pytest.fixture(scope="module")
def shared(
    control_plane: ControlPlane,
    envoy_binary: Path,
    prometheus_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    """A mesh with a Prometheus; tests keep apart by the hosts that they use."""
    namespace = control_plane.kube.create_namespace()
    folder = tmp_path_factory.mktemp("mesh")
    with mesh(control_plane, namespace, folder, envoy_binary, prometheus_binary) as made:
        yield made
    control_plane.kube.delete_namespace(namespace)
