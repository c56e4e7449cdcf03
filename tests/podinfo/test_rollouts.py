"""Whole rollouts of podinfo by `canary run`: what users got, and what the objects say."""

import pytest

from tests.podinfo.site import NAME, PodinfoSite

pytestmark = pytest.mark.cluster


@pytest.mark.basic
def test_the_first_run_makes_the_primary_and_the_next_one_promotes(site: PodinfoSite) -> None:
    """No user meets an error, from the first object to the last."""
    site.write()
    run = site.run()
    assert run.ends() == 11, run.text
    site.at_rest("1")
    site.push("2", None)
    run = site.run()
    assert run.ends() == 0, run.text
    site.at_rest("2")
    assert site.failed == 0
    assert {"podinfo:1", "podinfo:2"} <= {one.image for one in site.mesh.measured(site.since).answers}


def test_a_bad_build_goes_back(site: PodinfoSite) -> None:
    site.provisioned()
    site.behave("2", errors=1.0)
    site.push("2", None)
    run = site.run()
    assert run.ends() == 3, run.text
    site.at_rest("1")
    failed = site.mesh.measured(site.since)
    assert failed.failed == failed.of(image="podinfo:2", workload=NAME).failed > 0


def test_the_primary_has_a_copy_of_the_scaler(site: PodinfoSite) -> None:
    """With its own limits; it follows the target's at each promotion, and one that is gone blocks nothing."""
    ref = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": NAME}
    site.autoscale(most=4)
    site.provisioned(spec={"autoscalerRef": {**ref, "primaryScalerReplicas": {"minReplicas": 2}}})
    assert site.scaler("minReplicas", "maxReplicas") == (2, 4)
    site.autoscale(most=6)
    site.push("2", None)
    run = site.run()
    assert run.ends() == 0, run.text
    site.at_rest("2")
    assert site.scaler("minReplicas", "maxReplicas") == (2, 6)
    site.mesh.kube.request("DELETE", site.mesh.path("autoscaling/v2", "HorizontalPodAutoscaler", NAME))
    site.push("3", None)
    run = site.run()
    assert run.ends() == 0, run.text
    site.at_rest("3")
    assert (site.scaler("minReplicas", "maxReplicas"), site.failed) == ((2, 6), 0)
