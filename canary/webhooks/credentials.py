"""What a webhook's server is shown, from a Secret that is read by name for each call and never kept.

Nothing here prints any of it.
"""

import base64
import binascii
import hmac
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from canary.engine.errors import Invalid, Rejected
from canary.engine.observed import Missing
from canary.kube.client import Client
from canary.kube.errors import Forbidden, NotFound
from canary.kube.resources import SECRETS
from canary.ports import Secrets

TOKEN, USERNAME, PASSWORD, HMAC_KEY = "token", "username", "password", "hmacKey"
CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"
KEYS = (TOKEN, USERNAME, PASSWORD, HMAC_KEY, CA, CERTIFICATE, KEY)
SIGNATURE, TIMESTAMP = "X-Canary-Signature", "X-Canary-Timestamp"
MASK = "***"
TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/tls")


@dataclass(frozen=True)
class HookCredentials:
    """The keys of a Secret that are used."""

    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, secret: Mapping[str, Any]) -> "HookCredentials":
        """Of a Secret. Raises Invalid, without any of its data."""
        type_, data = secret.get("type") or "Opaque", secret.get("data") or {}
        if type_ not in TYPES:  # a service account's token is for the API server only
            raise Invalid(f"the Secret {name} is of type {type_}; write one of type {', '.join(TYPES)}")
        try:
            values = {key: base64.b64decode(str(data[key]), validate=True) for key in KEYS if data.get(key)}
        except (binascii.Error, ValueError):
            raise Invalid(f"the Secret {name} can't be decoded") from None
        return cls.checked(name, values)

    @classmethod
    def checked(cls, name: str, given: Mapping[str, bytes]) -> "HookCredentials":
        """With the keys that are used. Raises Invalid where they don't fit together."""
        values = {key: given[key] for key in KEYS if given.get(key)}
        if not values:
            raise Invalid(f"the Secret {name} has none of the keys {', '.join(KEYS)}")
        if TOKEN in values and USERNAME in values:
            raise Invalid(f"the Secret {name} has token and username; one of them is enough")
        if KEY in values and CERTIFICATE not in values:
            raise Invalid(f"the Secret {name} has tls.key without tls.crt")
        return cls(values)

    def headers(self, body: bytes, timestamp: int) -> dict[str, str]:
        """Of a request with this body; its signature is over the timestamp, a dot and the body."""
        found: dict[str, str] = {}
        if TOKEN in self.values:
            found["Authorization"] = f"Bearer {self._text(TOKEN)}"
        elif USERNAME in self.values:
            found["Authorization"] = f"Basic {self._pair()}"
        if HMAC_KEY in self.values:
            signed = hmac.new(self.values[HMAC_KEY], f"{timestamp}.".encode() + body, sha256).hexdigest()
            found |= {TIMESTAMP: str(timestamp), SIGNATURE: f"sha256={signed}"}
        return found

    def context(self, *, verified: bool) -> ssl.SSLContext:
        """For TLS. Raises Invalid for certificates that can't be used."""
        if not self.values:
            return _usual(verified=verified)
        try:
            made = ssl.create_default_context(cadata=self._text(CA) if CA in self.values else None)
            _relaxed(made, verified=verified)
            if CERTIFICATE in self.values:
                with _file(self.values[CERTIFICATE] + b"\n" + self.values.get(KEY, b"")) as path:
                    made.load_cert_chain(path)
        except (ssl.SSLError, ValueError, OSError):
            raise Invalid("the certificates of its Secret can't be used") from None
        return made

    def scrubbed(self, text: str) -> str:
        """The text without the values."""
        words = [self._text(key) for key in (TOKEN, PASSWORD, HMAC_KEY)]
        if USERNAME in self.values:
            words.append(self._pair())
        for word in sorted(filter(None, words), key=len, reverse=True):
            text = text.replace(word, MASK)
        return text

    def _pair(self) -> str:
        return base64.b64encode(f"{self._text(USERNAME)}:{self._text(PASSWORD)}".encode()).decode()

    def _text(self, key: str) -> str:
        return self.values.get(key, b"").decode(errors="replace").strip()


NONE = HookCredentials()
SecretOf = Callable[[str], HookCredentials]
"""The credentials in a Secret of the Canary's namespace. Raises CanaryError, in a sentence for people."""


@cache
def _usual(*, verified: bool) -> ssl.SSLContext:
    """Without credentials: reading the machine's certificate authorities takes a while."""
    return _relaxed(ssl.create_default_context(), verified=verified)


def _relaxed(context: ssl.SSLContext, *, verified: bool) -> ssl.SSLContext:
    if not verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A file for `ssl`, which takes no bytes: in memory where the system can."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("canary")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pem"
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield str(path)


def hook_secrets(client: Client, namespace: str) -> SecretOf:
    """Reads those of one namespace. What it returns raises CanaryError."""

    def read(name: str) -> HookCredentials:
        try:
            return HookCredentials.of(name, client.fresh(SECRETS, namespace, name))
        except NotFound:
            raise Invalid(f"there is no Secret {name} in namespace {namespace}") from None
        except Forbidden as error:
            raise Rejected(f"its Secret may not be read: {error}") from None

    return read


def folder_secrets(secrets: Secrets) -> SecretOf:
    """The same of a folder, which has no namespaces."""

    def read(name: str) -> HookCredentials:
        found = secrets.read("", name)
        if isinstance(found, Missing):
            raise Rejected(found.detail)
        return HookCredentials.checked(name, {key: value.encode() for key, value in found.items()})

    return read
