"""What is kept of a Canary object in memory: its parts as JSON, read only when they are needed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from canary.kube.names import ObjectRef
from canary.kube.projections import APPLIED, Data, packed

Moves = Callable[[str, Data], tuple[tuple[ObjectRef, ...], str | None]]
"""Of a namespace and a spec: the objects whose weights it moves, and the full name of its host."""

FINALIZER = "canary-controller.dev/rollout"
"""Keeps a Canary that is deleted during a rollout until its traffic is back on the stable version."""
_KEPT = ("name", "namespace", "uid", "generation", "labels", "annotations", "deletionTimestamp", "creationTimestamp")
_AT_REST = frozenset({"Succeeded", "Initialized", "Failed"})


@dataclass(frozen=True, slots=True)
class CanarySeen:
    """A Canary as it was seen last."""

    uid: str
    version: str
    """Its resourceVersion."""
    manifest: bytes
    """Metadata and spec, as JSON: what people write."""
    status: bytes
    """Status as JSON; empty where there is none."""
    finalizers: tuple[str, ...]
    created: str
    refs: tuple[ObjectRef, ...]
    """The objects that it names, whose weights it moves."""
    host: str | None
    """The host whose subsets are its versions, in full; None where the routes tell."""
    policy: str | None
    """`kind/name` of the policy that it refers to."""
    active: bool
    """Whether a rollout is running, or it was never looked at in its present form."""
    deleted: bool

    @property
    def born(self) -> datetime:
        """When it was created; no object of a server is without that."""
        return datetime.fromisoformat(self.created) if self.created else datetime.min.replace(tzinfo=UTC)

    @property
    def guarded(self) -> bool:
        """Whether our finalizer is on it."""
        return FINALIZER in self.finalizers


def seen(found: Data, moves: Moves) -> CanarySeen:
    """The projection of a Canary object."""
    metadata, spec = found["metadata"], found.get("spec") or {}
    about = {name: metadata[name] for name in _KEPT if name in metadata}
    about.get("annotations", {}).pop(APPLIED, None)
    status = found.get("status") or {}
    refs, host = moves(str(metadata.get("namespace") or ""), spec)
    return CanarySeen(
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        manifest=packed({"metadata": about, "spec": spec}),
        status=packed(status) if status else b"",
        finalizers=tuple(metadata.get("finalizers") or ()),
        created=metadata.get("creationTimestamp") or "",
        refs=refs,
        host=host,
        policy=_policy(spec),
        active=_active(metadata, status),
        deleted=bool(metadata.get("deletionTimestamp")),
    )


def _active(metadata: Data, status: Data) -> bool:
    settled = status.get("phase") in _AT_REST and status.get("observedGeneration") == metadata.get("generation")
    return bool(status.get("rollout") or status.get("outbox")) or not settled


def _policy(spec: Data) -> str | None:
    ref = spec.get("policyRef") or {}
    return f"{ref.get('kind') or 'CanaryPolicy'}/{ref['name']}" if ref.get("name") else None
