"""Credentials and signatures for AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.

AWS's own Python client can't be installed beside that of Kubernetes, which needs a newer python-dateutil. Of its
sources of credentials these are here: a Secret, the environment, and the identities that EKS gives a pod. The role of
the node is left out: a pod must not use it.
"""

import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from canary import files
from canary.engine.observed import Cause

from .question import NoAnswer, ProviderWire, foreign, number

SPARE = timedelta(minutes=5)
"""Time before their end at which temporary credentials are renewed."""
_LARGEST = 2**16


@dataclass(frozen=True)
class AwsKeys:
    """What a request is signed with."""

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    ends: datetime | None = None


class AwsIdentity:
    """The keys of the pod, kept until shortly before they end. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, AwsKeys] = {}

    def keys(self, region: str, environment: Mapping[str, str], wire: ProviderWire, now: datetime) -> AwsKeys:
        """Those of the environment, else of the pod. Raises NoAnswer where there are none."""
        if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
            token = environment.get("AWS_SESSION_TOKEN", "")
            return AwsKeys(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token)
        with self._lock:
            known = self._known.get(region)
        if known is not None and (known.ends is None or known.ends - SPARE > now):
            return known
        made = _of_pod(region, environment, wire)
        with self._lock:
            self._known[region] = made
        return made


def _of_pod(region: str, environment: Mapping[str, str], wire: ProviderWire) -> AwsKeys:
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environment.get("AWS_ROLE_ARN"):
        return _web_identity(region, environment, wire)
    if environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _pod_identity(environment, wire)
    raise NoAnswer(
        Cause.DENIED,
        "there are no AWS credentials; write a secretRef with aws_access_key_id and aws_secret_access_key, or give "
        "the pod a role",
    )


def _web_identity(region: str, environment: Mapping[str, str], wire: ProviderWire) -> AwsKeys:
    """The role of a service account (IRSA): its token for keys of an hour."""
    sts = environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environment["AWS_ROLE_ARN"],
        "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or "canary",
        "WebIdentityToken": _file(environment["AWS_WEB_IDENTITY_TOKEN_FILE"]),
    }
    document = wire.at(sts).json("POST", "/", data=form, headers={"Accept": "application/json"})
    match document:
        case {"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": dict(found)}}}:
            ends = datetime.fromtimestamp(number(found.get("Expiration")), UTC)
            return _keys(found, "SessionToken", ends)
    raise foreign("AWS STS")


def _pod_identity(environment: Mapping[str, str], wire: ProviderWire) -> AwsKeys:
    """The role of a pod (EKS Pod Identity), from the agent on its node."""
    url = urlsplit(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    headers = {"Authorization": _file(file)} if file else {}
    document = wire.at(f"{url.scheme}://{url.netloc}").json("GET", url.path or "/", headers=headers)
    match document:
        case {"Expiration": str(ends)}:
            try:
                return _keys(document, "Token", datetime.fromisoformat(ends))
            except ValueError:
                raise foreign("the EKS Pod Identity agent") from None
    raise foreign("the EKS Pod Identity agent")


def _keys(found: Mapping[str, Any], token: str, ends: datetime) -> AwsKeys:
    key, secret, session = (found.get(name) for name in ("AccessKeyId", "SecretAccessKey", token))
    if not (isinstance(key, str) and isinstance(secret, str) and isinstance(session, str)):
        raise foreign("AWS")
    return AwsKeys(key, secret, session, ends)


def _file(path: str) -> str:
    try:
        return files.read(Path(path), _LARGEST).data.decode(errors="replace").strip()
    except OSError as error:
        raise NoAnswer(Cause.DENIED, f"{path}: {error.strerror or 'unreadable'}") from None


@dataclass(frozen=True)
class SigningScope:
    """For what a signature holds."""

    service: str
    region: str
    at: datetime

    @property
    def stamp(self) -> str:
        return f"{self.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    @property
    def text(self) -> str:
        return f"{self.stamp[:8]}/{self.region}/{self.service}/aws4_request"


def signed(url: str, headers: Mapping[str, str], body: bytes, keys: AwsKeys, scope: SigningScope) -> dict[str, str]:
    """The headers of a POST with its signature, version 4."""
    parts = urlsplit(url)
    given = {**headers, "X-Amz-Date": scope.stamp} | ({"X-Amz-Security-Token": keys.token} if keys.token else {})
    lower = {name.lower(): " ".join(value.split()) for name, value in {**given, "Host": parts.netloc}.items()}
    names = ";".join(sorted(lower))
    canonical = "\n".join(
        (
            "POST",
            quote(parts.path or "/", safe="/-_.~"),
            parts.query,
            *(f"{name}:{lower[name]}" for name in sorted(lower)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{scope.stamp}\n{scope.text}\n{digest}"
    key = f"AWS4{keys.secret}".encode()
    for part in scope.text.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    by = f"Credential={keys.key}/{scope.text}, SignedHeaders={names}, Signature={signature}"
    return {**given, "Authorization": f"AWS4-HMAC-SHA256 {by}"}
