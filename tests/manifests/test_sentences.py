"""A word or a number where a block or a list is due is answered with the field written in full."""

import re
from pathlib import Path

import pytest

from canary.api.kinds import KINDS
from canary.manifests.fields import ways
from canary.manifests.sentences import FORMS

from .test_reading import HEAD, SHORT, TEMPLATE, changed, problems


def spec(lines: str) -> str:
    """A Canary that is written in short; each line belongs to its spec."""
    return SHORT + "".join(f"  {line}\n" for line in lines.splitlines())


def analysis(line: str) -> str:
    """The good Canary with a line more in its analysis."""
    return changed("    interval: 1m", f"    interval: 1m\n    {line}")


def steps(entries: str) -> str:
    """The good Canary with these steps."""
    return changed("stepWeights: [10, 50]", f"steps: {entries}")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param(
            changed("{kind: EnvoyRoute, name: web}", "web"),
            "spec.targetRef: must be a mapping, not 'web'; did you mean {kind: VirtualService, name: web}?",
            id="a target by its name",
        ),
        pytest.param(
            spec("policyRef: standard"),
            "spec.policyRef: must be a mapping, not 'standard'; did you mean {name: standard}?",
            id="a policy by its name",
        ),
        pytest.param(
            spec("policyRef: [standard]"),
            "spec.policyRef: must be a mapping, not a list; write {name: standard}",
            id="a list for a block",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  routes: main"),
            "spec.routes: must be a list, not 'main'; did you mean [main]?",
            id="one route",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  progressDeadlineSeconds: 10m"),
            "spec.progressDeadlineSeconds: must be a whole number, not '10m'; did you mean 600?",
            id="a duration where seconds are counted",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  progressDeadlineSeconds: soon"),
            "spec.progressDeadlineSeconds: must be a whole number, not 'soon'",
            id="no duration where seconds are counted",
        ),
        pytest.param(
            changed("{min: 99}", "99"),
            "spec.analysis.metrics[0].thresholdRange: must be a mapping, not 99; "
            "did you mean {min: 99} or {max: 99}?",
            id="a bound by itself",
        ),
        pytest.param(
            analysis("onNoData: rollback"),
            "spec.analysis.onNoData: must be a mapping, not 'rollback'; did you mean {then: rollback}?",
            id="an answer without a time",
        ),
        pytest.param(
            analysis("onUnreachable: 5m"),
            "spec.analysis.onUnreachable: must be a mapping, not '5m'; did you mean {after: 5m, then: rollback}?",
            id="a time without an answer",
        ),
        pytest.param(
            analysis("onNoData: any"),
            "spec.analysis.onNoData: must be a mapping, not 'any'; write {after: 5m, then: rollback}",
            id="neither time nor answer",
        ),
        pytest.param(
            analysis("onDrift: revert"),
            "spec.analysis.onDrift: 'revert' is not hold, reassert or rollback; "
            "reassert takes the edit back, rollback the rollout",
            id="a word that may stand for two answers",
        ),
        pytest.param(
            steps("[10]"),
            "spec.analysis.steps[0]: must be a mapping, not 10; did you mean {weight: 10}?",
            id="a weight for a step",
        ),
        pytest.param(
            steps("['10 %']"),
            "spec.analysis.steps[0]: must be a mapping, not '10 %'; did you mean {weight: 10}?",
            id="a share for a step",
        ),
        pytest.param(
            steps("[{weight: 50%}]"),
            "spec.analysis.steps[0].weight: must be a whole number, not '50%'; did you mean 50?",
            id="a per cent sign",
        ),
        pytest.param(
            steps("[{gates: {approval: {count: 2}}}]"),
            "spec.analysis.steps[0].gates: must be a list, not a mapping; write it as an item of a list, behind `- `",
            id="a block for a list of one",
        ),
        pytest.param(
            steps("[{gates: [{approval: 2}]}]"),
            "spec.analysis.steps[0].gates[0].approval: must be a mapping, not 2; did you mean {count: 2}?",
            id="a number of approvals",
        ),
        pytest.param(
            steps("[{gates: [{approval: true}]}]"),
            "spec.analysis.steps[0].gates[0].approval: must be a mapping, not true; write {count: 1}",
            id="an approval by someone",
        ),
        pytest.param(
            steps("[{match: [{headers: {x-user: beta}}]}]"),
            "spec.analysis.steps[0].match[0].headers.x-user: must be a mapping, not 'beta'; "
            "did you mean {exact: beta}?",
            id="a header's value",
        ),
        pytest.param(
            TEMPLATE.replace("{type: prometheus, address: http://prometheus:9090}", "http://prometheus:9090"),
            "spec.provider: must be a mapping, not 'http://prometheus:9090'; "
            "did you mean {type: prometheus, address: http://prometheus:9090}?",
            id="a provider by its address",
        ),
        pytest.param(
            f"{HEAD}kind: Canary\nmetadata: {{name: web}}\nspec: all\n",
            "spec: must be a mapping, not 'all'",
            id="a block that has no short form",
        ),
    ],
)
def test_the_answer_is_what_was_probably_meant(text: str, reported: str, tmp_path: Path) -> None:
    """With the value that was written, where it fits."""
    assert [re.sub("^[0-9:]+ error: ", "", one) for one in problems(tmp_path, text)] == [reported]


def test_each_form_is_of_a_field() -> None:
    """What isn't a field any more needs no form."""
    names = {way[-1] for model in KINDS.values() for way in ways(model)}
    assert [name for name in FORMS if name.rstrip("[]{}") not in names] == []
