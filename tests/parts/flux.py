"""Flux, as far as it applies manifests: its own code does that, with the options of its kustomize-controller.

The program is in programs/flux-apply.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parts import modules


class Flux:
    """The Kustomization `apps`, reconciled when a test says so."""

    def __init__(self, kubeconfig: Path | str, namespace: str) -> None:
        self.program = modules.program("flux-apply", "Flux's flux-apply")
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.namespace = namespace

    def reconcile(self, *manifests: Mapping[str, Any], spec: Mapping[str, Any] | None = None) -> Mapping[str, str]:
        """By kind: what was done with it. `spec` is more of the Kustomization's."""
        given = (self._kustomization(spec or {}), *map(self._in_namespace, manifests))
        answered = subprocess.run(
            [self.program],
            input="\n".join(map(json.dumps, given)),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert answered.returncode == 0, answered.stderr
        lines = [line.partition(" ") for line in answered.stdout.splitlines()]
        return {subject.partition("/")[0]: action for subject, _, action in lines}

    def _kustomization(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        source = {"kind": "GitRepository", "name": "apps"}
        return {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "10m", "prune": True, "sourceRef": source, **spec},
        }

    def _in_namespace(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """As with the Kustomization's `targetNamespace`."""
        return {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
