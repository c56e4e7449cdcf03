"""The permissions that canary takes in a cluster, and why: tables.

`canary run`         PERMISSIONS, from which `role` writes a Role for the namespace of the target
`canary controller`  LOOKED_AFTER wherever it looks after Canaries, OF_ALL where that is all namespaces, LEAD in its
                     own namespace, PROOF by name; the chart has the same, and docs/install.md says why

None is for Secrets or for nodes. Asking the server who we are (SelfSubjectReview) is allowed to everybody.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .requests import Verb
from .resources import (
    ADMISSION_POLICIES,
    ADMISSION_POLICY_BINDINGS,
    CANARIES,
    CANARY_ACTIONS,
    CANARY_POLICIES,
    CLUSTER_CANARY_POLICIES,
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DESTINATION_RULES,
    EVENTS,
    LEASES,
    METRIC_TEMPLATES,
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
    subresource: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The resources as a rule of RBAC has them."""
        return tuple(f"{one.plural}/{self.subresource}".rstrip("/") for one in self.resources)


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

_FOLLOWED = (Verb.LIST, Verb.WATCH)

# GET on a kind that is watched is for the time until it has been listed once.
LOOKED_AFTER: tuple[Permission, ...] = (
    Permission((CANARIES,), (Verb.GET, *_FOLLOWED, Verb.PATCH), "what is wanted; a finalizer while a rollout runs"),
    Permission((CANARIES,), (Verb.PATCH,), "where it stands", subresource="status"),
    Permission((CANARY_ACTIONS,), (*_FOLLOWED, Verb.DELETE), "what people ask; removed after an hour"),
    Permission((CANARY_POLICIES, METRIC_TEMPLATES), _FOLLOWED, "what Canaries refer to"),
    Permission((VIRTUAL_SERVICES,), (Verb.GET, *_FOLLOWED, Verb.PATCH), "the weights that move"),
    Permission((DESTINATION_RULES,), _FOLLOWED, "which versions there are"),
    Permission((SERVICES,), (Verb.GET, *_FOLLOWED), "whose pods a host means"),
    Permission(
        (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS),
        (Verb.GET, *_FOLLOWED),
        "how many pods there should be, and a new build",
    ),
    Permission((PODS,), (Verb.LIST,), "how many can answer while a build rolls out"),
    Permission((REPLICA_SETS, CONTROLLER_REVISIONS), (Verb.LIST,), "which revision is behind a version"),
    Permission((LEASES,), (Verb.GET, Verb.CREATE, Verb.PATCH), "targets that `canary run` may have"),
    Permission((EVENTS,), (Verb.CREATE,), "what `kubectl describe` shows"),
)

OF_ALL: tuple[Permission, ...] = (
    Permission((CLUSTER_CANARY_POLICIES,), _FOLLOWED, "what Canaries of all namespaces refer to"),
)

LEAD: tuple[Permission, ...] = (
    Permission((LEASES,), (Verb.GET, Verb.PATCH), "which replica leads", "own"),
    Permission((LEASES,), (Verb.CREATE,), "the first lead"),
)

PROOF: tuple[Permission, ...] = (
    Permission((ADMISSION_POLICIES, ADMISSION_POLICY_BINDINGS), (Verb.GET,), "whether authors are proved", "own"),
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
        yield f"  resources: {json.dumps(one.names)}"
        if named[one.on]:
            yield f"  resourceNames: {json.dumps(named[one.on])}"
        yield f"  verbs: {json.dumps([str(verb) for verb in one.verbs])}"
