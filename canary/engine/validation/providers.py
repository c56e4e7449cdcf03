"""Checks of a MetricTemplate's provider: what its type needs, what it doesn't use, and credentials in plain text."""

import re
from collections.abc import Iterator

from canary.api.canary import MetricTemplate, TemplateProvider
from canary.api.providers import PROVIDERS, REGION

from .names import NO_NAME, is_name
from .problem import Case, Field, Problem, Severity, dotted

MISSING = "is missing; this type of provider needs it"
_HEADER = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")
_CREDENTIALS = re.compile(r"authorization|cookie|token|secret|password|api[-_]?key", re.IGNORECASE)
_WIRE = {"address": "address", "secretRef": "secret_ref", "region": "region"}
"""Fields of a provider as a manifest has them, and as the model has them."""


def provider(template: MetricTemplate) -> Iterator[Problem]:
    """What would fail, or be ignored, when the template is used."""
    given, facts = template.spec.provider, PROVIDERS[template.spec.provider.type]
    for field in facts.needs:
        if getattr(given, _WIRE[field]) is None:
            yield Problem(_field(field), MISSING)
    if given.secret_ref is not None and not is_name(given.secret_ref.name):
        yield Problem((*_field("secretRef"), "name"), f"{given.secret_ref.name!r} {NO_NAME}")
    if given.secret_ref is not None and not facts.keys and not facts.may:
        yield _unused("secretRef", given)
    if given.region is not None and "region" not in facts.needs:
        yield _unused("region", given)
    elif given.region is not None and not re.fullmatch(REGION, given.region):
        yield Problem(_field("region"), f"{given.region!r} is no region, such as eu-west-1")
    if given.insecure_skip_verify:
        sentence = "the server's certificate isn't verified, so any server could answer and read the credentials"
        yield Problem(_field("insecureSkipVerify"), sentence, Severity.WARNING)
    yield from _headers(given)


def _headers(given: TemplateProvider) -> Iterator[Problem]:
    for name, values in given.headers.items():
        field = (*_field("headers"), name)
        if not _HEADER.fullmatch(name):
            yield Problem(field, "is no name of an HTTP header, such as X-Scope-OrgID")
        elif any(not value.isprintable() or not value.isascii() for value in values):
            yield Problem(field, "a header's value must be printable ASCII on one line")
        elif _CREDENTIALS.search(name):
            sentence = "is a credential that all readers of MetricTemplates see; put it into the Secret of secretRef"
            yield Problem(field, sentence, Severity.WARNING)


def _unused(field: str, given: TemplateProvider) -> Problem:
    return Problem(_field(field), f"isn't used by the provider {given.type}", Severity.WARNING)


def _field(name: str) -> Field:
    return ("spec", "provider", name)


def providers(case: Case) -> Iterator[Problem]:
    """The same of each template that is referred to."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        template = case.templates.get(metric.template_ref.key) if metric.template_ref else None
        if template is None:
            continue
        for found in provider(template):
            sentence = of_template(template, found)
            yield case.problem("metrics", sentence, index, "templateRef", severity=found.severity)


def of_template(template: MetricTemplate, problem: Problem) -> str:
    """How a problem of a template reads at the metric that refers to it."""
    return f"in the MetricTemplate {template.metadata.name}, {dotted(problem.field)}: {problem.sentence}"


CHECKS = (providers,)
