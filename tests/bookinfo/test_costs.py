"""What a rollout costs the API server and Prometheus, counted where it is wired as `canary run` wires it.

`pytest -n0 -s tests/bookinfo/test_costs.py` prints the table of docs/benchmarks.md.
"""

import re
from collections import Counter
from collections.abc import Sequence

from canary.api.exit_codes import Exit
from tests.bookinfo.counting import Cost, Counted, counted
from tests.bookinfo.site import RATES, SLOW, Site
from tests.parts.cluster import ControlPlane
from tests.parts.processes import get

STEPS = [{"weight": 30}, {"weight": 60, "hold": "8s"}, {"weight": 100}]
AT = 60
QUERIES = r'^prometheus_http_requests_total\{code="\d+",handler="/api/v1/query"\} (\d+)'


def asked(site: Site) -> int:
    """How many queries Prometheus has answered, by its own count."""
    return sum(map(int, re.findall(QUERIES, get(f"{site.mesh.prometheus.url}/metrics")[1], re.M)))


def table(run: Counted) -> str:
    """By request: how often in the whole run, in the step, and at most in one of the step's reconciles."""
    every, step = _sum(run.costs), _sum(run.at(AT))
    most = {what: max(cost.requests[what] for cost in run.at(AT)) for what in every}
    rows = [f"| {what} | {every[what]} | {step[what]} | {most[what]} |" for what in sorted(every)]
    return "\n".join([f"{len(run.costs)} reconciles, {len(run.at(AT))} in the step", *rows])


def _sum(costs: Sequence[Cost]) -> Counter[str]:
    return sum((cost.requests for cost in costs), Counter[str]())


def test_a_step_is_written_twice_and_a_reconcile_without_news_never(site: Site, control_plane: ControlPlane) -> None:
    """The intent and the route; looks that only confirm, and the moment at which it was read back, cost nothing."""
    site.write("v2", steps=STEPS, metrics=RATES + SLOW)
    before = asked(site)
    run = counted(site, control_plane.kubeconfig())
    queries, looks = asked(site) - before, sum(cost.evaluated for cost in run.costs)
    assert run.over.code == Exit.PROMOTED, run.over.sentence
    print(f"\n{table(run)}\n{looks} evaluations, {queries} queries")
    first, *idle = run.at(AT)
    assert {what: first.requests[what] for what in first.requests if what.startswith("patch")} == {
        "patch ConfigMap": 1,
        "patch VirtualService": 1,
    }
    assert [cost.turn.decision.sentence for cost in idle if cost.writes] == []
    assert len(idle) >= 4
    assert 0 < queries <= looks * len(RATES + SLOW)


def test_an_idle_reconcile_reads_each_thing_once(site: Site, control_plane: ControlPlane) -> None:
    """No read grows with the number of reconciles; the revision that is wanted is a Deployment of its own."""
    site.write("v2", steps=STEPS[:1])
    run = counted(site, control_plane.kubeconfig())
    _, *idle = run.at(30)
    most = {what: max(cost.requests[what] for cost in idle) for what in _sum(idle)}
    assert most.pop("list ConfigMap", 1) <= 1
    assert most.pop("patch ConfigMap", 1) <= 1  # people are informed once that there is no evidence yet
    assert most == {"get VirtualService": 1, "list DestinationRule": 1, "list Pod": 2, "get Deployment": 3}


def test_a_run_with_nothing_to_do_writes_nothing(site: Site, control_plane: ControlPlane) -> None:
    """What is known to serve already is not even saved again."""
    site.write("v2", steps=[{"weight": 100}])
    runs = [counted(site, control_plane.kubeconfig()) for _ in range(3)]
    assert [run.over.reason for run in runs] == ["Promoted", "AlreadyServing", "AlreadyServing"]
    assert [sum(cost.writes for cost in run.costs) for run in runs[1:]] == [1, 0]  # the reason is saved once


def test_bad_evidence_lowers_in_the_reconcile_that_reads_it(site: Site, control_plane: ControlPlane) -> None:
    """State first, then the route, then all else; nothing waits for another reconcile. `make bench` has the
    time."""
    site.write("v2", steps=[{"weight": 50, "hold": "60s"}])
    site.mesh.behave("reviews-v2", errors=1.0)
    run = counted(site, control_plane.kubeconfig())
    assert run.over.code == Exit.ROLLED_BACK
    bad = next(cost for cost in run.costs if cost.evaluated and cost.weight == 0)
    assert bad.turn.decision.status.failed_checks == 2
    assert [what for what in bad.requests if what.startswith("patch")] == ["patch ConfigMap", "patch VirtualService"]
    assert bad.turn.trouble == ()
    assert site.traffic is not None
    assert site.traffic.weight == 0
