"""Promise 12: secrets are never logged, and nothing listens beyond localhost unless it is configured to."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.envoy.conftest import start
from tests.envoy.world import World, route
from tests.parts.processes import wait_for
from tests.run.site import GATED, Run, Site

__all__ = ["start"]

SECRETS = {
    "PROMETHEUS_USERNAME": "someone",
    "PROMETHEUS_PASSWORD": "s3cret-pass",
    "PROMETHEUS_TENANT": "s3cret-tenant",
    "PROMETHEUS_HEADERS": "X-Api-Key: s3cret-key",
}
IN_THE_URL = "http://reader:s3cret-url@127.0.0.1:1"


@pytest.fixture
def site(start: Callable[..., World], tmp_path: Path) -> Iterator[Site]:
    """Envoy with one route to v1, under load."""
    with Site(start(route(cluster="v1"), checked=True), tmp_path) as built:
        yield built


def listening(run: Run) -> set[str]:
    """Addresses on which the process accepts connections, as the kernel lists them (hexadecimal)."""
    folder = Path(f"/proc/{run.process.pid}")
    held = {os.readlink(one) for one in (folder / "fd").iterdir() if one.exists()}
    inodes = {found[1] for link in held if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    rows = [line.split() for name in ("tcp", "tcp6") for line in (folder / "net" / name).read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}


@pytest.mark.parametrize("output", ["text", "json"])
def test_no_secret_is_in_any_output_or_file_and_a_run_listens_nowhere(
    site: Site, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """A Prometheus that can't be reached is reported, with its address and without what opens it.

    The run asks others, and is asked through files only.
    """
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    site.write(steps=GATED)
    run = site.run("--prometheus", IN_THE_URL, "-o", output, "--debug", "--timeout", "5s")
    wait_for(lambda: "127.0.0.1:1" in run.text, "the first words on Prometheus")
    assert listening(run) == set()
    assert run.ends() == 4
    written = run.text + site.state.read_text()
    assert "s3cret" not in written
