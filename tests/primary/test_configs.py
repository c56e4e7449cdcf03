"""What a pod template refers to, and the copies that the primary's pods read."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.primary.configs import (
    LONGEST_NAME,
    Config,
    ConfigRef,
    copy_name,
    copy_of,
    digest,
    digest_of_all,
    projected,
    read,
    references,
    renamed,
    tracked,
    written,
)
from canary.primary.kept import analysed_object, copies_of, found_of, is_promoted, revision_object
from canary.primary.names import MARK

from .podinfo import Data, Object, canary

KINDS = ("ConfigMap", "Secret")


def template(*volumes: Data, init: Data | None = None, **container: Any) -> Object:
    """A pod template with these volumes, and these fields of its container."""
    spec: Object = {"containers": [{"name": "main", "image": "podinfo:1", **container}]}
    spec |= {"volumes": [{"name": f"v{index}", **one} for index, one in enumerate(volumes)]} if volumes else {}
    spec |= {"initContainers": [{"name": "init", **init}]} if init else {}
    return {"metadata": {"labels": {"app": "podinfo"}}, "spec": spec}


def variable(field: str, name: str, **more: Any) -> Object:
    return {"env": [{"name": "A", "valueFrom": {field: {"name": name, "key": "a", **more}}}]}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (template({"configMap": {"name": "x"}}), "ConfigMap x"),
        (template({"secret": {"secretName": "x"}}), "Secret x"),
        (template({"projected": {"sources": [{"configMap": {"name": "x"}}]}}), "ConfigMap x"),
        (template({"projected": {"sources": [{"secret": {"name": "x"}}]}}), "Secret x"),
        (template(**variable("configMapKeyRef", "x")), "ConfigMap x"),
        (template(**variable("secretKeyRef", "x")), "Secret x"),
        (template(envFrom=[{"configMapRef": {"name": "x"}}]), "ConfigMap x"),
        (template(envFrom=[{"prefix": "A_", "secretRef": {"name": "x"}}]), "Secret x"),
        (template(init=variable("secretKeyRef", "x")), "Secret x"),
    ],
)
def test_all_kinds_of_references(made: Object, expected: str) -> None:
    [found] = references(made)
    assert (str(found.config), found.optional) == (expected, False)
    again = renamed(made, {found.config: "y"})
    assert [one.name for one in references(again)] == ["y"]
    assert json.dumps(again) == json.dumps(made).replace('"x"', '"y"')


def test_what_is_no_configuration() -> None:
    """Image pull secrets and volumes of drivers."""
    made = template({"csi": {"driver": "d", "nodePublishSecretRef": {"name": "x"}}}, {"emptyDir": {}})
    made["spec"]["imagePullSecrets"] = [{"name": "x"}]
    made["spec"]["containers"][0]["env"] = [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"fieldRef": {}}}]
    assert references(made) == ()
    assert references({}) == ()


def test_an_optional_reference_beside_a_mandatory_one_is_mandatory() -> None:
    one, other = {"name": "x", "optional": True}, {"name": "x"}
    for first, second in ((one, other), (other, one)):
        both = template({"configMap": first}, envFrom=[{"configMapRef": second}])
        assert references(both) == (ConfigRef("ConfigMap", "x", optional=False),)
    assert references(template({"configMap": {"name": "x", "optional": True}}))[0].optional


@pytest.mark.parametrize(
    ("kind", "found", "expected"),
    [
        ("ConfigMap", {}, True),
        ("Secret", {}, True),
        ("Secret", {"type": "kubernetes.io/tls"}, True),
        ("Secret", {"type": "kubernetes.io/service-account-token"}, False),
        ("ConfigMap", {"metadata": {"annotations": {"canary-controller.dev/config-tracking": "disabled"}}}, False),
        ("Secret", {"metadata": {"annotations": {"flagger.app/config-tracking": "disable"}}}, False),
        ("Secret", {"metadata": {"annotations": {"flagger.app/config-tracking": "enabled"}}}, True),
    ],
)
def test_what_is_tracked(kind: str, found: Object, expected: bool) -> None:
    assert tracked(kind, found) is expected


HELD: Object = {"data": {"a": "1"}, "binaryData": {"b": "AA=="}}


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"a": "2"}, "binaryData": {"b": "AA=="}},
        {"data": {"a": "1"}, "binaryData": {"b": "AQ=="}},
        {"data": {"a": "1"}},
        {"data": {"a": "1", "b": "AA=="}},
        {},
    ],
)
def test_another_content_is_another_copy(other: Object) -> None:
    """Binary data counts; metadata doesn't."""
    assert digest(other) != digest(HELD)
    assert digest({**HELD, "metadata": {"resourceVersion": "7"}}) == digest(HELD)
    assert copy_name(canary(), "x", other) != copy_name(canary(), "x", HELD)
    one = Config("ConfigMap", "x")
    assert digest_of_all({one: HELD}) not in (digest_of_all({one: other}), digest_of_all({}))
    assert digest_of_all({Config("ConfigMap", "y"): HELD}) != digest_of_all({one: HELD})


