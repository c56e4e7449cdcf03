"""Helm, and the chart installed for a module's tests."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chart.helm import Helm
from tests.chart.release import Release, installed, person
from tests.chart.team import AGGREGATED, ROLES, SHOP, STATUS, Team
from tests.incluster.conftest import shared, site
from tests.parts import cluster, missing
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

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


@pytest.fixture(scope="module")
def team(release: Release) -> Iterator[Team]:
    """Bound and known; the policy is in force."""
    plane = release.control_plane
    made = Team(plane, plane.kube.create_namespace())
    plane.kube.create(made.path("canaries"), SHOP)
    plane.kube.merge(made.path("canaries", "shop/status"), {"status": STATUS})
    for who, role in {**ROLES, **AGGREGATED}.items():
        person(plane, made.namespace, who, role)
        wait_for(partial(made.may, who, "list", "canaries"), f"{who} to be bound", within=SLOWLY)
    wait_for(lambda: made.may("edit", "patch", "canaries"), "the roles to be part of edit", within=SLOWLY)
    wait_for(lambda: made.act("admin", "ada").status_code == 403, "the policy to be in force", within=SLOWLY)
    yield made
    plane.kube.delete_namespace(made.namespace)
