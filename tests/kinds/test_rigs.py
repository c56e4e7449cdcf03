"""One Canary of a cluster, wired: whose it is where another Canary takes the name."""

from datetime import UTC, datetime

import pytest

from canary.bootstrap.fleet import ClusterFleet
from canary.bootstrap.settings import Area
from canary.bootstrap.site import WallClock
from canary.engine.errors import Unreachable
from canary.kube.lease import Claim, Identity, Lease

from .objects import Wire, canary, client

KEY = ("shop", "reviews")


@pytest.fixture
def fleet() -> ClusterFleet:
    """It leads."""
    made = ClusterFleet(client(Wire()), Area("shop"), WallClock(), lambda at: at > datetime.now(UTC))
    made.term = Lease(made.client, Claim("canary-system", "canary", "the lead", {}), Identity.mine())
    return made


def test_a_canary_that_is_made_anew_is_wired_anew(fleet: ClusterFleet) -> None:
    """A tick of the one before that is still under way finds that its Canary is gone."""
    fleet.canaries.put(canary(uid="u1"))
    before = fleet.rig(KEY)
    fleet.canaries.put(canary(uid="u2", resourceVersion="8"))
    after = fleet.rig(KEY)
    assert before is not None
    assert after is not None
    assert fleet.rig(KEY) is after is not before
    assert after.target.desired().canary.metadata.name == "reviews"
    with pytest.raises(Unreachable, match="isn't there any more"):
        before.target.desired()
