"""Who may report alerts to the controller: those that know a token, or the key of a signature."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

from canary.metrics.credentials import Secret

SIGNED, STAMPED = "X-Canary-Signature", "X-Canary-Timestamp"
OLDEST = 300.0
"""Seconds that a signed message may be old."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportSecrets:
    """Who may report alerts: with a bearer token, or with an HMAC of time and body."""

    token: Secret = field(default_factory=Secret)
    key: Secret = field(default_factory=Secret)

    def __bool__(self) -> bool:
        return bool(self.token or self.key)

    def sent(self, headers: Message, body: bytes, now: datetime) -> datetime | None:
        """When the message was sent, as far as is known: a signed one that is repeated tells nothing new. None if
        neither the token nor the signature is right. Without a secret that can be read, every client is refused."""
        try:
            if self._token(headers):
                return now
            if self._signature(headers, body, now.timestamp()):
                return min(now, datetime.fromtimestamp(int(headers[STAMPED][:12]), UTC))
        except OSError as error:
            log.warning("reported alert refused: the secret can't be read: %s", error.strerror)
        return None

    def _token(self, headers: Message) -> bool:
        given = (headers.get("Authorization") or "").removeprefix("Bearer ")
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.read().encode())

    def _signature(self, headers: Message, body: bytes, now: float) -> bool:
        given, stamp = headers.get(SIGNED) or "", headers.get(STAMPED) or ""
        if not self.key or not stamp.isascii() or not stamp.isdigit() or abs(now - int(stamp[:12])) > OLDEST:
            return False
        signed = hmac.new(self.key.read().encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(given.encode(), f"sha256={signed}".encode())


def secrets_from(environment: Mapping[str, str]) -> ReportSecrets:
    """What CANARY_HOOKS_TOKEN and CANARY_HOOKS_KEY say, or the files of CANARY_HOOKS_TOKEN_FILE and so on."""

    def secret(name: str) -> Secret:
        file = environment.get(f"{name}_FILE")
        return Secret(environment.get(name, ""), Path(file) if file else None)

    return ReportSecrets(secret("CANARY_HOOKS_TOKEN"), secret("CANARY_HOOKS_KEY"))
