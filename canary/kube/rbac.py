"""The permissions that canary takes in a cluster, and why: tables.

`canary run`         PERMISSIONS, from which `role` writes a Role for the namespace of the target
`canary controller`  LOOKED_AFTER in the namespaces of its Canaries, OF_ALL where that is all namespaces, LEAD in its
                     own namespace, PROOF by name; docs/install.md says why
people               SEEN

Routers add what they need of their own kinds (`canary/registry.py`); `make rbac` writes the chart's rules.

None is for nodes, and none lists Secrets. Asking the server who we are (SelfSubjectReview) is allowed to everybody.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .requests import ApiVerb
from .resources import (
    ADMISSION_POLICIES,
    ADMISSION_POLICY_BINDINGS,
    ALERT_PROVIDERS,
    CANARIES,
    CANARY_ACTIONS,
    CANARY_POLICIES,
    CLUSTER_CANARY_POLICIES,
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    EXTERNAL_METRICS,
    KEPTN_METRICS,
    LEASES,
    METRIC_TEMPLATES,
    PODS,
    REPLICA_SETS,
    SCALERS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)


@dataclass(frozen=True)
class Permission:
    """One rule."""

    resources: tuple[Resource, ...]
    """Of one group."""
    verbs: tuple[ApiVerb, ...]
    why: str
    on: str = ""
    """Only on these objects by name, as `RunObjects` has them; RBAC can't name what is created or listed."""
    subresource: str = ""
    commented: bool = False
    """Whether a Role has it as a comment, for users who want it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The resources as a rule of RBAC has them."""
        return tuple(f"{one.plural}/{self.subresource}".rstrip("/") for one in self.resources)


PERMISSIONS: tuple[Permission, ...] = (
    Permission((SERVICES,), (ApiVerb.GET,), "the pod selector of a host"),
    Permission((PODS,), (ApiVerb.LIST,), "the number of available pods"),
    Permission((DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS), (ApiVerb.GET,), "the number of desired pods"),
    Permission(
        (STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS, CONTROLLER_REVISIONS),
        (ApiVerb.LIST,),
        "the revision of a version",
    ),
    Permission((LEASES,), (ApiVerb.GET, ApiVerb.PATCH), "one run at a time", "own"),
    Permission((LEASES,), (ApiVerb.CREATE,), "the first run of a target"),
    Permission((CONFIG_MAPS,), (ApiVerb.GET, ApiVerb.PATCH), "the state", "own"),
    Permission((CONFIG_MAPS,), (ApiVerb.CREATE,), "the first run of a target, and actions of users"),
    Permission((CONFIG_MAPS,), (ApiVerb.LIST,), "actions of users"),
    Permission((CONFIG_MAPS,), (ApiVerb.DELETE,), "actions, an hour after they were processed; optional"),
)

RUN_SECRETS: tuple[Permission, ...] = (
    Permission((SECRETS,), (ApiVerb.GET,), "credentials that MetricTemplates name", "credentials"),
)
"""For a run whose metrics need credentials, beside those."""

FOLLOWED = (ApiVerb.LIST, ApiVerb.WATCH)

# GET on a kind that is watched is for the time until it has been listed once.
LOOKED_AFTER: tuple[Permission, ...] = (
    Permission(
        (CANARIES,), (ApiVerb.GET, *FOLLOWED, ApiVerb.PATCH), "the desired version; a finalizer while a rollout runs"
    ),
    Permission((CANARIES,), (ApiVerb.PATCH,), "the status", subresource="status"),
    Permission((CANARY_ACTIONS,), (*FOLLOWED, ApiVerb.DELETE), "actions of users; deleted after an hour"),
    Permission((CANARY_POLICIES, METRIC_TEMPLATES), FOLLOWED, "policies and templates of Canaries"),
    Permission((SERVICES,), (ApiVerb.GET, *FOLLOWED), "the pod selector of a host"),
    Permission(
        (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS),
        (ApiVerb.GET, *FOLLOWED),
        "the number of desired pods, and new builds",
    ),
    Permission((PODS,), (ApiVerb.LIST,), "the number of available pods during an update"),
    Permission((REPLICA_SETS, CONTROLLER_REVISIONS), (ApiVerb.LIST,), "the revision of a version"),
    Permission((LEASES,), (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.PATCH), "ownership of targets, as `canary run`"),
    Permission((EVENTS,), (ApiVerb.CREATE,), "what `kubectl describe` shows"),
)

