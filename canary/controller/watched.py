"""Promotions that are watched for a while: an alert that `rollbackOn` names takes the last one back.

What follows is what `canary undo` does in a person's name: the version before is desired again, and rolled out. Any
replica writes that, and nothing is remembered: a message that is sent again finds it written. While the end of a
promotion is being completed, and when a write fails, the sender is asked to send its message again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary.api.analysis import AlertMatch
from canary.api.canary import API_VERSION
from canary.api.reason import Reason
from canary.api.status import Message, Outcome, RolloutSummary, Status
from canary.engine.errors import Conflict
from canary.engine.firing import FiringAlert, promoted_lately
from canary.events import Events, EventSubject
from canary.kube.client import Client
from canary.kube.names import NamespacedName
from canary.ports import Clock
from canary.registry import template_for
from canary.stores.canary_object import CanaryObject
from canary.stores.projection import CanarySeen

from .specs import Specs

_FIELD = b'"watchAfterPromotion"'

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
    return not seen.deleted and (_FIELD in seen.wish or seen.policy is not None)


@dataclass(frozen=True)
class WayBack:
    """Lets the version before a promotion be desired again."""

    client: Client
    """For writes of what users write: `spec.version`, or the target's pod template."""
    instance: str
    """Who writes the Event: the pod's name."""

    def __call__(self, one: Promoted, alert: FiringAlert) -> None:
        """Raises CanaryError where the message must be sent again. Another client's newer wish stays."""
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
