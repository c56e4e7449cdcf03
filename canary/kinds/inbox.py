"""People's actions: CanaryActions, created once and never changed. An hour after that they are removed, once taken.

Those from before a Canary was created were for another one of its name: they aren't read, and removed as well. Those
for a Canary that isn't there are removed by `leftovers.py`.

The author is proved where an admission policy lets nobody create an action in another's name; `verified` asks for
that as of the time at which the action was made.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.action_resource import ActionResource
from canary.api.status import Status
from canary.engine.errors import CanaryError, Unreachable
from canary.engine.people import was_taken
from canary.kube.client import Client
from canary.kube.errors import Absent
from canary.kube.resources import CANARY_ACTIONS

from .sharing import Key

KEPT = timedelta(hours=1)
"""How long an action lies there at least, whether it was taken or nobody will ever take it."""

Asked = tuple[str, CanaryAction]
"""The name of the object, and what it asks."""


class Actions(Protocol):
    """A reflector of CanaryActions."""

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], CanaryAction]]: ...


def asked(found: Mapping[str, Any]) -> CanaryAction | None:
    """The projection of a CanaryAction object; None for one that can't be understood."""
    try:
        return ActionResource.model_validate({"kind": "CanaryAction", **found}).action(verified=False)
    except ValueError:
        return None


class ActionInbox:
    """The port Inbox of one Canary."""

    def __init__(
        self,
        client: Client,
        actions: Actions,
        canary: Key,
        created: datetime,
        verified: Callable[[datetime], bool],
    ) -> None:
        """`created`: when the Canary was. `verified` tells whether authors of actions of a time are proved; it may
        raise Unreachable."""
        self._client = client
        self._actions = actions
        self._namespace, self._name = canary
        self._created = created
        self._verified = verified

    def read(self) -> Sequence[CanaryAction]:
        """See the port."""
        found = (action for _, action in self._named() if not self._foreign(action))
        mine = sorted(found, key=lambda action: (action.at, action.id))
        judged = (self._judged(action) for action in mine)
        return tuple(action for action in judged if action is not None)

    def remove_old(self, status: Status, now: datetime) -> int:
        """Removes what is older than KEPT and was taken, or never will be. Returns how many; never raises."""
        removed = 0
        for name, action in self._named():
            if now - action.at < KEPT or not (self._foreign(action) or was_taken(action, status)):
                continue
            with suppress(CanaryError):
                self._remove(name)
                removed += 1
        return removed

    def _judged(self, action: CanaryAction) -> CanaryAction | None:
        """None for an approval whose author can't be looked into now: refused, it would be lost for good."""
        try:
            return action.but(verified=bool(action.author) and self._verified(action.at))
        except Unreachable:
            return None if action.verb is Verb.APPROVE else action

    def _foreign(self, action: CanaryAction) -> bool:
        """Whether it was for an earlier Canary of the name. The server's times are whole seconds."""
        return action.at < self._created

    def _named(self) -> list[Asked]:
        found = self._actions.items(self._namespace)
        return [(name, action) for (_, name), action in found if action.target == self._name]

    def _remove(self, name: str) -> None:
        with suppress(Absent):
            self._client.delete(CANARY_ACTIONS, self._namespace, name)
