"""Files become resources, or problems with file, line and column."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from canary.api.duration import Duration
from canary.engine.errors import Invalid
from canary.engine.resolved import resolve_spec
from canary.engine.validation.names import NO_NAME
from canary.engine.validation.strategy import MAY_ONLY_RISE
from canary.manifests import lint, load, only_canary, read, shipped, shipped_names


def no_duration(value: object) -> str:
    """What the type of a field says of what is no duration."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter[object](Duration).validate_python(value)
    return refused.value.errors()[0]["msg"].removeprefix("Value error, ")


HEAD = "apiVersion: canary-controller.dev/v1beta1\n"
CANARY = (
    HEAD
    + """\
kind: Canary
metadata:
  name: web
spec:
  targetRef: {kind: EnvoyRoute, name: web}
  version: v2
  envoy:
    admin: http://127.0.0.1:9901
    routes: routes.yaml
  analysis:
    interval: 1m
    threshold: 5
    stepWeights: [10, 50]
    metrics:
      - name: request-success-rate
        thresholdRange: {min: 99}
"""
)
POLICY = (
    HEAD
    + """\
kind: CanaryPolicy
metadata:
  name: ours
spec:
  analysis:
    stepWeights: [10, 50]
    metrics:
      - name: request-success-rate
        thresholdRange: {min: 99}
"""
)
TEMPLATE = (
    HEAD
    + """\
kind: MetricTemplate
metadata:
  name: errors
spec:
  provider: {type: prometheus, address: http://prometheus:9090}
  query: rate(errors[{{ interval }}])
"""
)
SHORT = CANARY.partition("  analysis:")[0]


def problems(folder: Path, text: str) -> list[str]:
    """What lint says of the text, without the file's name."""
    file = folder / "canary.yaml"
    file.write_text(text, encoding="utf-8")
    return [str(each).removeprefix(f"{file}:").lstrip() for each in lint(read([str(file)]))]


def changed(old: str, new: str) -> str:
    """The good Canary with one text for another."""
    assert old in CANARY
    return CANARY.replace(old, new)


