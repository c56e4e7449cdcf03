"""A pod template in which a name stands twice: the same pods, in a form that server-side apply takes."""

from typing import Any

import pytest

from canary.engine.errors import Invalid
from canary.primary.workload import mergeable

from .podinfo import POD


def container(**fields: Any) -> dict[str, Any]:
    """A pod with one container."""
    return {"containers": [{"name": "web", **fields}]}


def var(name: str, value: str | None = None, **source: Any) -> dict[str, Any]:
    """An environment variable."""
    return {"name": name, **source} | ({} if value is None else {"value": value})


def test_a_template_without_doubles_stays() -> None:
    """And what is handed in isn't changed."""
    assert mergeable(POD) == POD
    given = container(env=[var("A", "1"), var("A", "2")])
    mergeable(given)
    assert given == container(env=[var("A", "1"), var("A", "2")])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            container(env=[var("A", "1"), var("B", "b"), var("A", "2")]),
            container(env=[var("B", "b"), var("A", "2")]),
            id="the last value of a variable counts",
        ),
        pytest.param(
            container(env=[var("A", "1"), var("A", valueFrom={"fieldRef": {"fieldPath": "x"}}), var("B", "$(A)")]),
            container(env=[var("A", valueFrom={"fieldRef": {"fieldPath": "x"}}), var("B", "$(A)")]),
            id="a variable that is made of the last value",
        ),
        pytest.param(
            {"initContainers": [{"name": "a", "env": [var("A", "1"), var("A", "1")]}]},
            {"initContainers": [{"name": "a", "env": [var("A", "1")]}]},
            id="in an init container",
        ),
        pytest.param(
            container(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP", "name": "http"}]),
            container(ports=[{"containerPort": 80, "protocol": "TCP", "name": "http"}]),
            id="a port and its name",
        ),
        pytest.param(
            container(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]),
            container(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]),
            id="a port of two protocols is two ports",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
            {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]},
            id="a Secret",
        ),
        pytest.param(
            {
                "hostAliases": [
                    {"ip": "10.0.0.1", "hostnames": ["a"]},
                    {"ip": "10.0.0.2", "hostnames": ["b"]},
                    {"ip": "10.0.0.1", "hostnames": ["c", "a"]},
                ]
            },
            {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "c"]}, {"ip": "10.0.0.2", "hostnames": ["b"]}]},
            id="an address",
        ),
    ],
)
def test_doubles_without_effect_are_left_out(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What is left makes the same pods."""
    assert mergeable(before) == after
    assert mergeable(after) == after


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            container(env=[var("A", "1"), var("B", "$(A)"), var("A", "2")]),
            "container web has the environment variable A twice, and another one is made of its first value; write "
            "each variable once",
        ),
        (
            container(env=[var("PATH", "/a"), var("PATH", "$(PATH):/b")]),
            "container web has the environment variable PATH twice, and another one is made of its first value; "
            "write each variable once",
        ),
        (
            container(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}]),
            "container web has port 80 twice; write each port once",
        ),
    ],
)
def test_doubles_with_an_effect_are_refused(spec: dict[str, Any], sentence: str) -> None:
    """Nothing is promoted that wasn't analysed."""
    with pytest.raises(Invalid) as caught:
        mergeable(spec)
    assert str(caught.value) == sentence
