"""How the objects are called in which a run in a cluster keeps its state, its lock and what people ask.

All are named after the target, so every run, on any machine, finds the same ones:
`canary-<kind>-<name>` in the target's namespace, such as `canary-virtualservice-reviews`. A kind has no dash in
it, so two targets never meet in one name. What is too long is cut, and ends with a checksum of the whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

LONGEST_NAME, LONGEST_LABEL = 253, 63
"""What Kubernetes allows."""
_CHECKSUM = 10
_LONGEST_OWN = 180
"""Of a target's objects; an action's name begins with it, and has an id behind it."""

PREFIX = "canary-controller.dev"
MANAGED = {"app.kubernetes.io/managed-by": "canary"}
TARGET, CANARY, HOLDS = f"{PREFIX}/target", f"{PREFIX}/canary", f"{PREFIX}/holds"
"""Keys of labels: the name below, the Canary's name, and `state`, `lock` or `action`."""
DESCRIBED = f"{PREFIX}/target-ref"
"""An annotation with the target's full kind and name."""


@dataclass(frozen=True)
class Objects:
    """Those of one target."""

    namespace: str
    """The target's."""
    kind: str
    """The target's, as `spec.targetRef.kind` has it."""
    target: str
    """The target's name."""
    canary: str
    """The Canary's name."""

    @property
    def name(self) -> str:
        """Of the ConfigMap with the state, and of the Lease."""
        return cut(f"canary-{self.kind.lower()}-{self.target}", _LONGEST_OWN)

    def action(self, id_: str) -> str:
        """Of the ConfigMap with one action: the id as far as it may stand in a name, and a checksum if it may not."""
        clean = re.sub(r"[^a-z0-9-]+", "-", id_.lower()).strip("-")
        whole = clean if clean == id_.lower() else f"{clean}-{_checksum(id_)}".strip("-")
        return cut(f"{self.name}-{whole}", LONGEST_NAME)

    def selector(self, holds: str) -> dict[str, str]:
        """The labels by which objects of this target are found that hold `state`, `lock` or `action`."""
        return {TARGET: cut(self.name, LONGEST_LABEL), HOLDS: holds}

    def metadata(self, name: str, holds: str) -> Mapping[str, object]:
        """For a new object."""
        labels = {**MANAGED, CANARY: cut(self.canary, LONGEST_LABEL), **self.selector(holds)}
        described = {DESCRIBED: f"{self.kind}/{self.target}"}
        return {"name": name, "namespace": self.namespace, "labels": labels, "annotations": described}


def cut(name: str, longest: int) -> str:
    """The name, or its beginning and a checksum of all of it."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - _CHECKSUM - 1].rstrip('.-_')}-{_checksum(name)}"


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_CHECKSUM]
