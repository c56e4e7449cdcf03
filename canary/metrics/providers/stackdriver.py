"""Google Cloud Monitoring, in MQL: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/query.

`google-auth` (the extra `stackdriver`) signs for tokens; they are fetched by the same bounded client.
"""

import hashlib
import json
import threading
from typing import Any
from urllib.parse import quote, urlsplit

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport import Request, Response
from google.oauth2 import service_account

from canary.api.providers import PROVIDERS
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Value

from .question import NoAnswer, ProviderQuestion, ProviderWire, empty, foreign, number, several

SCOPE = "https://www.googleapis.com/auth/monitoring.read"
TOKENS = "https://oauth2.googleapis.com/token"
_MOST = 64
_known: dict[str, Any] = {}
"""Credentials with their tokens, by a digest of the key; in memory only."""
_lock = threading.Lock()


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The newest point of the one time series."""
    token, project = _token(question, wire)
    path = f"/v3/projects/{quote(project, safe='')}/timeSeries:query"
    headers = {"Authorization": f"Bearer {token}"}
    document = wire.json("POST", path, json={"query": question.text}, headers=headers)
    match document:
        case {"partialErrors": [_, *_]}:
            raise NoAnswer(Cause.PARTIAL, "the server says that parts are missing")
        case {"timeSeriesData": [{"pointData": [{"values": [dict(value)]}, *_]}]}:
            return Value(_number(value))
        case {"timeSeriesData": [{"pointData": [{"values": list(values)}, *_]}]}:
            raise several(len(values), "values")
        case {"timeSeriesData": [{"pointData": []} | {"labelValues": _}]} | {"timeSeriesData": []}:
            raise empty()
        case {"timeSeriesData": list(found)}:
            raise several(len(found))
        case {"timeSeriesDescriptor": _}:
            raise empty()
    raise foreign("Cloud Monitoring")


def _number(value: dict[str, Any]) -> float:
    for name in ("doubleValue", "int64Value"):
        if name in value:
            return number(value[name])
    raise NoAnswer(Cause.INVALID, "something else where one number was due")


def _token(question: ProviderQuestion, wire: ProviderWire) -> tuple[str, str]:
    """A token and the project. Raises NoAnswer, Invalid."""
    key = question.secret.get("serviceAccountKey", "")
    try:
        with _lock:
            name = hashlib.sha256(f"{question.server} {key}".encode()).hexdigest()
            found = _known.get(name)
        if found is None:
            found = _of_key(key, question.server) if key else google.auth.default([SCOPE])
        credentials, usual = found
        if not credentials.valid:
            credentials.refresh(_Transport(wire))
    except GoogleAuthError as error:
        raise NoAnswer(Cause.DENIED, f"no token: {type(error).__name__}") from None
    with _lock:
        while len(_known) >= _MOST:
            _known.pop(next(iter(_known)))
        _known[name] = found
    project = question.secret.get("project") or usual
    if not project:
        raise Invalid("the Secret has no key project, and the environment names none")
    return str(credentials.token), str(project)


def _of_key(text: str, server: str) -> tuple[Any, str]:
    """Of a service account. Its token is fetched from Google, also if the key names another server, or from the
    template's own address: the author of a Secret must not choose whom canary asks."""
    try:
        info = json.loads(text)
        usual = server == PROVIDERS["stackdriver"].address
        made = service_account.Credentials.from_service_account_info(
            {**info, "token_uri": TOKENS if usual else f"{server}/token"}, scopes=[SCOPE]
        )
    except (ValueError, TypeError, RecursionError, GoogleAuthError):
        raise Invalid("serviceAccountKey in the Secret is no key of a service account in JSON") from None
    return made, str(info.get("project_id") or "")


class _Answered(Response):
    """As google-auth reads it."""

    def __init__(self, status: int, body: bytes) -> None:
        self._status, self._body = status, body

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "application/json"}

    @property
    def data(self) -> bytes:
        return self._body


class _Transport(Request):
    """google-auth's way of sending a request, over the bounded client."""

    def __init__(self, wire: ProviderWire) -> None:
        self._wire = wire

    def __call__(
        self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **_: Any
    ) -> _Answered:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        wire = self._wire.at(f"{parts.scheme}://{parts.netloc}")
        status, found = wire.raw(method, path, data=body, headers=dict(headers or {}))
        return _Answered(status, found)
