"""What people see: columns, names and explanations; and how kubectl reads what they write."""

import json

import pytest

from canary.manifests.documents import documents
from tests.parts.cluster import ControlPlane

from .conftest import Kubectl
from .objects import STEPS, canary
from .test_server import ACTION, canaries

STATUS = {
    "phase": "Progressing",
    "reason": "Holding",
    "message": "holding at 30%: 38 of about 110 requests needed",
    "canaryWeight": 30,
    "failedChecks": 1,
    "step": "2/5",
}


def rows(text: str) -> list[list[str]]:
    """A table of kubectl's, cut at two blanks; the age, which is a matter of luck, is left out."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()][:-1] for line in text.splitlines()]


@pytest.fixture
def reviews(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """A Canary in the midst of its rollout."""
    control_plane.kube.create(canaries(namespace), canary(STEPS))
    control_plane.kube.merge(canaries(namespace, "reviews", "status"), {"status": STATUS})


@pytest.mark.parametrize("name", ["cny", "canary", "canaries", "canaries.canary-controller.dev"])
def test_a_canary_in_a_line(name: str, reviews: None, kubectl: Kubectl) -> None:
    """Where it stands, under each of its names."""
    assert rows(kubectl("get", name).out) == [
        ["NAME", "TARGET", "VERSION", "PHASE", "READY", "WEIGHT", "STEP", "REASON"],
        ["reviews", "reviews", "v2", "Progressing", "30", "2/5", "Holding"],
    ]


def test_a_canary_in_a_wide_line(reviews: None, kubectl: Kubectl) -> None:
    """With the sentence."""
    assert rows(kubectl("get", "cny", "-o", "wide").out) == [
        ["NAME", "TARGET", "VERSION", "PHASE", "READY", "WEIGHT", "STEP", "REASON", "FAILED", "MESSAGE"],
        ["reviews", "reviews", "v2", "Progressing", "30", "2/5", "Holding", "1", STATUS["message"]],
    ]


def test_an_action_in_a_line(kubectl: Kubectl) -> None:
    """Who asked for what."""
    assert kubectl("create", "-f", "-", given=ACTION).done
    assert rows(kubectl("get", "canaryactions").out) == [
        ["NAME", "CANARY", "VERB", "AUTHOR"],
        ["yes", "reviews", "approve", "ann"],
    ]
    assert rows(kubectl("get", "canaryactions", "-o", "wide").out)[1] == [
        "yes", "reviews", "approve", "1", "ann", "looks good",
    ]  # fmt: skip


def test_all_kinds_at_once(reviews: None, kubectl: Kubectl) -> None:
    """They have a category of their own."""
    assert kubectl("create", "-f", "-", given=ACTION).done
    names = [row[0] for row in rows(kubectl("get", "canary-controller").out) if row and "/" in row[0]]
    kind = "canary-controller.dev"
    assert {f"canary.{kind}/reviews", f"canaryaction.{kind}/yes"} <= set(names)


@pytest.mark.parametrize(
    ("field", "reported"),
    [
        ("canary.spec.analysis", ["How traffic moves, and the metrics that judge it.", "stepWeights\t<[]integer>"]),
        ("canary.spec.analysis.steps.gates.onTimeout", ["ENUM: hold rollback promote", "Default: rollback."]),
        ("canary.spec.analysis.interval", ["Time between two evaluations; at least 1s."]),
        ("canary.status.step", ["such as 2/5; empty if no rollout is running."]),
        ("canaryaction.spec", ["verb\t<string> -required-", "Name of the Canary, in the same namespace."]),
        ("clustercanarypolicy", ["Analysis and guards for the Canaries of all namespaces."]),
    ],
)
def test_explain(field: str, reported: list[str], kubectl: Kubectl) -> None:
    """The models' own words, as `canary explain` has them."""
    answer = kubectl("explain", "--api-version=canary-controller.dev/v1beta1", field)
    assert answer.done, answer.err
    words = " ".join(answer.out.split(" ")).replace("\n    ", " ")
    assert [one for one in reported if one not in words] == []


def test_a_file_is_read_as_kubectl_reads_it(kubectl: Kubectl) -> None:
    """Words that are true or false in some versions of YAML only, and every form of a number."""
    words = (
        "y",
        "Yes",
        "NO",
        "n",
        "on",
        "Off",
        "TRUE",
        "yEs",
        "'yes'",
        "!!str on",
        "nope",
        "~",
        "1:30",
        "2026-01-31",
    )
    numbers = ("010", "-010", "0o10", "08", "0x1F", "0b11", "+1", "1_000", "1_0.5", ".5", "1.", "1e3", "12e03")
    text = "apiVersion: v1\nkind: Thing\nmetadata: {name: x}\nspec:\n"
    text += "".join(f"- {value}\n" for value in (*words, *numbers))
    answer = kubectl("label", "--local", "--filename=-", "a=b", "--output=json", given=text)
    assert answer.done, answer.err
    [document] = documents(text)
    assert document.data["spec"] == json.loads(answer.out)["spec"]
    assert [type(one) for one in document.data["spec"][:7]] == [bool] * 7
