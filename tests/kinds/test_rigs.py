"""One Canary of a cluster, wired: whose it is where another Canary takes the name."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from canary.bootstrap.cluster import objects_of
from canary.bootstrap.fleet import ClusterFleet
from canary.bootstrap.settings import Area
from canary.bootstrap.site import WallClock
from canary.engine.errors import Unreachable
from canary.kube.lease import Claim, Identity, Lease

from .objects import TARGET, Wire, canary, client

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


def test_all_who_move_a_virtual_service_meet_in_its_lease(fleet: ClusterFleet) -> None:
    """Whatever it is called from where they are; a run of the command among them."""
    free: dict[str, Any] = {"metadata": {"resourceVersion": "3"}, "spec": {"holderIdentity": ""}}
    for namespace, name in (("shop", "reviews"), ("shop", "reviews.shop"), ("front", "reviews.shop")):
        fleet.canaries.put(canary({"targetRef": {**TARGET, "name": name}}, uid=name + namespace, namespace=namespace))
        rig = fleet.rig((namespace, "reviews"))
        assert rig is not None
        wire = cast(Wire, fleet.client.wire)
        wire.answers = [free]
        rig.store.tenancy.release()
        assert [(one.namespace, one.name) for one in wire.sent] == [("shop", "canary-virtualservice-reviews")]
        wire.sent.clear()
        found = objects_of(name, namespace, "reviews")
        assert (found.namespace, found.name) == ("shop", "canary-virtualservice-reviews")
