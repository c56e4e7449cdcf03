"""Kubernetes' Events about one Canary, as `kubectl describe` and `kubectl get events` show them.

Events of the core group, with the older times and the newer fields both set: `kubectl` sorts by the former, and
tools that forward Events read either. The name is made of the message, so a message that is sent again after a
crash is taken for what it is. What the cluster refuses is logged once and given up: status, logs and metrics
have it as well.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from typing import Any

from canary.api.status import Message
from canary.engine.errors import Rejected
from canary.kube.client import Client
from canary.kube.errors import VersionConflict
from canary.kube.resources import EVENTS
from canary.ports import Notifier

CONTROLLER = "canary-controller.dev/controller"
LONGEST_NOTE = 1024
"""Bytes of a message that the API server takes."""
LONGEST_NAME = 253
ACTION = "Rollout"
"""What was done to the object; the newer form of Events asks for a word."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventSubject:
    """The object that Events are about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Events(Notifier):
    """The port Notifier for one Canary."""

    client: Client
    about: Callable[[], EventSubject]
    instance: str = "canary"
    """Who of several controllers tells: the pod's name."""
    refused: set[tuple[str, type[Rejected]]] = field(default_factory=set)
    """Namespaces in which Events were refused, and how. Share it, so that many Canaries log one line."""

    def notify(self, messages: Sequence[Message]) -> None:
        """Creates an Event for each message. Raises Unreachable; those that were created stay."""
        subject = self.about()
        for message in messages:
            self._create(subject, message)

    def _create(self, subject: EventSubject, message: Message) -> None:
        try:
            self.client.create(EVENTS, subject.namespace, event(subject, message, self.instance))
        except VersionConflict:
            pass  # sent before
        except Rejected as error:
            self._give_up(subject, error)

    def _give_up(self, subject: EventSubject, error: Rejected) -> None:
        key = (subject.namespace, type(error))
        if key not in self.refused:
            self.refused.add(key)
            log.warning("%s/%s: Events aren't written: %s", subject.namespace, subject.name, error)


def event(subject: EventSubject, message: Message, instance: str) -> dict[str, Any]:
    """The body of an Event."""
    at = message.at.astimezone(UTC)
    seconds = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "metadata": {"name": _name(subject, message), "namespace": subject.namespace},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": subject.namespace,
            "name": subject.name,
            "uid": subject.uid,
        },
        "type": message.type,
        "reason": message.reason,
        "message": clipped(message.beside),
        "action": ACTION,
        "count": 1,
        "firstTimestamp": seconds,
        "lastTimestamp": seconds,
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "source": {"component": CONTROLLER},
        "reportingComponent": CONTROLLER,
        "reportingInstance": instance,
    }


def clipped(note: str, longest: int = LONGEST_NOTE) -> str:
    """The note in at most so many bytes of UTF-8; a cut one ends with an ellipsis."""
    whole = note.encode()
    if len(whole) <= longest:
        return note
    return whole[: longest - len("…".encode())].decode(errors="ignore") + "…"


def _name(subject: EventSubject, message: Message) -> str:
    """The same for the same message of the same object.

    The time belongs to it: a number is given again where a decision could be sent but not saved before a crash.
    """
    same = "\0".join((subject.uid, message.id, message.at.isoformat()))
    checksum = sha256(same.encode()).hexdigest()[:16]
    return f"{subject.name[: LONGEST_NAME - len(checksum) - 1].rstrip('.-')}.{checksum}"
