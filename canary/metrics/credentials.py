"""What a server wants to be shown: passwords, tokens, certificates, headers. Nothing here prints any of it.

Files are read again when they change, as tokens and certificates of a pod do; `session.py` uses what is read.
"""

import base64
import html.entities
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from canary import files
from canary.api.names import ADDRESS
from canary.engine.errors import Invalid

_MASK = "***"
LARGEST = 1024 * 1024
"""Bytes of a file with a secret or with certificates."""
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
        text = files.read(self.file, LARGEST).data.decode(errors="replace").strip()
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
            pair = f"{self.username}:{self.password.read()}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever a file does, also one that is replaced by renaming or by a link."""
        return tuple(_seen(path) for path in self._files())

    def check(self) -> None:
        """Raises OSError, with its name, for a file that can't be read."""
        for path in self._files():
            files.read(path, LARGEST)

    def scrubbed(self, text: str) -> str:
        """The text without secrets, from any author, and as escaped in HTML, JSON or a URL."""
        for word in sorted(self._words(), key=len, reverse=True):
            text = _written(word).sub(_MASK, text)
        return text

    def _files(self) -> list[Path]:
        secrets = [self.password, self.token, *(secret for _, secret in self.headers)]
        files = [*(secret.file for secret in secrets), self.ca, self.certificate, self.key]
        return [path for path in files if path is not None]

    def _words(self) -> set[str]:
        password = _now(self.password)
        words = {password, _now(self.token), *(_now(secret) for _, secret in self.headers)} - {""}
        pair = {f"{self.username}:{password}"} if password else set()
        return words.union(*map(_coded, words | pair))


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
    if parts is None or not re.fullmatch(ADDRESS, url.strip()):
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


def _coded(word: str) -> set[str]:
    """In both alphabets of base64, with padding and without."""
    octets = word.encode(errors="surrogatepass")
    coded = {code(octets).decode() for code in (base64.b64encode, base64.urlsafe_b64encode)}
    return coded | {one.rstrip("=") for one in coded}


@lru_cache(maxsize=64)
def _written(word: str) -> re.Pattern[str]:
    """What finds a word, with any of its characters escaped. Repeated backslashes count as one."""
    return re.compile("".join(map(_forms, re.sub(r"\\+", r"\\", word))), re.IGNORECASE)


@cache
def _forms(char: str) -> str:
    """One character: as itself, for HTML, JSON, Python, or a URL; several times escaped, too.

    All that repeats is possessive: else an answer of nothing but backslashes takes seconds.
    """
    number, octets = ord(char), char.encode(errors="surrogatepass")
    pairs = char.encode("utf-16-be", "surrogatepass").hex()
    entity = "|".join([*map(re.escape, _named()[char]), f"#0*+{number}", f"#[xX]0*+{number:x}"])
    slashes = r"\\{0,16}+"
    forms = [
        f"&(?:amp;)*+(?:{entity});?",
        slashes.join(f"u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4)),
        f"U0*+{number:x}",
        slashes.join(f"x{one:02x}" for one in octets),
        *([f"x{number:02x}"] if number < 256 else []),
        "".join(f"%(?:25)*{one:02x}" for one in octets),
    ]
    if char == "\\":
        return rf"(?:{slashes}(?:{'|'.join(forms)})|\\{{1,16}}+)++"
    plain = re.escape(char) + (r"|\+" if char == " " else "")
    return f"(?:{slashes}(?:{plain}|{'|'.join(forms)}))"


@cache
def _named() -> Mapping[str, list[str]]:
    names = defaultdict[str, list[str]](list)
    for name, text in html.entities.html5.items():
        names[text].append(name.rstrip(";"))
    return names


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
