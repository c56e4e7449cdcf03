"""A replica leads, loses the lead, and leads again: what was begun in one term isn't written in the next."""

import pytest

from canary.api.plan import Traffic
from canary.engine.errors import Conflict

from .leading import KEY, Leading
from .objects import running


def test_a_reconcile_that_outlives_its_term_writes_nothing_in_the_next() -> None:
    """It hung; what it holds of the target is of the term before."""
    here = Leading()
    assert here.fleet.term is not None
    with here.fleet.led(here.fleet.term, lambda key: None, lambda key: None):
        before = here.wired()
        before.store.claim()
    with here.fleet.led(here.term(), lambda key: None, lambda key: None):
        after = here.fleet.reconciler(KEY)
        assert after is not None
        with pytest.raises(Conflict, match="this replica doesn't lead"):
            before.parts.store.save(running(), None)
        with pytest.raises(Conflict, match="this replica doesn't lead"):
            before.parts.router.write("v1", "v2", Traffic(), None)
        assert here.weight == 50
        after.parts.store.save(running(), None)
        after.parts.router.write("v1", "v2", Traffic(), None)
    assert (here.weight, here.server.objects["Canary", *KEY]["status"]["phase"]) == (0, "Progressing")
