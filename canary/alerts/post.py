"""One POST of JSON, with a deadline for all of it. What is said of a failure never holds the URL, which is a secret.

Imported when the first alert is sent, because requests takes 80 ms to import.
"""

import json
import re
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from canary.cutoff import Cutoff, watch
from canary.engine.errors import Rejected, Unreachable

from .payloads import HttpRequest

WITHIN = 10.0
"""Seconds for the whole exchange."""
MOST = 4096
"""Bytes of an answer that are read."""
TRANSIENT = (408, 425, 429)
"""Answers of the 4xx that a retry may change."""
_WORD = re.compile(r"[a-z_ ]{3,60}")
"""What Slack says of a refusal, such as `channel_not_found`; anything else might repeat a secret."""


class _Cut(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        watch(made)
        return made


class _CutSecure(_Cut, HTTPSConnection):
    pass


class _CutPool(HTTPConnectionPool):
    ConnectionCls = _Cut


class _CutSecurePool(HTTPSConnectionPool):
    ConnectionCls = _CutSecure


_POOLS = {"http": _CutPool, "https": _CutSecurePool}


class _Adapter(HTTPAdapter):
    """Makes connections that a `Cutoff` can cut off, also to a proxy."""

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        super().init_poolmanager(*args, **how)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **how: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **how)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def post(request: HttpRequest, proxy: str = "", within: float = WITHIN) -> None:
    """Raises Unreachable if a retry may help, else Rejected."""
    with requests.Session() as session, Cutoff(within) as cutoff:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(max_retries=0))
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        try:
            status, body = _exchange(session, request, proxies, within)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise Unreachable(_why(error, cutoff.over, within)) from None
        if cutoff.over:  # a head that was cut would look complete
            raise Unreachable(_why(TimeoutError(), True, within))
    _judge(status, body)


def _exchange(
    session: requests.Session, request: HttpRequest, proxies: dict[str, str], within: float
) -> tuple[int, bytes]:
    with session.post(
        request.url,
        data=json.dumps(request.body, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", **request.headers},
        proxies=proxies,
        timeout=within,
        stream=True,
        allow_redirects=False,
    ) as response:
        return response.status_code, response.raw.read(MOST)


def _judge(status: int, body: bytes) -> None:
    if 200 <= status < 300:
        said = _answered(body)
        if said.get("ok") is False:  # Slack's API
            raise Rejected(f"the service refused it{_words(str(said.get('error') or ''))}")
        return
    if 300 <= status < 400:
        raise Rejected(f"HTTP {status}, a redirect; give the final address")
    sentence = f"HTTP {status}{_words(body.decode(errors='replace').strip())}"
    raise Unreachable(sentence) if status >= 500 or status in TRANSIENT else Rejected(sentence)


def _answered(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _words(text: str) -> str:
    return f": {text}" if _WORD.fullmatch(text) else ""


def _why(error: Exception, cut: bool, within: float) -> str:
    if cut or isinstance(error, requests.Timeout):
        return f"no answer within {within:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate can't be verified"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy can't be used"
    return "can't connect, or the connection broke"
