"""Builds: what is promoted is what was analysed, also if a build is pushed, undone or stuck in mid-rollout."""

from collections.abc import Callable

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome, Rollout
from tests.bookinfo.site import GATED, Site, says
from tests.incluster.objects import build, push
from tests.mesh import bookinfo
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

STRICT = {"progressDeadlineSeconds": 3}


def running(site: Site) -> Rollout:
    """What status has."""
    found = site.status.rollout
    assert found is not None
    return found


def test_pushes_and_an_undo_in_mid_rollout_begin_again(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    """Traffic goes to 0, code 7; the next run tries the new build. An undo is such a push, of the old build."""
    first = build(site)
    site.write(steps=GATED)
    run = site.run()
    says(run, "waits for an approval")
    assert running(site).canary_version.revision == first
    start = now()
    push(site, "v2", "v2b")
    assert run.ends() == 7, run.text
    assert site.traffic == Traffic()
    site.mesh.ready("reviews-v2")
    second, end = build(site), now()
    met = site.mesh.measured(start, end).of(image="reviews:v2b").total
    print(f"requests that met a build pushed at 30% of 60 a second: {met}")
    record_property("requests that met the pushed build", met)
    assert second != first
    assert f"v2 ({second})" in run.text
    again = site.run()
    site.until_weight(30)
    assert (running(site).canary_version.revision, running(site).number) == (second, 2)
    push(site, "v2", "v2")
    assert again.ends() == 7, again.text
    assert f"v2 ({first})" in again.text
    assert [one.outcome for one in site.status.history] == [Outcome.SUPERSEDED] * 2
    assert site.mesh.measured(start).failed == 0


def test_a_push_that_never_gets_ready_is_rolled_back_and_not_tried_again(site: Site) -> None:
    """No one meets it, and no one meets the build before it as if it were judged; a push that works begins again."""
    push(site, "v2", "v2", **STRICT)
    site.mesh.ready("reviews-v2")
    site.write(steps=GATED)
    run, start = site.run(), now()
    site.until_weight(30)
    push(site, "v2", "v2-unready", **STRICT)
    assert run.ends() == 7, run.text
    stuck = site.run()
    assert stuck.ends() == 3, stuck.text
    assert "v2 doesn't get ready: ProgressDeadlineExceeded" in stuck.text
    assert site.status.history[0].weight == 0
    route, status = version(site), site.status
    again = site.run()
    assert again.ends() == 3, again.text
    assert "v2 doesn't get ready: ProgressDeadlineExceeded" in again.text
    assert (version(site), site.status.history, site.status.failed) == (route, status.history, status.failed)
    push(site, "v2", "v2c", **STRICT)
    site.run()
    site.until_weight(30)
    assert running(site).canary_version.revision == build(site)
    assert site.mesh.measured(start).of(image="reviews:v2-unready").total == 0
    assert site.mesh.measured(start).failed == 0


def test_a_push_to_stable_in_mid_rollout_begins_the_evidence_again(site: Site) -> None:
    """It compared with another build; nothing is rolled back for that, and what is judged again is promoted."""
    site.write(steps=[*GATED, {"weight": 100}])
    run = site.run()
    says(run, "waits for an approval")
    push(site, "v1", "v1b")
    says(run, "evidence starts again")
    site.mesh.ready("reviews-v1")
    assert running(site).stable_version.revision == build(site, "v1")
    assert site.traffic == Traffic(weight=30)
    assert site.ask("approve").returncode == 0
    assert run.ends() == 0, run.text


def test_a_push_to_stable_that_isnt_ready_keeps_no_rollback_from_happening(site: Site) -> None:
    """The pods of its earlier build still serve: there is somewhere to go back to."""
    site.write(steps=GATED)
    run = site.run()
    says(run, "waits for an approval")
    push(site, "v1", "v1-unready")
    says(run, "evidence starts again")
    site.mesh.scale("reviews-v2", 0)
    assert run.ends() == 3, run.text
    assert site.traffic == Traffic()
    assert "NothingToGoBackTo" not in run.text


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_another_kind_of_workload_behind_the_canary(kind: str, site: Site) -> None:
    """Its own controller says which build it is; a push to it in mid-rollout is seen as well."""
    workload(site, kind, "v4")
    try:
        site.mesh.apply(bookinfo.destination_rule("reviews", (*bookinfo.VERSIONS, "v4")))
        site.write("v4", steps=[*GATED, {"weight": 100}])
        run = site.run()
        says(run, "waits for an approval")
        assert site.state("v1", "v4").traffic == Traffic(weight=30)
        assert running(site).canary_version.revision == built(site, kind)
        workload(site, kind, "v4b")
        assert run.ends() == 7, run.text
        assert site.state("v1", "v4").traffic == Traffic()
        again = site.run()
        says(again, "instead of")
        wait_for(lambda: site.state("v1", "v4").traffic == Traffic(weight=30), "30% again", within=SLOWLY)
        assert running(site).canary_version.revision == built(site, kind)
    finally:
        site.mesh.kube.request("DELETE", site.mesh.path("apps/v1", kind, "reviews-v4"))


def test_two_workloads_behind_one_subset_are_an_error_that_says_so(site: Site) -> None:
    """Two have no one build, so nothing starts, and nothing is raised where a second one comes in mid-rollout."""
    words = "behind v2 stand 2 workloads, Deployment reviews-v2, Deployment reviews-v2-other; give each a version"
    site.mesh.deploy("reviews-v2-other", {"app": "reviews", "version": "v2", "track": "other"})
    try:
        site.write(steps=[*GATED, {"weight": 100}])
        run = site.run()
        assert run.ends() == 1, run.text
        assert words in run.text
        assert (site.traffic, site.status.rollout) == (Traffic(), None)
        site.mesh.scale("reviews-v2-other", 0)
        site.mesh.ready("reviews-v2-other")
        before, again = run.text.count(words), site.run()
        says(again, "waits for an approval")
        site.mesh.scale("reviews-v2-other", 1)
        site.mesh.ready("reviews-v2-other")
        assert site.ask("approve").returncode == 0
        wait_for(lambda: again.text.count(words) > before, "the second workload to be reported", within=SLOWLY)
        assert site.traffic == Traffic(weight=30)
    finally:
        site.mesh.delete("Deployment", "reviews-v2-other")


def workload(site: Site, kind: str, image: str) -> None:
    """Version v4 as a StatefulSet or DaemonSet, or another build of it."""
    labels = {"app": "reviews", "version": "v4"}
    made = bookinfo.deployment("reviews-v4", labels, 2, f"reviews:{image}")
    if kind == "StatefulSet":
        made["spec"] |= {"serviceName": "reviews", "podManagementPolicy": "Parallel"}
    else:
        del made["spec"]["replicas"]
    site.mesh.apply({**made, "kind": kind})


def built(site: Site, kind: str) -> str:
    """What its controller calls the newest build."""
    if kind == "StatefulSet":
        return str(site.object(kind, "apps/v1", "reviews-v4")["status"]["updateRevision"])
    path = site.mesh.path("apps/v1", "ControllerRevision")
    found = site.mesh.kube.request("GET", path, labelSelector="app=reviews,version=v4").json()["items"]
    newest = max(found, key=lambda one: int(one["revision"]))
    return str(newest["metadata"]["labels"]["controller-revision-hash"])


def version(site: Site) -> str:
    """What the API server counts up with each write to the VirtualService."""
    found = site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", "reviews"))
    return str(found["metadata"]["resourceVersion"])
