"""The files of examples/bookinfo and examples/ci on a real API server, in a hurry and on a slow machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.exit_codes import Exit
from tests.bookinfo.site import NAME, Site
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh
from tests.parts.cluster import ControlPlane

EXAMPLES = Path(__file__).parents[2] / "examples"
OBJECTS = (EXAMPLES / "bookinfo/bookinfo.yaml").read_text()
POLICIES = {"PeerAuthentication": "default", "RequestAuthentication": NAME, "AuthorizationPolicy": NAME}
HURRY = {
    "interval: 30s": "interval: 2s",
    "interval: 1m": "interval: 10s",
    "hold: 2m": "hold: 0s",
    "drain: 30s": "drain: 0s",
    "max: 500": "max: 20000",
}


@pytest.fixture
def example(shared: Mesh, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """examples/bookinfo/bookinfo.yaml under load, and the rollout beside it in a hurry."""
    site = Site(shared, control_plane.kubeconfig("admin"), tmp_path)
    site.forget()
    shared.apply(OBJECTS)
    shared.ready("reviews-v1", "reviews-v2", "reviews-v3")
    write(site, "v2")
    load = shared.load(NAME, 60)
    yield site
    load.stop()
    site.stop()


def write(site: Site, version: str) -> None:
    """examples/bookinfo/reviews.yaml in a hurry; the version is the line that its README tells to change."""
    text = (EXAMPLES / "bookinfo/reviews.yaml").read_text().replace("\n  version: v2", f"\n  version: {version}")
    for slow, quick in HURRY.items():
        assert slow in text
        text = text.replace(slow, quick)
    site.manifest.write_text(text.replace("  analysis:\n", "  analysis:\n    scrapeInterval: 1s\n    settle: 1s\n"))


def options(site: Site) -> tuple[str, ...]:
    """The file names neither a namespace nor this Prometheus."""
    return ("--namespace", site.mesh.namespace, "--prometheus", site.mesh.prometheus.url)


@pytest.mark.long
def test_the_example_goes_from_v1_to_v2_to_v3(example: Site) -> None:
    """The files together: what was applied differs in one subset, policies are equal, jason always got v2."""
    before = example.object()
    policies = [example.object(kind, bookinfo.SECURITY, name) for kind, name in POLICIES.items()]
    jason = example.mesh.load(NAME, 5, headers={"end-user": "jason"})
    try:
        for version in ("v2", "v3"):
            write(example, version)
            run = example.run(*options(example))
            assert run.ends() == 0, run.text
            before["spec"]["http"][1]["route"][0]["destination"]["subset"] = version
            assert example.object() == before
    finally:
        jason.stop()
    assert [example.object(kind, bookinfo.SECURITY, name) for kind, name in POLICIES.items()] == policies
    weights = re.findall(r"^\S+ +(\d+)% Progressing", run.text, re.MULTILINE)
    assert {"10", "30", "50", "80", "100"} <= set(weights)


def release(
    site: Site, control_plane: ControlPlane, deploy: str, version: str = "v2"
) -> subprocess.CompletedProcess[str]:
    """examples/ci/release.sh, with a stand-in for what deploys."""
    folder = site.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "canary").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m canary "$@" --prometheus {site.mesh.prometheus.url}\n'
    )
    (folder / "canary").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "KUBECONFIG": str(control_plane.kubeconfig("admin")),
        "NAMESPACE": site.mesh.namespace,
        "DEPLOY": deploy,
        "NOTIFY": "echo reported:",
    }
    return subprocess.run(
        (EXAMPLES / "ci/release.sh", site.manifest, version),
        capture_output=True, text=True, timeout=90, check=False, env=environment,
    )  # fmt: skip


@pytest.mark.long
def test_the_pipeline_acts_on_how_it_ended(example: Site, control_plane: ControlPlane) -> None:
    """A bad version fails the job with 3, a good one passes; what wasn't deployed or is no manifest moves nothing."""
    before = example.object()
    undeployed = release(example, control_plane, "false")
    assert (undeployed.returncode, undeployed.stdout) == (
        1, f"reported: {example.manifest}, v2: not deployed, no traffic was moved\n",
    )  # fmt: skip
    example.mesh.behave("reviews-v2", errors=0.5)
    bad = release(example, control_plane, "true")
    assert bad.returncode == 3, bad.stdout + bad.stderr
    assert "reported: " in bad.stdout
    assert "rolled back" in bad.stdout.splitlines()[-1]
    assert example.object() == before
    good = release(example, control_plane, "true", "v3")
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.splitlines()[-1] == f"reported: {example.manifest}, v3: promoted"
    example.manifest.write_text("kind: Canary\n")
    assert release(example, control_plane, "true").returncode == 2


def test_the_pipelines_know_every_exit_code() -> None:
    """A code that is added to canary is missed here."""
    for script in ("release.sh", "start.sh"):
        shell = (EXAMPLES / "ci" / script).read_text()
        assert {int(code) for code in re.findall(r"^ +(\d+)\)", shell, re.MULTILINE)} == {code.value for code in Exit}


def workflow() -> dict[str, Any]:
    """The workflow for GitHub Actions."""
    found: dict[str, Any] = YAML(typ="safe").load((EXAMPLES / "ci/github-actions.yaml").read_text())
    return found


def test_the_workflow_is_valid_shell_and_checks_pull_requests() -> None:
    """What a pull request can't show without a cluster, lint and simulate do."""
    jobs = workflow()["jobs"]
    scripts = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    for script in (one for several in scripts.values() for one in several):
        plain = re.sub(r"\$\{\{.*?\}\}", "x", script)
        assert subprocess.run(["bash", "-n"], input=plain, text=True, check=False).returncode == 0
    for command in ("canary lint -f", "canary simulate -f"):
        assert any(command in script for script in scripts["check"])
    for job in ("release", "approved"):
        assert 'exec ./release.sh reviews.yaml "$GITHUB_REF_NAME"' in [script.strip() for script in scripts[job]]
