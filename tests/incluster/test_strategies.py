"""Every strategy that the Istio router does, from `kubectl apply` to its end; only weights change."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from canary.api.status import Outcome, Phase
from tests.bookinfo.shares import versions, weights_of
from tests.bookinfo.site import NAME
from tests.incluster.site import Site
from tests.mesh import bookinfo

BETA = {"headers": {"x-group": {"exact": "beta"}}}
TESTER = {"sourceLabels": {"app": "tester"}}
STRATEGIES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "steps": ({"steps": [{"weight": 30}, {"weight": 60}]}, [30, 60, 100]),
    "stepWeight and maxWeight": ({"stepWeight": 25, "maxWeight": 50}, [25, 50, 100]),
    "stepWeights": ({"stepWeights": [20, 50]}, [20, 50, 100]),
    "stepWeightPromotion": ({"stepWeight": 40, "maxWeight": 40, "stepWeightPromotion": 30}, [40, 70, 100]),
    "iterations, blue/green": ({"iterations": 2}, [100]),
    "iterations for matching requests": ({"iterations": 2, "match": [BETA]}, [0, 100]),
    "iterations for pods with labels": ({"iterations": 2, "match": [TESTER]}, [0, 100]),
    "iterations with a mirror": ({"iterations": 2, "mirror": True}, [0, 100]),
    "steps after a mirror": ({"stepWeights": [50], "mirror": True}, [0, 50, 100]),
}
"""The fields of `analysis`, and the weights of v2 that the VirtualService has one after the other."""


def strategies(quick: pytest.MarkDecorator | tuple[()]) -> list[Any]:
    """One strategy with the given mark, all others as long tests."""
    return [
        pytest.param(*row, id=name, marks=quick if name == "stepWeights" else pytest.mark.long)
        for name, row in STRATEGIES.items()
    ]


@pytest.fixture
def users(site: Site) -> Iterator[Site]:
    """Some whom a match or a route of their own takes to v2, before anybody else is."""
    site.mesh.source("tester", {"app": "tester"})
    loads = [
        site.mesh.load("reviews", 20, headers={"end-user": "jason"}),
        site.mesh.load("reviews", 20, headers={"x-group": "beta"}),
        site.mesh.load("reviews", 20, source="tester"),
    ]
    yield site
    for load in loads:
        load.stop()


def version(site: Site) -> str:
    """What the API server counts up with each write to the VirtualService."""
    found = site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME))
    return str(found["metadata"]["resourceVersion"])


def way(site: Site, since: str) -> list[int]:
    """The weights of v2, one after the other, in the route that everybody else takes."""
    found = [weights_of(one["spec"]["http"][-1]).get("v2", 0) for one in versions(site.mesh, since)]
    return [weight for weight, _ in groupby(found)]


@pytest.mark.parametrize(("analysis", "weights"), strategies(pytest.mark.basic))
def test_a_version_that_is_good_goes_all_the_way(users: Site, analysis: dict[str, Any], weights: list[int]) -> None:
    """Step by step, and in the end the object is what it was, with v2 in the place of v1."""
    before, since = users.object(), version(users)
    users.controller()
    users.apply(**analysis)
    users.until_phase("Succeeded")
    assert way(users, since) == weights
    before["spec"]["http"][-1]["route"][0]["destination"]["subset"] = "v2"
    assert users.object() == before
    assert [one.outcome for one in users.status.history] == [Outcome.PROMOTED]


@pytest.mark.parametrize(("analysis", "weights"), strategies(()))
def test_a_version_that_errs_is_rolled_back(users: Site, analysis: dict[str, Any], weights: list[int]) -> None:
    """From the first step that shows it; no one else ever meets it, and the object is what it was."""
    before, since = users.object(), version(users)
    users.mesh.behave("reviews-v2", errors=1.0)
    users.controller()
    users.apply(**analysis)
    users.until_phase("Failed")
    first = [] if weights == [100] else [weight for weight in weights[:2] if weight < 100][:1]
    met = way(users, since)
    assert met in (first, [*first, 0])
    assert users.object() == before
    status = users.status
    assert (status.phase, [one.outcome for one in status.history]) == (Phase.FAILED, [Outcome.ROLLED_BACK])
    assert "request-success-rate" in status.history[0].message
