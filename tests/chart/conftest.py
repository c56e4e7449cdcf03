"""Helm, and the chart installed for a module's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helm import Helm
from tests.chart.release import Release, installed
from tests.incluster.conftest import shared, site
from tests.parts import cluster, missing
from tests.parts.cluster import ControlPlane

__all__ = ["shared", "site"]


@pytest.fixture(scope="session")
def helm_binary() -> Path:
    """Helm itself, which lies beside the control plane."""
    folder = cluster.find()
    if folder is None or not os.access(folder / "helm", os.X_OK):
        missing("Helm", cluster.provides())
    return folder / "helm"


@pytest.fixture
def helm(helm_binary: Path, tmp_path: Path) -> Helm:
    """Without a cluster."""
    return Helm(helm_binary, tmp_path)


@pytest.fixture(scope="module")
def release(control_plane: ControlPlane, kinds: None, helm_binary: Path) -> Iterator[Release]:
    """The chart as it comes, for all namespaces; only its Lease is shorter, for tests that wait for it."""
    with installed(control_plane, helm_binary, values={"lease": {"duration": "6s"}}) as made:
        yield made
