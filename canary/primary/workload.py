"""The primary: a copy of the target that runs the promoted version, distinguished from it by one label.

With `service.primaryLabels: relabel` its pods have another value of the label that selects the target's. With `keep`
they have all labels of the target's, and one more. `services.py` selects the pods of both.

`mergeable` makes its pod template one that server-side apply takes. Its scaler is a copy of the target's, a
HorizontalPodAutoscaler or a ScaledObject of KEDA.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from canary.api.canary import Canary
from canary.api.service import AutoscalerRef
from canary.engine.errors import Invalid

from .daemon_sets import ON_DELETE, without_nowhere
from .kept import KEPT
from .names import REVISION, SUFFIX, Data, Names, Object, metadata

SELECTOR_LABELS = ("app", "name", "app.kubernetes.io/name")
"""Flagger's; the first one that the target is selected by tells its pods from the primary's."""
TEMPLATE_HASH = "pod-template-hash"
"""Kubernetes' label of the pods of one ReplicaSet."""
LONGEST_VALUE = 63
"""Characters of a label's value."""

_FLUX = "toolkit.fluxcd.io"
"""In keys with which Flux marks what it manages; no copy is that."""
_MANAGERS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "argocd.argoproj.io/",
    "canary-controller.dev/",
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "meta.helm.sh/",
)
"""Keys, or beginnings of keys, that say whose the target is and what was written to it last. A primary with Argo CD's
would be taken for an object of its application that isn't in Git, and pruned."""
_COPIED = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy", "updateStrategy")


def selector_label(target: Data) -> tuple[str, str]:
    """The label that distinguishes the target's pods from the primary's, and its value there. Raises Invalid."""
    labels = (((target.get("spec") or {}).get("selector") or {}).get("matchLabels")) or {}
    found = next(((key, str(labels[key])) for key in SELECTOR_LABELS if labels.get(key)), None)
    name = (target.get("metadata") or {}).get("name")
    if found is None:
        *others, last = SELECTOR_LABELS
        raise Invalid(
            f"{name} is selected by none of the labels {', '.join(others)} and {last}, so its pods can't be "
            "distinguished from those of a primary; create it again with one of them in spec.selector.matchLabels"
        )
    key, value = found
    if len(value + SUFFIX) > LONGEST_VALUE:
        raise Invalid(
            f"{name} is selected by {key}={value}, and with {SUFFIX} the value is longer than the {LONGEST_VALUE} "
            "characters of a label; create it again with a shorter one"
        )
    return found


class Selectors(NamedTuple):
    """By which labels the pods of both are selected."""

    primary: Mapping[str, str]
    canary: Mapping[str, str]


def keeps(canary: Canary) -> bool:
    """Whether the primary's pods keep all labels of the target's."""
    return canary.spec.service is not None and canary.spec.service.primary_labels == "keep"


def selectors(canary: Canary, target: Data, build: str = "") -> Selectors:
    """What selects the pods of the primary, and those of the target's `build`. Raises Invalid.

    Where the primary keeps its labels, no label alone selects the target's pods: the hash of their template does.
    """
    key, value = selector_label(target)
    if not keeps(canary):
        return Selectors({key: value + SUFFIX}, {key: value})
    hashed = {TEMPLATE_HASH: build} if build else {}
    return Selectors({key: value, KEPT: Names.of(canary).primary}, {key: value, **hashed})


def primary(canary: Canary, target: Data, template: Data, revision: str, replicas: int | None) -> Object:
    """The whole primary with this pod template, which is that of a revision of the target. Raises Invalid.

    Where `replicas` is None another client owns them, such as a scaler. A template of a ReplicaSet may have its hash.
    """
    label = selectors(canary, target).primary
    own, spec = target.get("metadata") or {}, target.get("spec") or {}
    if (spec.get("updateStrategy") or {}).get("type") == ON_DELETE:
        raise Invalid(
            f"{own.get('name')} has spec.updateStrategy.type {ON_DELETE}, with which a primary would never get the "
            "promoted template; write RollingUpdate"
        )
    made = metadata(
        canary,
        Names.of(canary).primary,
        without_managers(own.get("labels")) | dict(label),
        without_managers(own.get("annotations")) | {REVISION: revision},
    )
    copied = {field: deepcopy(spec[field]) for field in _COPIED if spec.get(field) is not None}
    return {
        "apiVersion": "apps/v1",
        "kind": canary.spec.target_ref.kind,
        "metadata": made,
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            **copied,
            "selector": {"matchLabels": dict(label)},
            "template": _template(template, selector_label(target), label),
        },
    }


