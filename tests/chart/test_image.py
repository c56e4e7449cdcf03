"""The image has what the controller takes, and nothing else; no container engine is needed to see that."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

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
from canary.bootstrap import cluster, service
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
    for text in needs(extras) if name == "canary" else requires(name) or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            found |= installed(canonicalize_name(need.name), frozenset(need.extras), seen)
    return found


def test_what_the_controller_imports_is_in_the_image() -> None:
    """Nothing of the tests' packages, which are here as well."""
    told = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, timeout=120)
    homes = packages_distributions()
    used = {canonicalize_name(home) for module in told.stdout.split() for home in homes.get(module, ())}
    there = installed("canary", frozenset({"controller"}), set())
    assert {"kubernetes", "apscheduler", "prometheus-client"} <= used  # those of the extras
    assert used - there == set()


def test_what_is_taken_out_of_the_image_is_not_missed() -> None:
    """The controller's imports do without."""
    (command,) = [one for one in instructions("RUN") if one.startswith("rm ")]
    taken = [re.sub(r".*/site-packages/", "", path).replace("/", ".") for path in command.split()[2:]]
    assert taken == ["kubernetes.aio", "bazel-project"]
    without = f"import sys; sys.modules.update(dict.fromkeys({taken}))\n{IMPORTS}import canary.kube.connection"
    told = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stderr


def test_it_has_the_controllers_packages_in_exact_versions() -> None:
    """One extra, under the constraints; no tools for tests or the demo."""
    (command,) = [one for one in instructions("RUN") if " install " in one]
    assert "-c constraints.txt" in command
    assert command.endswith("'.[controller]'")


def test_what_builds_the_package_has_an_exact_version_too() -> None:
    """pip builds in an environment of its own, which `-c` doesn't reach."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    pinned = {one.partition("==")[0] for one in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert {Requirement(one).name for one in project["build-system"]["requires"]} <= pinned
    (home,) = instructions("WORKDIR")
    settings = [part for one in instructions("ENV") for part in one.split()]
    assert {f"{name}={home}/constraints.txt" for name in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")} <= set(settings)


def test_it_needs_neither_root_nor_a_shell() -> None:
    """A numeric user, which `runAsNonRoot` can tell from root; the command itself is what starts."""
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert instructions("ENTRYPOINT") == ['["canary"]']
    assert instructions("CMD") == []


def test_the_chart_runs_it_as_that_user() -> None:
    """The pods' security context names the same numbers."""
    names = (ROOT / "charts/canary/templates/_names.tpl").read_text("utf-8")
    told = re.findall(r"^runAs(?:User|Group): (\d+)$", names, re.MULTILINE)
    assert [":".join(told)] == instructions("USER")


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
    """Whoever builds it chooses where images come from and go to."""
    files = [ROOT / "Containerfile", *(one for one in (ROOT / "charts/canary").rglob("*") if one.is_file())]
    hosts = re.compile(r"(docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.)")
    assert [one.name for one in files if hosts.search(one.read_text("utf-8"))] == []
