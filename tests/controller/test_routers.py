"""Kinds of a router that the cluster doesn't have keep a controller from being ready only where there is no other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from canary.controller.watches import dispensable
from canary.engine.errors import CanaryError
from canary.engine.observed import Cause
from canary.kube.client import Client, Object, Stream
from canary.kube.errors import ApiAnswer, Unavailable
from canary.kube.reflector import Reflector
from canary.kube.requests import Request
from canary.kube.resources import CONFIG_MAPS
from tests.controller.objects import Wire

PLAIN = 404
"""Without a Status: no one serves the path."""


@dataclass
class Unserving(Wire):
    """Answers as a server does that lacks a kind."""

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        answer = self.answers.pop(0)
        if answer == PLAIN:
            return ApiAnswer(PLAIN, {}, b"404 page not found")
        return (
            ApiAnswer(answer, {}, b"{}")
            if isinstance(answer, int)
            else ApiAnswer(200, {}, json.dumps(answer).encode())
        )

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        raise Unavailable(Cause.REFUSED, "no watch")


def watch(unserved: bool) -> Reflector[Any]:
    """One that has met a cluster with or without its kind."""
    made = Reflector[str](Client(cast(Any, None)), CONFIG_MAPS, str, print)
    made.unserved = unserved
    return made


@pytest.mark.parametrize(
    ("routers", "spared"),
    [
        ([[False, False]], []),
        ([[True, True]], []),
        ([[False], [False, False]], []),
        ([[False, False], [True]], [2]),
        ([[True], [False]], [0]),
        ([[True, False], [False]], [0]),
        ([[True], [True]], []),
        ([[True, False], [True]], []),
    ],
    ids=[
        "one router, served",
        "one router, whose kinds are missing",
        "two routers, served",
        "the other router's kinds are missing",
        "the usual router's kinds are missing",
        "one of its kinds is missing",
        "neither router's kinds are served",
        "no router is served as a whole",
    ],
)
def test_watches_that_need_not_have_listed(routers: Sequence[Sequence[bool]], spared: Sequence[int]) -> None:
    """By their place in a row."""
    given = [[watch(unserved) for unserved in those] for those in routers]
    flat = [each for those in given for each in those]
    assert [flat.index(each) for each in dispensable(given)] == list(spared)


def test_a_kind_counts_as_missing_while_the_cluster_lacks_it() -> None:
    """Not where a request fails for another reason; and no longer once its CRD was installed."""
    answers: list[Object | int | CanaryError] = [
        PLAIN,
        403,
        PLAIN,
        {"metadata": {"resourceVersion": "7"}, "items": []},
    ]
    made = Reflector[str](Client(Unserving(answers)), CONFIG_MAPS, str, print)
    seen = []
    for _ in range(len(answers)):
        made._followed()
        seen.append((made.unserved, made.synced))
    assert seen == [(True, False), (False, False), (True, False), (False, True)]
