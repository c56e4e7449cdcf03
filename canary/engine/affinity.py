"""Session affinity: the cookies that keep users on the version that they met, as Flagger names and dates them. Pure.

Their names and attributes are pinned with the policy. Their value is another one in each rollout, so that a cookie of
an earlier rollout chooses no version.
"""

from datetime import timedelta
from hashlib import sha256

from canary.api.analysis import SessionAffinity
from canary.api.canary import Canary
from canary.api.plan import Affinity, Cookie, Traffic
from canary.api.status import Rollout

LETTERS = 10


def cookies(given: SessionAffinity, interval: timedelta) -> Affinity:
    """Without a value. The primary's lives for one interval, so that its users are shared out again at each step."""
    named = given.primary_cookie_name
    return Affinity(
        canary=Cookie(name=given.cookie_name, attributes=_attributes(given, given.max_age)),
        primary=Cookie(name=named, attributes=_attributes(given, max(1, int(interval.total_seconds()))))
        if named
        else None,
    )


def keeping_users(canary: Canary, rollout: Rollout, traffic: Traffic) -> Traffic:
    """The traffic with this rollout's cookies, while its weight shares requests out."""
    pinned = rollout.policy.affinity
    if pinned is None or not traffic.weight:
        return traffic
    value = _value(canary, rollout)
    primary = pinned.primary and pinned.primary.but(value=value)
    return traffic.but(affinity=Affinity(canary=pinned.canary.but(value=value), primary=primary))


def _value(canary: Canary, rollout: Rollout) -> str:
    """Letters that no other rollout has."""
    about = canary.metadata
    said = (about.uid, about.namespace, about.name, rollout.number, rollout.started.isoformat())
    return "".join(chr(ord("a") + byte % 26) for byte in sha256(repr(said).encode()).digest()[:LETTERS])


def _attributes(given: SessionAffinity, max_age: int) -> str:
    """In the order in which Flagger writes them."""
    texts = {"Domain": given.domain, "Path": given.path, "SameSite": given.same_site}
    flags = {"HttpOnly": given.http_only, "Partitioned": given.partitioned, "Secure": given.secure}
    made = {name: f"{name}={text}" for name, text in texts.items() if text}
    made |= {name: name for name, on in flags.items() if on}
    return "; ".join((f"Max-Age={max_age}", *(made[name] for name in sorted(made))))
