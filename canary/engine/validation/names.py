"""Checks of names that the API server holds to its rules: of objects, of their labels, and in references."""

import re
from collections.abc import Iterator, Mapping

from canary.api.action import ActionResource
from canary.api.canary import Metadata
from canary.api.names import LONGEST, NAMESPACE, PATTERN

from .problem import Case, Field, Problem

_NAME = re.compile(PATTERN)
NO_NAME = "can't be a name: at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
_NAMESPACE = re.compile(NAMESPACE)
_NO_NAMESPACE = "can't be a namespace: at most 63 lower-case letters, digits and '-'"
_WORD = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"((?P<domain>[^/]{{1,253}})/)?{_WORD}")
_VALUE = re.compile(f"({_WORD})?")


def is_name(text: str) -> bool:
    """Whether an object can have this name."""
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def metadata(given: Metadata) -> Iterator[Problem]:
    """What the API server would refuse of any object. Names make up URLs, and for a standalone Envoy file names."""
    if not is_name(given.name):
        yield Problem(("metadata", "name"), f"{given.name!r} {NO_NAME}")
    yield from _namespace(("metadata", "namespace"), given.namespace)
    yield from labelled(("metadata",), given.labels, given.annotations)


def labelled(at: Field, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Iterator[Problem]:
    """The labels and annotations of one object, which the manifest has at this field."""
    for block, entries in (("labels", labels), ("annotations", annotations)):
        for key, value in entries.items():
            field: Field = (*at, block, key)
            found = _KEY.fullmatch(key)
            if found is None or not is_name((found["domain"] or "x").lower()):
                yield Problem(field, f"{key!r} can't be a key; write one such as team or example.com/team")
            elif block == "labels" and not _VALUE.fullmatch(value):
                yield Problem(field, f"{value!r} can't be a label: at most 63 letters, digits, '-', '_' and '.'")


def own(case: Case) -> Iterator[Problem]:
    """The Canary's."""
    yield from metadata(case.canary.metadata)


def references(case: Case) -> Iterator[Problem]:
    """What no object can be called is never found."""
    ref = case.spec.policy_ref
    if ref is not None and not is_name(ref.name):
        yield Problem(("spec", "policyRef", "name"), f"{ref.name!r} {NO_NAME}")


def templates(case: Case) -> Iterator[Problem]:
    """The same of MetricTemplates, in a Canary or a policy."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        ref = metric.template_ref
        if ref is not None and not is_name(ref.name):
            yield case.problem("metrics", f"{ref.name!r} {NO_NAME}", index, "templateRef", "name")
        if ref is not None and ref.namespace:
            for each in _namespace((), ref.namespace):
                yield case.problem("metrics", each.sentence, index, "templateRef", "namespace")


def action(given: ActionResource) -> Iterator[Problem]:
    """An action is for a Canary that can be there. The API server appends to the name if it makes it up."""
    yield from metadata(given.metadata.but(name=given.metadata.name.rstrip("-.")))
    if not is_name(given.spec.canary):
        yield Problem(("spec", "canary"), f"{given.spec.canary!r} {NO_NAME}")


def _namespace(field: Field, name: str) -> Iterator[Problem]:
    if not _NAMESPACE.fullmatch(name):
        yield Problem(field, f"{name!r} {_NO_NAMESPACE}")


CHECKS = (own, references, templates)
