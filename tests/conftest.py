"""What every test may ask for: the real programs, each from the class that starts it in tests/parts."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.parts import envoy, missing, prometheus
from tests.parts.envoy import Envoy
from tests.parts.prometheus import Prometheus

# Two workers on a busy machine: how long one example takes says nothing.
settings.register_profile("canary", deadline=None)
settings.load_profile("canary")


@pytest.fixture(scope="session")
def prometheus_binary() -> Path:
    """Prometheus itself."""
    return prometheus.find() or missing("Prometheus", prometheus.PROVIDES)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' command for checking configuration, rules and queries."""
    return prometheus.find("promtool") or missing("promtool", prometheus.PROVIDES)


@pytest.fixture(scope="session")
def envoy_binary() -> Path:
    """Envoy itself."""
    return envoy.find() or missing("Envoy", envoy.PROVIDES)


@pytest.fixture
def start_prometheus(prometheus_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Start a Prometheus with the given `scrape_configs` (and `scrape_interval`) for this test."""
    started: list[Prometheus] = []

    def start(scrape_configs: str = "", *, scrape_interval: str = "1s") -> Prometheus:
        folder = tmp_path / f"prometheus-{len(started)}"
        part = Prometheus(prometheus_binary, folder, scrape_configs, scrape_interval=scrape_interval)
        started.append(part)
        part.start()
        return part

    yield start
    for part in started:
        part.kill()


@pytest.fixture
def start_envoy(envoy_binary: Path, tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], Envoy]]:
    """Start an Envoy with the given bootstrap for this test."""
    started: list[Envoy] = []

    def start(bootstrap: Mapping[str, Any]) -> Envoy:
        part = Envoy(envoy_binary, tmp_path / f"envoy-{len(started)}", bootstrap)
        started.append(part)
        part.start()
        return part

    yield start
    for part in started:
        part.kill()