def test_a_good_canary_is_read(tmp_path: Path) -> None:
    """Each row below changes this one."""
    assert problems(tmp_path, CANARY) == []


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param(
            changed("stepWeights: [10, 50]", "stepWeigth: 10"),
            ["14:5: error: spec.analysis.stepWeigth: unknown field; did you mean stepWeight?"],
            id="a misspelt field is answered with the nearest one of its block",
        ),
        pytest.param(
            changed("  version: v2", "  version: v2\n  stepWeight: 10"),
            ["8:3: error: spec.stepWeight: unknown field; did you mean spec.analysis.stepWeight?"],
            id="a field in the wrong block is answered with the right one",
        ),
        pytest.param(
            changed("kind: EnvoyRoute, ", "kind: EnvoyRoute, banana: 1, "),
            ["6:33: error: spec.targetRef.banana: unknown field; there are apiVersion, kind, name"],
            id="a field that is like none is answered with all of a small block",
        ),
        pytest.param(
            changed("stepWeights", "step_weights"),
            ["14:5: error: spec.analysis.step_weights: unknown field; did you mean stepWeights?"],
            id="Python's spelling is not the manifest's",
        ),
        pytest.param(
            changed("[10, 50]", "[10, 150]"),
            ["14:23: error: spec.analysis.stepWeights[1]: must be at most 100, not 150"],
            id="a weight above 100, at its place in the list",
        ),
        pytest.param(
            changed("[10, 50]", "[-1, 50]"),
            ["14:19: error: spec.analysis.stepWeights[0]: must be at least 0, not -1"],
            id="a weight below 0",
        ),
        pytest.param(
            changed("[10, 50]", "10"),
            ["14:5: error: spec.analysis.stepWeights: must be a list, not 10; did you mean [10]?"],
            id="a number where a list is due",
        ),
        pytest.param(
            changed("[10, 50]", "[ten, 1.5, {a: b}]"),
            ["14:19: error: spec.analysis.stepWeights[0]: must be a whole number, not 'ten'",
             "14:24: error: spec.analysis.stepWeights[1]: must be a whole number, not 1.5",
             "14:29: error: spec.analysis.stepWeights[2]: must be a whole number, not a mapping"],
            id="what is no whole number",
        ),
        pytest.param(
            changed("[10, 50]", "[true, 50]"),
            ["14:19: error: spec.analysis.stepWeights[0]: must be a whole number, not true"],
            id="true is no 1",
        ),
        pytest.param(
            changed("[10, 50]", "[.nan, 50]"),
            ["14:19: error: spec.analysis.stepWeights[0]: must be a number"],
            id="not-a-number isn't called too large",
        ),
        pytest.param(
            changed("{min: 99}", "{min: high}"),
            ["17:26: error: spec.analysis.metrics[0].thresholdRange.min: must be a number, not 'high'"],
            id="what is no number",
        ),
        pytest.param(
            changed("interval: 1m", "interval: 1 min"),
            [f"12:5: error: spec.analysis.interval: {no_duration('1 min')}"],
            id="what is no duration",
        ),
        pytest.param(
            changed("interval: 1m", "interval: 60"),
            [f"12:5: error: spec.analysis.interval: {no_duration(60)}"],
            id="a number without a unit",
        ),
        pytest.param(
            changed("version: v2", "version: 1.10"),
            ["7:3: error: spec.version: must be text, not 1.1; write it in quotes"],
            id="a version that YAML takes for a number",
        ),
        pytest.param(
            changed("version: v2", "version: 2024-01-31"), [], id="a date stays text, as Kubernetes reads it"
        ),
        pytest.param(
            changed("interval: 1m", "interval: 1m\n    onDrift: hodl"),
            ["13:5: error: spec.analysis.onDrift: 'hodl' is not hold, reassert or rollback; did you mean hold?"],
            id="an unknown word is answered with the nearest one",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  suspend: maybe"),
            ["8:3: error: spec.suspend: must be true or false, not 'maybe'"],
            id="what is neither true nor false",
        ),
        pytest.param(changed("version: v2", "version: v2\n  suspend: yes"), [], id="yes is true, as for kubectl"),
        pytest.param(
            changed("version: v2", "version: v2\n  suspend: 'yes'\n  skipAnalysis: 1"),
            ["8:3: error: spec.suspend: must be true or false, not 'yes'; write it without quotes",
             "9:3: error: spec.skipAnalysis: must be true or false, not 1; did you mean true?"],
            id="what is like true or false, and isn't",
        ),
        pytest.param(
            changed("threshold: 5", 'threshold: "2"').replace("[10, 50]", "['10', 50.0]")
            .replace("min: 99", 'min: "99"'),
            ["13:5: error: spec.analysis.threshold: must be a whole number, not '2'; write it without quotes",
             "14:19: error: spec.analysis.stepWeights[0]: must be a whole number, not '10'; "
             "write it without quotes",
             "17:26: error: spec.analysis.metrics[0].thresholdRange.min: must be a number, not '99'; "
             "write it without quotes"],
            id="numbers in quotes are texts",
        ),
        pytest.param(
            changed("version: v2", "version: on\n  stable: No"),
            ["7:3: error: spec.version: must be text, and YAML reads this as true; write it in quotes",
             "8:3: error: spec.stable: must be text, and YAML reads this as false; write it in quotes"],
            id="words that are true or false for YAML",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  suspend: !!bool maybe"),
            ["8:12: error: spec.suspend: 'maybe' can't be read as bool"],
            id="what is said to be true or false, and is neither",
        ),
        pytest.param(
            changed("- name: request-success-rate\n        thresholdRange", "- thresholdRange"),
            ["16:9: error: spec.analysis.metrics[0].name: is missing"],
            id="a missing field stands where it would have to be",
        ),
        pytest.param(
            changed("  name: web\nspec", "  name:\nspec"),
            ["4:3: error: metadata.name: is missing"],
            id="nothing is as good as missing",
        ),
        pytest.param(
            HEAD + "kind: Canary\n",
            ["1:1: error: metadata: is missing", "1:1: error: spec: is missing"],
            id="a Canary of nothing",
        ),
        pytest.param(
            changed("spec:\n", "spec: nothing\nrest:\n"),
            ["5:1: error: spec: must be a mapping, not 'nothing'",
             "6:1: error: rest: unknown field; there are apiVersion, kind, metadata, spec"],
            id="a word where a block is due",
        ),
        pytest.param(
            changed(HEAD, ""),
            ["1:1: error: apiVersion: is missing; write apiVersion: canary-controller.dev/v1beta1"],
            id="no apiVersion",
        ),
        pytest.param(
            changed(HEAD, "apiVersion: flagger.app/v1beta1\n"),
            ["1:1: error: apiVersion: flagger.app/v1beta1 is Flagger's; "
             "change this line to apiVersion: canary-controller.dev/v1beta1, or run canary import flagger"],
            id="Flagger's apiVersion is answered with the line to write",
        ),
        pytest.param(
            changed(HEAD, "apiVersion: flagger.app/v1beta1\n").replace("[10, 50]", "[50, 10]"),
            ["1:1: error: apiVersion: flagger.app/v1beta1 is Flagger's; "
             "change this line to apiVersion: canary-controller.dev/v1beta1, or run canary import flagger",
             f"14:23: error: spec.analysis.stepWeights[1]: goes down from 50 to 10; {MAY_ONLY_RISE}"],
            id="Flagger's apiVersion keeps nothing else from being judged",
        ),
        pytest.param(
            changed("v1beta1", "v1"),
            ["1:1: error: apiVersion: 'canary-controller.dev/v1' is unknown; "
             "did you mean canary-controller.dev/v1beta1?"],
            id="a misspelt apiVersion",
        ),
        pytest.param(
            changed("kind: Canary", "kind: Cannary"),
            ["2:1: error: kind: 'Cannary' is unknown; did you mean Canary?"],
            id="a misspelt kind",
        ),
        pytest.param(
            "apiVersion: apps/v1\nkind: Pod\n---\napiVersion: v1\nkind: Service\n",
            ["error: holds none of canary's objects (apiVersion: canary-controller.dev/v1beta1), "
             "only 2 of other kinds"],
            id="objects of other kinds only: nothing was checked",
        ),
        pytest.param(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: !tag x\n---\n{CANARY}---\n"
            "apiVersion: v1\nkind: ConfigMap\nitems: [{key: a}]\n",
            [],
            id="objects of other kinds beside ours are passed over, with any content",
        ),
        pytest.param(
            changed(HEAD, "apiVersion: apps/v1\n"),
            ["1:1: error: apiVersion: 'apps/v1' is unknown; write apiVersion: canary-controller.dev/v1beta1"],
            id="a kind of ours in a group of others",
        ),
        pytest.param(
            "apiVersion: flager.app/v1beta1\nkind: Canry\n",
            ["1:1: error: apiVersion: 'flager.app/v1beta1' is unknown; "
             "write apiVersion: canary-controller.dev/v1beta1",
             "2:1: error: kind: 'Canry' is unknown; did you mean Canary?"],
            id="a group that is like Flagger's",
        ),
        pytest.param(
            f"kind: Service\nmetadata: {{name: web}}\n---\nreplicas: 3\nimage: {{tag: v2}}\n---\n{CANARY}",
            [],
            id="a document with neither apiVersion nor kind of ours is passed over",
        ),
        pytest.param(
            changed("name: web\nspec",
                    "name: My Canary!\n  namespace: a.b\n  labels: {-team: x, tier: ' '}\nspec"),
            [f"4:3: error: metadata.name: 'My Canary!' {NO_NAME}",
             "5:3: error: metadata.namespace: 'a.b' can't be a namespace: at most 63 lower-case letters, "
             "digits and '-'",
             "6:12: error: metadata.labels.-team: '-team' can't be a key; write one such as team or example.com/team",
             "6:22: error: metadata.labels.tier: ' ' can't be a label: at most 63 letters, digits, '-', '_' and '.'"],
            id="metadata that no API server takes",
        ),
        pytest.param(
            POLICY.replace("name: ours", 'name: ""') + "---\n" + TEMPLATE
            .replace("name: errors", "name: My Template!"),
            [f"4:3: error: metadata.name: '' {NO_NAME}",
             f"15:3: error: metadata.name: 'My Template!' {NO_NAME}"],
            id="names of policies and templates",
        ),
        pytest.param(
            changed("- name: request-success-rate",
                    "- name: errors\n        templateRef: {name: My Template!, namespace: a.b}")
            .replace("  analysis", "  policyRef: {name: Standard}\n  analysis"),
            [f"11:15: error: spec.policyRef.name: 'Standard' {NO_NAME}; did you mean standard?",
             f"18:23: error: spec.analysis.metrics[0].templateRef.name: 'My Template!' {NO_NAME}",
             "18:43: error: spec.analysis.metrics[0].templateRef.namespace: 'a.b' can't be a namespace: at most 63 "
             "lower-case letters, digits and '-'"],
            id="references by names that nothing can have",
        ),
        pytest.param(
            changed("interval: 1m", "interval: 1 min\n    onDrfit: hold").replace("[10, 50]", "[50, 10]")
            .replace("min: 99", "min: 101").replace("v2", "''"),
            ["7:3: error: spec.version: is missing: write the name of the Envoy cluster to roll out",
             f"12:5: error: spec.analysis.interval: {no_duration('1 min')}",
             "13:5: error: spec.analysis.onDrfit: unknown field; did you mean onDrift?",
             f"15:23: error: spec.analysis.stepWeights[1]: goes down from 50 to 10; {MAY_ONLY_RISE}",
             "18:9: error: spec.analysis.metrics[0].thresholdRange: min 101 can't be reached: "
             "request-success-rate is per cent"],
            id="shape and meaning in one round",
        ),
        pytest.param(
            changed("    threshold: 5", "    threshold: 5\n    threshold: 6").replace("[10, 50]", "[50, 10]"),
            ["14:5: error: spec.analysis.threshold: is written twice, first in line 13; remove one of them",
             f"15:23: error: spec.analysis.stepWeights[1]: goes down from 50 to 10; {MAY_ONLY_RISE}"],
            id="writing and meaning in one round",
        ),
        pytest.param(
            changed("[10, 50]", "[60, x, 50]").replace("metrics:", "metrcs:").replace("version:", "verson:")
            .replace("  targetRef: {kind: EnvoyRoute, name: web}", "  targetRef: {kind: EnvoyRoute}"),
            ["6:3: error: spec.targetRef.name: is missing",
             "7:3: error: spec.verson: unknown field; did you mean version?",
             "14:23: error: spec.analysis.stepWeights[1]: must be a whole number, not 'x'",
             "15:5: error: spec.analysis.metrcs: unknown field; did you mean metrics?"],
            id="what follows from a field that can't be read isn't said as well",
        ),
        pytest.param(
            CANARY.replace("name: web\nspec", "name: {{ .Release.Name }}\nspec"),
            ["1:1: error: is a Helm template that isn't rendered; say `helm template … | canary lint -f -`"],
            id="a Helm template that is YAML",
        ),
        pytest.param(
            CANARY.replace("name: web\nspec", 'name: "{{ .Release.Name }}"\nspec'),
            ["1:1: error: is a Helm template that isn't rendered; say `helm template … | canary lint -f -`"],
            id="a Helm template whose shape is right",
        ),
        pytest.param(
            "{{- if .Values.canary }}\n" + CANARY + "{{- end }}\n",
            ["1:3: error: is a Helm template that isn't rendered; say `helm template … | canary lint -f -`"],
            id="a Helm template that is no YAML",
        ),
        pytest.param(
            'apiVersion: v1\nkind: ConfigMap\ndata: {text: "{{ if .x }}"}\n---\n'
            + changed("threshold: 5", "threshold: many"),
            ["17:5: error: spec.analysis.threshold: must be a whole number, not 'many'"],
            id="templates in another's document are rendered by others",
        ),
        pytest.param(
            "kind: Cannary\nmetadata: {name: web}\n",
            ["1:1: error: apiVersion: is missing; write apiVersion: canary-controller.dev/v1beta1",
             "1:1: error: kind: 'Cannary' is unknown; did you mean Canary?"],
            id="a kind like ours without an apiVersion",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems:\n"
            "- {apiVersion: v1, kind: Service}\n- {apiVersion: canary-controller.dev/v1beta1, kind: Canary}\n",
            ["3:1: error: items: has objects of canary's in it; write each as a document of its own, parted by ---"],
            id="a list, as kubectl prints several objects",
        ),
        pytest.param(
            HEAD + "kind: AlertProvider\nmetadata: {name: slack}\n",
            ["1:1: error: spec: is missing"],
            id="an AlertProvider",
        ),
        pytest.param(
            changed(HEAD, HEAD.replace("canary-", "flagger-")).replace("v2", "1.5"),
            ["1:1: error: apiVersion: 'flagger-controller.dev/v1beta1' is unknown; "
             "did you mean canary-controller.dev/v1beta1?",
             "7:3: error: spec.version: must be text, not 1.5; write it in quotes"],
            id="all problems at once",
        ),
        pytest.param(
            changed("metadata:", "status: {phase: Nonsense}\nmetadata:\n  uid: a\n  managedFields: []"),
            [],
            id="what kubectl shows beside the author's fields is passed over",
        ),
        pytest.param(
            CANARY + "---\n" + CANARY.replace("v2", "v3"),
            ["22:3: error: metadata.name: 'web' is the name of the Canary at {file}:4 as well"],
            id="two of one name",
        ),
        pytest.param(
            SHORT + "  policyRef: {name: standrad}\n",
            ["11:15: warning: spec.policyRef.name: these files have no CanaryPolicy 'standrad', so the "
             "cluster must have it; did you mean standard?"],
            id="a misspelt policy is answered with the nearest one",
        ),
        pytest.param(SHORT + "  policyRef: {name: standard}\n", [], id="a policy that comes with canary"),
        pytest.param(SHORT + "  policyRef: {name: ours}\n---\n" + POLICY, [], id="a policy of the same file"),
        pytest.param(
            SHORT + "  policyRef: {name: ours}\n---\n" + POLICY.replace("[10, 50]", "[50, 10]"),
            [f"19:23: error: spec.analysis.stepWeights[1]: goes down from 50 to 10; {MAY_ONLY_RISE}"],
            id="what is wrong in a policy is said once, where it stands",
        ),
        pytest.param(
            SHORT + "  policyRef: {name: ours}\n---\n" + POLICY.replace("[10, 50]", "[x]"),
            ["19:19: error: spec.analysis.stepWeights[0]: must be a whole number, not 'x'"],
            id="a broken policy isn't said to be absent",
        ),
        pytest.param(
            changed("- name: request-success-rate", "- name: errors\n        templateRef: {name: errors}")
            + "---\n" + TEMPLATE,
            [],
            id="a template of the same file",
        ),
        pytest.param(
            changed("- name: request-success-rate", "- name: errors\n        templateRef: {name: errors}")
            + "---\n" + TEMPLATE.replace("query", "qery"),
            ["26:3: error: spec.qery: unknown field; did you mean query?"],
            id="a broken template isn't said to be absent",
        ),
        pytest.param(
            changed("- name: request-success-rate", "- name: errors\n        templateRef: {name: errors}")
            + "---\n" + TEMPLATE.replace("http://prometheus:9090}", "http://prometheus:9090, region: x}"),
            ["25:65: warning: spec.provider.region: isn't used by the provider prometheus"],
            id="what isn't used of a template is said once, where it stands",
        ),
    ],
)  # fmt: skip
def test_every_problem_stands_at_its_line_and_column(text: str, reported: list[str], tmp_path: Path) -> None:
    """Columns are those of the field's name, or of the list's item; both count from 1."""
    assert problems(tmp_path, text) == [each.format(file=tmp_path / "canary.yaml") for each in reported]


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param(
            changed("    interval: 1m", "\tinterval: 1m"),
            ["12:1: error: a tab can't indent; use spaces"],
            id="a tab",
        ),
        pytest.param(
            changed("    threshold: 5", "    threshold: 5\n    threshold: 6"),
            ["14:5: error: spec.analysis.threshold: is written twice, first in line 13; remove one of them"],
            id="a field written twice",
        ),
        pytest.param(
            changed("version: v2", "version: a: b"),
            ["7:13: error: a ':' where none can be: quotes are missing, or the line is indented wrongly"],
            id="a colon in a plain text",
        ),
        pytest.param(
            changed("    interval: 1m", "     interval: 1m"),
            ["13:5: error: the indentation doesn't fit the lines above"],
            id="a line that is indented too little",
        ),
        pytest.param(
            changed("[10, 50]", "[10, 50"),
            ["15:12: error: a bracket that is opened in line 14 isn't closed, or a comma is missing"],
            id="a bracket left open",
        ),
        pytest.param(
            changed("version: v2", "version: 'v2"),
            ["18:1: error: a quote that is opened in line 7 is never closed"],
            id="a quote left open",
        ),
        pytest.param(
            changed("version: v2", "version: @v2"),
            ["7:12: error: a text can't begin with '@'; put it in quotes"],
            id="a character that YAML keeps for itself",
        ),
        pytest.param(
            changed("version: v2", "version: *v2"), ["7:12: error: there is no anchor &v2"], id="an unknown alias"
        ),
        pytest.param(
            changed("version: v2", "version: !v2 x"),
            ["7:12: error: spec.version: has the tag !v2, which means nothing here; remove it"],
            id="a tag",
        ),
        pytest.param(
            changed("version: v2", "version: v2\n  ? [a]\n  : b"),
            ["8:5: error: spec: has a list or mapping as the name of a field"],
            id="a list as a name",
        ),
        pytest.param(
            changed("[10, 50]", "&a [*a]"),
            ["14:18: error: spec.analysis.stepWeights[0]: contains itself"],
            id="a list that holds itself",
        ),
        pytest.param("- a\n- b\n", ["1:1: error: must be a mapping with apiVersion, kind, metadata and spec, "
                                   "not a list"], id="a list of things"),
        pytest.param("hello\n", ["1:1: error: must be a mapping with apiVersion, kind, metadata and spec, "
                                 "not 'hello'"], id="a word"),
        pytest.param("", ["error: is empty"], id="nothing"),
        pytest.param("# later\n---\n---\n", ["error: is empty"], id="documents of nothing"),
        pytest.param("a: b\0c", ["error: is no text file (UTF-8)"], id="a zero byte"),
        pytest.param(
            "a: b\nc: \x07\n",
            ["2:4: error: a character that can't be printed; is this a text file?"],
            id="a control character",
        ),
        pytest.param("[" * 5000, ["1:102: error: is nested in more than 100 levels"], id="a thousand brackets"),
        pytest.param("a" * (4 * 1024 * 1024 + 1), ["error: is larger than 4 MiB"], id="a file that is no manifest"),
        pytest.param(
            CANARY + "---\na: [\n",
            ["20:1: error: a bracket isn't closed, or a comma is missing"],
            id="only the broken document is at fault",
        ),
    ],
)  # fmt: skip
def test_writing_that_cannot_be_read(text: str, reported: list[str], tmp_path: Path) -> None:
    """One sentence, and nothing that follows from it."""
    assert problems(tmp_path, text) == reported


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    """Ten aliases of ten aliases of ... are many values in a few lines."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert problems(tmp_path, "\n".join(lines)) == ["1:1: error: holds more than 10000 values"]


@pytest.mark.parametrize(
    ("first", "second", "reported"),
    [
        pytest.param(
            "{min: 99, max: 100}",
            "{max: 3, <<: *r}",
            ["19:9: error: spec.analysis.metrics[1].thresholdRange: min 99 is above max 3; did you swap them?"],
            id="what stands beside a merge wins",
        ),
        pytest.param(
            "{min: 99, mux: 1}",
            "{<<: *r}",
            [
                "17:38: error: spec.analysis.metrics[0].thresholdRange.mux: unknown field; did you mean max?",
                "17:38: error: spec.analysis.metrics[1].thresholdRange.mux: unknown field; did you mean max?",
            ],
            id="what is wrong in a merge stands where it is written",
        ),
        pytest.param(
            "{min: 99}",
            "{<<: [*r, {min: 4000, max: 3}]}",
            ["19:9: error: spec.analysis.metrics[1].thresholdRange: min 99 is above max 3; did you swap them?"],
            id="the first of several merges wins",
        ),
        pytest.param(
            "{min: 99}",
            "{<<: 7}",
            ["19:30: error: spec.analysis.metrics[1].thresholdRange: takes in with << what is no mapping"],
            id="a number can't be merged",
        ),
    ],
)
def test_anchors_and_merges(first: str, second: str, reported: list[str], tmp_path: Path) -> None:
    """As YAML 1.1 has them, and as people use them."""
    more = f"&r {first}\n      - name: request-duration\n        thresholdRange: {second}"
    assert problems(tmp_path, changed("{min: 99}", more)) == reported


def test_json_is_read_with_its_places(tmp_path: Path) -> None:
    """Tabs included."""
    data = {
        "apiVersion": "canary-controller.dev/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {"targetRef": {"kind": "EnvoyRoute", "name": "web"}, "verzion": "v2"},
    }
    assert problems(tmp_path, json.dumps(data, indent="\t")) == [
        "12:3: error: spec.verzion: unknown field; did you mean version?"
    ]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("nowhere.yaml", "there is no such file", id="a file that isn't there"),
        pytest.param(".", "is a directory; name a file in it", id="a directory"),
        pytest.param("binary", "is no text file (UTF-8)", id="a binary file"),
        pytest.param("a\0b", "can't be read: embedded null byte", id="a name that can be no file's"),
    ],
)
def test_files_that_cannot_be_read(name: str, sentence: str, tmp_path: Path) -> None:
    """One sentence after the file's name."""
    (tmp_path / "binary").write_bytes(b"\x7fELF\x02\xff\xfe")
    path = str(tmp_path / name) if name != "." else str(tmp_path)
    assert [str(each) for each in lint(read([path]))] == [f"{path}: error: {sentence}"]


