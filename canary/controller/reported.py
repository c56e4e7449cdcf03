"""Alerts that other systems report to the controller: at /hooks/alertmanager, /hooks/falco and /hooks/generic.

Any replica takes them. One that asks for a rollback becomes a CanaryAction, which is there until the leader has taken
it: a crash loses none. Its name is made of the alert and the rollout, so that a repeated message asks once
in a quarter of an hour.

Promotions are watched for a while: an alert that `rollbackOn` names takes the last one back. What follows is what
`canary undo` does in a person's name: the version before is desired again, and rolled out. Any replica writes that,
and nothing is remembered: a message that is sent again finds it written. While the end of a promotion is being
completed, and when a write fails, the sender is asked to send its message again.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any

from canary.api.action import Verb
from canary.api.analysis import AlertMatch
from canary.api.canary import API_VERSION
from canary.api.reason import Reason
from canary.api.status import Message, Outcome, Rollout, RolloutSummary, Status
from canary.engine.errors import CanaryError, Conflict, Invalid
from canary.engine.firing import FiringAlert, asks, from_alertmanager, from_falco, from_generic, promoted_lately
from canary.kube.client import Client
from canary.kube.errors import VersionConflict
from canary.kube.events import Events, EventSubject
from canary.kube.names import NamespacedName
from canary.kube.resources import CANARY_ACTIONS
from canary.ports import Clock
from canary.registry import template_for
from canary.stores.canary_object import CanaryObject
from canary.stores.projection import CanarySeen
from canary.web import Page, Posted, Posts, page

from .report_secrets import ReportSecrets
from .specs import Specs

Read = Callable[[Any, datetime], tuple[FiringAlert, ...]]
FORMATS: Mapping[str, Read] = {
    "/hooks/alertmanager": from_alertmanager,
    "/hooks/falco": from_falco,
    "/hooks/generic": from_generic,
}
LARGEST = 256 * 1024
"""Bytes of a message; an Alertmanager groups alerts."""
RATE, BURST = 10.0, 50.0
"""Messages per second, and at once."""
AGAIN = 900
"""Seconds after which a message that is repeated asks again: what it asked for may have been refused."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promoted:
    """A promotion that is still watched, and the alerts that take it back."""

    key: NamespacedName
    uid: str
    started: datetime
    """Start of the rollout: an alert that began before it isn't its fault."""
    rules: tuple[AlertMatch, ...]
    summary: RolloutSummary | None
    """None while the end of the rollout is being completed."""


@dataclass
class Bucket:
    """Limits how many messages are looked at. For any thread."""

    clock: Callable[[], float] = time.monotonic
    _left: float = BURST
    _at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def take(self) -> bool:
        """Whether one more may be looked at now."""
        with self._lock:
            now = self.clock()
            self._left = min(BURST, self._left + (now - self._at) * RATE) if self._at else BURST
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


@dataclass(frozen=True)
class Watching:
    """A rollout that runs, and the alerts that roll it back."""

    key: NamespacedName
    uid: str
    rollout: Rollout
    rules: tuple[AlertMatch, ...]


