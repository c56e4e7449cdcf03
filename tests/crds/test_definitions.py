"""The definitions are made of the models, are what the chart holds, and say what lint says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from ruamel.yaml import YAML

from canary.api.duration import LONGER
from canary.api.judge import NAME
from canary.api.kinds import KINDS
from canary.api.model import Model
from canary.cli.app import run
from canary.crds.cel_rules import RULES
from canary.crds.definitions import definition, file_name, lenient, strict, text
from canary.engine.judges import JUDGES
from canary.engine.validation import Severity
from canary.manifests import lint, read

from .objects import BAD, GOOD, MALFORMED, ONLY_LINT, OTHERS, UNCOUNTABLE, Fields, canary

CHART = Path(__file__).parents[2] / "charts" / "canary" / "crds"


def problems(folder: Path, body: dict[str, Any]) -> list[tuple[str, str]]:
    """Lint's errors: field and sentence."""
    (folder / "canary.json").write_text(json.dumps(body))
    found = lint(read([str(folder / "canary.json")]))
    return [(each.field, each.sentence) for each in found if each.severity is Severity.ERROR]


def nodes(schema: Any, way: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each level of a schema, and the way to it."""
    yield way, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{way}.{name}")
    for inside in ("items", "additionalProperties"):
        if inside in schema:
            yield from nodes(schema[inside], f"{way}[]")


def schema_of(kind: str) -> dict[str, Any]:
    """Of the only version."""
    schema: dict[str, Any] = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_the_chart_holds_what_the_models_say() -> None:
    """`make crds` writes these files; nothing else is among them."""
    assert {file.name: file.read_text() for file in CHART.iterdir()} == {
        file_name(kind): text(kind) for kind in KINDS
    }


def test_the_command_prints_all_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    """As one stream of documents for kubectl."""
    assert run(["crd"]) == 0
    assert list(YAML(typ="safe").load_all(capsys.readouterr().out)) == [definition(kind) for kind in KINDS]


def test_the_command_writes_a_file_for_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a folder that it makes; what it can't write is reported in a sentence."""
    assert run(["crd", "--directory", str(tmp_path / "new")]) == 0
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == sorted(map(file_name, KINDS))
    (tmp_path / "file").write_text("")
    assert run(["crd", "--directory", str(tmp_path / "file" / "new")]) == 1
    assert capsys.readouterr().err == f"canary: {tmp_path}/file/new can't be written: Not a directory\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_fills_nothing_in(kind: str) -> None:
    """A default in a schema would be in every object as if its author had written it, and change with an upgrade."""
    assert [way for way, node in nodes(schema_of(kind)) if "default" in node or "nullable" in node] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    """In words that `kubectl explain` prints; items and entries are described where their field is."""
    silent = [way for way, node in nodes(schema_of(kind)) if "description" not in node]
    assert [way for way in silent if not way.endswith("[]")] == [".apiVersion", ".kind", ".metadata"]


def test_what_is_meant_where_nothing_is_written_is_shown() -> None:
    """The schema has no default, so its words have."""
    analysis = schema_of("Canary")["properties"]["spec"]["properties"]["analysis"]["properties"]
    gate = analysis["steps"]["items"]["properties"]["gates"]["items"]["properties"]
    assert gate["onTimeout"]["description"].endswith("(no time limit). Default: rollback.")
    assert gate["approval"]["properties"]["count"]["description"].endswith("Default: 1.")


def test_status_keeps_what_a_newer_version_wrote_and_refuses_no_word() -> None:
    """At each level, for a controller and its definitions may be of different versions."""
    status = schema_of("Canary")["properties"]["status"]
    kept = {"description", "type", "properties", "items", "additionalProperties"}
    keeps = {"x-kubernetes-preserve-unknown-fields"}
    for way, node in nodes(status):
        if node.get("type") == "object" and "additionalProperties" not in node:
            assert node.keys() & keeps == keeps, way
        if ".conditions" not in way:
            assert node.keys() - kept - keeps == set(), way


@pytest.mark.parametrize(("changes", "field", "said"), BAD.values(), ids=BAD)
def test_lint_refuses_it_as_well(changes: Fields, field: str, said: str, tmp_path: Path) -> None:
    """What the API server refuses with a rule is an error of lint's at that field or below it, in the same words."""
    found = problems(tmp_path, canary(changes))
    assert [sentence for at, sentence in found if at.startswith(field) and said in sentence] != []


@pytest.mark.parametrize(("changes", "field"), (MALFORMED | UNCOUNTABLE).values(), ids=MALFORMED | UNCOUNTABLE)
def test_lint_refuses_the_malformed_as_well(changes: Fields, field: str, tmp_path: Path) -> None:
    """At the same field."""
    assert field in dict(problems(tmp_path, canary(changes)))


@pytest.mark.parametrize(("body", "field", "said"), OTHERS.values(), ids=OTHERS)
def test_lint_refuses_other_kinds_as_well(body: dict[str, Any], field: str, said: str, tmp_path: Path) -> None:
    """At that field or below it."""
    found = problems(tmp_path, body)
    assert [sentence for at, sentence in found if at.startswith(field) and said in sentence] != []


@pytest.mark.parametrize("changes", [row[0] for row in ONLY_LINT.values()], ids=ONLY_LINT)
def test_lint_refuses_what_the_api_server_can_not(changes: Fields, tmp_path: Path) -> None:
    """The exceptions are lint's to find."""
    assert problems(tmp_path, canary(changes)) != []


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD)
def test_lint_accepts_it_as_well(changes: Fields, tmp_path: Path) -> None:
    """What the API server accepts here, lint does."""
    assert problems(tmp_path, canary(changes)) == []


def test_judges_have_the_names_that_the_api_server_takes() -> None:
    """The pattern is written in the model, which knows no judges."""
    assert set(NAME.strip("^()$").split("|")) == {*JUDGES}


def test_each_rule_has_a_bad_object() -> None:
    """A rule that nothing breaks might say anything."""
    sentences = [rule.sentence for rules in RULES.values() for rule in rules if "oldSelf" not in rule.expression]
    bad = [
        *(said for _, _, said in (*BAD.values(), *OTHERS.values()) if said),
        LONGER,
    ]  # UNCOUNTABLE has a row of each field
    assert [one for one in sentences if not any(said in one for said in bad)] == []


class Either(Model):
    """A choice that no structural schema can hold."""

    field: int | str
    """Either."""


class Exclusive(Model):
    """A word that the converter doesn't know."""

    field: Literal[1, 2] = 1
    """Known."""
    pairs: tuple[int, str] = (1, "")
    """Unknown."""


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Either, "a structural schema can't be made of a choice of types"),
        (Exclusive, "a structural schema can't be made of prefixItems"),
    ],
)
@pytest.mark.parametrize("make", [strict, lenient])
def test_what_the_converter_does_not_know_is_no_schema(make: Any, model: type[Model], sentence: str) -> None:
    """A field of a new sort must not slip into a definition half described."""
    with pytest.raises(TypeError, match=sentence):
        make(model)