def test_what_is_kept_of_a_watched_one_has_no_contents() -> None:
    """But its digest, and whether it is tracked."""
    said = {"flagger.app/config-tracking": "disabled", "kubectl.kubernetes.io/last-applied-configuration": "a: 1"}
    kept = json.loads(projected({"metadata": {"name": "x", "namespace": "test", "annotations": said}, **HELD}))
    assert digest(kept) == digest(HELD)
    assert not tracked("ConfigMap", kept)
    assert kept.keys() == {"metadata", "digest"}
    assert list(kept["metadata"]["annotations"]) == ["flagger.app/config-tracking"]


def test_a_copy() -> None:
    """No one can change it; it has no label or annotation of the original, by which GitOps would prune it."""
    found = {**HELD, "type": "kubernetes.io/tls", "metadata": {"name": "x", "labels": {"argo": "1"}}}
    made = copy_of(canary(), Config("Secret", "x"), found)
    assert made == {
        "metadata": {
            "name": copy_name(canary(), "x", found),
            "namespace": "test",
            "labels": {"canary-controller.dev/primary": "podinfo-primary"},
            "annotations": {MARK: "podinfo"},
        },
        "immutable": True,
        "type": "kubernetes.io/tls",
        **HELD,
    }
    assert made["metadata"]["name"].startswith("x-primary-")
    assert "type" not in copy_of(canary(), Config("ConfigMap", "x"), HELD)


def test_a_long_name() -> None:
    assert len(copy_name(canary(), "x" * LONGEST_NAME, HELD)) == LONGEST_NAME


def test_two_canaries_have_copies_of_their_own() -> None:
    assert copy_name(canary(name="other"), "x", HELD) != copy_name(canary(), "x", HELD)


def test_what_is_analysed_is_not_among_the_promoted() -> None:
    copies = written({Config("Secret", "x"): "x-primary-1"})
    one = analysed_object(canary(), template(), "7d-1", copies)
    other = revision_object(canary(), template(), "7d-1", 2, [one], copies)
    assert (is_promoted(one), is_promoted(other), one["metadata"]["name"] == other["metadata"]["name"]) == (
        False,
        True,
        False,
    )
    assert read(copies_of(other)) == {Config("Secret", "x"): "x-primary-1"}
    assert found_of([one], "7d-1") is one
    assert found_of([one], "7d") is None
    assert "copies" not in revision_object(canary(), template(), "7d", 2, [])["data"]


# ---- properties -------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["x", "y", "podinfo", "x-primary"])
OPTIONAL = st.sampled_from([{}, {"optional": True}, {"optional": False}])


def reference(field: str, key: str = "name") -> st.SearchStrategy[Object]:
    return st.builds(lambda name, optional: {field: {key: name, **optional}}, NAMES, OPTIONAL)


SOURCES = st.one_of(reference("configMap"), reference("secret"), st.just({"serviceAccountToken": {"path": "x"}}))
VOLUMES = st.one_of(
    reference("configMap"),
    reference("secret", "secretName"),
    st.builds(lambda sources: {"projected": {"sources": sources}}, st.lists(SOURCES, max_size=3)),
    st.just({"emptyDir": {}}),
)
VARIABLES = st.one_of(
    st.builds(lambda one: {"name": "A", "valueFrom": one}, reference("configMapKeyRef")),
    st.builds(lambda one: {"name": "A", "valueFrom": one}, reference("secretKeyRef")),
    st.just({"name": "x", "value": "x"}),
)
CONTAINERS = st.builds(
    lambda env, sources: {"name": "x", "env": env, "envFrom": sources},
    st.lists(VARIABLES, max_size=3),
    st.lists(st.one_of(reference("configMapRef"), reference("secretRef")), max_size=3),
)
TEMPLATES = st.builds(
    lambda volumes, init, containers: {
        "metadata": {"labels": {"app": "x"}},
        "spec": {
            "volumes": volumes,
            "initContainers": init,
            "containers": containers,
            "imagePullSecrets": [{"name": "x"}],
        },
    },
    st.lists(VOLUMES, max_size=3),
    st.lists(CONTAINERS, max_size=2),
    st.lists(CONTAINERS, max_size=2),
)


def copies(of: Data) -> Mapping[Config, str]:
    return {one.config: f"{one.name}-primary-{one.kind.lower()}" for one in references(of)}


@given(TEMPLATES)
def test_renaming_back_gives_the_template(made: Object) -> None:
    names = copies(made)
    back = {Config(one.kind, name): one.name for one, name in names.items()}
    assert renamed(renamed(made, names), back) == made


@given(TEMPLATES)
def test_nothing_but_references_changes(made: Object) -> None:
    before, names = json.dumps(made), copies(made)
    after = renamed(made, names)
    assert json.dumps(made) == before
    assert references(after) == tuple(
        sorted(ConfigRef(one.kind, names[one.config], one.optional) for one in references(made))
    )
    assert differences(made, after) <= set(names.values())


def differences(one: Any, other: Any) -> set[str]:
    """What stands in the other in place of something else."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return {each for key in one for each in differences(one[key], other[key])}
    if isinstance(one, list):
        assert len(one) == len(other)
        return {each for pair in zip(one, other, strict=True) for each in differences(*pair)}
    return set() if one == other else {other}


@given(st.dictionaries(st.builds(Config, st.sampled_from(KINDS), NAMES), NAMES))
def test_copies_are_noted(names: dict[Config, str]) -> None:
    assert read(json.loads(json.dumps(written(names)))) == names