# Server-side apply of what isn't there yet takes CREATE as well. CREATE and LIST can't name objects.
_MADE_RUN: tuple[Permission, ...] = (
    Permission((SERVICES,), (ApiVerb.CREATE,), "the Services of primary and canary"),
    Permission((SERVICES,), (ApiVerb.PATCH,), "the Services of primary and canary", "services"),
    Permission((CONTROLLER_REVISIONS,), (ApiVerb.CREATE, ApiVerb.DELETE), "the last promoted templates"),
    Permission((CONFIG_MAPS,), (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.DELETE), "what pods read, and copies of it"),
    Permission((SECRETS,), (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.DELETE), "what pods read, and copies of it"),
)
PRIMARY_RUN: Mapping[str, tuple[Permission, ...]] = {
    DEPLOYMENTS.kind: (
        Permission((DEPLOYMENTS,), (ApiVerb.CREATE,), "the primary"),
        Permission((DEPLOYMENTS,), (ApiVerb.PATCH,), "the template of the primary", "primary"),
        Permission((DEPLOYMENTS,), (ApiVerb.PATCH,), "replicas of the target and the primary", "scaled", "scale"),
        Permission(
            (DEPLOYMENTS,),
            (ApiVerb.PATCH,),
            "the template of the target: for `canary undo` and `canary rollback --to` alone, and for "
            "`kubectl set image`",
            "released",
            commented=True,
        ),
        *_MADE_RUN,
        *(
            permission
            for one in SCALERS.values()
            for permission in (
                Permission((one,), (ApiVerb.CREATE,), "the scaler of the primary", one.kind),
                Permission((one,), (ApiVerb.GET, ApiVerb.PATCH), "the scalers of target and primary", one.kind),
            )
        ),
    ),
    DAEMON_SETS.kind: (
        Permission((DAEMON_SETS,), (ApiVerb.CREATE,), "the primary"),
        Permission(
            (DAEMON_SETS,),
            (ApiVerb.PATCH,),
            "the template of the primary, and the node selector by which the target runs or doesn't",
            "scaled",
        ),
        *_MADE_RUN,
    ),
    SERVICES.kind: (
        Permission((SERVICES,), (ApiVerb.CREATE,), "the Services of primary and canary"),
        Permission((SERVICES,), (ApiVerb.PATCH,), "the Services of primary and canary", "copied"),
        Permission(
            (SERVICES,),
            (ApiVerb.PATCH,),
            "what the target selects: for `canary undo` and `canary rollback --to` alone, and for `kubectl patch`",
            "released",
            commented=True,
        ),
        Permission((CONTROLLER_REVISIONS,), (ApiVerb.CREATE, ApiVerb.DELETE), "what was selected last"),
    ),
}
"""For targets that have a primary, by their kind, beside what all need."""
_MADE: tuple[Permission, ...] = (
    Permission((SERVICES,), (ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE), "the Services of primary and canary"),
    Permission((CONTROLLER_REVISIONS,), (ApiVerb.CREATE, ApiVerb.DELETE), "the last promoted templates"),
    Permission(
        (CONFIG_MAPS,),
        (ApiVerb.GET, *FOLLOWED, ApiVerb.CREATE, ApiVerb.DELETE),
        "what pods of targets read, and copies of it",
    ),
)
PRIMARY_CONTROLLER: Mapping[str, tuple[Permission, ...]] = {
    DEPLOYMENTS.kind: (
        Permission(
            (DEPLOYMENTS,),
            (ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE),
            "the primary; the template of the target of a deleted Canary",
        ),
        Permission((DEPLOYMENTS,), (ApiVerb.PATCH,), "replicas of the target and the primary", subresource="scale"),
        *_MADE,
        *(
            Permission(
                (one,),
                (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE),
                "the scalers of target and primary",
            )
            for one in SCALERS.values()
        ),
    ),
    DAEMON_SETS.kind: (
        Permission(
            (DAEMON_SETS,),
            (ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE),
            "the primary; the node selector by which the target runs or doesn't; the template of the target of a "
            "deleted Canary",
        ),
        *_MADE,
    ),
    SERVICES.kind: _MADE[:2],
}
"""The same for the controller, which also removes what belongs to deleted Canaries."""

PRIMARY_SECRETS: tuple[Permission, ...] = (
    Permission(
        (SECRETS,), (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.DELETE), "what pods of targets read, and copies of it"
    ),
)
"""For the controller; without them edits of Secrets aren't seen."""

