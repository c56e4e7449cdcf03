"""Helm itself, on the chart of this project."""

import os
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHART = Path(__file__).parents[2] / "charts" / "canary"
Data = dict[str, Any]


class Refused(Exception):
    """What Helm said."""


class Helm:
    """The program with a home of its own; `kubeconfig` for what needs a cluster."""

    def __init__(self, binary: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self.binary, self.home, self.kubeconfig = binary, home, kubeconfig

    def run(self, *arguments: str) -> str:
        """Its output. Raises Refused."""
        environment = {"HOME": str(self.home), "PATH": os.defpath}
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        command = [str(self.binary), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def text(self, values: Mapping[str, Any] | None = None, *options: str, name: str = "canary") -> str:
        """What would be installed in the namespace `canary-system`."""
        return self.run("template", name, str(CHART), "-n", "canary-system", *self.given(values), *options)

    def render(self, values: Mapping[str, Any] | None = None, *options: str, name: str = "canary") -> list[Data]:
        """The same as objects."""
        return deepcopy(_objects(self.text(values, *options, name=name)))

    def given(self, values: Mapping[str, Any] | None) -> list[str]:
        """The option by which Helm is given values."""
        if not values:
            return []
        path = self.home / "values.yaml"
        with path.open("w") as stream:
            YAML(typ="safe").dump(dict(values), stream)
        return ["--values", str(path)]


@cache
def _objects(text: str) -> list[Data]:
    return [one for one in YAML(typ="safe").load_all(text) if one]


def only(objects: list[Data], kind: str, name: str = "canary") -> Data:
    """The one of a kind and name."""
    found = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, [(one["kind"], one["metadata"]["name"]) for one in objects]
    return found[0]
