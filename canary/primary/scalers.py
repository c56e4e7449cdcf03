"""The scaler of a primary: a copy of the target's, a HorizontalPodAutoscaler or a ScaledObject of KEDA. Pure.

A HorizontalPodAutoscaler does nothing for a target at zero replicas. A ScaledObject would scale it up again, so it is
paused there.
"""

import re
from collections.abc import Mapping
from copy import deepcopy

from canary.api.canary import Canary
from canary.api.service import AutoscalerRef

from .names import SUFFIX, Data, Names, Object, metadata

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
    """Annotations of the target's scaler with which the target keeps these replicas; None if it needs none."""
    return {PAUSED: None if replicas else "0"} if _is_keda(ref) else None


def most(ref: AutoscalerRef, found: Data) -> int:
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