def test_one_canary_is_found_among_others(tmp_path: Path) -> None:
    """Policies and templates may stand beside it, in any number."""
    file = tmp_path / "all.yaml"
    file.write_text("---\n".join([TEMPLATE, POLICY, CANARY]))
    reading = read([str(file)])
    assert only_canary(reading).metadata.name == "web"
    assert (list(reading.policies), [one.metadata.name for one in reading.templates]) == (["ours"], ["errors"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(POLICY, "no Canary was found; one document must have kind: Canary", id="none"),
        pytest.param(
            CANARY + "---\n" + CANARY.replace("name: web\nspec", "name: shop\nspec"),
            "2 Canaries were found (web, shop); name a file that holds one, or its --name for "
            "canary simulate, backtest or policy report",
            id="two",
        ),
    ],
)
def test_exactly_one_canary(text: str, sentence: str, tmp_path: Path) -> None:
    """A rollout is of one."""
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(Invalid) as error:
        load([str(tmp_path / "f.yaml")])
    assert str(error.value) == sentence


def test_templates_of_two_namespaces_are_two(tmp_path: Path) -> None:
    """Each metric gets the one that it refers to; one that says no namespace goes where it is applied."""
    one = TEMPLATE.replace("name: errors", "name: errors\n  namespace: shop")
    other = TEMPLATE.replace("name: errors", "name: errors\n  namespace: shared").replace("query: ", "query: 2 * ")
    ranged = "thresholdRange: {max: 1}"
    metrics = f"    - {{name: a, templateRef: {{name: errors}}, {ranged}}}\n" + (
        f"    - {{name: b, templateRef: {{name: errors, namespace: shared}}, {ranged}}}\n"
    )
    file = tmp_path / "f.yaml"
    for place in ("", "\n  namespace: shop"):
        canary = SHORT.replace("name: web\nspec", f"name: web{place}\nspec") + (
            "  metricsServer: http://prometheus:9090\n  analysis:\n    stepWeights: [10]\n    metrics:\n" + metrics
        )
        file.write_text("---\n".join([canary, one, other]))
        given = load([str(file)])
        queries = [one.query for one in resolve_spec(given.canary, None, given.templates).policy.metrics]
        assert [str(one).startswith("2 * ") for one in queries] == [False, True]
    file.write_text("---\n".join([canary, TEMPLATE]))
    assert list(load([str(file)]).templates) == ["errors", "shared/errors"]
    file.write_text("---\n".join([canary, one]))
    with pytest.raises(
        Invalid, match="there is no MetricTemplate 'shared/errors' in these files; did you mean errors"
    ):
        load([str(file)])


