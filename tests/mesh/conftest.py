"""A mesh for each test module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.cluster import ControlPlane

from . import bookinfo
from .mesh import Mesh, mesh


@contextmanager
def bookinfo_in_use(mesh: Mesh) -> Iterator[None]:
    """Bookinfo again: everything to v1, three versions of reviews with two pods each, 60 requests a second."""
    mesh.apply(*bookinfo.objects())
    mesh.ready("reviews-v1", "reviews-v2", "reviews-v3")
    load = mesh.load("reviews", 60)
    yield
    load.stop()


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
