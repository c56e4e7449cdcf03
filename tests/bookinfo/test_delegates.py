"""A VirtualService that hands its routes over to others: the routes of those move, itself stays as it is."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bookinfo.shares import ENOUGH, Watched, weights_of
from tests.bookinfo.site import Site
from tests.mesh.bookinfo import to, virtual_service
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long
STEPS = [{"weight": 30}, {"weight": 70}]
TESTER = {"x-tester": "yes"}
NAMES = ("reviews", "testers", "books", "rest")


def delegate(name: str, *http: dict[str, Any]) -> dict[str, Any]:
    """One that has no host of its own."""
    found = virtual_service(name, *http)
    del found["spec"]["hosts"]
    return found


@pytest.fixture
def split(site: Site) -> Iterator[Site]:
    """Reviews with a delegate for testers, one for /books, and one for all else."""
    root = virtual_service(
        "reviews",
        {"match": [{"headers": {"x-tester": {"exact": "yes"}}}], "delegate": {"name": "testers"}},
        {"match": [{"uri": {"prefix": "/books"}}], "delegate": {"name": "books"}, "timeout": "10s"},
        {"delegate": {"name": "rest"}},
    )
    site.mesh.apply(
        delegate("testers", {"route": to("reviews", v1=100)}),
        delegate("books", {"name": "old", "match": [{"uri": {"prefix": "/books/old"}}], "route": to("reviews", v3=1)},
                 {"name": "books", "route": to("reviews", v1=8, v3=2)}),
        delegate("rest", {"route": to("reviews", v1=100)}),
        root,
    )  # fmt: skip
    site.mesh.wait_loaded()
    for name in ("reader", "tester"):
        site.mesh.source(name, {"app": name})
    loads = [
        site.mesh.load("reviews", 60, path="/books/new", source="reader"),
        site.mesh.load("reviews", 20, headers=TESTER, source="tester"),
    ]
    yield site
    for one in loads:
        one.stop()
    for name in NAMES[1:]:
        site.mesh.delete("VirtualService", name)


def test_the_delegates_for_everybody_move(split: Site) -> None:
    """Users of each follow its weights, a third version keeps its share, testers and the root stay as they are."""
    before = {name: split.object(name=name) for name in NAMES}
    split.write("v2", {"stable": "v1"}, steps=STEPS)
    with Watched(split.mesh, "rest") as rest, Watched(split.mesh, "books", source="reader") as books:
        rest.at_last(v1=100)
        books.at_last(v1=80, v3=20)
        start, run = now(), split.run()
        assert run.ends() == 0, run.text
        rest.at_last(v2=100)
        books.at_last(v2=80, v3=20)
        ways = [[one.weights for one in each.served] for each in (rest, books)]
    assert ways == [
        [{"v1": 100}, {"v1": 70, "v2": 30}, {"v1": 30, "v2": 70}, {"v2": 100}],
        [{"v1": 80, "v3": 20}, {"v1": 56, "v2": 24, "v3": 20}, {"v1": 24, "v2": 56, "v3": 20}, {"v2": 80, "v3": 20}],
    ]
    for each in (rest, books):
        each.followed(each.served)
    met = split.mesh.measured(start, source="tester")
    assert met.total > ENOUGH
    assert met.counts == {("v1", 200): met.total}
    assert split.mesh.ask("reviews", 10, path="/books/old/1").versions == {"v3": 10}
    assert split.mesh.measured(start).failed == 0
    after = {name: split.object(name=name) for name in NAMES}
    assert {name: after[name] for name in ("reviews", "testers")} == {
        name: before[name] for name in ("reviews", "testers")
    }
    assert [everything_else(after[name]) for name in ("books", "rest")] == [
        everything_else(before[name]) for name in ("books", "rest")
    ]


def test_a_rollback_gives_all_of_them_back(split: Site) -> None:
    """Each object is what it was, equal; it took one write for each."""
    before = {name: split.object(name=name) for name in NAMES}
    split.write("v2", {"stable": "v1"}, steps=[{"weight": 40, "iterations": 100}])
    run = split.run()
    wait_for(
        lambda: weights_of(split.object(name="rest")["spec"]["http"][0]) == {"v1": 60, "v2": 40},
        "the step",
        within=SLOWLY,
    )
    split.mesh.behave("reviews-v2", errors=0.9)
    assert run.ends() == 3, run.text
    assert {name: split.object(name=name) for name in NAMES} == before


def everything_else(found: Any) -> Any:
    """All but the weights of the last route, and their mark."""
    found["metadata"].pop("annotations", None)
    found["spec"]["http"][-1].pop("route")
    return found
