"""Whom a change of a VirtualService concerns, and that a Canary that is gone leaves nothing behind."""

from canary.controller.ownership import References
from canary.kube.names import ObjectRef

A, B = ("shop", "a"), ("shop", "b")
REVIEWS, RATINGS, FAR = (
    ObjectRef("VirtualService", *each) for each in (("shop", "reviews"), ("shop", "ratings"), ("far", "reviews"))
)


def references() -> References:
    """A moves reviews and a delegate elsewhere, B reviews and ratings."""
    found = References()
    found.replace(A, [REVIEWS])
    found.add(A, [FAR])
    found.replace(B, [REVIEWS, RATINGS])
    return found


def test_those_that_move_a_virtual_service_are_found() -> None:
    """By any that they name, or that they turned out to stand on."""
    found = references()
    assert [found.of(REVIEWS), found.of(RATINGS), found.of(FAR)] == [{A, B}, {B}, {A}]
    assert found.of(RATINGS, FAR) == {A, B}


def test_those_near_are_who_moves_anything_in_the_namespace() -> None:
    """Each once."""
    found = references()
    assert [found.near("shop"), found.near("far"), found.near("nowhere")] == [{A, B}, {A}, set()]


def test_a_canary_that_names_others_moves_no_more_what_it_moved() -> None:
    """Also what was found out about it."""
    found = references()
    found.replace(A, [RATINGS])
    assert [found.of(REVIEWS), found.of(RATINGS), found.near("far")] == [{B}, {A, B}, set()]


def test_a_canary_that_is_gone_leaves_nothing_behind() -> None:
    """Though a reconcile that was under way still tells what it stands on."""
    found = references()
    for key in (A, B):
        found.remove(key)
        found.add(key, [REVIEWS])
    assert (found._refs, found._keys) == ({}, {})
