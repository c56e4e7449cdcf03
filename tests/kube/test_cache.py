"""What is remembered of objects: our own writes, what the watch says later, and lists after which some are gone."""

import pytest

from canary.kube.cache import Cache
from canary.kube.rate_limiter import Backoff

KEY = ("shop", "reviews")


def cache(version: int, value: str | None = "old") -> Cache[str]:
    """One object, seen by a watch that has come to its version."""
    made: Cache[str] = Cache()
    made.saw(KEY, version, value)
    made.reached(version)
    return made


def test_an_older_event_does_not_undo_our_write() -> None:
    """Our write stands until the watch has come to it, and is reported then, with all that came before it."""
    kept = cache(10)
    kept.wrote(KEY, 14, "ours")
    assert kept.saw(KEY, 12, "another's, before us") is None
    assert kept.get(*KEY) == "ours"
    assert kept.saw(KEY, 14, "ours") == ("old", "ours")
    assert kept.saw(KEY, 15, "another's, after us") == ("ours", "another's, after us")


def test_two_writes_of_ours_are_reported_as_one() -> None:
    """The watch comes to the first when the second is kept already."""
    kept = cache(10)
    kept.wrote(KEY, 11, "first")
    kept.wrote(KEY, 12, "second")
    assert kept.saw(KEY, 11, "first") is None
    assert kept.saw(KEY, 12, "second") == ("old", "second")


@pytest.mark.parametrize(
    "version", [pytest.param(9, id="older than what is kept"), pytest.param(12, id="older than where the watch is")]
)
def test_an_answer_that_comes_late_changes_nothing(version: int) -> None:
    """What the watch has said since counts, also when that was the object's end."""
    kept = cache(10)
    kept.saw(KEY, 13, None)
    kept.reached(13)
    kept.wrote(KEY, version, "a ghost")
    assert kept.get(*KEY) is None


def test_a_write_that_ends_the_keeping() -> None:
    """It isn't found, nor brought back by what was before, and then reported."""
    kept = cache(10)
    kept.wrote(KEY, 14, None)
    assert kept.saw(KEY, 12, "before") is None
    assert (kept.get(*KEY), kept.items("shop"), kept.items(None)) == (None, [], [])
    assert kept.saw(KEY, 14, None) == ("old", None)


def test_what_a_list_does_not_have_is_gone() -> None:
    """Unless we have written it since that list."""
    kept = cache(10)
    kept.saw(("shop", "gone"), 10, "x")
    kept.wrote(("shop", "new"), 25, "ours")
    assert list(kept.left_over({KEY}, 20)) == [(("shop", "gone"), ("x", None))]
    assert kept.items(None) == [(KEY, "old"), (("shop", "new"), "ours")]


def test_no_news_is_not_reported() -> None:
    """A status that isn't kept changes a hundred times a second."""
    kept = cache(10)
    assert kept.saw(KEY, 11, "old") is None
    assert kept.saw(("shop", "never kept"), 12, None) is None


def test_a_server_that_was_set_back() -> None:
    """After a restore from a backup versions are lower than what we have seen, and count all the same."""
    kept = cache(1000)
    kept.set_back(50)
    assert kept.saw(KEY, 40, "restored") == ("old", "restored")
    kept.wrote(KEY, 60, "ours")
    assert kept.get(*KEY) == "ours"


def test_pauses_grow_to_a_limit() -> None:
    """Twice as long each time, jittered, never beyond the limit, and short again after a success."""
    backoff = Backoff(first=0.5, longest=30.0)
    for due in (0.5, 1, 2, 4, 8, 16, 30, 30, *[30] * 2000):
        assert due / 2 <= backoff.next() <= due
    assert 7.0 + 15.0 <= backoff.next(least=7.0) <= 7.0 + 30.0
    backoff.reset()
    assert backoff.next() <= 0.5
    assert len({Backoff(first=30.0).next() for _ in range(5)}) == 5
