"""YAML that is built to break its reader, or by mistake: each is a sentence with a place, and no internal error."""

import time
import warnings
from pathlib import Path

import pytest

from canary.manifests.documents import MOST_DOCUMENTS, documents
from canary.manifests.linting import lint
from canary.manifests.reading import read
from canary.manifests.validation import resource

SOON = 4.0
"""Seconds of processor time; two of them on a machine of its own."""
HEAD = "apiVersion: canary-controller.dev/v1beta1\nkind: Canary\nmetadata: {name: shop}\nspec:\n"
SPEC = "  targetRef: {kind: VirtualService, name: shop}\n  version: v2\n"
CHAIN = "".join(f"a{number}: &a{number}\n  <<: *a{number - 1}\n" for number in range(1, 120))


def reported(text: str) -> list[str]:
    """What is wrong with the writing and the shape of a text."""
    found = []
    for each in documents(text):
        found += [f"{line}: {problem}" for (line, _), problem in each.problems]
        found += [] if each.problems else [str(problem) for problem in resource(each.data)[1]]
    return found


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param("a: &a {<<: *a}", ["1: a: contains itself"], id="an anchor that merges itself"),
        pytest.param("&a [*a]", ["1: [0]: contains itself"], id="a list in itself"),
        pytest.param("[" * 190 + "]" * 190, ["1: is nested in more than 100 levels"], id="lists in lists"),
        pytest.param("[" * 100_000, ["1: is nested in more than 100 levels"], id="a hundred thousand of them"),
        pytest.param("- " * 190 + "a", ["1: is nested in more than 100 levels"], id="lists in a line"),
        pytest.param("a: 0x" + "f" * 5000,
                     ["1: a: has a number of over 100 characters; write text in quotes"], id="a hexadecimal number"),
        pytest.param("apiVersion: " + "9" * 5000 + "\nkind: Canary",
                     ["1: apiVersion: has a number of over 100 characters; write text in quotes"],
                     id="a decimal number"),
        pytest.param('a: !!int ""', ["1: a: '' can't be read as int"], id="a number without digits"),
        pytest.param(HEAD.replace("kind: Canary", "kind: {a: b}") + SPEC,
                     ["kind: must be one of Canary, CanaryPolicy, ClusterCanaryPolicy, MetricTemplate, "
                      "AlertProvider, CanaryAction, "
                      "not a mapping"], id="a mapping as kind"),
    ],
)  # fmt: skip
def test_what_breaks_readers_is_one_sentence(text: str, problems: list[str]) -> None:
    """All of these ended in an internal error."""
    assert reported(text) == problems


def test_merges_are_nesting_too() -> None:
    """A chain of them is as deep as lists in lists, and its fields aren't."""
    found = reported("a0: &a0 {b: c}\n" + CHAIN)
    assert found[0] == "1: a98.b: is nested in more than 100 levels"


def test_an_anchor_may_be_set_again() -> None:
    """YAML allows it; a warning of the library's reached the terminal."""
    with warnings.catch_warnings(record=True) as caught:
        assert reported("&a [*a, &a [x]]") == ["1: [0]: contains itself"]
        assert [each.data for each in documents("- &a b\n- &a c\n- *a\n")] == [["b", "c", "c"]]
    assert caught == []


LONG = "is too long: only the first 10000 words and signs of a document are read"
MANY = "stands after the first 50000 words and signs of this file, which are read; write several files"
STEPS = "  analysis:\n    steps:\n" + "    - {weight: 10, hold: 2m}\n" * 80


@pytest.mark.parametrize(
    ("text", "last"),
    [
        pytest.param("a: [" + "1," * 60_000 + "1]", LONG, id="a list"),
        pytest.param("".join(f"a{n}: {{b: [c, d], e: 'f'}}\n" for n in range(4_000)), LONG, id="mappings"),
        pytest.param(HEAD + "".join(f"  vrsion{n}: 1\n" for n in range(6_000)), LONG, id="unknown fields"),
        pytest.param("a: x" + "\n y" * 330_000, "is longer than 128 KiB; write it without what it doesn't need",
                     id="lines of one text"),
        pytest.param("---\n# c\na: b\n" + "\n" * 1_000_000,
                     "is longer than 128 KiB; write it without what it doesn't need", id="empty lines"),
        pytest.param("---\n".join([HEAD + SPEC] * 10_000),
                     "is document 1001 of this file, and at most 1000 are read; write several files",
                     id="small documents"),
        pytest.param("---\n".join([HEAD + SPEC + STEPS] * 500), MANY, id="long documents"),
        pytest.param("---\n".join([HEAD + SPEC + "#" * 100_000 + "\n"] * 10),
                     "ends after the first 512 KiB of this file, and no more are read; write several files",
                     id="comments in documents"),
        pytest.param("---\n".join(["a: &a [" + "b," * 99 + "b]\nc: [" + "*a," * 90 + "*a]\n"] * 900), MANY,
                     id="small bombs of aliases"),
    ],
)  # fmt: skip
def test_a_megabyte_is_refused_soon(text: str, last: str, tmp_path: Path) -> None:
    """It took up to 20 seconds a megabyte; what isn't read is said in the last sentence."""
    file = tmp_path / "large.yaml"
    file.write_text(text)
    began = time.process_time()
    found = lint(read([str(file)]))
    assert time.process_time() - began < SOON
    assert max(found, key=lambda each: each.line).sentence == last


