"""What is kept of a target's revisions: ControllerRevisions, and copies of the ConfigMaps and Secrets that they need.

A ControllerRevision is written before its copies and removed after them, so that no copy is forgotten. Secrets can't
be listed.

Commands list the revisions that a primary has had, and go back to one. That is a push: it writes the target's pod
template in the name of its user, as `kubectl set image` does. What follows is an ordinary rollout.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

from canary.api.canary import Canary
from canary.api.revision import PromotedRevision, build_of, revision_of
from canary.engine.errors import Conflict
from canary.engine.observed import Cause
from canary.kube.client import Client, Object
from canary.kube.errors import NotFound, Refused, VersionConflict
from canary.kube.resources import CONTROLLER_REVISIONS, SERVICES
from canary.primary import daemon_sets
from canary.primary.configs import (
    Config,
    ConfigRef,
    copy_name,
    copy_of,
    digest_of_all,
    read,
    references,
    renamed,
    written,
)
from canary.primary.kept import (
    KEPT,
    Copies,
    analysed_object,
    copies_of,
    described,
    found_of,
    is_promoted,
    kept_for,
    primary_of,
    revision_object,
    surplus,
)
from canary.primary.names import REVISION, Data, Names
from canary.primary.reading import copied_from
from canary.primary.selections import promoted_as

from . import pods
from .cloned import CLONED, ClonedKind
from .configs import KINDS, Configs
from .pods import metadata
from .routed import Checked

_HASH = pods.TEMPLATE_HASH


@dataclass
class KeptRevisions:
    """Those of one primary, by its names. All raise Failures."""

    client: Client
    namespace: str
    kind: ClonedKind
    configs: Configs = field(init=False)

    def __post_init__(self) -> None:
        self.configs = Configs(self.client, self.namespace)

    def promoted(self, names: Names) -> list[Object]:
        """The ControllerRevisions of what the primary has had."""
        return [one for one in self._all(names) if is_promoted(one)]

    def analyse(self, canary: Canary, target: Object, revision: str) -> None:
        """Copies what the pods of a revision are about to read. Raises Conflict where it was edited meanwhile."""
        kept = self._all(Names.of(canary))
        template, live = self._read(target, revision)
        if found_of(kept, revision) is None:
            copies = {one: copy_name(canary, one.name, found) for one, found in live.items()}
            made = analysed_object(canary, renamed(template, copies), revision, written(copies))
            self._create(made)
        self._copy(canary, {one: (copy_name(canary, one.name, found), found) for one, found in live.items()})

    def keep(self, canary: Canary, target: Object, revision: str) -> Object:
        """The pod template of a revision, which refers to copies; what it was read from may be gone."""
        names = Names.of(canary)
        found, serving = self._all(names), self._workload(names.primary)
        kept = [one for one in found if is_promoted(one)]
        known = found_of(kept, revision) or found_of(found, revision)
        if known is not None and is_promoted(known):
            self._complete(canary, known)
            return _template(known)
        if known is None:
            template, live = self._read(target, revision)
            copies = {one: copy_name(canary, one.name, each) for one, each in live.items()}
            template = renamed(template, copies)
            noted: Copies = written(copies)
        else:
            template, noted, live = _template(known), copies_of(known), {}
        replicas = pods.desired_version(serving or target)
        made = revision_object(canary, template, revision, replicas, kept, noted)
        self._create(made)
        if live:
            self._copy(canary, {one: (copy_name(canary, one.name, each), each) for one, each in live.items()})
        else:
            self._complete(canary, made)
        serves = str((metadata(serving or {}).get("annotations") or {}).get(REVISION) or "")
        old = surplus(kept, serves)
        self._remove(old, [one for one in (*found, made) if one not in old], (serving, target))
        return template

    def as_before(self, canary: Canary, target: Object, revision: str) -> Object | None:
        """The template with which the target serves a revision without a primary; None where it has it.

        It refers to a copy where the original was edited since.
        """
        known = found_of(self._all(Names.of(canary)), revision)
        template, copies = (_template(known), read(copies_of(known))) if known else (None, {})
        if template is None:
            template, _ = self._read(target, revision)
        live = self.configs.fresh(ConfigRef(*one, optional=True) for one in copies)
        same = {one for one, name in copies.items() if one in live and copy_name(canary, one.name, live[one]) == name}
        made = renamed(template, {Config(one.kind, copies[one]): one.name for one in same})
        if len(same) < len(copies):  # no build of the target has it yet, or one of another name
            has = daemon_sets.build(_unhashed(target["spec"]["template"])) == daemon_sets.build(_unhashed(made))
        else:
            has = self.newest(target) == build_of(revision)
        return None if has else made

    def put_back(self, canary: Canary, target: Object, revision: str) -> bool:
        """Gives the target, as it was read, the template of a revision; False where it has it already."""
        template = self.as_before(canary, target, revision)
        if template is None:
            return False
        whole = self.kind.as_it_runs(target, _unhashed(template))
        self.client.patch(self.kind.resource, self.namespace, metadata(target)["name"], [
            {"op": "test", "path": "/metadata/resourceVersion", "value": str(metadata(target)["resourceVersion"])},
            {"op": "replace", "path": "/spec/template", "value": whole},
        ])  # fmt: skip
        return True

    def newest(self, target: Object) -> str:
        """The target's newest build."""
        return self.kind.newest(self.client, self.namespace, target)

    def sweep(self, names: Names) -> None:
        """Removes what was analysed, and the copies that were made for that alone."""
        found = self._all(names)
        over = [one for one in found if not is_promoted(one)]
        if over:
            users = (self._workload(names.primary), self._workload(names.target))
            self._remove(over, [one for one in found if is_promoted(one)], users)

    def remove(self, names: Names) -> None:
        """Removes all but the copies that the target itself refers to now."""
        self._remove(self._all(names), (), (self._workload(names.target),))

    # ---- reads -----------------------------------------------------------------------------------------------------

    def _all(self, names: Names) -> list[Object]:
        return self.client.find(CONTROLLER_REVISIONS, self.namespace, {KEPT: names.primary})

    def _workload(self, name: str) -> Object | None:
        with suppress(NotFound):
            return self.client.fresh(self.kind.resource, self.namespace, name)
        return None

    def _read(self, target: Object, revision: str) -> tuple[Object, dict[Config, Object]]:
        """The template of a revision of the target, and what its pods read."""
        name = metadata(target)["name"]
        template = self.kind.template(self.client, self.namespace, target, build_of(revision))
        if template is None:
            keeps = f"{name} keeps too few {self.kind.history}"
            raise Refused(Cause.ABSENT, f"the template of {revision} is gone: {keeps}")
        live = self.configs.fresh(references(template))
        if revision_of(build_of(revision), digest_of_all(live)) != revision:
            raise Conflict(f"the configuration of {name} isn't that of {revision} any more")
        return template, live

    # ---- writes ----------------------------------------------------------------------------------------------------

    def _create(self, made: Object) -> None:
        with suppress(VersionConflict):
            self.client.create(CONTROLLER_REVISIONS, self.namespace, made)

    def _copy(self, canary: Canary, wanted: Mapping[Config, tuple[str, Object]]) -> None:
        for one, (name, found) in wanted.items():
            if not self._has(canary, one, name):
                self.client.create(KINDS[one.kind], self.namespace, copy_of(canary, one, found))

    def _complete(self, canary: Canary, kept: Data) -> None:
        """A copy that was deleted is made again, while the original is as it was."""
        missing = {one: name for one, name in read(copies_of(kept)).items() if not self._has(canary, one, name)}
        live = self.configs.fresh(ConfigRef(*one, optional=True) for one in missing)
        for one, name in missing.items():
            if one not in live or copy_name(canary, one.name, live[one]) != name:
                raise Refused(Cause.ABSENT, f"the {one.kind} {name}, a copy of {one.name}, was deleted")
        self._copy(canary, {one: (name, live[one]) for one, name in missing.items()})

    def _has(self, canary: Canary, one: Config, name: str) -> bool:
        """Whether the copy is there. Raises Refused where something else has its name."""
        try:
            found = self.client.fresh(KINDS[one.kind], self.namespace, name)
        except NotFound:
            return False
        if copy_name(canary, one.name, found) != name:
            raise Refused(Cause.INVALID, f"the {one.kind} {name} isn't the copy of {one.name} any more; delete it")
        return True

    def _remove(self, old: Iterable[Data], others: Sequence[Data], users: Iterable[Object | None]) -> None:
        """Copies first. Those that others refer to stay, and those of which the pods of workloads read."""
        spared = {Config(one.kind, name) for each in others for one, name in read(copies_of(each)).items()}
        spared |= {one.config for user in users if user for one in references(user["spec"]["template"])}
        for each in old:
            for one, name in read(copies_of(each)).items():
                if Config(one.kind, name) not in spared:
                    self._delete(one.kind, name)
            with suppress(NotFound):
                self.client.delete(CONTROLLER_REVISIONS, self.namespace, metadata(each)["name"])

    def _delete(self, kind: str, name: str) -> None:
        with suppress(NotFound):
            self.client.delete(KINDS[kind], self.namespace, name)


def _unhashed(template: Data) -> Object:
    """Without what the controller of ReplicaSets adds."""
    labels = {key: one for key, one in (metadata(template).get("labels") or {}).items() if key != _HASH}
    return {**template, "metadata": {**metadata(template), "labels": labels}}


def _template(kept: Data) -> Object:
    return dict((kept.get("data") or {}).get("template") or {})


# ---- for commands ----------------------------------------------------------------------------------------------

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
