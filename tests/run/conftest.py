"""A site for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.envoy.conftest import start
from tests.envoy.world import World, route
from tests.run.site import Site

__all__ = ["site", "start"]


@pytest.fixture
def site(start: Callable[..., World], tmp_path: Path) -> Iterator[Site]:
    """Envoy with one route to v1, health checks on, under load."""
    with Site(start(route(cluster="v1"), checked=True), tmp_path) as built:
        yield built