def test_what_is_not_ours_is_passed_over_unread(tmp_path: Path) -> None:
    """What a chart renders is megabytes of others' objects, with a few of ours in it."""
    others = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: [" + "b, " * 30_000 + "]}\n"
    naming = "apiVersion: v1\nkind: ConfigMap\ndata:\n  kind: Canary\n" + "  #\n" * 50_000
    broken = "apiVersion: v1\nkind: Secret\nmetadata: {name: 'a\n"
    file = tmp_path / "rendered.yaml"
    file.write_text("---\n".join([*[others] * 20, naming, broken, HEAD + SPEC + "  verson: v3\n", others]))
    began = time.process_time()
    reading = read([str(file)])
    assert time.process_time() - began < SOON
    line = others.count("\n") * 20 + naming.count("\n") + broken.count("\n") + 22 + 7
    assert [(each.line, each.sentence) for each in lint(reading)] == [
        (line, "unknown field; did you mean version?"),
    ]
    assert len(reading.others) == 23


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("apiVersion: v1\nkind: Service\n" + HEAD + SPEC, id="a border is missing"),
        pytest.param("apiVersion: v1\nkind: List\nitems:\n- apiVersion: canary-controller.dev/v1beta1\n"
                     "  kind: Canary\n", id="a list"),
        pytest.param("{\napiVersion: v1,\nkind: Canary }\n", id="in brackets"),
        pytest.param("apiVersion: v1\nkind: Canary\n", id="another group"),
    ],
)  # fmt: skip
def test_what_may_be_ours_is_read(text: str, tmp_path: Path) -> None:
    """A slip in the lines that say whose it is hides nothing."""
    file = tmp_path / "slip.yaml"
    file.write_text(text)
    assert lint(read([str(file)])) != ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("a: 1\n---\nb: 2\n", [({"a": 1}, (1, 1)), ({"b": 2}, (3, 1))], id="two"),
        pytest.param("# c\n---\n\na: 1\n...\n# d\n---\nb: 2\n", [({"a": 1}, (4, 1)), ({"b": 2}, (8, 1))],
                     id="an end"),
        pytest.param("%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2\n", [({"a": 1}, (3, 1)), ({"b": 2}, (7, 1))],
                     id="directives"),
        pytest.param("%YAML 1.1\n---\n[on, 12:30:45, 010]", [([True, "12:30:45", 8], (3, 1))], id="an old version"),
        pytest.param("a: |\n  b\n   --- c\n  ---d\n---\n- ---e\n",
                     [({"a": "b\n --- c\n---d\n"}, (1, 1)), (["---e"], (6, 1))], id="within a text"),
        pytest.param("a: 1\r\n---\r\nb: 2\r---\rc: 3", [({"a": 1}, (1, 1)), ({"b": 2}, (3, 1)), ({"c": 3}, (5, 1))],
                     id="line breaks of others"),
        pytest.param("a\n---", [("a", (1, 1))], id="a border at the end"),
    ],
)  # fmt: skip
def test_documents_are_parted_as_yaml_says(text: str, found: list[object]) -> None:
    """Each is read by itself, and its places are those of the file."""
    assert [(each.data, each.mark) for each in documents(text)] == found


def test_a_broken_document_hides_no_other() -> None:
    """Each has its problem, at its place."""
    found = list(documents("a: 'b\n---\nc: d\n---\ne: f: g\n"))
    assert [(each.data, [mark for mark, _ in each.problems]) for each in found] == [
        (None, [(2, 1)]),
        ({"c": "d"}, []),
        (None, [(5, 5)]),
    ]


def test_a_file_has_so_many_documents() -> None:
    """111,000 in one megabyte took over a minute, and had two problems each."""
    found = list(documents("--- {a: 1}\n" * (MOST_DOCUMENTS + 10)))
    assert len(found) == MOST_DOCUMENTS + 1
    assert found[-1].problems[0][1].sentence == (
        "is document 1001 of this file, and at most 1000 are read; write several files"
    )


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        pytest.param("  analysis: {steps: [{weight: 10, hold 2m}]}\n",
                     ["spec.analysis.steps[0]['hold 2m']: unknown field; a colon is missing, did you mean hold: 2m?"],
                     id="a colon forgotten"),
        pytest.param("  analysis: {stepWeigths: }\n",
                     ["spec.analysis.stepWeigths: unknown field; did you mean stepWeights?"],
                     id="a typo without value"),
        pytest.param("  analysis: {stepWeights: [10], match: [{headers: {x-user: , x-a: {exact: b}}}]}\n",
                     ["spec.analysis.match[0].headers.x-user: has no value"], id="a condition without value"),
        pytest.param("  analysis: {stepWeights: [10], interval: }\n  suspend:\nstatus:\n", [],
                     id="known fields without value are absent, as in Kubernetes"),
    ],
)  # fmt: skip
def test_unknown_fields_without_value_are_named(spec: str, problems: list[str]) -> None:
    """A step without its hold would be left at once, and fewer conditions match more requests."""
    assert reported(HEAD + SPEC + spec) == problems
