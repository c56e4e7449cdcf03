"""The permissions that `canary run` takes in a cluster, and why: a table, from which `role` writes a Role.

None is for Secrets, for nodes, or for another namespace than the target's. Asking the server who we are
(SelfSubjectReview) is allowed to everybody.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .requests import Verb
from .resources import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DESTINATION_RULES,
    LEASES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    VIRTUAL_SERVICES,
    Resource,
)


@dataclass(frozen=True)
class Permission:
    """One rule."""

    resources: tuple[Resource, ...]
    """Of one group."""
    verbs: tuple[Verb, ...]
    why: str
    on: str = ""
    """Only on `target` or on `own` objects by name; RBAC can't name what is created or listed."""


PERMISSIONS: tuple[Permission, ...] = (
    Permission((VIRTUAL_SERVICES,), (Verb.GET, Verb.PATCH), "the weights that move", "target"),
    Permission((DESTINATION_RULES,), (Verb.LIST,), "which versions there are"),
    Permission((SERVICES,), (Verb.GET,), "whose pods a host means"),
    Permission((PODS,), (Verb.LIST,), "how many can answer"),
    Permission((DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS), (Verb.GET,), "how many there should be"),
    Permission(
        (STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS, CONTROLLER_REVISIONS), (Verb.LIST,), "which revision is behind it"
    ),
    Permission((LEASES,), (Verb.GET, Verb.PATCH), "one run at a time", "own"),
    Permission((LEASES,), (Verb.CREATE,), "the first run of a target"),
    Permission((CONFIG_MAPS,), (Verb.GET, Verb.PATCH), "the state", "own"),
    Permission((CONFIG_MAPS,), (Verb.CREATE,), "the first run of a target, and what people ask"),
    Permission((CONFIG_MAPS,), (Verb.LIST,), "what people asked"),
    Permission((CONFIG_MAPS,), (Verb.DELETE,), "what people asked, an hour after it was taken; may be left out"),
)


def role(name: str, namespace: str, targets: Sequence[str], own: str) -> str:
    """A Role in YAML for a run that moves these VirtualServices; `own` names its Lease and ConfigMap."""
    return "\n".join(_lines(name, namespace, {"target": list(targets), "own": [own], "": []})) + "\n"


def _lines(name: str, namespace: str, named: dict[str, list[str]]) -> Iterator[str]:
    yield "apiVersion: rbac.authorization.k8s.io/v1"
    yield "kind: Role"
    yield f"metadata: {{name: {json.dumps(name)}, namespace: {json.dumps(namespace)}}}"
    yield "rules:"
    for one in PERMISSIONS:
        yield f"# {one.why}"
        yield f"- apiGroups: {json.dumps([one.resources[0].group])}"
        yield f"  resources: {json.dumps([resource.plural for resource in one.resources])}"
        if named[one.on]:
            yield f"  resourceNames: {json.dumps(named[one.on])}"
        yield f"  verbs: {json.dumps([str(verb) for verb in one.verbs])}"
