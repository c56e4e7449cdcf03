"""Writes the chart's RBAC rules from the tables that the code has: `make rbac`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from canary.kube.rbac import (
    ALERTS,
    HOOKS,
    LEAD,
    METRIC_APIS,
    METRIC_SECRETS,
    OF_ALL,
    PRIMARY_SECRETS,
    PROOF,
    Permission,
)
from canary.registry import CLUSTER, LOOKED_AFTER, PRIMARIES, SEEN
from canary.stores.objects import Objects

FILE = Path(__file__).parents[2] / "charts" / "canary" / "templates" / "_rules.tpl"
DEFINED: dict[str, tuple[tuple[Permission, ...], str]] = {
    "canary.rules.lookedAfter": (LOOKED_AFTER, ""),
    "canary.rules.primaries": (PRIMARIES, ""),
    "canary.rules.primarySecrets": (PRIMARY_SECRETS, ""),
    "canary.rules.metricSecrets": (METRIC_SECRETS, ""),
    "canary.rules.metricApis": (METRIC_APIS, ""),
    "canary.rules.hooks": (HOOKS, ""),
    "canary.rules.alerts": (ALERTS, ""),
    "canary.rules.ofAll": (OF_ALL, ""),
    "canary.rules.lead": (LEAD, "canary.lease"),
    "canary.rules.proof": (PROOF, "canary.actionPolicy"),
    "canary.rules.seen": (SEEN, ""),
}
"""By the name of a template: its rules, and the template with the name of the objects that it is confined to."""


QUOTED = '"*"'
"""An asterisk alone is an alias in YAML."""


def written() -> str:
    """The whole file."""
    lines = ["{{- /* Written by `make rbac` from the tables in canary/, with their reasons. */ -}}"]
    for name, (permissions, own) in DEFINED.items():
        lines += ["", *_defined(name, [line for one in permissions for line in _rule(one, own)])]
    routes = " ".join(dict.fromkeys(one.routes.plural for one in CLUSTER))
    lines += ["", "{{- /* Objects that carry the weights. */ -}}", *_defined("canary.routes", [routes])]
    written = {"create", "patch"}
    plurals = dict.fromkeys(
        each.plural
        for one in (*PRIMARIES, *PRIMARY_SECRETS)
        if written & {str(verb) for verb in one.verbs} and not one.subresource
        for each in one.resources
    )
    lines += ["", "{{- /* Kinds that are written for targets that have a primary. */ -}}"]
    lines += _defined("canary.primaries", [" ".join(plurals)])
    prefixes = dict.fromkeys(Objects("", one.routes.kind, "", "").name for one in CLUSTER)
    targets = " || ".join(f"object.metadata.name.startsWith('{prefix}')" for prefix in prefixes)
    lines += ["", "{{- /* Whether a Lease is one of a target, in CEL. */ -}}"]
    lines += _defined("canary.account.targets", [targets])
    return "\n".join(lines) + "\n"


def _defined(name: str, lines: Sequence[str]) -> Iterator[str]:
    yield f'{{{{- define "{name}" -}}}}'
    yield from lines
    yield "{{- end -}}"


def _rule(one: Permission, own: str) -> Iterator[str]:
    group = one.resources[0].group
    yield f"# {one.why}"
    yield f"- apiGroups: [{group or chr(34) * 2}]"
    yield f"  resources: [{', '.join(one.names).replace('*', QUOTED)}]"
    if one.on:
        yield f'  resourceNames: [{{{{ include "{own}" . | quote }}}}]'
    yield f"  verbs: [{', '.join(one.verbs)}]"


if __name__ == "__main__":
    sys.exit(FILE.write_text(written()) and None)
