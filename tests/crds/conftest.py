"""kubectl, and canary's kinds on a real API server."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts import missing
from tests.parts.cluster import ControlPlane, provides


@dataclass(frozen=True)
class Answer:
    """What kubectl said, and whether it did what was requested."""

    done: bool
    out: str
    err: str


Kubectl = Callable[..., Answer]


@pytest.fixture
def kubectl(control_plane: ControlPlane, kinds: None, namespace: str, tmp_path: Path) -> Kubectl:
    """Runs kubectl in the test's namespace; `given` is an object, or text, for its standard input."""
    binary = control_plane.tools / "kubectl"
    if not binary.exists():
        missing("kubectl", provides())
    env = {"HOME": str(tmp_path), "KUBECONFIG": str(control_plane.kubeconfig()), "PATH": os.environ["PATH"]}

    def run(*arguments: str, given: object = None) -> Answer:
        text = given if isinstance(given, str) else json.dumps(given)
        completed = subprocess.run(
            [binary, "--namespace", namespace, *arguments],
            input=text,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Answer(completed.returncode == 0, completed.stdout, completed.stderr)

    return run
