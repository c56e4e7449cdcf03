"""A mesh for each test module, and podinfo again in it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mesh.conftest import shared
from tests.mesh.mesh import Mesh
from tests.parts.cluster import ControlPlane
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import PodinfoSite

__all__ = ["shared", "site"]


@pytest.fixture
def site(shared: Mesh, control_plane: ControlPlane, tmp_path: Path) -> Iterator[PodinfoSite]:
    """The Deployment podinfo with two pods of the first build; its own Service sends it 60 requests a second."""
    made = PodinfoSite(shared, control_plane.kubeconfig("admin"), tmp_path)
    made.forget()
    made.begin()
    yield made
    made.end()


@pytest.fixture(scope="module")
def one_site(
    shared: Mesh, kinds: None, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlledSite]:
    made = ControlledSite(shared, control_plane.kubeconfig("admin"), tmp_path_factory.mktemp("controlled"))
    yield made
    made.end()


@pytest.fixture
def bare(one_site: ControlledSite) -> Iterator[ControlledSite]:
    """podinfo, its Service and its users; no Canary and no controller yet."""
    one_site.begin()
    yield one_site
    one_site.stop()


@pytest.fixture
def resting(one_site: ControlledSite) -> ControlledSite:
    """A controller, and a Canary at rest that earlier tests may have had rollouts of; again where one has failed."""
    one_site.rest()
    return one_site
