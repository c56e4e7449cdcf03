"""docs/judge.md and its plot are what the kept results say, and no figure is written by hand."""

from xml.etree import ElementTree

from .__main__ import DOCS
from .contestants import ANALYSIS, CONTESTANTS
from .page import page
from .plot import plot
from .results import load
from .scenarios import scenarios


def test_the_page_is_that_of_the_results() -> None:
    """`make bench-judge ARGS=--page` writes it again."""
    results = load()
    assert (DOCS / "judge.md").read_text("utf-8") == page(results)
    assert (DOCS / "judge.svg").read_text("utf-8") == plot([one for one in results.rows if one.bad])


def test_the_results_are_of_these_scenarios_and_judges() -> None:
    """A scenario that is added or changed in name needs another run."""
    results = load()
    assert [one.name for one in results.rows] == [one.name for one in scenarios()]
    assert all(set(one.cells) == set(CONTESTANTS) for one in results.rows)
    assert results.interval == ANALYSIS["interval"]


def test_the_plot_is_an_image() -> None:
    """With a point for each judge in each scenario with a bad canary."""
    drawn = ElementTree.fromstring(plot([one for one in load().rows if one.bad]))
    bad = sum(one.bad for one in scenarios())
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == len(CONTESTANTS) * (bad + 1)
