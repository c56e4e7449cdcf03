"""The judge `sequential` in the controller: what real proxies count proves a good version, and a bad one."""

from collections.abc import Iterator
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.incluster.site import Site

EVIDENCE: dict[str, Any] = {"judge": {"type": "sequential", "warmup": "0s"}, "steps": [{"weight": 50}]}


@pytest.fixture
def erring(site: Site) -> Iterator[Site]:
    """v3 fails one request in two; others are well."""
    site.mesh.behave("reviews-v3", errors=0.5, image="reviews:v3")
    yield site
    site.mesh.behave("reviews-v3", image="reviews:v3")


def test_a_good_version_is_promoted_and_a_bad_one_is_proved_to_be_worse(erring: Site) -> None:
    """One after the other; the bad one is compared with the one that was promoted."""
    erring.controller()
    erring.apply("v2", **EVIDENCE)
    erring.until_phase("Succeeded")
    assert erring.traffic == Traffic(weight=100)
    erring.change(version="v3")
    erring.until_phase("Failed")
    last, first = erring.status.history
    assert (first.outcome, last.outcome) == (Outcome.PROMOTED, Outcome.ROLLED_BACK)
    assert last.reason in {"CanaryWorse", "ObjectiveMissed"}  # whichever is proved first, as requests come
    assert "canary errs " in erring.status.message
    assert "bar 100" in erring.status.message
    assert erring.state("v2", "v3").traffic == Traffic()
