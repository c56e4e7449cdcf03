"""Two Canaries that want the same route: which of them acts."""

from typing import Any

import pytest

from canary.controller.ownership import older, overlap
from canary.kube.names import NamespacedName
from canary.stores.projection import CanarySeen

from .objects import TARGET, shown

OLD, NEW = "2026-03-01T09:00:00Z", "2026-03-01T09:00:01Z"


def one(name: str, created: str, **spec: Any) -> tuple[NamespacedName, CanarySeen]:
    """A Canary of the shop."""
    return ("shop", name), shown(spec, name=name, creationTimestamp=created)


@pytest.mark.parametrize(
    ("mine", "other", "same"),
    [
        ({}, {}, True),
        ({}, {"targetRef": {**TARGET, "name": "ratings"}}, False),
        ({}, {"targetRef": {**TARGET, "name": "ratings"}, "virtualServices": ["reviews"]}, True),
        ({"host": "reviews"}, {"host": "ratings"}, False),
        ({"host": "reviews"}, {"host": "reviews"}, True),
        ({"host": "reviews"}, {"host": "reviews.shop"}, True),
        ({"host": "reviews.shop.svc.cluster.local"}, {"host": "Reviews"}, True),
        ({"host": "reviews"}, {}, True),
        ({"routes": ["a"]}, {"routes": ["b"]}, True),
        ({"targetRef": {"kind": "EnvoyRoute", "name": "reviews"}}, {}, False),
    ],
)
def test_two_overlap_where_hosts_do_not_part_them(mine: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    """The same from both sides, however a host is spelled; a route that is under way moves on without its name."""
    assert overlap(shown(mine), shown(other)) is same
    assert overlap(shown(other), shown(mine)) is same


def test_the_older_acts_with_any_names() -> None:
    """By creationTimestamp; it is older than no one, and never its own rival."""
    key, young = one("a", NEW)
    first, old = one("b", OLD)
    both = [(key, young), (first, old)]
    assert older(key, young, both) == first
    assert older(first, old, both) is None
    assert older(key, young, []) is None


def test_of_two_from_the_same_second_one_acts() -> None:
    """Timestamps of the API server have no fractions: the name decides, and both sides agree."""
    a, b = one("a", OLD), one("b", OLD)
    assert older(*b, [a, b]) == a[0]
    assert older(*a, [a, b]) is None


def test_the_oldest_of_several_is_named() -> None:
    """That is the one to delete or to wait for."""
    a, b, c = one("a", OLD), one("b", NEW), one("c", "2026-03-01T09:00:02Z")
    assert older(*c, [b, a, c]) == a[0]


def test_an_older_one_of_another_host_is_no_rival() -> None:
    """Both act."""
    mine, other = one("b", NEW, host="reviews"), one("a", OLD, host="ratings")
    assert older(*mine, [mine, other]) is None
