"""What runs behind the versions of a target that has a primary: both workloads are known by name."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from canary.api.canary import Canary
from canary.api.revision import configured, revision_of
from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, NotFound
from canary.kube.resources import DAEMON_SETS, SERVICES
from canary.primary import daemon_sets
from canary.primary.configs import CONFIG_MAP, SECRET, ConfigRef, digest_of_all, references
from canary.primary.kept import KEPT
from canary.primary.names import REVISION, Names
from canary.primary.reading import annotation, copied_from, label_of, selected_by, selects
from canary.primary.workload import SELECTOR_LABELS

from . import pods
from .cloned import CLONED, revisions_of
from .configs import REMEMBERED, Configs
from .kubernetes import Known, KubernetesWorkloads, Labels, Unclear, mark_of
from .pods import metadata


class PrimaryWorkloads(KubernetesWorkloads):
    """The port Workloads on a Deployment or DaemonSet and its primary, which are known by name.

    The primary's revision is that of the target that was copied to it, so that both speak of the same builds. The
    target's has a digest of the ConfigMaps and Secrets that its pods read at their start.
    """

    def __init__(self, client: Client, namespace: str, canary: Callable[[], Canary], watched: bool = False) -> None:
        super().__init__(client, namespace, self.selector, watched)
        self._manifest = canary
        self._workloads = CLONED[canary().spec.target_ref.kind].resource
        self._configs = Configs(client, namespace, REMEMBERED if watched else 0.0)
        self._refers = Refers()
        self._configuration = ""
        """Of the target, as it was read last."""

    def depends_on(self, config_map: str) -> bool:
        """Whether the target's pods read a ConfigMap, as far as is known."""
        return any((one.kind, one.name) == (CONFIG_MAP, config_map) for one in self._refers.references)

    @property
    def follows(self) -> bool:
        """Whether the target's pods read ConfigMaps."""
        return any(one.kind == CONFIG_MAP for one in self._refers.references)

    @property
    def blind(self) -> bool:
        """Whether they read something that may not be read here."""
        return self._configs.blind

    @property
    def polls(self) -> bool:
        """Whether the target's pods read Secrets, which are not watched."""
        return any(one.kind == SECRET for one in self._refers.references)

    def revision(self, version: str) -> str | Missing:
        """With what the target's pods would read if they were started now.

        While there are such that were started with something else, it isn't known what a rollout would analyse.
        """
        build, names = super().revision(version), Names.of(self._manifest())
        if isinstance(build, Missing) or version != names.canary_host:
            return build
        try:
            found = self._configured(version, build)
            if found is None:
                return Missing(Cause.NOT_YET, f"{names.target} was changed while it was read")
            return (
                found
                if self._may_start(names, found)
                else Missing(
                    Cause.NOT_YET, f"pods of {names.target} are there that may have read another configuration"
                )
            )
        except Failure as error:
            return error.missing

    def still(self, version: str) -> bool:
        """The same of what the target's pods read."""
        if not super().still(version):
            return False
        known, names = self._known.get(version), Names.of(self._manifest())
        if known is None or version != names.canary_host or known.mark != self._refers.mark:
            return True
        return digest_of_all(self._configs.fresh(self._refers.references)) == self._configuration

    def _configured(self, version: str, build: str) -> str | None:
        """A build with the configuration; None where the template isn't that of the build. Raises Failure."""
        known, refers = self._known.get(version), self._refers
        if known is None or known.revision != build or not known.mark:
            return None
        if known.mark != refers.mark:
            target = self._client.fresh(self._workloads, self._namespace, Names.of(self._manifest()).target)
            refers = self._refers = Refers(mark_of(target), references(target["spec"]["template"]))
        if known.mark != refers.mark:
            return None
        self._configuration = digest_of_all(self._configs.seen(refers.references))
        return revision_of(build, self._configuration)

    def _may_start(self, names: Names, revision: str) -> bool:
        """Not while pods are on their way out that were started before, unless nothing would start anyway."""
        target = self._client.get(self._workloads, self._namespace, names.target)
        if not configured(revision) or pods.desired_version(target) or not pods.count(target):
            return True
        with suppress(NotFound):
            primary = self._client.get(self._workloads, self._namespace, names.primary)
            return annotation(primary, REVISION) == revision
        return True

    def selector(self, version: str) -> Labels | Missing:
        """Labels of a version's pods, as its Service selects them. The primary's are known without the target."""
        try:
            workload = self._client.get(self._workloads, self._namespace, self._named(version))
        except Failure as error:
            return error.missing
        key, value = label_of(workload)
        if not key:
            name = metadata(workload)["name"]
            return Missing(Cause.INVALID, f"{name} has none of the labels {', '.join(SELECTOR_LABELS)}")
        own = selected_by(workload).primary
        return {key: value, KEPT: own[KEPT]} if KEPT in own else {key: value}

    def _pods(self, version: str, labels: Labels) -> list[Object]:
        """The primary's may have all labels of the target's."""
        found, kept = super()._pods(version, labels), KEPT in labels
        return [one for one in found if kept or KEPT not in (metadata(one).get("labels") or {})]

    def read(self, version: str) -> WorkloadSeen | Missing:
        """See the port."""
        seen, names = super().read(version), Names.of(self._manifest())
        if isinstance(seen, Missing):
            return seen
        if version == names.canary_host:
            return self._with_configuration(version, seen)
        try:
            found = self._client.get(self._workloads, self._namespace, names.primary)
        except Failure as error:
            return error.missing
        if not pods.observed(found):
            return Missing(Cause.NOT_YET, f"{names.primary} was changed, and its controller hasn't seen that yet")
        return replace(seen, revision=copied_from(found), diverted=self._diverted(names, found))

    def _diverted(self, names: Names, primary: Object) -> str:
        """The Service of clients, where another client lets it select other pods than the primary's."""
        with suppress(Failure):  # one that is missing is made again at rest
            service = self._client.get(SERVICES, self._namespace, names.apex)
            return "" if selects(service, selected_by(primary).primary) else names.apex
        return ""

    def _named(self, version: str) -> str:
        names = Names.of(self._manifest())
        return names.primary if version == names.primary_host else names.target

    def _with_configuration(self, version: str, seen: WorkloadSeen) -> WorkloadSeen:
        """Without a revision where its configuration can't be read: its replicas answer all the same."""
        try:
            revision = self._configured(version, seen.revision)
        except Failure:
            revision = None
        return replace(seen, revision=revision or "")

    def _discovered(self, version: str, labels: Labels, found: Any) -> tuple[Known, Object]:
        name = self._named(version)
        workload = self._client.get(self._workloads, self._namespace, name)
        if not pods.carries(workload, labels):
            raise Unclear(Cause.INVALID, f"the pods of {name} don't have the labels {dict(labels)}")
        uid = str(metadata(workload)["uid"])
        return Known(self._workloads, name, uid, frozenset({uid})), workload

    def _revised(self, known: Known, workload: Object, labels: Labels) -> Known:
        """Of a DaemonSet by what it runs, and not by whether it runs."""
        if known.resource != DAEMON_SETS:
            return super()._revised(known, workload, labels)
        build, hashes = daemon_sets.newest(revisions_of(self._client, self._namespace, workload))
        return replace(known, revision=build, hashes=hashes)


@dataclass(frozen=True)
class Refers:
    """What a target's pod template refers to."""

    mark: tuple[str, ...] = ()
    """What the target looked like when this was read."""
    references: tuple[ConfigRef, ...] = ()
