"""A Prometheus that wants the credentials or headers of a template: a token, or a user name with a password."""

import base64
from dataclasses import replace
from typing import Any

from canary.engine.errors import Invalid
from canary.engine.observed import Missing, Sample

from .. import answers
from .question import Headers, ProviderQuestion, ProviderWire


def ask(question: ProviderQuestion, wire: ProviderWire) -> Sample:
    """An instant query; two for counts with new series."""
    if question.events is not None:
        return question.events.ask(lambda text: _found(question, wire, text))
    found = _found(question, wire, question.text)
    return found if isinstance(found, Missing) else answers.one_number(found, wire.scrubbed)


def _found(question: ProviderQuestion, wire: ProviderWire, text: str) -> Any | Missing:
    """The result of a query."""
    asked = answers.Asked(question.at, wire.scrubbed, types=("vector", "scalar"))
    form = {
        "query": text,
        "time": f"{question.at.timestamp():.3f}",
        "timeout": f"{max(int(wire.left * 900), 1)}ms",
    }
    status, body = wire.raw("POST", "/api/v1/query", data=form, headers=authorization(question))
    return answers.result(status, body, replace(asked, quoted=wire.quoted))


def authorization(question: ProviderQuestion) -> Headers:
    """The header for a Secret's `token`, or for its `username` and `password`. Raises Invalid."""
    if question.secret.get("token"):
        return {"Authorization": f"Bearer {question.secret['token']}"}
    if "username" in question.secret or "password" in question.secret:
        pair = f"{question.key('username')}:{question.key('password')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if question.provider.secret:
        raise Invalid(f"the Secret {question.provider.secret} has neither token nor username and password")
    return {}
