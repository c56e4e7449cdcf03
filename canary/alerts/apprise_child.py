"""Sends one notification through apprise: a process of its own, so that nothing it loads, waits for or leaks stays.

    standard input   {"url", "title", "body", "type"}
    standard output  {"error": …}, empty if it was sent; never the URL

`apprise_url.py` starts it.
"""

import json
import re
import sys
from urllib.parse import unquote

LOCAL = ("blink1", "dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows")
"""Schemes for the desktop or the log of this machine."""
_FILE = re.compile(r"[?&][^=&]+=\s*(/|~|file:|\.\.?/)", re.IGNORECASE)
"""A parameter that names a file, which a Secret's author must not have read."""


def refusal(url: str) -> str:
    """Why a URL isn't used, in a sentence; empty if it is."""
    scheme = url.partition("://")[0].lower()
    if scheme in LOCAL:
        return f"{scheme}:// is for one machine, and can't be used here"
    if _FILE.search(url) or _FILE.search(unquote(unquote(url))):
        return "a parameter of the apprise URL names a file, which can't be used here"
    return ""


def sent(given: dict[str, str]) -> str:
    """Why it wasn't sent; empty if it was."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        return "apprise isn't installed; pip install 'canary-controller[alerts]'"
    asset = AppriseAsset(app_id="canary", app_desc="canary", async_mode=False, secure_logging=True)
    receivers = Apprise(asset=asset)
    if not receivers.add(given["url"]):
        return f"apprise doesn't understand a URL that begins with {given['url'].partition('://')[0]}://"
    done = receivers.notify(body=given["body"], title=given["title"], notify_type=given["type"])
    return "" if done else "the service didn't take it, or can't be reached"


def main() -> None:
    """One notification."""
    given = json.load(sys.stdin)
    print(json.dumps({"error": refusal(given["url"]) or sent(given)}))


if __name__ == "__main__":
    main()
