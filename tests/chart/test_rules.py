"""The chart's RBAC rules are those of the code."""

from tests.chart import rules


def test_the_rules_are_written_from_the_tables() -> None:
    """`make rbac` renews them."""
    assert rules.FILE.read_text() == rules.written()
