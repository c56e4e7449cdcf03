"""The example files, as they are: a real Envoy starts with them, and a rollout goes up and back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.engine.observed import RouteSeen, WorkloadSeen
from canary.envoy.admin import Admin
from canary.routers.envoy import EnvoyRouter
from canary.workloads.envoy import EnvoyWorkloads
from tests.parts.backend import Backend
from tests.parts.processes import Child, free_port, get, wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "envoy"


@pytest.fixture
def folder(envoy_binary: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the example with free ports, Envoy started by the command that stands in it, and both services."""
    shutil.copytree(EXAMPLE, tmp_path / "envoy")
    with ExitStack() as stack:
        services = [stack.enter_context(Backend(name)) for name in ("v1", "v2")]
        ports = {"8001": services[0].port, "8002": services[1].port, "9901": free_port(), "8080": free_port()}
        for name in ("bootstrap.yaml", "canary.yaml"):
            text = (tmp_path / "envoy" / name).read_text()
            for old, new in ports.items():
                text = text.replace(old, str(new))
            (tmp_path / "envoy" / name).write_text(text)
        (tmp_path / "envoy" / "port").write_text(str(ports["8080"]))
        line = next(one for one in (EXAMPLE / "bootstrap.yaml").read_text().splitlines() if "envoy -c" in one)
        command = line.removeprefix("#").split()[1:]
        script = 'cd "$0" && exec "$@" --disable-hot-restart'
        argv: list[str | Path] = ["/bin/sh", "-c", script, tmp_path / "envoy", envoy_binary, *command]
        child = Child(argv, tmp_path / "output")
        stack.callback(child.kill)
        ready = f"http://127.0.0.1:{ports['9901']}/ready"
        wait_for(lambda: get(ready) == (200, "LIVE\n"), "Envoy to be live", child=child)
        yield tmp_path / "envoy"


def test_the_example_serves_moves_and_comes_back(folder: Path) -> None:
    """With the paths and names of the manifest."""
    spec = Canary.model_validate(YAML(typ="safe").load(folder / "canary.yaml")).spec
    assert spec.envoy is not None
    assert spec.version is not None
    admin = Admin(spec.envoy.admin)
    router, before = EnvoyRouter.of(spec, admin, folder), (folder / spec.envoy.routes).read_bytes()
    workloads = EnvoyWorkloads(admin)
    wait_for(lambda: workloads.read("v2") == WorkloadSeen("v2", 1, 1), "v2 to be healthy")
    url = f"http://127.0.0.1:{(folder / 'port').read_text()}/"
    for traffic, answer in ((Traffic(weight=100), "v2"), (Traffic(weight=5), None), (Traffic(), "v1")):
        seen = router.read("v1", spec.version)
        assert isinstance(seen, RouteSeen)
        assert seen.rejected is None
        router.write("v1", spec.version, traffic, seen.token)
        wait_for(lambda traffic=traffic: getattr(router.read("v1", "v2"), "traffic", None) == traffic, "the route")  # type: ignore[misc]
        assert answer is None or get(url) == (200, answer)
    assert (folder / spec.envoy.routes).read_bytes() == before
    refused(folder, router)
    admin.close()


def refused(folder: Path, router: EnvoyRouter) -> None:
    """A misspelt field is refused, and the log that the manifest names has the words."""
    file = folder / "rds" / "routes.yaml"
    (folder / "new").write_text(file.read_text().replace("timeout: 5s", "time_out: 5s"))
    os.replace(folder / "new", file)
    wait_for(lambda: "time_out" in (getattr(router.read("v1", "v2"), "rejected", None) or ""), "Envoy's words")
