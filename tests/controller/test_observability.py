"""docs/observability.md against the code: every reason, every metric, every alert."""

import json
import logging
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.metrics_core import Metric
from ruamel.yaml import YAML

from canary.api.reason import Reason
from canary.api.status import Condition, Phase
from canary.controller.logs import JsonLines, TextLines
from canary.controller.metrics import PHASES, ControllerMetrics
from canary.engine.conditions import Type
from tests.engine import diagram

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/observability.md").read_text()
SUFFIXES = {"counter": "_total", "info": "_info"}


def section(title: str) -> str:
    """What stands below a title, up to the next one of its level."""
    level = len(title.partition(" ")[0])
    return re.split(rf"^#{{1,{level}}} ", PAGE.partition(f"\n{title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[str]:
    """The first column of all tables."""
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def reasons() -> set[str]:
    """All that a status can give."""
    return {reason.value for reason in Reason}


def families() -> dict[str, Metric]:
    """By the names that queries use, without those of the process."""
    found = {one.name + SUFFIXES.get(one.type, ""): one for one in ControllerMetrics().registry.collect()}
    return {name: one for name, one in found.items() if not name.startswith("process_")}


def test_every_reason_is_explained() -> None:
    """Exactly; `python -c 'from tests.engine.diagram import *; print(reasons())'` prints the tables."""
    assert f"\n{diagram.reasons()}\n" in section("## Events")


def test_every_condition_is_explained() -> None:
    """With what each of its values means."""
    assert rows(section("## Conditions")) == list(get_args(Condition.model_fields["type"].annotation))


def test_every_metric_is_explained() -> None:
    """By the name that a query uses."""
    reported = [name for name in rows(section("## Metrics")) if name != "canary_phase"]
    assert sorted(reported) == sorted(families().keys() - {"canary_phase"})


def test_labels_are_those_of_the_code() -> None:
    """Of the metrics that know theirs before they have a value."""
    reported = dict(re.findall(r"^\| `(canary_\w+)` \| ([a-z, ]*) \|", section("## Metrics"), re.MULTILINE))
    known = {name: _labels(one) for name, one in families().items()}
    assert {name: reported[name].split(", ") for name in known if known[name]} == {
        name: labels for name, labels in known.items() if labels
    }


def _labels(family: Metric) -> list[str]:
    labels = getattr(family, "_labelnames", ())
    sampled = [name for sample in family.samples for name in sample.labels if name != "le"]
    return list(labels or dict.fromkeys(sampled))


def test_the_numbers_of_phases_are_those_of_the_code() -> None:
    """Alerts stand on them."""
    reported = re.findall(r"^\| (\d) \| (\w+) \|$", section("## Metrics"), re.MULTILINE)
    assert {Phase(name): int(number) for number, name in reported} == dict(PHASES)


# ---- alerts ----------------------------------------------------------------------------------------------------

WEB = {"namespace": "shop", "name": "web"}
FIRING: dict[str, tuple[dict[str, str], list[str]]] = {
    "CanaryRolledBack": (WEB, ['canary_phase{namespace="shop", name="web"} 8+0x1500']),
    "CanaryNotInEffect": (WEB, ['canary_phase{namespace="shop", name="web"} 6+0x1500']),
    "CanaryTakesLong": (WEB, ['canary_phase{namespace="shop", name="web"} 3+0x1500']),
    "CanaryWithoutEvidence": (
        {"reason": "NoData"},
        ['canary_canaries{phase="Progressing", reason="NoData"} 2+0x1500'],
    ),
    "CanaryNeedsSomebody": (
        {"reason": "InvalidSpec"},
        ['canary_canaries{phase="Initialized", reason="InvalidSpec"} 1+0x1500'],
    ),
    "CanaryControllerErrs": ({}, ['canary_controller_reconcile_total{result="error"} 0+1x1500']),
    "CanaryControllerLate": (
        {},
        [
            'canary_controller_reconcile_lateness_seconds_bucket{le="1"} 0+50x1500',
            'canary_controller_reconcile_lateness_seconds_bucket{le="2.5"} 0+100x1500',
            'canary_controller_reconcile_lateness_seconds_bucket{le="+Inf"} 0+100x1500',
        ],
    ),
    "CanaryControllerWithoutLeader": ({}, ['canary_leader{pod="a"} 0+0x1500']),
    "CanaryControllerWithTwoLeaders": (
        {},
        ['canary_leader{pod="a"} 1+0x1500', 'canary_leader{pod="b"} 1+0x1500'],
    ),
    "CanaryControllerBlind": ({"kind": "Deployment"}, ['canary_watch_trouble{kind="Deployment"} 1+0x1500']),
    "CanaryQueriesFail": ({"result": "timed out"}, ['canary_queries_total{result="timed out"} 0+1x1500']),
}
"""Labels with which each alert fires, and the day of series after which it does."""
CALM = [
    'canary_phase{namespace="shop", name="web"} 7+0x1500',
    'canary_canaries{phase="Succeeded", reason="AlreadyServing"} 5+0x1500',
    'canary_controller_reconcile_total{result="ok"} 0+9x1500',
    'canary_controller_reconcile_total{result="error"} 0+0x1500',
    'canary_controller_reconcile_lateness_seconds_bucket{le="1"} 0+100x1500',
    'canary_controller_reconcile_lateness_seconds_bucket{le="+Inf"} 0+100x1500',
    'canary_leader{pod="a"} 1+0x1500',
    'canary_leader{pod="b"} 0+0x1500',
    'canary_watch_trouble{kind="Deployment"} 0+0x1500',
    'canary_queries_total{result="ok"} 0+9x1500',
]
"""Series after which none fires."""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The page's rules as a file."""
    block = re.search(r"```yaml\n(groups:.*?)```", PAGE, re.DOTALL)
    assert block is not None
    path = tmp_path / "rules.yaml"
    path.write_text(block.group(1))
    return path


def play(
    promtool: Path, rules: Path, series: list[str], expected: Mapping[str, list[dict[str, str]]], within: str = "1h"
) -> None:
    """promtool plays the series, and compares labels of what fires; sentences are not compared."""
    whole = YAML(typ="safe").load(rules)
    group = whole["groups"][0]
    group["rules"] = [{**rule, "annotations": {}} for rule in group["rules"] if rule["alert"] in expected]
    bare, test = rules.with_name("bare.json"), rules.with_name("test.json")
    bare.write_text(json.dumps(whole))
    inputs = [dict(zip(("series", "values"), one.split("} ", 1), strict=True)) for one in series]
    asked = [
        {"eval_time": within, "alertname": name, "exp_alerts": [{"exp_labels": labels} for labels in found]}
        for name, found in expected.items()
    ]
    case = {"interval": "1m", "alert_rule_test": asked}
    case["input_series"] = [{**one, "series": f"{one['series']}}}"} for one in inputs]
    test.write_text(json.dumps({"rule_files": [str(bare)], "evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run([promtool, "test", "rules", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_alerts(promtool: Path, rules: Path) -> None:
    """All of them, and no other is on the page."""
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(FIRING)} rules found" in done.stdout
    assert [one["alert"] for one in YAML(typ="safe").load(rules)["groups"][0]["rules"]] == list(FIRING)


@pytest.mark.parametrize("alert", FIRING)
def test_an_alert_fires_when_it_should(promtool: Path, rules: Path, alert: str) -> None:
    """With labels that say for what."""
    labels, series = FIRING[alert]
    play(promtool, rules, series, {alert: [labels]}, "25h" if alert == "CanaryTakesLong" else "1h")


def test_no_alert_fires_when_all_is_well(promtool: Path, rules: Path) -> None:
    """With one leader of two replicas."""
    play(promtool, rules, CALM, {alert: [] for alert in FIRING})


def test_alerts_ask_for_metrics_that_there_are(rules: Path) -> None:
    """And for reasons and phases of the code."""
    text = rules.read_text()
    known = {name.removesuffix("_bucket") for name in re.findall(r"\bcanary_\w+", text)}
    assert known - families().keys() == set()
    named = {word for words in re.findall(r'reason=~"([^"]+)"', text) for word in words.split("|")}
    assert named - reasons() == set()


def test_the_page_shows_a_line_as_it_is_logged() -> None:
    """As text and as JSON."""
    stated = re.search(r"```json\n(.*?)```", section("## Logs"), re.DOTALL)
    assert stated is not None
    one = json.loads(stated.group(1))
    line = f"{one['time']} INFO {one['namespace']}/{one['name']} {one['phase']} {one['weight']}% {one['reason']}: "
    assert f"{line}{one['message']}" in section("## Logs")
    record = logging.LogRecord(one["logger"], logging.INFO, "", 0, "%s", (one["message"],), None)
    record.created = datetime.fromisoformat(one["time"]).timestamp()
    record.canary = {key: one[key] for key in ("namespace", "name", "phase", "weight", "reason")}
    assert json.loads(JsonLines().format(record)) == one
    assert TextLines().format(record) == f"{line}{one['message']}"


def test_the_health_check_for_argo_cd_asks_for_what_there_is() -> None:
    """Its conditions and reasons are the engine's; no one would miss one that never comes."""
    code = (ROOT / "docs/istio.md").read_text().partition("dev_Canary: |\n")[2].partition("```")[0]
    [asleep] = re.findall(r"asleep = \{(.*)\}", code)
    assert set(re.findall(r"(\w+) = true", asleep)) <= reasons()
    reported = set(re.findall(r"\bis\.(\w+)", code))
    assert reported == {"Stalled", "Promoted", "Ready"} <= set(get_args(Type))


def test_the_example_of_kubectl_get_has_a_reason() -> None:
    """docs/kinds.md shows one as it is."""
    [row] = re.findall(r"^reviews +reviews .*$", (ROOT / "docs/kinds.md").read_text(), re.MULTILINE)
    assert row.split()[-2] in reasons()