def without_managers(entries: Mapping[str, str] | None) -> dict[str, str]:
    """Labels or annotations without those that say whose the object is."""
    return {key: value for key, value in _without_flux(entries).items() if not key.startswith(_MANAGERS)}


def _without_flux(entries: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (entries or {}).items() if _FLUX not in key}


def _template(template: Data, own: tuple[str, str], label: Mapping[str, str]) -> Object:
    given, (key, value) = template.get("metadata") or {}, own
    labels = _without_flux(given.get("labels")) | dict(label)
    for hashed in (TEMPLATE_HASH, "controller-revision-hash"):
        labels.pop(hashed, None)
    annotations = _without_flux(given.get("annotations"))
    rest = {"annotations": annotations} if annotations else {}

    def renamed(selector: Data) -> Object:
        if label.get(key) != value:
            return _renamed(selector, key, value)
        return _narrowed(selector, key, value, label)

    spec = _among_themselves(mergeable(without_nowhere(template).get("spec") or {}), renamed)
    return {"metadata": {"labels": labels} | rest, "spec": spec}


Renaming = Callable[[Data], Object]


def _among_themselves(made: Object, renamed: Renaming) -> Object:
    """What spreads the target's pods, or keeps them together, does so with the primary's. Changes `made`."""
    for constraint in made.get("topologySpreadConstraints") or ():
        _rename(constraint, renamed)
    affinity = made.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for term in terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            _rename(term, renamed)
        for preferred in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            _rename(preferred.get("podAffinityTerm") or {}, renamed)
    return made


def _rename(holder: dict[str, Any], renamed: Renaming) -> None:
    if holder.get("labelSelector"):
        holder["labelSelector"] = renamed(holder["labelSelector"])


def _renamed(selector: Data, key: str, value: str) -> Object:
    """A label selector in which the target's value of the label is the primary's."""
    made = dict(selector)
    if (selector.get("matchLabels") or {}).get(key) == value:
        made["matchLabels"] = {**selector["matchLabels"], key: value + SUFFIX}
    if selector.get("matchExpressions"):
        made["matchExpressions"] = [_expression(one, key, value) for one in selector["matchExpressions"]]
    return made


def _narrowed(selector: Data, key: str, value: str, label: Mapping[str, str]) -> Object:
    """A label selector that selects the target's pods by the label, for the primary's only."""
    named = any(one.get("key") == key and value in (one.get("values") or ()) and one.get("operator") == "In"
                for one in selector.get("matchExpressions") or ())  # fmt: skip
    if not named and (selector.get("matchLabels") or {}).get(key) != value:
        return dict(selector)
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **label}}


def _expression(given: Data, key: str, value: str) -> Object:
    if given.get("key") != key or not given.get("values"):
        return dict(given)
    return {**given, "values": [one + SUFFIX if one == value else one for one in given["values"]]}


# ---- its template ----------------------------------------------------------------------------------------------

_CONTAINERS = ("initContainers", "containers")


def mergeable(spec: Data) -> Object:
    """The pod spec with each name once. Raises Invalid where leaving an entry out would change the pods.

    Server-side apply refuses lists of named entries in which a name stands twice. An API server accepts these
    otherwise, with a warning, and charts have them.
    """
    made: Object = deepcopy(dict(spec))
    for kind in _CONTAINERS:
        for container in made.get(kind) or ():
            if container.get("env"):
                container["env"] = _variables(container["name"], container["env"])
            if container.get("ports"):
                container["ports"] = _ports(container["name"], container["ports"])
    if made.get("imagePullSecrets"):
        made["imagePullSecrets"] = list({one.get("name"): one for one in made["imagePullSecrets"]}.values())
    if made.get("hostAliases"):
        made["hostAliases"] = _aliases(made["hostAliases"])
    return made


