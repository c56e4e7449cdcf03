"""What the objects of a cluster say of a primary. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from canary.kube.projections import template_digest

from .kept import KEPT
from .names import ORIGINAL, REVISION, SUFFIX, TEMPLATE, Data
from .workload import SELECTOR_LABELS, TEMPLATE_HASH, Selectors


def complete(found: Data | None) -> bool:
    """Whether the primary was made to the end."""
    return bool(annotation(found, TEMPLATE))


def copied_from(found: Data) -> str:
    """The target's revision that a primary is a copy of; empty once another client has changed its template."""
    return annotation(found, REVISION) if annotation(found, TEMPLATE) == template_digest(found) else ""


def label_of(found: Data) -> tuple[str, str]:
    """The label that distinguishes the pods of target and primary, and its value; empty if there is none."""
    labels = ((found.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return next(((key, str(labels[key])) for key in SELECTOR_LABELS if labels.get(key)), ("", ""))


def selected_by(found: Data | None) -> Selectors:
    """What selects the pods of a primary that is there, and those of its target, of any build."""
    key, value = label_of(found or {})
    own = (((found or {}).get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return Selectors(own, {key: value if KEPT in own else value.removesuffix(SUFFIX)})


def selected_build(service: Data | None) -> str:
    """The target's build whose pods a canary's Service selects; empty where it selects those of any."""
    return str((((service or {}).get("spec") or {}).get("selector") or {}).get(TEMPLATE_HASH) or "")


def selects(service: Data | None, selector: Mapping[str, str]) -> bool:
    """Whether a Service selects pods by these labels, of whichever build."""
    found = ((service or {}).get("spec") or {}).get("selector") or {}
    return bool(selector) and {key: one for key, one in found.items() if key != TEMPLATE_HASH} == dict(selector)


def original(found: Data | None) -> dict[str, Any] | None:
    """What an object was before it was adopted; None for one that wasn't."""
    noted = annotation(found, ORIGINAL)
    made: dict[str, Any] | None = json.loads(noted) if noted else None
    return made


def annotation(found: Data | None, name: str) -> str:
    return str((((found or {}).get("metadata") or {}).get("annotations") or {}).get(name) or "")
