"""A Canary's life in the cluster, from `kubectl apply` to its end."""

from canary.api.plan import Traffic
from tests.bookinfo.site import STEPS
from tests.incluster.site import Site


def test_a_version_that_is_good_is_promoted(site: Site) -> None:
    """`kubectl apply` of `version: v2` starts it; only weights of the VirtualService differ afterwards."""
    before = site.object()
    site.controller()
    site.apply("v1", steps=STEPS)
    site.until("AlreadyServing")
    site.change(version="v2")
    site.until_phase("Succeeded")
    status = site.status
    assert (status.reason, status.stable and status.stable.name, status.rollout) == ("Promoted", "v2", None)
    assert site.traffic == Traffic(weight=100)
    site.when(lambda: "finalizers" not in site.found()["metadata"], "the finalizer to be taken off")
    assert before["metadata"] == site.object()["metadata"]
