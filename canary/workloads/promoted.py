"""The revisions that a primary has had, for commands: which there are, and the way back to one.

Going back is a push: it writes the target's pod template in the name of its user, as `kubectl set image` does. What
follows is an ordinary rollout.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from canary.api.canary import Canary
from canary.api.revision import PromotedRevision, build_of
from canary.engine.errors import Conflict
from canary.kube.client import Client
from canary.kube.errors import NotFound, VersionConflict
from canary.kube.resources import CONTROLLER_REVISIONS, SERVICES
from canary.primary.kept import described, kept_for, primary_of
from canary.primary.names import Names
from canary.primary.reading import copied_from
from canary.primary.selections import promoted_as

from . import pods
from .cloned import CLONED
from .kept import KeptRevisions
from .routed import Checked

ATTEMPTS = 5
"""How often a write meets a target that was changed in between: its controller writes its status."""


def promoted_revisions(client: Client, namespace: str, canary: str) -> tuple[PromotedRevision, ...]:
    """Those of a Canary, by its name, newest first. Raises Failures."""
    kept = kept_for(client.find(CONTROLLER_REVISIONS, namespace), canary)
    serving = ""
    for kind in CLONED.values() if kept else ():
        with suppress(NotFound):
            serving = serving or copied_from(client.fresh(kind.resource, namespace, primary_of(kept[0])))
    if kept and not serving:  # of a Service, or gone
        with suppress(NotFound):
            serving = promoted_as(client.fresh(SERVICES, namespace, primary_of(kept[0])))
    return described(kept, serving)


@dataclass(frozen=True)
class TargetTemplate:
    """The pod template of one target, which its user writes."""

    client: Client
    namespace: str
    canary: Callable[[], Canary]
    checked: Checked = nullcontext

    def put_back(self, revision: str, instead_of: str = "") -> bool:
        """Writes that of a kept revision; False where the target has it already, or with `instead_of` another one.

        Another client's push in between isn't overwritten. Raises Conflict then, Rejected, Unreachable.
        """
        canary, first = self.canary(), None
        name, kind = Names.of(canary).target, CLONED[canary.spec.target_ref.kind]
        kept = KeptRevisions(self.client, self.namespace, kind)
        with self.checked():
            for _ in range(ATTEMPTS):
                target = self.client.fresh(kind.resource, self.namespace, name)
                if first not in (None, target["spec"]["template"]):
                    raise Conflict(f"another client has just changed the pod template of {name}; try again")
                first = target["spec"]["template"]
                if not pods.observed(target):
                    raise Conflict(f"{name} was changed, and its controller hasn't seen that yet; try again")
                if instead_of and kept.newest(target) != build_of(instead_of):
                    return False
                with suppress(VersionConflict):
                    return kept.put_back(canary, target, revision)
        raise Conflict(f"{name} is changed by another client again and again; try again")
