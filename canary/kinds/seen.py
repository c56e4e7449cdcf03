"""What is kept of a Canary object in memory: its parts as JSON, read only when they are needed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from canary.istio.hosts import resolve
from canary.istio.scope import Ref, Scope

Data = Mapping[str, Any]

FINALIZER = "canary-controller.dev/rollout"
"""Keeps a Canary that is deleted in mid-rollout until its traffic is back on the stable version."""
_KEPT = ("name", "namespace", "uid", "generation", "labels", "annotations", "deletionTimestamp", "creationTimestamp")
_AT_REST = frozenset({"Succeeded", "Initialized", "Failed"})


@dataclass(frozen=True, slots=True)
class CanarySeen:
    """A Canary as it was seen last."""

    uid: str
    version: str
    """Its resourceVersion."""
    wish: bytes
    """Metadata and spec, as JSON: what people write."""
    status: bytes
    """Status as JSON; empty where there is none."""
    finalizers: tuple[str, ...]
    created: str
    refs: tuple[Ref, ...]
    """The VirtualServices that it names."""
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


def seen(found: Data) -> CanarySeen:
    """The projection of a Canary object."""
    metadata, spec = found["metadata"], found.get("spec") or {}
    about = {name: metadata[name] for name in _KEPT if name in metadata}
    about.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    status = found.get("status") or {}
    return CanarySeen(
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        wish=_packed({"metadata": about, "spec": spec}),
        status=_packed(status) if status else b"",
        finalizers=tuple(metadata.get("finalizers") or ()),
        created=metadata.get("creationTimestamp") or "",
        refs=_refs(metadata, spec),
        host=_host(metadata, spec),
        policy=_policy(spec),
        active=_active(metadata, status),
        deleted=bool(metadata.get("deletionTimestamp")),
    )


def _active(metadata: Data, status: Data) -> bool:
    settled = status.get("phase") in _AT_REST and status.get("observedGeneration") == metadata.get("generation")
    return bool(status.get("rollout") or status.get("outbox")) or not settled


def _refs(metadata: Data, spec: Data) -> tuple[Ref, ...]:
    target = spec.get("targetRef") or {}
    if target.get("kind") != "VirtualService":
        return ()
    names = (str(target.get("name") or ""), *(str(one) for one in spec.get("virtualServices") or ()))
    return Scope(str(metadata.get("namespace") or ""), names).refs


def _policy(spec: Data) -> str | None:
    ref = spec.get("policyRef") or {}
    return f"{ref.get('kind') or 'CanaryPolicy'}/{ref['name']}" if ref.get("name") else None


def _host(metadata: Data, spec: Data) -> str | None:
    host = spec.get("host")
    return resolve(str(host), str(metadata.get("namespace") or "")) if host else None


def _packed(data: Data) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
