"""`canary run` with the judge `sequential`, on the counters of a real Envoy."""

import json
import re

import pytest

from tests.examples import one_now
from tests.run.site import Site

JUDGE = {"type": "sequential", "warmup": "2s"}
STEPS = [{"weight": 30}, {"weight": 60}]


@pytest.mark.parametrize(
    ("errors", "code"),
    one_now([pytest.param(0.5, 3, id="failing: rolled back"), pytest.param(0.0, 0, id="healthy: promoted")]),
)
def test_evidence_decides(site: Site, errors: float, code: int) -> None:
    """A rollback says both error rates and the evidence; the status keeps what was seen and still needed."""
    site.world.backends["v2"].error_share = errors
    site.write(steps=STEPS, interval="1s", scrapeInterval="500ms", judge=JUDGE)
    run = site.run("-o", "json")
    assert run.ends(60) == code
    lines = [json.loads(line) for line in run.text.splitlines()]
    seen = [line["weighing"] for line in lines[:-1] if line["weighing"]]
    assert {one["bar"] for one in seen} == {100.0}
    assert (seen[-1]["evidence"] >= 100) == (code == 3)
    if code == 3:
        said = r"canary errs [\d.]+–[\d.]+%, stable 0–[\d.]+%(, at most 1% may)? \(evidence .*, bar 100\)"
        assert re.search(said, lines[-1]["message"])
