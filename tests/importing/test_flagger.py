"""`canary import flagger`: the text stays, the meaning stays, and comments say where it doesn't."""

import json
import re
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from canary.api.analysis import Analysis
from canary.api.plan import Answer, WebhookGate
from canary.cli.app import run
from canary.engine.errors import Invalid
from canary.engine.next_traffic import last_analysed
from canary.engine.strategies import plan_of
from canary.importing import flagger, flagger_objects
from canary.importing.flagger import modern

OURS = "canary-controller.dev/v1beta1"
CANARY = """\
# what we release
apiVersion: flagger.app/v1beta1  # Flagger's
kind: Canary
metadata:
  name: podinfo
  namespace: test
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis:
    interval: 30s
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics:
    - name: request-success-rate
      threshold: 99
    - name: request-duration
      thresholdRange: {max: 500}
"""
OTHER = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: flagger.app/v1beta1}\n"


def spec(**fields: Any) -> dict[str, Any]:
    """A Canary of Flagger's with these fields in its spec."""
    read: dict[str, Any] = YAML(typ="safe", pure=True).load(CANARY)
    analysis = fields.pop("analysis", {})
    read["spec"] |= fields
    read["spec"]["analysis"] |= analysis
    return read


def comments(text: str) -> str:
    """All comments, as one line."""
    return " ".join(re.findall(r"^ *# (.*)$", text, re.MULTILINE))


def test_only_the_api_version_and_comments_differ() -> None:
    """Everything else of a file is its author's, other objects too."""
    made = flagger(CANARY + OTHER, "a.yaml")
    kept = [line for line in made.text.splitlines() if not line.lstrip().startswith("# ")]
    before = (CANARY + OTHER).replace("flagger.app/v1beta1  #", f"{OURS}  #").splitlines()[1:]
    assert kept == before
    assert "# what we release" in made.text
    assert made.count == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Without revertOnDeletion, the primary and its routes stay"),
        ({}, "No data, NaN and an unreachable Prometheus are no failed checks. After 15m"),
        ({"revertOnDeletion": True}, "On deletion the Deployment gets the template that was promoted last"),
        (
            {"skipAnalysis": True, "targetRef": {"kind": "DaemonSet", "name": "a"}},
            "The DaemonSet is scaled down when",
        ),
        ({"suspend": True}, "A failing canary is still rolled back"),
        ({"skipAnalysis": True}, "Flagger doesn't wait for the primary"),
        ({"service": {"port": 80, "portDiscovery": True}}, "New ports reach the Services with the promotion"),
        ({"canaryAnalysis": {"threshold": 3}}, "Flagger's CRD removes the block"),
        ({"analysis": {"stepWeight": 20}}, "The last step is 50%. Flagger's last step is 60%"),
        ({"analysis": {"stepWeight": 30, "maxWeight": 100}}, "Flagger's last step is 100%"),
        ({"analysis": {"interval": "5s"}}, "Flagger raises this to 10s"),
        ({"analysis": {"interval": "10m"}}, "After 30m without a value"),
        ({"analysis": {"metrics": [{"name": "a", "templateRef": {"name": "a"}}]}}, "{{ interval }} is 1m here"),
        ({"analysis": {"metrics": [{"name": "a"}]}}, "Flagger uses max: 0"),
        ({"analysis": {"canaryReadyThreshold": 50}}, "as many replicas as the next weight needs as well"),
        ({"analysis": {"webhooks": [{"name": "a", "url": "http://a"}]}}, "This is called when a step begins"),
        (
            {"analysis": {"webhooks": [{"name": "a", "url": "http://a", "type": "rollback"}]}},
            "a gate of the promotion",
        ),
        ({"analysis": {"alerts": [{"name": "a", "providerRef": {"name": "b"}}]}}, "Flagger sends nothing"),
    ],
)
def test_a_difference_is_a_comment(fields: dict[str, Any], sentence: str) -> None:
    """Beside the field."""
    assert sentence in comments(flagger_objects([spec(**fields)]).text)


def test_what_is_the_same_has_no_comment() -> None:
    """A reader must be able to trust the comments."""
    text = comments(flagger_objects([spec(revertOnDeletion=True)]).text)
    assert "last step" not in text
    assert "10s" not in text
    assert "thresholdRange" not in text


