"""A Service as a target: what runs behind it and its copies, and the writes that make and update these.

`canary/primary/selections.py` knows what the copies must be. All pods, and how many there are, are the user's.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

from canary.api.canary import Canary
from canary.api.revision import build_of, rest_of, revision_of
from canary.engine.errors import Conflict, Invalid
from canary.engine.observed import Cause, Missing, PrimarySeen, WorkloadSeen
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, NotFound, Refused, VersionConflict
from canary.kube.projections import selection_digest
from canary.kube.resources import CONTROLLER_REVISIONS, SERVICES, Resource
from canary.primary import selections
from canary.primary.kept import KEPT, kept_template, revision_object, surplus
from canary.primary.names import MARK, REVISION, Data, Names, service_of
from canary.primary.provisioning import MADE
from canary.primary.reading import annotation

from .kubernetes import KubernetesWorkloads, Labels
from .pods import metadata
from .routed import NOT_SHARED, Checked, RoutedPrimary


class ServiceWorkloads(KubernetesWorkloads):
    """The port Workloads on a Service and its copies: the workload whose pods each selects.

    A revision is what the target selects, with the build of the workload behind it. While it selects the same as the
    primary, it has the revision of that: what its owner does to pods that serve already is no rollout.
    """

    def __init__(self, client: Client, namespace: str, canary: Callable[[], Canary], watched: bool = False) -> None:
        super().__init__(client, namespace, self.selector, watched)
        self._manifest = canary
        self._selected = ""
        """A digest of what the target selects, as it was read last."""

    def selector(self, version: str) -> Labels | Missing:
        """The labels that a Service of this name selects."""
        try:
            found = self._client.get(SERVICES, self._namespace, version)
        except Failure as error:
            return error.missing
        labels: Labels = (found.get("spec") or {}).get("selector") or {}
        return labels or Missing(Cause.INVALID, f"the Service {version} has no selector")

    def revision(self, version: str) -> str | Missing:
        """Of the target, for the canary."""
        names = Names.of(self._manifest())
        if version != names.canary_host:
            return super().revision(version)
        try:
            self._selected = selection_digest(self._client.get(SERVICES, self._namespace, names.target))
            promoted = self._promoted(names)
        except Failure as error:
            return error.missing
        if build_of(promoted) == self._selected:
            return promoted
        build = super().revision(names.target)
        return build if isinstance(build, Missing) else revision_of(self._selected, build)

    def still(self, version: str) -> bool:
        """The same of what the target and the canary's Service select."""
        names = Names.of(self._manifest())
        if version != names.canary_host:
            return super().still(version)
        found = (self._client.fresh(SERVICES, self._namespace, name) for name in (names.target, names.canary_host))
        return all(selection_digest(one) == self._selected for one in found) and super().still(names.target)

    def read(self, version: str) -> WorkloadSeen | Missing:
        """See the port. A copy whose pods nothing makes any more is there, and has no replica that can answer."""
        try:
            service = self._client.get(SERVICES, self._namespace, version)
        except Failure as error:
            return error.missing
        primary, promoted = version == Names.of(self._manifest()).primary_host, selections.promoted_as(service)
        seen = WorkloadSeen(version, 1, 0) if primary and not promoted else super().read(version)
        if isinstance(seen, Missing) and seen.cause is Cause.ABSENT:
            return WorkloadSeen(version, 1, 0, promoted if primary else "")
        if isinstance(seen, Missing):
            return seen
        build = seen.revision and revision_of(selection_digest(service), seen.revision)
        if not primary:
            return replace(seen, revision=build)
        pushed = seen.revision if promoted and rest_of(promoted) not in ("", seen.revision) else ""
        return replace(seen, revision=promoted, unjudged=pushed)

    def _promoted(self, names: Names) -> str:
        with suppress(NotFound):
            return selections.promoted_as(self._client.get(SERVICES, self._namespace, names.primary_host))
        return ""


@dataclass(frozen=True)
class KeptSelections:
    """What the primary of a Service has selected, in ControllerRevisions. All raise Failures."""

    client: Client
    namespace: str

    def all(self, names: Names) -> list[Object]:
        """Those of one primary."""
        return self.client.find(CONTROLLER_REVISIONS, self.namespace, {KEPT: names.primary})

    def keep(self, canary: Canary, revision: str, there: Sequence[Object | None]) -> Object:
        """What was selected at a revision; where it isn't kept yet, one of these Services selects it."""
        names = Names.of(canary)
        kept = self.all(names)
        known = kept_template(kept, revision)
        if known is not None:
            return known
        found = selections.selection_of(there, revision)
        if found is None:
            raise Refused(Cause.ABSENT, f"what {names.target} selected at {revision} is gone")
        with suppress(VersionConflict):
            made = revision_object(canary, found, revision, 0, kept)
            self.client.create(CONTROLLER_REVISIONS, self.namespace, made)
        serves = next((annotation(one, REVISION) for one in there if annotation(one, REVISION)), "")
        self.remove(surplus(kept, serves))
        return found

    def remove(self, old: Sequence[Data]) -> None:
        """Deletes some of them."""
        for one in old:
            with suppress(NotFound):
                self.client.delete(CONTROLLER_REVISIONS, self.namespace, metadata(one)["name"])


