"""What a server wants to be shown: passwords, tokens, certificates, headers. Nothing here prints any of it.

Files are read again when they change, as tokens and certificates of a pod do; `session.py` uses what is read.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from canary.api.address import PATTERN
from canary.engine.errors import Invalid

_MASK = "***"
_TENANT = "X-Scope-OrgID"


@dataclass(frozen=True)
class Secret:
    """A value, or the file that holds it."""

    value: str = field(default="", repr=False)
    file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.value or self.file)

    def read(self) -> str:
        """The value as it is now. Raises OSError for a file that can't be read."""
        if self.file is None:
            return self.value
        text = self.file.read_text(errors="replace").strip()
        if not text:
            raise OSError(0, "is empty", str(self.file))
        return text


@dataclass(frozen=True)
class Credentials:
    """What one server is shown; all of it is optional."""

    username: str = ""
    password: Secret = Secret()
    token: Secret = Secret()
    headers: tuple[tuple[str, Secret], ...] = ()
    tenant: str = ""
    """For Mimir, Cortex and Loki-like servers that hold several tenants."""
    ca: Path | None = None
    """Who vouches for the server; the machine's certificate authorities unless given."""
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if self.token and self.username:
            raise Invalid("a server is shown a token or a user name with a password, not both")
        if self.key and not self.certificate:
            raise Invalid("a key needs its certificate")

    def shown(self) -> dict[str, str]:
        """The headers of each request. Raises OSError for a file that can't be read."""
        headers = {name: secret.read() for name, secret in self.headers}
        if self.tenant:
            headers[_TENANT] = self.tenant
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.read()}"
        elif self.username or self.password:
            headers["Authorization"] = f"Basic {_basic(self.username, self.password.read())}"
        return headers

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever a file does, also one that is replaced by renaming or by a link."""
        return tuple(_seen(path) for path in self._files())

    def check(self) -> None:
        """Raises OSError, with its name, for a file that can't be read."""
        for path in self._files():
            path.open("rb").close()

    def scrubbed(self, text: str) -> str:
        """The text without anything secret in it, whoever wrote it."""
        for word in sorted(self._words(), key=len, reverse=True):
            text = text.replace(word, _MASK)
        return text

    def _files(self) -> list[Path]:
        secrets = [self.password, self.token, *(secret for _, secret in self.headers)]
        files = [*(secret.file for secret in secrets), self.ca, self.certificate, self.key]
        return [path for path in files if path is not None]

    def _words(self) -> set[str]:
        password = _now(self.password)
        words = {password, _now(self.token), *(_now(secret) for _, secret in self.headers)}
        words |= {_basic(self.username, password)} if password else set()
        return {form for word in words if word for form in (word, quote(word), quote(word, safe=""))}


NONE = Credentials()


def from_environment(environment: Mapping[str, str]) -> Credentials:
    """What the PROMETHEUS_* variables say; docs/metrics.md has them all. Raises Invalid."""

    def path(name: str) -> Path | None:
        return Path(environment[name]) if environment.get(name) else None

    def secret(name: str) -> Secret:
        value, file = environment.get(name, ""), path(f"{name}_FILE")
        if value and file:
            raise Invalid(f"{name} and {name}_FILE are both set; one of them is enough")
        return Secret(value, file)

    return Credentials(
        username=environment.get("PROMETHEUS_USERNAME", ""),
        password=secret("PROMETHEUS_PASSWORD"),
        token=secret("PROMETHEUS_TOKEN"),
        headers=tuple(_headers(environment.get("PROMETHEUS_HEADERS", "").splitlines())),
        tenant=environment.get("PROMETHEUS_TENANT", ""),
        ca=path("PROMETHEUS_CA_FILE"),
        certificate=path("PROMETHEUS_CERT_FILE"),
        key=path("PROMETHEUS_KEY_FILE"),
    )


def address(url: str, credentials: Credentials = NONE) -> tuple[str, Credentials]:
    """The URL without user name and password, and the credentials with them. Raises Invalid, without the URL."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        parts = None
    if parts is None or not re.fullmatch(PATTERN, url.strip()):
        raise Invalid("a Prometheus' address looks like http://prometheus.monitoring:9090, without a query")
    user, _, host = parts.netloc.rpartition("@")
    clean = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if not user:
        return clean, credentials
    name, _, password = user.partition(":")
    return clean, replace(credentials, username=unquote(name), password=Secret(unquote(password)))


def _headers(lines: Iterable[str]) -> Iterable[tuple[str, Secret]]:
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not (colon and value.strip() and name.strip().replace("-", "").isalnum()):
            raise Invalid(f"line {number} of PROMETHEUS_HEADERS is no header such as `X-Team: shop`")
        yield name.strip(), Secret(value.strip())


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def _now(secret: Secret) -> str:
    try:
        return secret.read()
    except OSError:
        return ""


def _seen(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
