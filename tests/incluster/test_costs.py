"""What the controller asks of a real API server and a real Prometheus, by its own count of each request."""

import re
from collections import Counter

from tests.bookinfo.site import RATES, SLOW
from tests.incluster.site import Replica, Site
from tests.mesh import bookinfo
from tests.parts.processes import get

STEPS = [{"weight": 30}, {"weight": 60, "hold": "8s"}, {"weight": 100}]
ASIDE = ("watch", "create Event", "get Lease", "create Lease", "patch Lease")
"""Counted apart: watches, messages to people, and who leads."""


def sent(replica: Replica) -> Counter[str]:
    """Requests so far, such as {"patch Canary": 2}."""
    found = re.findall(
        r'^canary_api_requests_total\{kind="(\w+)",verb="(\w+)"\} ([\d.]+)',
        get(f"http://127.0.0.1:{replica.port}/metrics")[1],
        re.MULTILINE,
    )
    counts = {f"{verb} {kind}": int(float(count)) for kind, verb, count in found}
    return Counter({what: count for what, count in counts.items() if not what.startswith(ASIDE)})


def resync(site: Site, replica: Replica) -> Counter[str]:
    """What the next reconcile asks for; a part of the one before may be in it."""

    def reconciles() -> float:
        text = get(f"http://127.0.0.1:{replica.port}/metrics")[1]
        return sum(map(float, re.findall(r"^canary_controller_reconcile_total\{.*\} ([\d.]+)", text, re.MULTILINE)))

    before, passed = sent(replica), reconciles()
    site.when(lambda: reconciles() > passed, "a resync")
    return sent(replica) - before


def asked(replica: Replica) -> int:
    """Queries to Prometheus so far."""
    text = get(f"http://127.0.0.1:{replica.port}/metrics")[1]
    return sum(int(float(count)) for count in re.findall(r"^canary_queries_total\{.*\} ([\d.]+)", text, re.MULTILINE))


def test_at_rest_nothing_is_asked_and_a_step_is_two_writes(site: Site) -> None:
    """Reads come from watches; the pods and builds behind a version are asked for where they are new."""
    replica = site.controller("--resync", "10s")
    site.apply("v1", steps=STEPS, metrics=RATES + SLOW)
    site.until("AlreadyServing")
    site.when(lambda: resync(site, replica) == Counter(), "a resync that asks for nothing")
    site.change(version="v2")
    site.until_weight(30)
    site.until_weight(60)
    before = sent(replica)
    site.until_weight(100)
    step = sent(replica) - before
    rest = {what: count for what, count in step.items() if what != "patch Canary"}
    assert rest == {"patch VirtualService": 1, "get Deployment": 1}  # a raise asks for the build once more
    assert 1 <= step["patch Canary"] <= 2  # the intent; the end that follows may be counted as well
    site.until_phase("Succeeded")


def looks(replica: Replica) -> int:
    """Looks so far."""
    text = get(f"http://127.0.0.1:{replica.port}/metrics")[1]
    return sum(
        int(float(count)) for count in re.findall(r"^canary_evaluations_total\{.*\} ([\d.]+)", text, re.MULTILINE)
    )


def test_many_ask_prometheus_as_often_as_one(site: Site) -> None:
    """Looks of one second and one Prometheus are one request, also those whose windows differ."""
    names = [f"shop-{index}" for index in range(8)]
    for name in names:
        pods = [
            bookinfo.deployment(f"{name}-{version}", {"app": name, "version": version}, 1) for version in ("v1", "v2")
        ]
        routes = bookinfo.virtual_service(name, {"route": bookinfo.to(name, v1=100, v2=0)})
        site.mesh.apply(*pods, bookinfo.service(name), bookinfo.destination_rule(name, ("v1", "v2")), routes)
    site.mesh.ready(*(f"{name}-{version}" for name in names for version in ("v1", "v2")))
    replica = site.controller()
    for name in names:
        target = {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": name}
        site.apply("v2", name, {"targetRef": target}, steps=[{"weight": 30, "hold": "1h"}], interval="1s")
    site.when(lambda: all(site.status_of(name).canary_weight == 30 for name in names), "all to be under way")
    before, queries = looks(replica), asked(replica)
    site.when(lambda: looks(replica) - before >= 80, "ten looks of each")
    assert asked(replica) - queries <= (looks(replica) - before) / 3
