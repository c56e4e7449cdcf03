"""`canary explain`: the manifest's fields in the models' own words."""

import pytest

from canary.api.kinds import KINDS
from canary.cli.app import run
from canary.manifests.fields import LIST, find, tree


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighty columns wide."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    "name",
    ["canary.spec.analysis.steps", "Canary.spec.analysis.STEPS", "analysis.steps", "steps", "spec.analysis.steps[0]"],
)
def test_a_field_is_found_in_full_and_in_short(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The shortest way to a Canary's field is meant; case and indices don't matter."""
    assert run(["explain", name]) == 0
    assert capsys.readouterr().out == (
        "KIND   Canary (canary-controller.dev/v1beta1)\n"
        "FIELD  spec.analysis.steps\n"
        "TYPE   []object\n"
        "ABOUT  The steps in full, instead of one of the short forms above.\n"
        "\n"
        "FIELDS\n"
        "  weight       integer 0–100  Share of requests for the canary, in per cent.\n"
        "                              (default 0)\n"
        "  mirror       integer 0–100  Share of requests that are copied to the canary,\n"
        "                              in per cent. (default 0)\n"
        "  match        []object       Requests that go to the canary with any weight.\n"
        "  matchWeight  integer 1–100  The canary's share of the requests that match, in\n"
        "                              per cent (Istio); default: all of them.\n"
        "  hold         duration       The shortest time in this step; default 0s.\n"
        "  iterations   integer ≥ 0    How many evaluations must pass; default 1.\n"
        "  gates        []object       Gates that must be open to end the step.\n"
    )


def test_what_is_written_goes_before_status() -> None:
    """A short name means a field that its author can write, even where status has one that is nearer."""
    assert str(find("weight")) == "canary.spec.analysis.steps.weight"
    assert str(find("history.weight")) == "canary.status.history.weight"


def test_a_plain_field_has_no_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Type, default where there is one, and what it means."""
    assert run(["explain", "gates.onTimeout"]) == 0
    assert capsys.readouterr().out == (
        "KIND     Canary (canary-controller.dev/v1beta1)\n"
        "FIELD    spec.analysis.steps.gates.onTimeout\n"
        "TYPE     hold | rollback | promote\n"
        "DEFAULT  rollback\n"
        "ABOUT    What follows then: `rollback`, `promote` (the gate counts as open) or\n"
        "         `hold` (no time limit).\n"
    )


def test_required_fields_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the kind itself: what a file must have."""
    assert run(["explain", "metrictemplate"]) == 0
    assert capsys.readouterr().out == (
        "KIND   MetricTemplate (canary-controller.dev/v1beta1)\n"
        "ABOUT  A query that Canaries refer to by name.\n"
        "\n"
        "FIELDS\n"
        "  apiVersion  string          `canary-controller.dev/v1beta1`. (required)\n"
        "  kind        MetricTemplate  `MetricTemplate`. (required)\n"
        "  metadata    object          Name and namespace. (required)\n"
        "  spec        object          The query. (required)\n"
    )


def test_recursive_shows_the_fields_of_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Indented by their depth."""
    assert run(["explain", "--recursive", "analysis.steps"]) == 0
    names = [
        line[:16].rstrip() for line in capsys.readouterr().out.splitlines() if line[2:3].strip() or "    " in line
    ]
    assert "  gates" in names
    assert "    approval" in names
    assert "      count" in names


def test_without_a_field_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With what each is for."""
    assert run(["explain"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == list(KINDS)
    assert out[0] == "Canary               One service whose traffic moves in steps to a new version."


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(
            "analysis.stpes",
            "there is no field 'analysis.stpes'; did you mean canary.spec.analysis.steps?",
            id="a misspelt short name",
        ),
        pytest.param(
            "canary.spec.anlysis.steps",
            "canary.spec has no field 'anlysis'; did you mean analysis?",
            id="a misspelt part of a full name",
        ),
        pytest.param("nope", "there is no field 'nope'" + LIST, id="a name that is a little like many"),
        pytest.param("spec.banana", "there is no field 'spec.banana'" + LIST, id="a name that is like none"),
        pytest.param("canary.spec.version.x", "canary.spec.version has no field 'x'", id="below a plain field"),
        pytest.param("", "there is no field ''" + LIST, id="no name"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest(
    name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with exit code 2."""
    assert run(["explain", name]) == 2
    assert capsys.readouterr().err == f"canary: {sentence}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_means(kind: str) -> None:
    """A docstring each, that ends as a sentence does; and every one is found by its full name."""
    for _, field in tree(KINDS[kind], recursive=True):
        assert field.about.endswith("."), field
    for name in ("metadata.name", "spec"):
        assert str(find(f"{kind}.{name}")) == f"{kind[0].lower()}{kind[1:]}.{name}"


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_lines_fit_the_terminal(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to a hundred columns, which is what is good to read."""
    monkeypatch.setenv("COLUMNS", width)
    assert run(["explain", "--recursive", "canary"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= min(int(width), 100)
    assert all(line == line.rstrip() for line in lines)
