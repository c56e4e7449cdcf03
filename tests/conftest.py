"""What every test may ask for: the real programs, each from the class that starts it in tests/parts."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from canary.api.kinds import KINDS
from canary.crds.definitions import text
from tests.examples import examples
from tests.parts import cluster, envoy, missing, modules, prometheus
from tests.parts.cluster import ControlPlane
from tests.parts.envoy import Envoy
from tests.parts.prometheus import Prometheus

# Two workers on a busy machine: how long one example takes says nothing.
settings.register_profile("canary", deadline=None, max_examples=examples(100))
settings.load_profile("canary")


PARTS = frozenset({"prometheus_binary", "promtool", "envoy_binary", "helm_binary"})
"""Fixtures that start a real program outside of a cluster."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a real program, and properties, so that a target can choose: these marks are never by hand.

    What needs a cluster comes first: the few of `make test` are in one worker then, and only that starts a cluster.
    """
    for item in items:
        needs = set(getattr(item, "fixturenames", ()))
        if "control_plane" in needs:
            item.add_marker("cluster")
        if needs & PARTS:
            item.add_marker("parts")
        if generates(getattr(item, "obj", None)):
            item.add_marker("property")
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)


def generates(test: object) -> bool:
    """The test, or a function in it, runs with generated examples."""
    inner = getattr(getattr(test, "__code__", None), "co_names", ())
    return getattr(test, "is_hypothesis_test", False) or "given" in inner


class Failures:
    """Names each failure when it happens: the summary comes at the end, which a run that is cut off doesn't reach."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            why = next((line for line in report.longreprtext.splitlines() if line.startswith("E ")), "")
            self._terminal.ensure_newline()
            self._terminal.write_line(f"{report.when} failed: {report.nodeid} {why.removeprefix('E').strip()}"[:300])


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(config.pluginmanager.getplugin("terminalreporter")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what passing tests have recorded, such as how many states were explored."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


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


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes control plane with three nodes, and Istio's and Gateway API's kinds, for all tests of a worker."""
    tools = cluster.find() or missing("The Kubernetes control plane", cluster.provides())
    part = ControlPlane(tools, tmp_path_factory.mktemp("control-plane"))
    try:
        part.start()
        yield part
    finally:
        part.kill()


@pytest.fixture(scope="session")
def kinds(control_plane: ControlPlane) -> None:
    """The control plane serves canary's own kinds."""
    control_plane.kube.create_crds(text(kind) for kind in KINDS)


@pytest.fixture(scope="session")
def scaled_objects(control_plane: ControlPlane) -> None:
    """The control plane serves KEDA's ScaledObjects; nothing scales by them."""
    control_plane.kube.create_crds([modules.scaled_objects()])


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace for this test; after it, all that the test has killed or frozen runs again."""
    name = control_plane.kube.create_namespace()
    yield name
    control_plane.mend()
    control_plane.kube.delete_namespace(name)
