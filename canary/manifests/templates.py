"""Which MetricTemplates of some files a Canary refers to: those of two namespaces are two, whatever their name.

An object without a namespace goes where its file is applied, and so may be of any.
"""

from collections.abc import Iterable

from canary.api.analysis import TemplateRef
from canary.api.canary import Canary, CanaryPolicy, Metadata, MetricTemplate
from canary.engine.policy import effective


def templates_of(
    canary: Canary, policy: CanaryPolicy | None, found: Iterable[MetricTemplate]
) -> dict[str, MetricTemplate]:
    """By `TemplateRef.key`; beside them those that are there and that it doesn't refer to, by name."""
    every = list(found)
    metrics = effective(canary.spec, policy).metrics or ()
    refs = {one.template_ref.key: one.template_ref for one in metrics if one.template_ref is not None}
    others = {one.metadata.name: one for one in every if one.metadata.name not in refs}
    meant = {key: _meant(ref, canary, every) for key, ref in refs.items()}
    return others | {key: one for key, one in meant.items() if one is not None}


def _meant(ref: TemplateRef, canary: Canary, found: Iterable[MetricTemplate]) -> MetricTemplate | None:
    wanted = ref.namespace or _written(canary.metadata)
    there = {_written(one.metadata): one for one in found if one.metadata.name == ref.name}
    if wanted in there or wanted is not None:
        return there.get(wanted) or there.get(None)
    return next(iter(there.values()), None)


def _written(metadata: Metadata) -> str | None:
    return metadata.namespace if "namespace" in metadata.model_fields_set else None