def test_a_list_and_what_a_cluster_added_are_written_again() -> None:
    """A finalizer of Flagger's would keep our Canary for ever."""
    live = spec()
    live["metadata"] |= {
        "uid": "1",
        "finalizers": ["finalizer.flagger.app"],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "labels": {"team": "a"},
    }
    live["status"] = {"phase": "Succeeded"}
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "on"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [live, other]}
    text = flagger(as_text(listed), "list.yaml").text
    canary, secret = YAML(typ="safe", pure=True).load_all(text)
    assert canary["apiVersion"] == OURS
    assert canary["metadata"] == {"name": "podinfo", "namespace": "test", "labels": {"team": "a"}}
    assert "status" not in canary
    assert secret == other
    assert "'on'" in text  # kubectl reads it as a switch if it has no quotes


def as_text(data: Any) -> str:
    """JSON is YAML."""
    return json.dumps(data)


def test_a_file_that_is_broken_is_refused_with_its_place() -> None:
    """Nothing half converted comes out."""
    with pytest.raises(Invalid, match=r"^a\.yaml:4:1: a bracket"):
        flagger("apiVersion: flagger.app/v1beta1\nkind: Canary\nspec: [\n", "a.yaml")


def test_a_helm_template_is_refused_with_what_to_do() -> None:
    with pytest.raises(Invalid, match=r"helm template … \| canary import flagger -f -"):
        flagger("apiVersion: flagger.app/v1beta1\nkind: Canary\n{{- if .Values.a }}\nspec: {}\n{{ end }}\n", "a.yaml")


weights = st.lists(st.integers(0, 100), min_size=1, max_size=6).map(sorted)
strategies = st.one_of(
    st.fixed_dictionaries(
        {"stepWeight": st.integers(1, 100)},
        optional={"maxWeight": st.integers(1, 100), "mirror": st.booleans(), "mirrorWeight": st.integers(0, 100)},
    ),
    st.fixed_dictionaries({"stepWeights": weights}, optional={"mirror": st.booleans()}),
    st.fixed_dictionaries({"stepWeights": weights, "match": st.just([{"headers": {"x-a": {"exact": "b"}}}])}),
    st.fixed_dictionaries(
        {"iterations": st.integers(1, 9)},
        optional={"match": st.just([{"headers": {"x-a": {"suffix": "b."}}}]), "mirror": st.booleans()},
    ),
)


@given(strategies, st.integers(0, 100))
def test_explicit_steps_are_the_same_plan(strategy: dict[str, Any], back: int) -> None:
    """`--modern` changes the form only."""
    before = {"interval": "1m", "threshold": 3, "stepWeightPromotion": back, **strategy}
    after = modern({"kind": "Canary", "spec": {"analysis": before}})["spec"]["analysis"]
    assert "steps" in after
    plans = [plan_of(Analysis.model_validate(one, extra="forbid")) for one in (before, after)]
    assert plans[0].steps == plans[1].steps


def test_the_modern_form_has_one_block_and_ranges() -> None:
    made = modern(spec(canaryAnalysis={"threshold": 9, "alerts": []}, analysis={"primaryReadyThreshold": 50}))["spec"]
    assert "canaryAnalysis" not in made
    assert made["analysis"]["alerts"] == []
    assert made["analysis"]["threshold"] == 5
    assert made["analysis"]["primaryReadyThreshold"] == 50
    assert made["analysis"]["metrics"][0] == {"name": "request-success-rate", "thresholdRange": {"min": 99}}


PROMOTION = {
    "name": "go",
    "type": "confirm-promotion",
    "url": "http://a/gate",
    "timeout": "5s",
    "metadata": {"a": "b"},
}


