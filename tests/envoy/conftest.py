"""Starts the world of `world.py` for one test: Envoy, and a service behind each cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.world import Data, World
from tests.parts.backend import Backend


@pytest.fixture
def start(envoy_binary: Path, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start Envoy with these routes, and the services v1, v2 and v3."""
    with ExitStack() as stack:

        def started(*routes: Data, **more: Any) -> World:
            backends = {name: stack.enter_context(Backend(name)) for name in ("v1", "v2", "v3")}
            world = World(envoy_binary, tmp_path / "envoy", backends, routes, **more)
            stack.callback(world.admin.close)
            stack.callback(world.envoy.kill)
            world.envoy.start()
            return world

        yield started
