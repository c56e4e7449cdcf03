"""Addresses that may be asked: what a prefix lets through, and what never leaves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from canary.controller.settings import Area
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Sample, Subject, Value
from canary.metrics.sources import Allowed, Confined

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OURS = "http://prometheus.monitoring:9090"
SHARED = "https://metrics.example/team-a/"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        (OURS, True),
        (f"{OURS}/", True),
        (f"{OURS}/any/path", True),
        ("http://ada:secret@prometheus.monitoring:9090", True),
        ("http://Prometheus.Monitoring:9090", True),
        ("https://metrics.example/team-a", True),
        ("https://metrics.example:443/team-a/below", True),
        ("http://prometheus.monitoring", False),
        ("http://prometheus.monitoring:90901", True),  # no address: others say so
        ("http://prometheus.monitoring:9091", False),
        ("https://prometheus.monitoring:9090", False),
        ("http://prometheus.monitoring.evil.example:9090", False),
        ("http://prometheus.monitoring:9090@evil.example", False),
        ("https://metrics.example", False),
        ("https://metrics.example/team-ab", False),
        ("https://metrics.example/team-a/../team-b", False),
        ("https://metrics.example/team-a/%2e%2e/team-b", False),
        ("https://metrics.example/team-a%2f..%2fteam-b", False),
        ("http://169.254.169.254", False),
    ],
)
def test_a_prefix_is_a_server_and_a_path(url: str, may: bool) -> None:
    """Not a beginning of text: a longer name is another server."""
    allowed = Allowed((OURS, SHARED))
    assert (allowed.refusal(url) == "") is may
    assert Allowed(everything=True).refusal(url) == ""
    assert Allowed((OURS, SHARED), everything=True).refusal(url) == ""


def test_a_refusal_names_the_setting_and_no_secret() -> None:
    """One sentence."""
    found = Allowed((OURS,)).refusal("http://ada:secret@evil.example/x")
    assert found == (
        "http://evil.example/x may not be queried; to allow it, add it to the controller's "
        "--allowed-metrics-servers (Helm value allowedMetricsServers)"
    )


def test_the_controllers_own_server_is_always_allowed() -> None:
    """Beside those that are named."""
    area = Area(metrics_server="http://own:9090", allowed_metrics_servers=f"{OURS}, {SHARED}")
    assert area.allowed.refusal("http://own:9090") == ""
    assert [bool(area.allowed.refusal(one)) for one in (OURS, SHARED, "http://other")] == [False, False, True]


def test_a_controller_asks_its_own_server_only_unless_others_are_named() -> None:
    """Otherwise a user who may create a Canary could have it query anything in its network. Only `*` opens it."""
    own = Area(metrics_server="http://own:9090/prom")
    asked = ("http://own:9090/prom", "http://own:9090", "http://other")
    assert [bool(own.allowed.refusal(one)) for one in asked] == [False, True, True]
    assert Area(metrics_server="http://own:9090", allowed_metrics_servers="*").allowed.refusal("http://other") == ""
    assert [bool(Area().allowed.refusal(one)) for one in asked] == [True, True, True]


def test_a_prefix_that_is_no_address_is_named() -> None:
    """A controller that lets nothing be asked would start otherwise."""
    reported = (
        r"^--allowed-metrics-servers: 'prometheus:9090' can't be asked: .*; did you mean http://prometheus:9090\?$"
    )
    with pytest.raises(Invalid, match=reported):
        _ = Area(allowed_metrics_servers="prometheus:9090").allowed


@dataclass
class Asked:
    """A source that knows all answers."""

    queries: list[Query] = field(default_factory=list)

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        self.queries += queries
        return {one: Value(1.0) for one in self.queries}


def query(server: str | None) -> Query:
    return Query("m", timedelta(minutes=1), Subject("v2"), text="up", server=server)


def test_what_may_not_be_asked_is_denied_and_never_sent() -> None:
    """Wherever the address stands: also in the plan of a rollout that began before the setting was made."""
    source = Asked()
    home, ours, other = query(None), query(OURS), query("http://evil.example")
    found = Confined(source, "http://evil.example", Allowed((OURS,))).measure((home, ours, other), NOW)
    assert source.queries == [ours]
    assert found[ours] == Value(1.0)
    kinds = [one.cause for one in (found[home], found[other]) if isinstance(one, Missing)]
    assert kinds == [Cause.DENIED, Cause.DENIED]
    assert Confined(source, OURS, Allowed((OURS,))).measure((home,), NOW)[home] == Value(1.0)
