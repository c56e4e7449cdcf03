"""Policies are found by kind and name, actions are read, and what is too much is reported as such."""

from pathlib import Path

import pytest

from canary.manifests import load

from .test_reading import CANARY, HEAD, POLICY, SHORT, problems

CLUSTER = POLICY.replace("CanaryPolicy", "ClusterCanaryPolicy").replace("[10, 50]", "[20]")
ACTION = (
    HEAD
    + """\
kind: CanaryAction
metadata:
  generateName: approve-
spec:
  canary: web
  verb: approve
  step: 2
"""
)
REF = SHORT + "  policyRef: {name: ours, kind: ClusterCanaryPolicy}\n"


def all_of(*texts: str) -> str:
    """Several documents."""
    return "---\n".join(texts)


@pytest.mark.parametrize(
    ("canary", "weights"),
    [
        pytest.param(
            REF.replace(", kind: ClusterCanaryPolicy", ""), (10, 50), id="unless reported, one of the namespace"
        ),
        pytest.param(REF, (20,), id="one of the cluster"),
    ],
)
def test_a_policy_is_found_by_kind_and_name(canary: str, weights: tuple[int, ...], tmp_path: Path) -> None:
    """Two kinds may have one name."""
    (tmp_path / "all.yaml").write_text(all_of(canary, POLICY, CLUSTER))
    policy = load([str(tmp_path / "all.yaml")]).policy
    assert policy is not None
    assert policy.spec.analysis.step_weights == weights


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param(ACTION, [], id="an action may leave its name to the API server"),
        pytest.param(
            ACTION.replace("  generateName: approve-\n", "  labels: {a: b}\n"),
            ["3:1: error: metadata.name: is missing"],
            id="an action without any name",
        ),
        pytest.param(
            CANARY.replace("  name: web\nspec", "  generateName: web-\nspec"),
            ["3:1: error: metadata.name: is missing"],
            id="a Canary is named by its author",
        ),
        pytest.param(
            ACTION.replace("verb: approve", "verb: aprove"),
            ["7:3: error: spec.verb: 'aprove' is not approve, reject, pause, resume, promote, skip, rollback or "
             "retry; did you mean approve?"],
            id="a misspelt verb",
        ),
        pytest.param(
            ACTION.replace("step: 2", "sept: 2"),
            ["8:3: error: spec.sept: unknown field"],
            id="a misspelt field of an action",
        ),
        pytest.param(
            ACTION.replace("canary: web", 'canary: ""'), ["6:3: error: spec.canary: is empty"], id="an empty name"
        ),
        pytest.param(
            ACTION + f"  comment: {'x' * 5000}\n",
            ["9:3: error: spec.comment: must be at most 300 characters long, not 5000"],
            id="a comment of several pages",
        ),
        pytest.param(
            CANARY.replace("[10, 50]", str([1] * 101)),
            ["14:5: error: spec.analysis.stepWeights: must have at most 100 entries, not 101"],
            id="more steps than anybody waits for",
        ),
        pytest.param(
            all_of(REF, POLICY),
            ["11:15: warning: spec.policyRef.name: these files have no ClusterCanaryPolicy 'ours', "
             "so the cluster must have it, but a CanaryPolicy; "
             "write kind: CanaryPolicy in policyRef"],
            id="a policy of the other kind",
        ),
        pytest.param(
            all_of(REF.replace("name: ours", "name: uors"), CLUSTER),
            ["11:15: warning: spec.policyRef.name: these files have no ClusterCanaryPolicy 'uors', "
             "so the cluster must have it; did you mean ours?"],
            id="a misspelt policy of the cluster",
        ),
        pytest.param(
            REF,
            ["11:15: warning: spec.policyRef.name: these files have no ClusterCanaryPolicy 'ours', so "
             "the cluster must have it"],
            id="a policy where there are none of its kind",
        ),
        pytest.param(
            all_of(REF, CLUSTER.replace("[20]", "[]")),
            ["19:5: error: spec.analysis.stepWeights: is empty: write weights such as [10, 30, 60]"],
            id="what is wrong with a policy is reported there",
        ),
        pytest.param(
            all_of(REF, CLUSTER.replace("[20]", "[x]")),
            ["19:19: error: spec.analysis.stepWeights[0]: must be a whole number, not 'x'"],
            id="a policy that is broken isn't absent",
        ),
        pytest.param(
            all_of(CANARY, POLICY, CLUSTER), [], id="policies of two kinds and one name aren't the same twice"
        ),
    ],
)  # fmt: skip
def test_lint(text: str, reported: list[str], tmp_path: Path) -> None:
    """Each row is how what lint prints begins; what test_reading.py has as well is left out of it."""
    found = problems(tmp_path, text)
    assert [one[: len(start)] for one, start in zip(found, reported, strict=True)] == reported
