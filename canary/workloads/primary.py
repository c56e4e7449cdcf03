"""The primary of a workload in a cluster: what there is of it, and the writes that make and update it.

`canary/primary` knows what the objects must be; this file fetches and sends. Where workloads, Services and routes are
watched, a read takes no request. Everything is written by server-side apply with one field manager, but for replicas,
which have a subresource of their own, and for routes, which other clients may have made.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from canary.api.canary import Canary
from canary.api.revision import configured
from canary.engine.errors import Invalid
from canary.engine.observed import Missing, PrimarySeen
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, NotFound
from canary.kube.projections import template_digest
from canary.kube.resources import SCALERS, SERVICES, Resource
from canary.primary.kept import KEPT, kept_replicas
from canary.primary.names import MARK, ORIGINAL, REVISION, SUFFIX, TEMPLATE, Names
from canary.primary.provisioning import MADE, Provisioning
from canary.primary.reading import annotation, complete, original, selected_build, selected_by, selects
from canary.primary.services import given_back, noted, services
from canary.primary.workload import highest, keeps, pausing, primary, scaler, selector_label

from . import pods
from .cloned import CLONED
from .kept import KeptRevisions
from .pods import metadata
from .routed import NOT_SHARED, Checked, RoutedPrimary, valid

Data = Mapping[str, Any]
NOT_CHANGED = (
    "spec.service.primaryLabels: {} was made with {}, and its selector can't be changed; write that "
    "again, or delete the Canary with revertOnDeletion and create it again"
)


class KubernetesPrimary(RoutedPrimary):
    """The port Primary on one Deployment or DaemonSet."""

    def __init__(
        self, client: Client, canary: Callable[[], Canary], namespace: str, routes: Provisioning, checked: Checked
    ) -> None:
        super().__init__(client, canary, namespace, routes, checked)
        self._kind = CLONED[canary().spec.target_ref.kind]
        self._workloads = self._kind.resource
        self._kept = KeptRevisions(client, namespace, self._kind)

    def read(self) -> PrimarySeen | Missing:
        """What there is, by name; what keeps the rest from being made is read only while something is missing."""
        names = Names.of(self._canary())
        try:
            found = self._there(self._workloads, names.primary)
            missing = tuple(self._missing(names, found))
            wrong = self._wrong(names, found) if missing else ""
            ours, returned = self._ours(names), self._returned(names)
        except Failure as error:
            return error.missing
        build = selected_build(self._there(SERVICES, names.canary_host)) if keeps(self._canary()) else ""
        return PrimarySeen(annotation(found, REVISION), missing, wrong, ours, returned, build)

    def provision(self, revision: str, ready: int = 100) -> None:
        """The primary first; once it is ready the Services of both, then the routes, then the Service of clients."""
        canary = self._canary()
        names = Names.of(canary)
        with self._checked():
            target = self._client.fresh(self._workloads, self._namespace, names.target)
            found = self._there(self._workloads, names.primary)
            if not complete(found):
                replicas = pods.desired_version(target) or kept_replicas(self._kept.promoted(names), revision)
                self._copied(canary, target, revision, replicas)
                return
            found = self._client.fresh(self._workloads, self._namespace, names.primary)
            if not _ready(found, ready):
                return
            self._scaled(canary)
            apex, *versions = self._services(canary, target, found["spec"]["template"])
            for one in versions:
                self._client.apply(SERVICES, self._namespace, metadata(one)["name"], one)
            if self._unmade(target):
                self._routed(canary, target)
            self._client.apply(SERVICES, self._namespace, names.apex, self._noted(names, apex))

    def copy(self, revision: str) -> None:
        """From the target's history, even if the target has another one now; else from what was
        kept."""
        canary = self._canary()
        with self._checked():
            target = self._client.fresh(self._workloads, self._namespace, Names.of(canary).target)
            template = self._copied(canary, target, revision)
            self._scaled(canary)
            self._kept.sweep(Names.of(canary))
            if canary.spec.service and canary.spec.service.port_discovery:
                apex, *versions = self._services(canary, target, template)
                for one in (*versions, self._noted(Names.of(canary), apex)):
                    self._client.apply(SERVICES, self._namespace, metadata(one)["name"], one)

    def scale(self, replicas: int, revision: str = "") -> None:
        """The target; what its new pods will read is copied before."""
        canary = self._canary()
        with self._checked():
            if replicas and configured(revision):
                target = self._client.fresh(self._workloads, self._namespace, Names.of(canary).target)
                self._kept.analyse(canary, target, revision)
            self._scale(canary, replicas)
            if not replicas:
                self._kept.sweep(Names.of(canary))

    def give_back(self, revision: str) -> None:
        """The template and the replicas, then the Service of clients and the routes, once the target is ready."""
        canary = self._canary()
        names = Names.of(canary)
        with self._checked():
            target = self._client.fresh(self._workloads, self._namespace, names.target)
            if not self._serves_again(canary, target, revision):
                return
            if self._foreign(names):
                return
            key, value = valid(lambda: selector_label(target))
            service = self._client.fresh(SERVICES, self._namespace, names.apex)
            self._given_back(names, service, original(service) or {"selector": {key: value}})
            self._unrouted(canary, target)

    def remove(self) -> None:
        """The primary goes last: what is still missing tells what is left to do."""
        names = Names.of(self._canary())
        with self._checked():
            self._kept.remove(names)
            if ref := self._canary().spec.autoscaler_ref:
                self._delete(SCALERS[ref.kind], f"{ref.name}{SUFFIX}")
            self._remove_own(names)

    # ---- what there is --------------------------------------------------------------------------------------------

    def _missing(self, names: Names, found: Object | None) -> list[str]:
        selected, keep = selected_by(found), keeps(self._canary())
        whole = complete(found) and keep == (KEPT in selected.primary)
        missing = [] if whole else [f"{self._workloads.kind} {names.primary}"]
        wanted = {
            names.apex: selected.primary,
            names.primary_host: selected.primary,
            names.canary_host: selected.canary,
        }
        for name, selector in wanted.items():
            service, aimed = self._there(SERVICES, name), keep and name == names.canary_host
            if not selects(service, selector) or bool(selected_build(service)) != aimed:
                missing.append(f"{SERVICES.kind} {name}")
        return [*missing, *self._unmade(self._there(self._workloads, names.target))]

    def _own(self, names: Names) -> Sequence[tuple[Resource, str]]:
        return [
            *self._routes.named(self._canary()),
            *((SERVICES, name) for name in (names.apex, names.canary_host, names.primary_host)),
            (self._workloads, names.primary),
        ]

    def _returned(self, names: Names) -> bool:
        if self._there(self._workloads, names.target) is None or self._foreign(names):
            return True
        service = self._there(SERVICES, names.apex)
        primary = selected_by(self._there(self._workloads, names.primary)).primary
        routes = self._there(self._routes.routes, names.apex)
        return not selects(service, primary) and not annotation(routes, MADE)

    def _wrong(self, names: Names, found: Object | None) -> str:
        """What a user must change before the rest can be made."""
        if found is not None and annotation(found, MARK) != self._canary().metadata.name:
            return (
                f"a {self._workloads.kind} {names.primary} exists that canary didn't make for this Canary; delete or "
                "rename it, or name another target"
            )
        if other := self._foreign(names):
            return NOT_SHARED.format(names.apex, other)
        keep = KEPT in selected_by(found).primary
        if found is not None and keep != keeps(self._canary()):
            return NOT_CHANGED.format(names.primary, "keep" if keep else "relabel")
        target = self._client.fresh(self._workloads, self._namespace, names.target)
        try:
            services(self._canary(), target, found=self._whole(SERVICES, names.apex))
            primary(self._canary(), target, target["spec"]["template"], "", None)
        except Invalid as error:
            return str(error)
        return ""

    # ---- scaling ---------------------------------------------------------------------------------------------------

    def _scale(self, canary: Canary, replicas: int) -> None:
        """A scaler that could undo it is paused first; it goes on only where there are to be replicas."""
        ref = canary.spec.autoscaler_ref
        change = pausing(ref, replicas) if ref else None
        if ref and change:
            with suppress(NotFound):
                found = self._client.fresh(SCALERS[ref.kind], self._namespace, ref.name)
                version = str(metadata(found)["resourceVersion"])
                self._client.merge(
                    SCALERS[ref.kind], self._namespace, ref.name, version, {"metadata": {"annotations": change}}
                )
        self._kind.scale(self._client, self._namespace, Names.of(canary).target, replicas)

    def _scaled(self, canary: Canary) -> None:
        """The primary's scaler as the target's is now; where that is gone, the primary keeps what it has."""
        ref = canary.spec.autoscaler_ref
        if ref is None:
            return
        with suppress(NotFound):
            made = scaler(canary, ref, self._client.fresh(SCALERS[ref.kind], self._namespace, ref.name))
            self._client.apply(SCALERS[ref.kind], self._namespace, metadata(made)["name"], made)

    def _allowed(self, canary: Canary, replicas: int) -> int:
        """As many as the target's scaler leaves it; the primary's may have other limits."""
        ref = canary.spec.autoscaler_ref
        with suppress(NotFound):
            if ref is not None:
                return min(replicas, highest(ref, self._client.fresh(SCALERS[ref.kind], self._namespace, ref.name)))
        return replicas

    # ---- writes ---------------------------------------------------------------------------------------------------

    def _serves_again(self, canary: Canary, target: Object, revision: str) -> bool:
        """Whether the target is ready with this revision and the primary's replicas; else does what leads there."""
        names = Names.of(canary)
        if self._kept.put_back(canary, target, revision):
            return False
        found = self._there(self._workloads, names.primary)
        wanted = self._allowed(canary, max(1, pods.desired_version(found) if found else 1))
        if pods.desired_version(target) < wanted:
            self._scale(canary, wanted)
            return False
        return _ready(target, 100)

    def _noted(self, names: Names, apex: Object) -> Object:
        """The Service of clients, with what it was before canary where it was there."""
        try:
            found = self._client.fresh(SERVICES, self._namespace, names.apex)
        except NotFound:
            return apex
        before = annotation(found, ORIGINAL)
        if not before and annotation(found, MARK):
            return apex
        annotations = {**metadata(apex)["annotations"], ORIGINAL: before or noted(found, apex)}
        return {**apex, "metadata": {**metadata(apex), "annotations": annotations}}

    def _given_back(self, names: Names, service: Object, before: Data) -> None:
        """The Service of clients as it was, in exactly the version that was read."""
        changes = given_back(service, before)
        if changes:
            version = str(metadata(service)["resourceVersion"])
            guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
            self._client.patch(SERVICES, self._namespace, names.apex, [guard, *changes])

    def _services(self, canary: Canary, target: Object, template: Data) -> tuple[Object, ...]:
        """With the ports of this template: that of the target isn't judged. The user's ports keep their names."""
        judged = {**target, "spec": {**target["spec"], "template": template}}
        build = self._kept.newest(target) if keeps(canary) else ""
        found = self._whole(SERVICES, Names.of(canary).apex)
        made: tuple[Object, ...] = valid(lambda: services(canary, judged, build, found))
        return made

    def _copied(self, canary: Canary, target: Object, revision: str, replicas: int | None = None) -> Object:
        """The template that the primary has now. Its digest comes last: without it, the copy is not complete."""
        template = self._kept.keep(canary, target, revision)
        made = valid(lambda: primary(canary, target, template, revision, None))
        name = metadata(made)["name"]
        found = self._client.apply(self._workloads, self._namespace, name, made)
        if replicas is not None:
            self._kind.scale(self._client, self._namespace, name, replicas)
        annotations = {**metadata(made)["annotations"], TEMPLATE: template_digest(found)}
        whole = {**made, "metadata": {**metadata(made), "annotations": annotations}}
        self._client.apply(self._workloads, self._namespace, name, whole)
        return template


def _ready(found: Data, share: int) -> bool:
    """Whether so many per cent of its replicas are available, rounded down, and at least one."""
    return pods.observed(found) and pods.available(found) >= max(1, pods.desired_version(found) * share // 100)
