"""What a request may end with, apart from an answer; `translate` finds the one for a status. Pure.

Conflict
└── Changed      409, or a JSON patch whose test failed: it isn't what was read
Rejected
├── Refused      400, 422, an admission policy or webhook, a kind that isn't served: with the words
├── Forbidden    403: names the permission that is missing
└── Absent       404, for an object
Unreachable
├── Expired      401: the credentials aren't taken (any more)
├── Gone         410: what happened since that resourceVersion isn't known any more; list again
├── Throttled    429: with the seconds to wait
└── Away         refused, timed out, 5xx, or not an API server

Each holds a `Missing` for those who read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Kind, Missing

from .requests import JSON_PATCH, Request

LONGEST = 300
"""Characters of somebody else's words that a person is shown."""
SOON = 1.0
"""Seconds to wait where a server that has too much to do doesn't say how long."""


class Failure(Exception):
    """Any of these."""

    def __init__(self, kind: Kind, sentence: str) -> None:
        self.missing = Missing(kind, sentence)
        super().__init__(sentence)


class Changed(Failure, Conflict):
    """It isn't there as it was read, or it is there already."""


class Refused(Failure, Rejected):
    """The cluster understood and said no."""


class Forbidden(Failure, Rejected):
    """A permission is missing."""


class Absent(Failure, Rejected):
    """There is no such object."""


class Expired(Failure, Unreachable):
    """The credentials aren't taken; with new ones the same request may pass."""


class Away(Failure, Unreachable):
    """No answer that can be used."""


class Gone(Failure, Unreachable):
    """Too long ago: it must be listed again."""


class Throttled(Failure, Unreachable):
    """Too much to do."""

    def __init__(self, sentence: str, after: float) -> None:
        super().__init__(Kind.UNAVAILABLE, sentence)
        self.after = after
        """Seconds that the server asks to wait."""


@dataclass(frozen=True)
class Answer:
    """What came back, whatever it is."""

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


def translate(request: Request, answer: Answer) -> Failure:
    """The error that an answer other than 2xx stands for."""
    said = _words(answer)
    match answer.status:
        case 401:
            return Expired(Kind.DENIED, f"the cluster doesn't take our credentials; renew them ({request}: {said})")
        case 403:
            return _forbidden(request, said)
        case 404:
            return _absent(request, answer, said)
        case 409:
            return Changed(Kind.INVALID, f"{request}: {said}")
        case 422 if request.content_type == JSON_PATCH and _untold(answer):
            changed = f"{request.resource.kind} {request.name} isn't as it was read: the patch doesn't apply"
            return Changed(Kind.INVALID, changed)
        case 410:
            return Gone(Kind.UNAVAILABLE, f"{request}: {said}")
        case 429:
            after = _after(answer)
            return Throttled(f"the API server asks to wait {after:g}s ({request}: {said})", after)
    return _other(request, answer, said)


def _other(request: Request, answer: Answer, said: str) -> Failure:
    status = answer.status
    if status in (408, 504):
        return Away(Kind.TIMED_OUT, f"{request}: {said}")
    if 400 <= status < 500 and answer.parsed() is not None:
        return Refused(Kind.INVALID, f"{request} was refused: {said}")
    kind = Kind.UNAVAILABLE if status >= 500 else Kind.RUBBISH
    return Away(kind, f"{request}: the API server answered {status}: {said}")


def clipped(text: str) -> str:
    """On one line, and not longer than a person wants to read."""
    words = " ".join(text.split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _forbidden(request: Request, said: str) -> Failure:
    """RBAC says 'User "x" cannot get resource'; admission, quotas and namespaces that end say something else."""
    if "system:anonymous" in said:
        return Expired(Kind.DENIED, f"the cluster was shown no credentials ({request})")
    if not re.search(r"\bcannot \w+ resource\b", said):
        return Refused(Kind.DENIED, f"{request} was refused: {said}")
    who = re.search(r'User "([^"]+)"', said)
    where = f" in namespace {request.namespace}" if request.namespace else ""
    permission = f"{request.verb} {request.resource.full_name}{where}"
    return Forbidden(Kind.DENIED, f"{who[1] if who else 'we'} may not {permission}; a Role must allow it")


def _absent(request: Request, answer: Answer, said: str) -> Failure:
    """Only a Status says that an object is gone; plain text says that nobody serves the path, a proxy's perhaps."""
    status = answer.parsed()
    if isinstance(status, dict) and status.get("kind") == "Status":
        return Absent(Kind.ABSENT, f"{request}: {said}")
    known = f"{request.resource.kind} ({request.resource.api_version})"
    return Refused(Kind.UNAVAILABLE, f"this cluster has no {known}; are its CRDs installed? ({request}: {said})")


def _untold(answer: Answer) -> bool:
    """A patch that doesn't apply is the one 422 that names neither object nor causes."""
    status = answer.parsed()
    details = status.get("details") if isinstance(status, dict) else None
    return not details


def _words(answer: Answer) -> str:
    """Strict decoding quotes the whole object before it comes to the point."""
    status = answer.parsed()
    text = status.get("message") if isinstance(status, dict) else answer.body.decode(errors="replace")
    found = re.search(r"strict decoding error: .*", str(text or ""), re.DOTALL)
    return clipped(found[0] if found else str(text or "")) or f"status {answer.status}"


def _after(answer: Answer) -> float:
    """Seconds; the header is in the answer even where the body is plain text."""
    status = answer.parsed()
    details = (status.get("details") or {}) if isinstance(status, dict) else {}
    for told in (answer.headers.get("retry-after"), details.get("retryAfterSeconds")):
        try:
            return max(0.0, float(told or ""))
        except ValueError:
            continue
    return SOON
