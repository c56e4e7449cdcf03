"""Requests that reached no pod: only their sender knows of them, of most of them only for which host they were."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from canary.api.analysis import Reporter
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.promql import Dialect
from tests.metrics.conftest import Watched
from tests.metrics.mesh import Pod
from tests.metrics.server import serve, vector


def host(service: str) -> str:
    """Its full name."""
    return f"{service}.shop.svc.cluster.local"


@pytest.fixture(scope="module")
def client(watched: Watched) -> Pod:
    """A sender without requests that arrive."""
    return watched.pods.start("elsewhere", "source")


def asked(watched: Watched, subject: Subject, start: datetime, end: datetime) -> tuple[Sample, Sample]:
    """Its counts and its success rate."""
    counts = Query("requests", end - start, subject, Shape.COUNTS)
    rate = Query("request-success-rate", end - start, subject)
    answers = watched.adapter.measure([counts, rate], end)
    return answers[counts], answers[rate]


@pytest.mark.parametrize("flags", ["UH", "UF", "UO", "NC", "NR", "FI", "DF", "UF,URX", "DI,FI", "DI,UF,URX"])
def test_where_hosts_differ_it_is_the_hosts_version(watched: Watched, client: Pod, flags: str) -> None:
    """A request to v2's own host that reached no pod has failed v2, and no other."""
    name = f"own-{flags.lower().replace(',', '-')}"
    pod = watched.pods.start(f"{name}-v2")
    start = watched.seen()
    pod.serve(30)
    client.strand(10, host(f"{name}-v2"), flags)
    end = watched.seen()
    v2 = Subject(f"{name}-v2", "shop", host(f"{name}-v2"), alone=True)
    assert asked(watched, v2, start, end) == (Counts(40, 10), Value(75))
    v1 = replace(v2, host=host(f"{name}-v1"))
    assert asked(watched, v1, start, end) == (Counts(30, 0), Value(100))


@pytest.mark.parametrize("flags", ["-", "DI", "UC", "UT", "RL", "UAEX", "URX"])
def test_a_request_that_was_answered_or_turned_away_is_none(watched: Watched, client: Pod, flags: str) -> None:
    """Its workload may be unknown for other reasons: a pod without a proxy, a limit or a policy at the sender."""
    name = f"none-{flags.lower().replace('-', 'flag')}"
    watched.pods.start(name).serve(3)
    start = watched.seen()
    client.strand(10, host(name), flags)
    watched.pods.start(name).serve(30)
    end = watched.seen()
    assert asked(watched, Subject(name, "shop", host(name), alone=True), start, end) == (Counts(30, 0), Value(100))


def test_with_subsets_the_owner_is_unknown(watched: Watched, client: Pod) -> None:
    """Counted against neither and reported of both; unless one is known to be alone without a pod."""
    v1, v2 = (watched.pods.start(f"shared-{one}") for one in ("v1", "v2"))
    start = watched.seen()
    v1.serve(90)
    v2.serve(10)
    client.strand(10, host("shared"), "UH")
    end = watched.seen()
    for name, total in (("shared-v1", 90), ("shared-v2", 10)):
        subject = Subject(name, "shop", host("shared"))
        assert asked(watched, subject, start, end) == (Counts(total, 0, unattributed=10), Value(100, 10))
    alone = Subject("shared-v2", "shop", host("shared"), alone=True)
    assert asked(watched, alone, start, end) == (Counts(20, 10), Value(50))


def test_a_pod_that_could_not_be_connected_to_is_known(watched: Watched, client: Pod) -> None:
    """A pod was chosen, so the sender knows whose it was; the pod's own proxy has never heard of it."""
    pod = watched.pods.start("deaf-v2")
    start = watched.seen()
    pod.serve(30)
    client.strand(10, host("deaf"), "UF,URX", workload="deaf-v2")
    client.strand(5, host("deaf"), "UF,URX", workload="deaf-v1")
    end = watched.seen()
    assert asked(watched, Subject("deaf-v2", "shop", host("deaf")), start, end) == (Counts(40, 10), Value(75))


@pytest.mark.parametrize("side", [Reporter.AUTO, Reporter.SOURCE])
def test_what_the_sender_counts_is_counted_once(watched: Watched, client: Pod, side: Reporter) -> None:
    """Where the sender is believed about all else, what was sent to a known pod is among that already."""
    name = f"once-{side}"
    start = watched.seen()
    client.strand(10, host(name), "UF", workload=name)
    client.strand(7, host(name), "UH")
    end = watched.seen()
    alone = Subject(name, "shop", host(name), alone=True, reporter=side)
    assert asked(watched, alone, start, end) == (Counts(17, 17), Value(0))
    shared = replace(alone, alone=False)
    assert asked(watched, shared, start, end)[0] == Counts(10, 10, unattributed=7)


def test_who_is_believed(watched: Watched, client: Pod) -> None:
    """A waypoint before the source, as with all else; who believes the destination only never hears of them."""
    waypoint = watched.pods.start("elsewhere", "waypoint")
    pod = watched.pods.start("heard")
    start = watched.seen()
    pod.serve(10)
    client.strand(3, host("heard"), "UH")
    waypoint.strand(5, host("heard"), "UH")
    end = watched.seen()
    heard = Subject("heard", "shop", host("heard"), alone=True)
    sides = (Reporter.AUTO, Reporter.DESTINATION, Reporter.WAYPOINT, Reporter.SOURCE)
    found = [asked(watched, replace(heard, reporter=side), start, end)[0] for side in sides]
    assert found == [Counts(15, 5), Counts(10, 0), Counts(5, 5), Counts(3, 3)]


def test_a_version_that_nothing_reaches(watched: Watched, client: Pod) -> None:
    """0% where all was surely meant for it; else no data, and the sentence says what there was."""
    start = watched.seen()
    client.strand(10, host("lost"), "UH")
    client.strand(10, host("lost"), "FI", code="418")
    end = watched.seen()
    subject = Subject("lost-v2", "shop", host("lost"), alone=True)
    counts, rate = asked(watched, subject, start, end)
    assert (counts, rate) == (Counts(20, 10), Value(50))
    sentence = (
        f"no series istio_requests_total of shop/lost-v2 in the window; 20 requests to {host('lost')} reached no pod"
    )
    nothing = Missing(Cause.EMPTY, sentence)
    assert asked(watched, replace(subject, alone=False), start, end) == (nothing, nothing)


def test_all_is_one_request() -> None:
    """For any hosts, reporters and builtins of an evaluation."""
    minute, at = timedelta(minutes=1), datetime.fromisoformat("2026-01-01T00:00:00Z")
    subjects = [
        Subject(f"web-{number}", "shop", host(f"web-{number % 3}"), alone=number % 2 == 0, reporter=side)
        for number, side in enumerate(Reporter)
    ]
    queries = [
        Query(metric, minute, subject, shape)
        for subject in subjects
        for metric, shape in (("request-success-rate", Shape.VALUE), ("requests", Shape.COUNTS))
    ]
    with serve((200, vector())) as server:
        for dialect, labels in ((Dialect(), ["response_flags"]), (Dialect("envoy"), [])):
            with closing(Adapter(server.url, dialect=dialect)) as source:
                source.measure(queries, at)
            [sent] = server.asked
            assert [one for one in ("response_flags",) if one in sent.form["query"]] == labels
            server.asked.clear()
