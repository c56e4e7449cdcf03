"""Checks of alerts, and of the AlertProviders that send them. A rollout starts without its alerts, too."""

import re
from collections.abc import Iterator

from canary.api.canary import DEFAULT_TEMPLATE, AlertProvider
from canary.api.names import ADDRESS
from canary.api.reason import Reason, Topic
from canary.engine.did_you_mean import did_you_mean

from ..alerts import WORDS, unknown
from ..errors import Invalid
from ..pairs import pair_for
from ..query_templates import used
from .names import NO_NAME, is_name, metadata
from .problem import Case, Field, Problem

UNSAID = "is missing, so all alerts are sent, as with info; Flagger sends none then. Write info, warn or error"
APPRISE = re.compile(r"[a-zA-Z0-9]+://\S+")
_WEBHOOK = re.compile(r"https?://[^/\s?#]+\S*")
REASONS = tuple(str(one) for one in Reason if one.topic not in (None, Topic.COMMAND, Topic.QUIET))


def alerts(case: Case) -> Iterator[Problem]:
    """Of a Canary or a policy."""
    for index, alert in enumerate(case.analysis.alerts or ()):
        if "severity" not in alert.model_fields_set:
            yield case.warning("alerts", UNSAID, index, "severity")
        for name, text in (("name", alert.provider_ref.name), ("namespace", alert.provider_ref.namespace)):
            if text is not None and not is_name(text):
                yield case.problem("alerts", f"{text!r} {NO_NAME}", index, "providerRef", name)


def reported(case: Case) -> Iterator[Problem]:
    """Only a controller hears of alerts."""
    pair = pair_for(case.spec)
    if case.analysis.rollback_on and pair is not None and not pair.in_cluster:
        yield case.warning("rollback_on", f"isn't used for {pair.kind}: alerts are reported to the controller")
    if case.analysis.watch_after_promotion and not case.analysis.rollback_on:
        yield case.warning("watch_after_promotion", "has no effect without rollbackOn, which names the alerts")


def provider(given: AlertProvider) -> Iterator[Problem]:
    """Of an AlertProvider."""
    spec = given.spec
    yield from metadata(given.metadata)
    if not spec.address and spec.secret_ref is None:
        what = "apprise URL" if spec.type == "apprise" else "webhook's URL"
        yield Problem(("spec", "secretRef"), f"is missing; name a Secret whose key `address` holds the {what}")
    if spec.address and (why := address(spec.type, spec.address)):
        yield Problem(("spec", "address"), why)
    if spec.proxy and not re.fullmatch(ADDRESS, spec.proxy):
        yield Problem(("spec", "proxy"), "must be a URL such as http://proxy.shop:3128")
    for reason, text in spec.templates.items():
        yield from _template(("spec", "templates", reason), reason, text)


def address(kind: str, text: str) -> str:
    """What is wrong with the address of a provider of this type, without its text; empty if nothing is."""
    if kind == "apprise":
        return "" if APPRISE.fullmatch(text) else "must be an apprise URL such as mailto://user:password@example.com"
    return "" if _WEBHOOK.fullmatch(text) else "must be a URL such as https://hooks.slack.com/services/T/B/X"


def _template(field: Field, reason: str, text: str) -> Iterator[Problem]:
    if reason != DEFAULT_TEMPLATE and reason not in REASONS:
        hint = did_you_mean(reason, (*REASONS, DEFAULT_TEMPLATE)) or "; docs/observability.md lists the reasons"
        yield Problem(field, f"{reason!r} is no reason{hint}")
    try:
        words = used(text)
    except Invalid as error:
        yield Problem(field, str(error))
        return
    for word in sorted(words - set(WORDS)):
        yield Problem(field, unknown(word))


CHECKS = (alerts, reported)