def test_load_gives_all_that_a_rollout_starts_from(tmp_path: Path) -> None:
    """The Canary, its policy, templates, and the warnings."""
    file = tmp_path / "f.yaml"
    file.write_text(SHORT + "  policyRef: {name: ours}\n  service: {port: 80}\n---\n" + POLICY + "---\n" + TEMPLATE)
    given = load([str(file)])
    assert given.canary.metadata.name == "web"
    assert given.policy is not None
    assert given.policy.metadata.name == "ours"
    assert list(given.templates) == ["errors"]
    assert [str(each) for each in given.warnings] == [
        f"{file}:12:3: warning: spec.service: has no effect with a targetRef of kind EnvoyRoute, "
        "only with Deployment, DaemonSet and Service; remove it"
    ]


def test_load_raises_every_error_and_no_warning(tmp_path: Path) -> None:
    """A line each."""
    file = tmp_path / "f.yaml"
    file.write_text(
        changed("interval: 1m", "interval: 10ms").replace("threshold: 5", "threshold: 0\n    onDrift: never")
    )
    with pytest.raises(Invalid) as error:
        load([str(file), str(tmp_path / "nowhere.yaml")])
    assert str(error.value).splitlines() == [
        f"{file}:12:5: error: spec.analysis.interval: must be at least 1s, not 10ms",
        f"{file}:14:5: error: spec.analysis.onDrift: 'never' is not hold, reassert or rollback",
        f"{tmp_path}/nowhere.yaml: error: there is no such file",
    ]


