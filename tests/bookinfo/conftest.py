"""A mesh for each test module, and bookinfo again in it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bookinfo.site import Site
from tests.mesh.conftest import bookinfo_in_use, shared
from tests.mesh.mesh import Mesh
from tests.parts.cluster import ControlPlane

__all__ = ["shared", "site"]


@pytest.fixture
def site(shared: Mesh, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """Everything to v1, three versions with two pods each, 60 requests a second; nothing has run yet."""
    made = Site(shared, control_plane.kubeconfig("admin"), tmp_path)
    made.forget()
    with bookinfo_in_use(shared):
        yield made
    made.stop()