@dataclass
class ReportedAlerts:
    """Answers the messages."""

    client: Client
    """For writes of CanaryActions."""
    secrets: ReportSecrets
    watching: Callable[[], Iterator[Watching]]
    """The rollouts that run, with alerts that roll them back."""
    clock: Clock
    promoted: Callable[[], Iterator[Promoted]] = lambda: iter(())
    """The promotions that are still watched."""
    go_back: Callable[[Promoted, FiringAlert], None] = lambda one, alert: None
    """Asks for the version before a promotion. Raises CanaryError."""
    bucket: Bucket = field(default_factory=Bucket)
    _me: str | None = None

    @property
    def posts(self) -> Posts:
        """What may be posted: nothing unless there is a secret."""
        pages = {path: partial(self._answer, read) for path, read in FORMATS.items()}
        return Posts(pages if self.secrets else {}, largest=LARGEST)

    def _answer(self, read: Read, posted: Posted) -> Page:
        now = self.clock.now()
        sent = self.secrets.sent(posted.headers, posted.body, now)
        if sent is None:  # before the limit: who knows no secret must not use it up
            return page("the token or the signature is missing or wrong", HTTPStatus.UNAUTHORIZED)
        if not self.bucket.take():
            return page("too many messages; try again later", HTTPStatus.TOO_MANY_REQUESTS)
        try:
            alerts = read(json.loads(posted.body), sent)
        except (ValueError, RecursionError):
            return page("the body isn't JSON", HTTPStatus.BAD_REQUEST)
        except Invalid as error:
            return page(str(error), HTTPStatus.BAD_REQUEST)
        try:
            asked = self._ask(alerts)
        except CanaryError as error:
            log.warning("reported alert not passed on: %s", error)
            return page("the rollback can't be asked for now; try again later", HTTPStatus.SERVICE_UNAVAILABLE)
        return page(f"{len(alerts)} firing, {asked} rollbacks asked for")

    def _ask(self, alerts: tuple[FiringAlert, ...]) -> int:
        """How many rollouts are asked to roll back."""
        asked = 0
        for one in self.watching() if alerts else ():
            alert = next(asks(one.rules, alerts, one.rollout.started), None)
            if alert is not None:
                self._create(one, alert)
                asked += 1
        return asked + self._take_back(alerts)

    def _take_back(self, alerts: tuple[FiringAlert, ...]) -> int:
        """How many promotions are taken back. Raises the last error, after all were tried."""
        asked, failed = 0, None
        for one in self.promoted() if alerts else ():
            alert = next(asks(one.rules, alerts, one.started), None)
            try:
                if alert is not None:
                    self.go_back(one, alert)
                    asked += 1
            except CanaryError as error:
                failed = error
        if failed is not None:
            raise failed
        return asked

    def _create(self, one: Watching, alert: FiringAlert) -> None:
        namespace, name = one.key
        quarter = str(int(self.clock.now().timestamp() // AGAIN))
        same = "\0".join((one.uid, str(one.rollout.number), alert.name, quarter))
        digest = hashlib.sha256(same.encode()).hexdigest()[:16]
        metadata = {"namespace": namespace, "name": f"{name[:200].rstrip('.-')}-alert-{digest}"}
        spec = {
            "canary": name,
            "verb": Verb.ROLLBACK.value,
            "rollout": one.rollout.number,
            "author": self._author(),
            "alert": alert.name,
            "comment": alert.message,
        }
        try:
            self.client.create(CANARY_ACTIONS, namespace, {"metadata": metadata, "spec": spec})
        except VersionConflict:
            return  # a message that was repeated
        log.info("rollback asked for: %s/%s: alert %s", namespace, name, alert.name)

    def _author(self) -> str:
        """The account of the controller, in whose name the action is made."""
        if self._me is None:
            self._me = self.client.me()
        return self._me


@dataclass
class RunningRollouts:
    """The rollouts that run, with the alerts that roll them back. A spec is read again only if it has changed."""

    canaries: Callable[[], Iterable[tuple[NamespacedName, CanarySeen]]]
    status: Callable[[NamespacedName], Status | None]
    specs: Callable[[], Specs]
    _specs: dict[NamespacedName, Specs] = field(default_factory=dict)

    def __call__(self) -> Iterator[Watching]:
        """For one thread at a time; others may be a message behind."""
        active = [(key, seen) for key, seen in self.canaries() if seen.active]
        self._specs = {key: self._specs.get(key) or self.specs() for key, _ in active}
        known = self._specs
        for key, seen in active:
            rules = known[key].of(seen).rollback_on
            status = self.status(key) if rules else None  # most name none, and reading a status takes a while
            rollout = status.rollout if status is not None else None
            if rollout is not None and rollout.end is None:
                yield Watching(key, seen.uid, rollout, rules)


# ---- promotions that are watched -------------------------------------------------------------------------------

_FIELD = b'"watchAfterPromotion"'


@dataclass
class WatchedPromotions:
    """The promotions that are still watched. A spec is read again only if it has changed."""

    canaries: Callable[[], Iterable[tuple[NamespacedName, CanarySeen]]]
    status: Callable[[NamespacedName], Status | None]
    specs: Callable[[], Specs]
    clock: Clock
    _specs: dict[NamespacedName, Specs] = field(default_factory=dict)

    def __call__(self) -> Iterator[Promoted]:
        """For one thread at a time; others may be a message behind."""
        able = [(key, seen) for key, seen in self.canaries() if _may_be_watched(seen)]
        self._specs = {key: self._specs.get(key) or self.specs() for key, _ in able}
        known = self._specs
        for key, seen in able:
            spec = known[key].of(seen)
            status = self.status(key) if spec.rollback_on and spec.watch_after_promotion else None
            if status is not None:
                yield from self._promoted(key, seen, status, spec.rollback_on, spec.watch_after_promotion)

    def _promoted(
        self,
        key: NamespacedName,
        seen: CanarySeen,
        status: Status,
        rules: tuple[AlertMatch, ...],
        within: timedelta,
    ) -> Iterator[Promoted]:
        rollout = status.rollout
        if rollout is not None and rollout.end is not None and rollout.end.outcome is Outcome.PROMOTED:
            yield Promoted(key, seen.uid, rollout.started, rules, None)
        last = promoted_lately(status, within, self.clock.now())
        if last is not None:
            yield Promoted(key, seen.uid, last.started, rules, last)


def _may_be_watched(seen: CanarySeen) -> bool:
    """Whether its spec or its policy may say so: most Canaries aren't looked at."""
    return not seen.deleted and (_FIELD in seen.manifest or seen.policy is not None)


@dataclass(frozen=True)
class WayBack:
    """Lets the version before a promotion be desired again."""

    client: Client
    """For writes of what users write: `spec.version`, or the target's pod template."""
    instance: str
    """Who writes the Event: the pod's name."""

    def __call__(self, one: Promoted, alert: FiringAlert) -> None:
        """Raises CanaryError where the message must be sent again. What another client desires since then stays."""
        if one.summary is None:
            raise Conflict(f"the promotion of {one.key[1]} is being completed")
        there = CanaryObject(self.client, *one.key)
        canary, last = there.read(), one.summary
        status = canary.status or Status()
        if status.rollout is not None or status.history[:1] != (last,):
            return
        template = template_for(self.client, canary.spec, one.key[0], lambda: canary)
        if template is not None:
            changed = template.put_back(last.stable.revision, instead_of=last.canary.revision)
        else:
            changed = canary.spec.version == last.canary.name
            if changed:
                there.want(last.stable.name)
        if changed:
            self._say(one, last, alert)

    def _say(self, one: Promoted, last: RolloutSummary, alert: FiringAlert) -> None:
        text = f"going back to {last.stable}: the alert {alert.name} fired after the promotion of {last.canary}"
        said = f"{text}: {alert.message}" if alert.message else text
        log.info("%s/%s: %s", *one.key, said)
        subject = EventSubject(API_VERSION, "Canary", *one.key, one.uid)
        message = Message(
            id=f"{last.number}-after", type="Warning", reason=Reason.ALERT_FIRED, message=said, at=last.ended
        )
        Events(self.client, lambda: subject, self.instance).notify([message])