METRIC_SECRETS: tuple[Permission, ...] = (
    Permission((SECRETS,), (ApiVerb.GET,), "credentials that MetricTemplates name"),
)
"""For the controller, where it doesn't read Secrets anyway."""
METRIC_APIS: tuple[Permission, ...] = (
    Permission((EXTERNAL_METRICS,), (ApiVerb.LIST,), "external metrics, each a resource of its own name"),
    Permission((KEPTN_METRICS,), (ApiVerb.GET,), "values of KeptnMetrics"),
)
"""For the controller, where MetricTemplates may ask the API server."""
HOOKS: tuple[Permission, ...] = (
    Permission((CANARY_ACTIONS,), (ApiVerb.CREATE,), "rollbacks that reported alerts ask for"),
)
"""For the controller, where alerts may be reported to it."""
ALERTS: tuple[Permission, ...] = (
    Permission((ALERT_PROVIDERS,), (ApiVerb.GET,), "receivers of alerts"),
    Permission((SECRETS,), (ApiVerb.GET,), "addresses of AlertProviders"),
)
"""For the controller; without them no alert is sent."""

OF_ALL: tuple[Permission, ...] = (
    Permission((CLUSTER_CANARY_POLICIES,), FOLLOWED, "policies for Canaries of all namespaces"),
)

LEAD: tuple[Permission, ...] = (
    Permission((LEASES,), (ApiVerb.GET, ApiVerb.PATCH), "leader election", "own"),
    Permission((LEASES,), (ApiVerb.CREATE,), "the first leader election"),
)

PROOF: tuple[Permission, ...] = (
    Permission((ADMISSION_POLICIES, ADMISSION_POLICY_BINDINGS), (ApiVerb.GET,), "verification of authors", "own"),
)


SEEN: tuple[Permission, ...] = (
    Permission((LEASES,), (ApiVerb.GET,), "the process that works on a target"),
    Permission(
        (CANARIES, CANARY_POLICIES, CLUSTER_CANARY_POLICIES, METRIC_TEMPLATES, ALERT_PROVIDERS, CANARY_ACTIONS),
        (ApiVerb.GET, *FOLLOWED),
        "spec and status",
    ),
    Permission((EVENTS,), (ApiVerb.LIST,), "what `canary describe` shows"),
    # What runs behind a version: `canary wait` answers for the build that runs now, and not for one before it.
    Permission((SERVICES,), (ApiVerb.GET,), "the pod selector of a version"),
    Permission((DEPLOYMENTS,), (ApiVerb.GET,), "the build of a version"),
    Permission((STATEFUL_SETS, DAEMON_SETS), (ApiVerb.GET, ApiVerb.LIST), "the build of a version"),
    Permission((REPLICA_SETS, CONTROLLER_REVISIONS), (ApiVerb.LIST,), "the build of a version"),
)


@dataclass(frozen=True)
class RunObjects:
    """The objects of a run that its Role names."""

    namespace: str
    named: Mapping[str, Sequence[str]]
    """Names by `Permission.on`: `target` has the objects whose weights it moves, `own` its Lease and its ConfigMap. A
    rule for none isn't needed."""


def role(name: str, objects: RunObjects, permissions: Sequence[Permission]) -> str:
    """A Role in YAML for a run."""
    return "\n".join(_lines(name, objects, permissions)) + "\n"


def _lines(name: str, objects: RunObjects, permissions: Sequence[Permission]) -> Iterator[str]:
    yield "apiVersion: rbac.authorization.k8s.io/v1"
    yield "kind: Role"
    yield f"metadata: {{name: {json.dumps(name)}, namespace: {json.dumps(objects.namespace)}}}"
    yield "rules:"
    for one in permissions:
        names = objects.named.get(one.on, ())
        if one.on and not names:
            continue
        yield f"# {one.why}"
        yield from (f"# {line}" if one.commented else line for line in _rule(one, names))


def _rule(one: Permission, names: Sequence[str]) -> Iterator[str]:
    yield f"- apiGroups: {json.dumps([one.resources[0].group])}"
    yield f"  resources: {json.dumps(one.names)}"
    if one.on and ApiVerb.CREATE not in one.verbs:
        yield f"  resourceNames: {json.dumps(list(names))}"
    yield f"  verbs: {json.dumps([str(verb) for verb in one.verbs])}"
