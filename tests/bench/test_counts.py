"""What a rollout costs the outside is promised, and doesn't depend on the machine."""

from .counted import counts


def test_no_count_is_more_than_promised() -> None:
    """Saves, writes and queries; how long things take is `make bench`'s."""
    assert [row.what for row in counts() if row.broken] == []


def test_every_read_is_counted() -> None:
    """By the name of its call: one that is renamed would be missed, and the promise would hold by that."""
    [reads] = [row.value for row in counts() if row.what == "reads in an idle reconcile"]
    assert reads == 3
