"""Alerts to any service that apprise knows, by its URL: e-mail, PagerDuty, Opsgenie, Telegram and a hundred more."""

import json
import os
import subprocess
import sys
from threading import Semaphore

from canary.api.reason import Reason
from canary.engine.alerts import AlertCard
from canary.engine.errors import Rejected, Unreachable

WITHIN = 30.0
"""Seconds for one notification, with the start of its process."""
AT_ONCE = Semaphore(2)
"""Each takes some 50 MiB."""
KEPT = (
    *("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PYTHONPATH", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Of the environment; the rest may hold credentials."""
KINDS = {"info": "info", "warn": "warning", "error": "failure"}


def send(url: str, card: AlertCard, within: float = WITHIN) -> None:
    """Raises Unreachable if a retry may help, else Rejected."""
    reason = dict(card.fields).get("Reason", "")
    kind = "success" if reason == Reason.PROMOTED else KINDS[card.severity]
    lines = [card.text, "", *(f"{name}: {value}" for name, value in card.fields)]
    given = {"url": url, "title": f"{card.title}: {reason}", "body": "\n".join(lines), "type": kind}
    with AT_ONCE:
        _answered(_run(json.dumps(given), within))


def _run(text: str, within: float) -> str:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "canary.alerts.apprise_child"],
            input=text,
            capture_output=True,
            text=True,
            timeout=within,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer within {within:g} s") from None
    except OSError as error:
        raise Unreachable(f"can't start a process: {os.strerror(error.errno or 0)}") from None
    return done.stdout


def _answered(text: str) -> None:
    try:
        error = json.loads(text.strip().splitlines()[-1])["error"]
    except (ValueError, LookupError):
        raise Unreachable("apprise failed") from None
    if not error:
        return
    permanent = any(words in error for words in ("can't be used here", "isn't installed", "doesn't understand"))
    raise (Rejected if permanent else Unreachable)(error)
