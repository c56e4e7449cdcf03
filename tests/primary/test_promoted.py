"""Which promoted revisions can be gone back to, and what going back writes."""

from typing import cast

import pytest

from canary.api.revision import PromotedRevision, revision_of
from canary.engine.errors import Conflict, Invalid
from canary.engine.observed import Cause
from canary.kube.client import Client
from canary.kube.errors import VersionConflict
from canary.kube.resources import CONFIG_MAPS, DEPLOYMENTS, Resource
from canary.primary.configs import CONFIG_MAP, Config, digest_of_all, references
from canary.primary.kept import chosen
from canary.workloads.kept import TargetTemplate, promoted_revisions
from canary.workloads.primary import KubernetesPrimary
from tests.primary.memory import Memory, Object, replica_set, with_podinfo
from tests.primary.test_writes import NEXT, image, made, port, released

KEPT = tuple(PromotedRevision(number=number, revision=name) for number, name in ((3, "c7"), (2, "5"), (1, "a7")))


@pytest.mark.parametrize(("word", "revision"), [("3", "c7"), ("a7", "a7"), ("5", "5"), ("2", "5"), ("1", "a7")])
def test_a_revision_is_named_by_its_name_or_its_number(word: str, revision: str) -> None:
    assert chosen(KEPT, word).revision == revision


@pytest.mark.parametrize(
    ("kept", "word", "sentence"),
    [
        (KEPT, "9", r"revision 9 isn't kept; there are 3 \(c7\), 2 \(5\), 1 \(a7\)"),
        (KEPT, "A7", "isn't kept; did you mean a7"),
        ((), "1", "no promoted revision is kept"),
    ],
)
def test_a_revision_that_is_not_kept(kept: tuple[PromotedRevision, ...], word: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        chosen(kept, word)


def template(memory: Memory) -> TargetTemplate:
    return TargetTemplate(cast(Client, memory), "shop", released)


def listed(memory: Memory, name: str = "") -> list[tuple[int, str, bool, tuple[str, ...]]]:
    found = promoted_revisions(cast(Client, memory), "shop", name or released().metadata.name)
    return [(one.number, one.revision, one.serving, one.images) for one in found]


def promoted_twice() -> Memory:
    """The primary had the revision `a`, and has `b`; so has the target."""
    memory = with_podinfo()
    primary = made(memory)
    replica_set(memory, "b", 2, NEXT)
    memory.objects["Deployment", "podinfo"]["spec"]["template"] = {**NEXT}
    primary.copy("b")
    memory.took()
    return memory


def test_the_promoted_revisions_of_one_canary() -> None:
    memory = promoted_twice()
    assert listed(memory) == [(2, "b", True, ("2",)), (1, "a", False, ("1",))]
    assert listed(memory, "other") == []


def test_going_back_writes_the_template_and_nothing_else() -> None:
    """Once; what its ReplicaSet's controller adds isn't in it."""
    memory = promoted_twice()
    assert template(memory).put_back("b") is False
    assert memory.took() == []
    assert template(memory).put_back("a") is True
    assert (memory.took(), image(memory, "podinfo")) == (["patch Deployment podinfo"], "1")
    written = memory.objects["Deployment", "podinfo"]["spec"]["template"]
    assert written["metadata"]["labels"] == {"app": "podinfo"}


class Busy(Memory):
    """The Deployment is changed by another client before each write of ours."""

    def __init__(self, before: Memory, pushes: bool) -> None:
        super().__init__()
        self.objects, self.pushes, self.attempts = before.objects, pushes, 0

    def patch(self, resource: Resource, namespace: str, name: str, operations: list[Object]) -> Object:
        self.attempts += 1
        if self.pushes:
            self.objects["Deployment", "podinfo"]["spec"]["template"] = {"spec": {"containers": [{"image": "3"}]}}
        raise VersionConflict(Cause.INVALID, "changed")


@pytest.mark.parametrize(
    ("pushes", "sentence", "attempts"), [(True, "just changed the pod template", 1), (False, "again and again", 5)]
)
def test_a_push_of_another_client_is_not_overwritten(pushes: bool, sentence: str, attempts: int) -> None:
    """Other changes, such as of its status, are no reason to give up at once."""
    memory = Busy(promoted_twice(), pushes)
    with pytest.raises(Conflict, match=sentence):
        template(memory).put_back("a")
    assert memory.attempts == attempts


def test_a_copy_that_the_target_refers_to_stays() -> None:
    """The ConfigMap was edited since: the template refers to the copy, and no later promotion removes it."""
    memory = with_podinfo()
    config: Object = {"data": {"color": "blue"}, "metadata": {"name": "settings"}}
    memory.objects["ConfigMap", "settings"] = {**config, "metadata": {"name": "settings", "resourceVersion": "0"}}
    reads = with_settings("1")
    replica_set(memory, "a", 1, reads)
    memory.objects["Deployment", "podinfo"]["spec"]["template"] = reads
    primary = made_with(memory, revision(memory, "a"))
    [first] = [one for one in references(primary_template(memory)) if one.kind == CONFIG_MAP]
    memory.objects["ConfigMap", "settings"]["data"] = {"color": "red"}
    for number, build in enumerate("bcdefg", 2):
        replica_set(memory, build, number, with_settings(str(number)))
        primary.copy(revision(memory, build))
        if build == "b":
            assert template(memory).put_back(revision(memory, "a", {"color": "blue"})) is True
            [refers] = references(memory.objects["Deployment", "podinfo"]["spec"]["template"])
            assert refers.name == first.name
    assert len(listed(memory)) == 5
    assert "a" not in {one[1].partition("-")[0] for one in listed(memory)}
    assert memory.get(CONFIG_MAPS, "shop", first.name)["data"] == {"color": "blue"}


def test_going_back_from_another_image_with_the_same_copies() -> None:
    """The target went back once, to a copy, and was pushed again: that it refers to the same copy isn't all."""
    memory = with_podinfo()
    memory.objects["ConfigMap", "settings"] = {
        "data": {"color": "blue"}, "metadata": {"name": "settings", "resourceVersion": "0"}
    }  # fmt: skip
    replica_set(memory, "a", 1, with_settings("1"))
    memory.objects["Deployment", "podinfo"]["spec"]["template"] = with_settings("1")
    first = revision(memory, "a")
    made_with(memory, first)
    memory.objects["ConfigMap", "settings"]["data"] = {"color": "red"}
    assert template(memory).put_back(first) is True
    assert template(memory).put_back(first) is False
    memory.objects["Deployment", "podinfo"]["spec"]["template"]["spec"]["containers"][0]["image"] = "2"
    assert template(memory).put_back(first) is True
    assert image(memory, "podinfo") == "1"


def with_settings(tag: str) -> Object:
    container = {"name": "main", "image": tag, "envFrom": [{"configMapRef": {"name": "settings"}}]}
    return {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [container]}}


def revision(memory: Memory, build: str, data: Object | None = None) -> str:
    found = {"data": data or memory.objects["ConfigMap", "settings"]["data"]}
    return revision_of(build, digest_of_all({Config(CONFIG_MAP, "settings"): found}))


def made_with(memory: Memory, name: str) -> KubernetesPrimary:
    primary = port(memory)
    primary.provision(name)
    primary.provision(name)
    return primary


def primary_template(memory: Memory) -> Object:
    found: Object = memory.get(DEPLOYMENTS, "shop", "podinfo-primary")["spec"]["template"]
    return found