def _variables(container: str, env: list[Any]) -> list[Any]:
    """The last value of each, which is what a container gets; a value that another one is made of isn't left out."""
    last = {one["name"]: index for index, one in enumerate(env)}
    for index, one in enumerate(env):
        name, end = one["name"], last[one["name"]]
        if index < end and any(f"$({name})" in (later.get("value") or "") for later in env[index + 1 : end + 1]):
            raise Invalid(
                f"container {container} has the environment variable {name} twice, and another one is made of its "
                "first value; write each variable once"
            )
    return [one for index, one in enumerate(env) if last[one["name"]] == index]


def _ports(container: str, ports: list[Any]) -> list[Any]:
    """The first entry of each, with the only name that it has; they are read by name."""
    made: dict[tuple[Any, str], dict[str, Any]] = {}
    for one in ports:
        known = made.setdefault((one["containerPort"], one.get("protocol") or "TCP"), one)
        if {**known, **one} != {**one, **known}:
            raise Invalid(f"container {container} has port {one['containerPort']} twice; write each port once")
        known.update(one)
    return list(made.values())


def _aliases(aliases: Iterable[Mapping[str, Any]]) -> list[Object]:
    """All host names of an address in one entry."""
    made: dict[str, list[str]] = {}
    for one in aliases:
        made.setdefault(one["ip"], []).extend(one.get("hostnames") or ())
    return [{"ip": ip, "hostnames": list(dict.fromkeys(names))} for ip, names in made.items()]


# ---- its scaler ------------------------------------------------------------------------------------------------

PAUSED = "autoscaling.keda.sh/paused-replicas"
"""KEDA's annotation of a ScaledObject: the replicas while it is paused."""
KEDAS_MOST = 100
"""Replicas at most where a ScaledObject doesn't say."""


def scaler(canary: Canary, ref: AutoscalerRef, found: Data) -> Object:
    """The whole scaler of the primary, made of the target's."""
    own, names = found.get("metadata") or {}, Names.of(canary)
    spec: Object = deepcopy(dict(found.get("spec") or {}))
    spec["scaleTargetRef"] = {**(spec.get("scaleTargetRef") or {}), "name": names.primary}
    limits = ref.primary_scaler_replicas
    keyed = _KEDA if _is_keda(ref) else _HPA
    given = {"min": limits.min_replicas if limits else None, "max": limits.max_replicas if limits else None}
    spec |= {keyed[bound]: value for bound, value in given.items() if value is not None}
    if _is_keda(ref):
        spec["triggers"] = [_trigger(one, names, ref.primary_scaler_queries) for one in spec.get("triggers") or ()]
        own_hpa = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
        if own_hpa.get("name"):  # KEDA makes one for each
            own_hpa["name"] += SUFFIX
    said = {key: one for key, one in (own.get("annotations") or {}).items() if "keda.sh/" in key and key != PAUSED}
    return {"metadata": metadata(canary, f"{ref.name}{SUFFIX}", own.get("labels") or {}, said), "spec": spec}


def pausing(ref: AutoscalerRef, replicas: int) -> Mapping[str, str | None] | None:
    """Annotations of the target's scaler with which the target keeps these replicas; None if it needs none.

    A HorizontalPodAutoscaler does nothing for a target at zero replicas. A ScaledObject would scale it up again.
    """
    return {PAUSED: None if replicas else "0"} if _is_keda(ref) else None


def highest(ref: AutoscalerRef, found: Data) -> int:
    """Beyond this many replicas the scaler takes the target's back."""
    limit = (found.get("spec") or {}).get((_KEDA if _is_keda(ref) else _HPA)["max"])
    return int(limit or KEDAS_MOST)


_HPA: Mapping[str, str] = {"min": "minReplicas", "max": "maxReplicas"}
_KEDA: Mapping[str, str] = {"min": "minReplicaCount", "max": "maxReplicaCount"}


def _is_keda(ref: AutoscalerRef) -> bool:
    return ref.kind == "ScaledObject"


def _trigger(given: Data, names: Names, queries: Mapping[str, str]) -> Object:
    """A trigger that asks about the primary: by the manifest's query, else with the target's names replaced."""
    details = given.get("metadata") or {}
    if "query" not in details:
        return dict(given)
    own = queries.get(str(given.get("name") or ""))
    replaced = re.sub(rf"\b{re.escape(names.target)}(-canary)?(?![\w-])", names.primary, str(details["query"]))
    return {**given, "metadata": {**details, "query": own or replaced}}
