"""Tomorrow's canary: a copy of this one with another version, more fields, other defaults and other policies."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import canary
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

VERSION = "99.0.0"
FIELD = "fieldOfTomorrow"
PROGRAM = (sys.executable, "-P", "-m", "canary")
"""With the copy in PYTHONPATH; without -P the working folder comes first."""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_FIELD = f'    field_of_tomorrow: str = "{FIELD}"\n    """What no one knows yet."""\n'
_EDITS = (
    ("canary/__init__.py", r'__version__ = ".*"', f'__version__ = "{VERSION}"'),
    ("canary/api/status.py", r'(class (?:Status|Rollout)\(Model\):\n    """(?s:.*?)"""\n\n)', rf"\1{_FIELD}"),
    ("canary/api/analysis.py", r'(class Analysis\(Model\):\n    """(?s:.*?)"""\n\n)', rf"\1{_FIELD}"),
    ("canary/engine/policy_merge.py", r"timedelta\(seconds=15\)\)", "timedelta(seconds=21))"),
    ("policies/fast.yaml", r"deadline: \w+", "deadline: 3h"),
    ("policies/fast.yaml", r"stepWeights: .*", "stepWeights: [1]"),
    ("policies/fast.yaml", r"(?:min|max): \d+", "min: 1"),
)


def made(folder: Path) -> Path:
    """The copy."""
    here = Path(canary.__file__).parent
    shutil.copytree(here, folder / "canary", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(here.parent / "policies", folder / "policies")
    for name, pattern, replacement in _EDITS:
        text, count = re.subn(pattern, replacement, (folder / name).read_text())
        assert count, f"{name} has no {pattern}"
        (folder / name).write_text(text)
    return folder


@contextmanager
def kinds(plane: ControlPlane, folder: Path) -> Iterator[None]:
    """The server serves tomorrow's kinds, whose new fields have a default; afterwards today's once more."""
    command = (*PROGRAM, "crd")
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(folder)})
    definitions = list(YAML(typ="safe").load_all(StringIO(printed.stdout)))
    before = [plane.kube.read(f"{CRDS}/{one['metadata']['name']}") for one in definitions]
    assert sum(_default(one["spec"]) for one in definitions) > 0
    try:
        for one in definitions:
            _put(plane, one)
        yield
    finally:
        for one in before:
            _put(plane, one)


def _put(plane: ControlPlane, definition: Any) -> None:
    """Replaces a definition; `served` tells when it is in use."""
    path = f"{CRDS}/{definition['metadata']['name']}"
    version = plane.kube.read(path)["metadata"]["resourceVersion"]
    body = {**definition, "metadata": {**definition["metadata"], "resourceVersion": version}}
    answer = plane.kube.request("PUT", path, body)
    assert answer.ok, answer.text


def _default(node: Any) -> int:
    """Gives each new field its default; how many there are."""
    if isinstance(node, list):
        return sum(_default(one) for one in node)
    if not isinstance(node, dict):
        return 0
    new = (node.get("properties") or {}).get(FIELD)
    if new is not None:
        new["default"] = FIELD
    return (new is not None) + sum(_default(one) for one in node.values())


def served(plane: ControlPlane, path: str, tomorrows: bool = True) -> None:
    """Waits until an object at a path is read by tomorrow's definition, or by today's."""

    def is_served() -> bool:
        return (FIELD in json.dumps(plane.kube.read(path)["spec"])) is tomorrows

    wait_for(is_served, "the other definition in use", within=SLOWLY)
