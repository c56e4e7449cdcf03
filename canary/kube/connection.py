"""The wire to one API server: credentials from a kubeconfig or from the pod, certificates, time-outs, open watches.

The only file that imports `kubernetes`, which takes a while: import this one when a cluster is really needed.
`client.py` sends through it.
"""

import platform
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME, InClusterConfigLoader
from kubernetes.utils.keepalive import tcp_keepalive_socket_options
from yaml import YAMLError  # type: ignore[import-untyped] # comes with kubernetes

from canary import __version__
from canary.engine.errors import Invalid
from canary.engine.observed import Cause

from .client import ClusterAccess
from .errors import ApiAnswer, Unavailable, clipped
from .requests import Request

USER_AGENT = f"canary/{__version__} ({platform.system().lower()}/{platform.machine()})"
DEFAULT = "~/.kube/config"
CONNECTIONS = 64
"""Kept open at one time: a controller's watches, and the rollouts that it reconciles side by side."""
BROKEN = (urllib3.exceptions.HTTPError, ApiException, OSError, ConfigException)
"""How the library says that there was no answer."""
CLOSED = (ValueError, AttributeError)
"""What the library meets in an answer that was closed while it was read."""


class Connection:
    """Carries requests for `Client`. Safe to share between threads."""

    def __init__(self, place: ClusterAccess) -> None:
        """Raises Invalid where there are no credentials that can be read."""
        self._place = place
        self._renewing = threading.Lock()
        self._thread = threading.local()
        self._api = _api(place)
        self.namespace = _namespace(place)

    @property
    def host(self) -> str:
        return str(self._api.configuration.host)

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        """One request, one answer. Raises Unavailable."""
        try:
            answer = self._sent(request, timeout)
            body = answer.data
        except BROKEN as error:
            raise _away(error, request, self.host, timeout) from None
        return ApiAnswer(answer.status, _headers(answer), body)

    def stream(self, request: Request, timeout: float, silence: float) -> "OpenStream":
        """One request whose answer goes on; see `Wire`. Raises Unavailable."""
        try:
            answer = self._sent(request, timeout)
            answer.connection.sock.settimeout(silence)
        except BROKEN as error:
            raise _away(error, request, self.host, timeout) from None
        return OpenStream(answer, request, self.host, silence)

    def _sent(self, request: Request, timeout: float) -> Any:
        """The answer's head, of urllib3's."""
        api = self._thread.used = self._api
        headers = {"Accept": "application/json", "Content-Type": request.content_type}
        if request.body is None:
            del headers["Content-Type"]
        parts = api.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query),
            header_params=headers,
            body=request.body,
            auth_settings=["BearerToken"],
        )
        return api.call_api(*parts, _request_timeout=timeout).response

    def renew(self) -> None:
        """Reads kubeconfig, token file and credential plugin again, unless another thread just did.

        Requests in flight keep what they have.
        """
        with self._renewing:
            if getattr(self._thread, "used", None) is not self._api:
                return
            try:
                self._api = _api(self._place)
            except Invalid as error:
                raise Unavailable(Cause.DENIED, str(error)) from None

    def close(self) -> None:
        self._api.close()


class OpenStream:
    """An answer without an end, until it is closed; one thread reads, any may close."""

    def __init__(self, answer: Any, request: Request, host: str, silence: float) -> None:
        self.status: int = answer.status
        self.headers = _headers(answer)
        self._answer = answer
        self._request = request
        self._host = host
        self._silence = silence

    def chunks(self) -> Iterator[bytes]:
        """As they come. Raises Unavailable if the connection breaks off, is closed, or nothing comes for
        `silence`."""
        try:
            yield from self._answer.stream(65536)
        except (*BROKEN, HTTPException, *CLOSED) as error:
            raise _away(error, self._request, self._host, self._silence) from None
        finally:
            self._answer.close()

    def close(self) -> None:
        """Ends the reader at once."""
        with suppress(OSError, ValueError, RuntimeError):  # it is over already
            self._answer.shutdown()


def _headers(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _api(place: ClusterAccess) -> Any:
    """A client of the official library that neither retries nor writes to the user's kubeconfig.

    A peer that is gone without a word (a lost node, a dropped NAT entry) is noticed after half a minute.
    """
    configuration = client.Configuration()
    # urllib3 takes False for none at all; its own default is three, which would triple each time-out.
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    configuration.socket_options = tcp_keepalive_socket_options(idle=15, interval=5, count=3)
    try:
        _load(place, configuration)
    except (ConfigException, YAMLError, OSError, KeyError, TypeError, ValueError) as error:
        hint = "set KUBECONFIG, or check --kubeconfig and --context"
        raise Invalid(f"no credentials for a cluster: {clipped(str(error)).rstrip('.')}; {hint}") from None
    api = client.ApiClient(configuration)
    api.user_agent = USER_AGENT
    return api


def _load(place: ClusterAccess, configuration: client.Configuration) -> None:
    if _files(place) is None:
        token, certificate = str(place.account / "token"), str(place.account / "ca.crt")
        InClusterConfigLoader(token, certificate, environ=place.environment).load_and_set(configuration)
        return
    config.load_kube_config(_files(place), place.context, configuration, persist_config=False)


def _namespace(place: ClusterAccess) -> str:
    if place.namespace:
        return place.namespace
    if _files(place) is None:
        try:
            return (place.account / "namespace").read_text("utf-8").strip()
        except OSError:
            return "default"
    contexts, active = config.list_kube_config_contexts(_files(place))
    chosen = next((one for one in contexts if one["name"] == place.context), active)
    return str(chosen["context"].get("namespace") or "default")


def _away(error: Exception, request: Request, host: str, timeout: float) -> Unavailable:
    words = clipped(str(getattr(error, "reason", None) or error))
    match error:
        case urllib3.exceptions.NameResolutionError():
            return Unavailable(Cause.REFUSED, f"the name in {host} can't be resolved")
        case urllib3.exceptions.NewConnectionError():
            return Unavailable(Cause.REFUSED, f"no connection to {host}: {clipped(str(error).rpartition(': ')[2])}")
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return Unavailable(Cause.TIMED_OUT, f"{request}: no answer from {host} within {timeout:.2g}s")
        case ApiException() if "timed out" in words:  # a TLS handshake that got no answer
            return Unavailable(Cause.TIMED_OUT, f"{request}: no answer from {host} within {timeout:.2g}s")
        case ApiException():
            return Unavailable(Cause.REFUSED, f"no secure connection to {host}: {words}")
        case ConfigException():
            return Unavailable(Cause.DENIED, f"no credentials for {host}: {words}")
        case _:
            return Unavailable(Cause.UNAVAILABLE, f"{request}: the connection to {host} broke off: {words}")


def _files(place: ClusterAccess) -> str | None:
    """The kubeconfig that counts; None for a pod's own account."""
    named = place.kubeconfig or place.environment.get("KUBECONFIG")
    inside = SERVICE_HOST_ENV_NAME in place.environment
    default = Path(DEFAULT).expanduser()
    if named or place.context or default.exists() or not inside:
        return named or str(default)
    return None
