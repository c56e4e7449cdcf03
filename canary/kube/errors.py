"""What a request may end with, apart from an answer; `translate` finds the one for a status. Pure.

Conflict
└── VersionConflict  409, or a JSON patch whose test failed: it isn't what was read
Rejected
├── Refused          400, 422, an admission policy or webhook: with the words
│   └── Unserved     a kind that isn't served in this version
├── Forbidden        403: names the permission that is missing
└── NotFound         404, for an object
Unreachable
├── Unauthorized     401: the credentials aren't taken (any more)
├── Gone             410: what happened since that resourceVersion isn't known any more; list again
├── TooManyRequests  429: with the seconds to wait
└── Unavailable      refused, timed out, 5xx, or not an API server

Each holds a `Missing` for those who read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Cause, Missing

from .requests import JSON_PATCH, Request

LONGEST = 300
"""Characters of a server's message that are shown to users."""
SOON = 1.0
"""Seconds to wait where a server that has too much to do doesn't say how long."""


class Failure(Exception):
    """Any of these."""

    def __init__(self, kind: Cause, sentence: str) -> None:
        self.missing = Missing(kind, sentence)
        super().__init__(sentence)


class VersionConflict(Failure, Conflict):
    """It isn't there as it was read, or it is there already."""


class Refused(Failure, Rejected):
    """The cluster understood and said no."""


class Unserved(Refused):
    """The kind isn't served in this version, so nothing was done."""


class Forbidden(Failure, Rejected):
    """A permission is missing."""


class NotFound(Failure, Rejected):
    """There is no such object."""


class Unauthorized(Failure, Unreachable):
    """The credentials aren't taken; with new ones the same request may pass."""


class Unavailable(Failure, Unreachable):
    """No answer that can be used."""


class Gone(Failure, Unreachable):
    """Too long ago: it must be listed again."""


class TooManyRequests(Failure, Unreachable):
    """Too much to do."""

    def __init__(self, sentence: str, after: float) -> None:
        super().__init__(Cause.UNAVAILABLE, sentence)
        self.after = after
        """Seconds that the server asks to wait."""


@dataclass(frozen=True)
class ApiAnswer:
    """What came back, of any kind."""

    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes

    def parsed(self) -> Any:
        """The JSON in it, or None."""
        try:
            return from_json(self.body)
        except ValueError:
            return None

    @property
    def said(self) -> Mapping[str, Any]:
        """The Status in it; empty if it is something else."""
        found = self.parsed()
        return found if isinstance(found, dict) else {}


def translate(request: Request, answer: ApiAnswer) -> Failure:
    """The error that an answer other than 2xx stands for."""
    said = _words(answer)
    match answer.status:
        case 401:
            return Unauthorized(
                Cause.DENIED, f"the cluster doesn't take our credentials; renew them ({request}: {said})"
            )
        case 403:
            return _forbidden(request, said)
        case 404:
            return _absent(request, answer, said)
        case 409:
            return VersionConflict(Cause.INVALID, f"{request}: {said}")
        # A patch that doesn't apply is the one 422 that names neither object nor causes.
        case 422 if request.content_type == JSON_PATCH and not answer.said.get("details"):
            changed = f"{request.resource.kind} {request.name} isn't as it was read: the patch doesn't apply"
            return VersionConflict(Cause.INVALID, changed)
        case 410:
            return Gone(Cause.UNAVAILABLE, f"{request}: {said}")
        case 429:
            after = _after(answer)
            return TooManyRequests(f"the API server asks to wait {after:g}s ({request}: {said})", after)
    return _other(request, answer, said)


def _other(request: Request, answer: ApiAnswer, said: str) -> Failure:
    status = answer.status
    if status in (408, 504):
        return Unavailable(Cause.TIMED_OUT, f"{request}: {said}")
    if 400 <= status < 500 and answer.parsed() is not None:
        return Refused(Cause.INVALID, f"{request} was refused: {said}")
    kind = Cause.UNAVAILABLE if status >= 500 else Cause.RUBBISH
    return Unavailable(kind, f"{request}: the API server answered {status}: {said}")


def clipped(text: str) -> str:
    """On one line, and not longer than a person wants to read."""
    words = " ".join(text.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _forbidden(request: Request, said: str) -> Failure:
    """RBAC says 'User "x" cannot get resource'; admission, quotas and namespaces that end say something else."""
    if "system:anonymous" in said:
        return Unauthorized(Cause.DENIED, f"the cluster was shown no credentials ({request})")
    if not re.search(r"\bcannot \w+ resource\b", said):
        return Refused(Cause.DENIED, f"{request} was refused: {said}")
    who = re.search(r'User "([^"]+)"', said)
    where = f" in namespace {request.namespace}" if request.namespace else ""
    permission = f"{request.verb} {request.resource.full_name}{where}"
    return Forbidden(Cause.DENIED, f"{who[1] if who else 'we'} may not {permission}; a Role must allow it")


def _absent(request: Request, answer: ApiAnswer, said: str) -> Failure:
    """Only a Status says that an object is gone; plain text says that the path isn't served, perhaps by a proxy."""
    if answer.said.get("kind") == "Status":
        return NotFound(Cause.ABSENT, f"{request}: {said}")
    resource = request.resource
    known = f"{resource.kind} ({' or '.join((resource.api_version, *resource.older))})"
    return Unserved(Cause.UNAVAILABLE, f"this cluster has no {known}; are its CRDs installed? ({request}: {said})")


def _words(answer: ApiAnswer) -> str:
    """Strict decoding quotes the whole object before it comes to the point."""
    status = answer.parsed()
    text = status.get("message") if isinstance(status, dict) else answer.body.decode(errors="replace")
    found = re.search(r"strict decoding error: .*", str(text or ""), re.DOTALL)
    return clipped(found[0] if found else str(text or "")) or f"status {answer.status}"


def _after(answer: ApiAnswer) -> float:
    """Seconds; the header is in the answer even where the body is plain text."""
    details = answer.said.get("details") or {}
    for given in (answer.headers.get("retry-after"), details.get("retryAfterSeconds")):
        try:
            return max(0.0, float(given or ""))
        except ValueError:
            continue
    return SOON
