"""A CanaryAction of the API server becomes what the engine reads."""

from datetime import UTC, datetime
from typing import Any

import pytest

from canary.api.action import ActionResource, CanaryAction, Verb

CREATED = "2030-01-31T12:00:00Z"
SPEC: dict[str, Any] = {
    "canary": "web",
    "verb": "approve",
    "rollout": 3,
    "step": 2,
    "author": "ann",
    "comment": "fine",
}


def kept(metadata: dict[str, Any] | None = None, **spec: Any) -> ActionResource:
    """As the API server returns it, with more in it than we know."""
    server = {"name": "approve-x7k2p", "namespace": "shop", "uid": "5f0c", "creationTimestamp": CREATED}
    body = {"metadata": {**server, "managedFields": [], **(metadata or {})}, "spec": {**SPEC, **spec}}
    return ActionResource.model_validate(
        {"apiVersion": "canary-controller.dev/v1beta1", "kind": "CanaryAction", **body}
    )


def test_its_identity_and_time_are_the_servers() -> None:
    """All else is what its author wrote."""
    assert kept(version="v2", revision="7d9f", banana=1).action(verified=True) == CanaryAction(
        id="5f0c",
        target="web",
        verb=Verb.APPROVE,
        rollout=3,
        version="v2",
        revision="7d9f",
        step=2,
        author="ann",
        verified=True,
        comment="fine",
        at=datetime(2030, 1, 31, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("author", "checked", "verified"),
    [("ann", True, True), ("ann", False, False), ("", True, False)],
    ids=["the server checks authors", "no one checks authors", "without an author no one is verified"],
)
def test_who_vouches_for_the_author(author: str, checked: bool, verified: bool) -> None:
    """The caller knows whether the cluster checks authors."""
    assert kept(author=author).action(checked).verified is verified


@pytest.mark.parametrize("lacking", ["uid", "creationTimestamp"])
def test_an_object_that_was_not_kept_is_no_action(lacking: str) -> None:
    """An action without an identity of its own could act twice."""
    with pytest.raises(ValueError, match="the CanaryAction approve-x7k2p has no uid or no creationTimestamp"):
        kept({lacking: None if lacking == "creationTimestamp" else ""}).action(verified=True)