class ServicePrimary(RoutedPrimary):
    """The port Primary on one Service. It has no replicas, so nothing is scaled."""

    def read(self) -> PrimarySeen | Missing:
        """What there is, by name; what keeps the rest from being made is read only while something is missing."""
        names = Names.of(self._canary())
        try:
            primary, canary = self._copies(names)
            copies = {names.primary_host: primary, names.canary_host: canary}
            missing = [f"{SERVICES.kind} {name}" for name, one in copies.items() if not self._mine(one)]
            missing += self._unmade(self._there(SERVICES, names.target))
            wrong = self._wrong(names, tuple(copies.values())) if missing else ""
            ours, returned = self._ours(names), self._returned(names)
        except Failure as error:
            return error.missing
        build = selection_digest(canary) if canary is not None else ""
        return PrimarySeen(annotation(primary, REVISION), tuple(missing), wrong, ours, returned, build)

    def provision(self, revision: str, ready: int = 100) -> None:
        """The primary first: while it is missing, the canary's Service may carry traffic and stays what it is."""
        canary = self._canary()
        names = Names.of(canary)
        with self._checked():
            target = self._client.fresh(SERVICES, self._namespace, names.target)
            if not self._mine(self._there(SERVICES, names.primary_host)):
                self._promote(canary, target, revision)
                return
            made = selections.canary_copy(canary, target)
            self._client.apply(SERVICES, self._namespace, names.canary_host, made)
            if self._unmade(target):
                self._routed(canary, target)

    def copy(self, revision: str) -> None:
        """What the canary's Service selects, even if the target selects something else now; else what was kept."""
        canary = self._canary()
        with self._checked():
            target = self._client.fresh(SERVICES, self._namespace, Names.of(canary).target)
            self._promote(canary, target, revision)

    def scale(self, replicas: int, revision: str = "") -> None:
        """Nothing: the pods are the user's."""

    def give_back(self, revision: str) -> None:
        """The target selects what the primary does, whose pods are ready; then the routes go back to it."""
        canary = self._canary()
        names = Names.of(canary)
        with self._checked():
            target = self._client.fresh(SERVICES, self._namespace, names.target)
            if self._foreign(names):
                return
            TargetSelection(self._client, self._namespace, self._canary).written(target, revision)
            self._unrouted(canary, target)

    def remove(self) -> None:
        """The primary goes last: what is still missing tells what is left to do."""
        names, kept = Names.of(self._canary()), KeptSelections(self._client, self._namespace)
        with self._checked():
            kept.remove(kept.all(names))
            self._remove_own(names)

    def _own(self, names: Names) -> Sequence[tuple[Resource, str]]:
        services = ((SERVICES, name) for name in (names.canary_host, names.primary_host))
        return [*self._routes.named(self._canary()), *services]

    def _copies(self, names: Names) -> tuple[Object | None, Object | None]:
        return self._there(SERVICES, names.primary_host), self._there(SERVICES, names.canary_host)

    def _mine(self, found: Object | None) -> bool:
        return annotation(found, MARK) == self._canary().metadata.name

    def _returned(self, names: Names) -> bool:
        if self._there(SERVICES, names.target) is None or self._foreign(names):
            return True
        return not annotation(self._there(self._routes.routes, names.apex), MADE)

    def _wrong(self, names: Names, copies: Sequence[Object | None]) -> str:
        if other := self._foreign(names):
            return NOT_SHARED.format(names.apex, other)
        for one in copies:
            if one is not None and not self._mine(one):
                return (
                    f"a Service {metadata(one)['name']} exists that canary didn't make for this Canary; delete or "
                    "rename it, or name another target"
                )
        try:
            selections.checked(
                self._client.fresh(SERVICES, self._namespace, names.target), service_of(self._canary())
            )
        except Invalid as error:
            return str(error)
        return ""

    def _promote(self, canary: Canary, target: Object, revision: str) -> None:
        names, kept = Names.of(canary), KeptSelections(self._client, self._namespace)
        there = [self._whole(SERVICES, name) for name in (names.primary_host, names.canary_host)]
        selected = kept.keep(canary, revision, [*there, target])
        made = selections.primary_copy(canary, target, selected, revision)
        self._client.apply(SERVICES, self._namespace, names.primary_host, made)


@dataclass(frozen=True)
class TargetSelection:
    """What one target selects, which its user writes."""

    client: Client
    namespace: str
    canary: Callable[[], Canary]
    checked: Checked = nullcontext

    def put_back(self, revision: str, instead_of: str = "") -> bool:
        """Writes that of a kept revision; False where the target has it already, or with `instead_of` another one.

        Raises Conflict, Rejected, Unreachable.
        """
        name = Names.of(self.canary()).target
        with self.checked():
            target = self.client.fresh(SERVICES, self.namespace, name)
            if instead_of and selection_digest(target) != build_of(instead_of):
                return False
            return self.written(target, revision)

    def written(self, target: Object, revision: str) -> bool:
        """The same for the target as it was read."""
        if selection_digest(target) == build_of(revision):
            return False
        names = Names.of(self.canary())
        selected = kept_template(KeptSelections(self.client, self.namespace).all(names), revision)
        if selected is None:
            raise Conflict(f"what {names.target} selected at {revision} isn't kept any more")
        self.client.patch(SERVICES, self.namespace, names.target, selections.changes(target, selected))
        return True