@given(strategies)
def test_the_modern_form_has_gates_of_the_promotion_at_the_last_step(strategy: dict[str, Any]) -> None:
    """Where Flagger asks for them, without a time limit."""
    load = {"name": "load", "url": "http://a/"}
    before = {"interval": "1m", "threshold": 3, "webhooks": [load, PROMOTION], **strategy}
    after = modern({"kind": "Canary", "spec": {"analysis": before}})["spec"]["analysis"]
    assert after["webhooks"] == [load]
    read = [plan_of(Analysis.model_validate(one, extra="forbid")) for one in (before, after)]
    assert last_analysed(read[0]) == last_analysed(read[1])
    gates = [step.gates for step in read[1].steps]
    assert [len(one) for one in gates] == [0] * last_analysed(read[1]) + [1]
    (gate,) = gates[-1]
    assert (gate.name, gate.on_timeout) == ("go", Answer.HOLD)
    assert gate.webhook == WebhookGate(url="http://a/gate", timeout=timedelta(seconds=5), metadata={"a": "b"})


@pytest.mark.parametrize(
    "change",
    [{"muteAlert": True}, {"type": "confirm-rollout"}, {"type": "confirm-traffic-increase"}, {"name": None}],
)
def test_hooks_that_no_gate_can_stand_for_stay(change: dict[str, Any]) -> None:
    """Also a second one of the same name."""
    hooks = [{**PROMOTION, **change}]
    made = modern(spec(analysis={"webhooks": hooks}))["spec"]["analysis"]
    assert made["webhooks"] == hooks
    assert not any("gates" in step for step in made["steps"])
    twice = modern(spec(analysis={"webhooks": [PROMOTION, PROMOTION]}))["spec"]["analysis"]
    assert (twice["webhooks"], len(twice["steps"][-1]["gates"])) == ([PROMOTION], 1)
    once = modern(spec(analysis={"webhooks": [PROMOTION]}))["spec"]["analysis"]
    assert "webhooks" not in once


def test_the_modern_form_writes_no_empty_match() -> None:
    """Only what the author wrote; a header that must be present keeps its empty value."""
    match = [{"headers": {"x-a": {"exact": "b"}}}, {"headers": {"x-b": {}}}]
    made = modern({"kind": "Canary", "spec": {"analysis": {"iterations": 2, "match": match}}})
    assert made["spec"]["analysis"]["steps"] == [{"match": match, "iterations": 2}]


@pytest.mark.parametrize("options", [[], ["--modern"]], ids=["as it is", "modern"])
@pytest.mark.parametrize(("scenario", "code"), [("good", 0), ("bad", 3)])
def test_what_is_imported_runs_to_the_same_end(
    options: list[str], scenario: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Import, lint, simulate."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(CANARY + OTHER)
    assert run(["import", "flagger", "-f", str(before), *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == "converted 1 object; no errors to correct in the output\n"
    after.write_text(printed.out)
    assert run(["lint", "--strict", "-f", str(after)]) == 0
    assert run(["simulate", "-f", str(after), "--scenario", scenario]) == code


def test_what_lint_still_finds_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the place in the output, and exit code 2."""
    file = tmp_path / "a.yaml"
    file.write_text(CANARY.replace("stepWeight: 10", "stepWeight: 10\n    iterations: 5"))
    assert run(["import", "flagger", "-f", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    found = re.search(r"the output:(\d+):\d+: error: spec.analysis.iterations: can't be used together", printed.err)
    assert found is not None
    assert "iterations: 5" in printed.out.splitlines()[int(found[1]) - 1]


def test_files_without_flaggers_objects_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = count()
    for text in ("a: 1\n", OTHER, "{{ helm }}"):
        (tmp_path / f"{next(numbers)}.yaml").write_text(text)
    assert run(["import", "flagger", "-f", str(tmp_path)]) == 2
    assert "there are none of Flagger's objects" in capsys.readouterr().err


@pytest.mark.parametrize(("scenario", "code"), [("good", 0), ("bad", 3)])
def test_blue_green_is_simulated_on_what_hooks_send(scenario: str, code: int, tmp_path: Path) -> None:
    """No user's request reaches the canary meanwhile."""
    file = tmp_path / "a.yaml"
    load = "    webhooks:\n    - {name: load, url: 'http://a/'}\n"
    strategy = CANARY.replace("maxWeight: 50", "iterations: 4").replace("    stepWeight: 10\n", "") + load
    file.write_text(flagger(strategy, "a.yaml").text)
    assert run(["simulate", "-f", str(file), "--scenario", scenario]) == code
