"""Whole rollouts of reviews: what users got, and what is left in the user's objects."""

from tests.bookinfo.site import STEPS, Site


def test_reviews_go_to_v2_and_only_weights_differ(site: Site) -> None:
    """90/10 → 70/30 → 50/50 → 20/80 → 0/100; all else in the objects is what it was."""
    before = site.object()
    site.write("v2", steps=STEPS)
    run = site.run()
    assert run.ends() == 0, run.text
    after = site.object()
    before["spec"]["http"][1]["route"][0]["destination"]["subset"] = "v2"
    assert after == before
