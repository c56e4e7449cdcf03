"""What a rollout costs the outside is promised, and doesn't depend on the machine."""

from .counted import counts


def test_no_count_is_more_than_promised() -> None:
    """Saves, writes and queries; how long things take is `make bench`'s."""
    assert [row.what for row in counts() if row.broken] == []