def test_a_policy_file_is_offered_to_canaries_without_policy_ref(tmp_path: Path) -> None:
    """Its only policy holds for them; several are found by name."""
    (tmp_path / "canary.yaml").write_text(SHORT)
    (tmp_path / "policy.yaml").write_text(POLICY)
    given = load([str(tmp_path / "canary.yaml")], str(tmp_path / "policy.yaml"))
    assert given.policy is not None
    assert given.policy.metadata.name == "ours"


def test_a_prometheus_that_is_named_elsewhere_is_asked(tmp_path: Path) -> None:
    """The command's own option stands for the manifest's field, before anything is judged."""
    file = tmp_path / "f.yaml"
    file.write_text(changed("- name: request-success-rate", "- name: errors\n        query: up"))
    with pytest.raises(Invalid, match=r"metrics\[0\]\.query: has no Prometheus to ask"):
        load([str(file)])
    assert load([str(file)], metrics_server="http://p:9090").canary.spec.metrics_server == "http://p:9090"


def test_a_policy_file_without_a_policy_is_an_error(tmp_path: Path) -> None:
    """Anyone who names one expects it to hold."""
    (tmp_path / "canary.yaml").write_text(CANARY)
    (tmp_path / "policy.yaml").write_text(TEMPLATE)
    with pytest.raises(Invalid, match=r"policy\.yaml: error: holds no CanaryPolicy"):
        load([str(tmp_path / "canary.yaml")], str(tmp_path / "policy.yaml"))


def test_policies_come_with_canary(tmp_path: Path) -> None:
    """Each is without any problem; three are enough for a Canary without analysis, two add guards to one with."""
    assert shipped_names() == ("cautious", "change-freeze", "fast", "largest-step", "standard")
    folder = Path(__file__).parents[2] / "policies"
    assert lint(read(sorted(str(each) for each in folder.glob("*.yaml")))) == ()
    for name in ("change-freeze", "largest-step"):
        found = shipped(name)
        assert found is not None
        assert found.spec.guards
        assert problems(tmp_path, CANARY + f"  policyRef: {{name: {name}}}\n") == []
    for name in ("cautious", "fast", "standard"):
        assert shipped(name) is not None
        assert problems(tmp_path, SHORT + f"  policyRef: {{name: {name}}}\n") == []
    assert shipped("nonsense") is None
