"""`canary lint`: what it prints, and how it ends."""

import io
import json
import sys
from pathlib import Path

import pytest

from canary.cli.app import run
from tests.manifests.test_reading import CANARY, POLICY, SHORT, no_duration

WARNED = CANARY.replace("threshold: 5", "threshold: 0")
BROKEN = CANARY.replace("interval: 1m", "interval: 1 min").replace("{min: 99}", "{mim: 99}")
INTERVAL = f"12:5: error: spec.analysis.interval: {no_duration('1 min')}"
RANGE = "17:26: error: spec.analysis.metrics[0].thresholdRange.mim: unknown field; did you mean min?"
THRESHOLD = "13:5: warning: spec.analysis.threshold: 0 means 1: the first failed check rolls back"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "options", "code", "out"),
    [
        pytest.param(CANARY, (), 0, ["no problems in 1 file"], id="a good manifest"),
        pytest.param(
            BROKEN,
            (),
            2,
            [f"web.yaml:{INTERVAL}", f"web.yaml:{RANGE}", "2 errors in 1 file"],
            id="all errors at once, in order, and a summary",
        ),
        pytest.param(WARNED, (), 0, [f"web.yaml:{THRESHOLD}", "1 warning in 1 file"], id="a warning is no failure"),
        pytest.param(
            WARNED, ("--strict",), 2, [f"web.yaml:{THRESHOLD}", "1 warning in 1 file"], id="with --strict it is"
        ),
    ],
)
def test_one_file(
    text: str, options: tuple[str, ...], code: int, out: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Problems on standard output, each with its place; 0 fine, 2 not."""
    (folder / "web.yaml").write_text(text)
    assert run(["lint", "-f", "web.yaml", *options]) == code
    assert capsys.readouterr() == ("\n".join(out) + "\n", "")


def test_several_files_and_a_directory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory stands for all YAML and JSON files below it, hidden ones aside; each file is read once."""
    deep = folder / "all" / "deep"
    deep.mkdir(parents=True)
    (folder / "all" / "b.yml").write_text(WARNED)
    (deep / "a.yaml").write_text(POLICY.replace("ours", "theirs"))
    (folder / "all" / ".hidden.yaml").write_text("broken: [")
    (folder / "all" / "notes.txt").write_text("broken: [")
    (folder / "web.yaml").write_text(CANARY.replace("name: web\nspec", "name: shop\nspec"))
    assert run(["lint", "-f", "all", "-f", "web.yaml", "-f", "web.yaml"]) == 0
    assert capsys.readouterr().out == f"all/b.yml:{THRESHOLD}\n1 warning in 3 files\n"


def test_an_empty_directory_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was checked, so nothing is fine."""
    (folder / "none").mkdir()
    assert run(["lint", "-f", "none"]) == 2
    assert capsys.readouterr().err == "canary: no YAML or JSON file was found in none\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` reads it, for what a template engine prints."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WARNED.encode())))
    assert run(["lint", "-f", "-"]) == 0
    assert capsys.readouterr().out == f"<stdin>:{THRESHOLD}\n1 warning in 1 file\n"


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: the same, in fields."""
    (folder / "web.yaml").write_text(WARNED)
    assert run(["lint", "-f", "web.yaml", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "problems": [
            {
                "file": "web.yaml",
                "line": 13,
                "column": 5,
                "severity": "warning",
                "field": "spec.analysis.threshold",
                "message": "0 means 1: the first failed check rolls back",
            }
        ],
        "errors": 0,
        "warnings": 1,
        "passedOver": 0,
    }


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n"


def test_what_a_chart_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its other objects are counted, and nothing is said of them."""
    for options in ((), ("-o", "json")):
        given = (SERVICE + SERVICE + CANARY).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert run(["lint", "-f", "-", *options]) == 0
    text, data = capsys.readouterr().out.split("\n", 1)
    assert text == "no problems in 1 file; 2 objects of other kinds passed over"
    assert json.loads(data) == {"problems": [], "errors": 0, "warnings": 0, "passedOver": 2}


def test_a_folder_with_files_of_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of ours is enough; without any, nothing was checked, which is an error, with any policy."""
    (folder / "service.yaml").write_text(SERVICE)
    (folder / "web.yaml").write_text(CANARY)
    assert run(["lint", "-f", "."]) == 0
    assert capsys.readouterr().out == "no problems in 2 files; 1 object of other kinds passed over\n"
    (folder / "web.yaml").write_text(POLICY)
    assert run(["lint", "-f", "service.yaml", "--policy", "web.yaml"]) == 2
    assert capsys.readouterr().out == (
        "service.yaml: error: holds none of canary's objects (apiVersion: canary-controller.dev/v1beta1), "
        "only 1 of other kinds\n1 error in 2 files; 1 object of other kinds passed over\n"
    )


def test_a_policy_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--policy` offers its policy, and is linted as well."""
    (folder / "web.yaml").write_text(SHORT)
    (folder / "policy.yaml").write_text(POLICY)
    assert run(["lint", "-f", "web.yaml"]) == 2
    assert "spec.analysis: is missing" in capsys.readouterr().out
    assert run(["lint", "-f", "web.yaml", "--policy", "policy.yaml"]) == 0
    assert capsys.readouterr().out == "no problems in 2 files\n"


@pytest.mark.parametrize(
    "argv", [("lint",), ("lint", "-f", "x.yaml", "-o", "xml")], ids=["no file", "an unknown output"]
)
def test_wrong_usage_ends_with_2(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """And with a sentence, on standard error."""
    assert run(argv) == 2
    assert capsys.readouterr().err.startswith("canary: ")


def test_a_repository(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lint -f .` is a usable step of CI: files of others may be of any format, and ours among them are found."""
    others = {
        "package.json": "{// comments\n}",
        "latin.yaml": "name: caf\xe9",
        "kustomization.yaml": "resources: [web.yaml]\n",
        "values.yaml": "canary: {enabled: true}\nreplicas: 3\n",
        "template.yaml": "Resources: {x: !Ref y}\n",
        "playbook.yml": "- hosts: all\n",
        "empty.yaml": "# nothing yet\n",
        "crd.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: canaries.canary-controller.dev}\n",
        "chart/templates/deployment.yaml": "{{- if .Values.x }}\nkind: Deployment\n{{- end }}\n",
        "chart/templates/role.yaml": "{{- if .Values.x }}\nkind: ClusterRole\n"
        "rules: [{apiGroups: [canary-controller.dev]}]\n{{- end }}\n",
        ".github/workflows/ci.yaml": "on: [push\n",
    }
    for name, text in others.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="latin-1")
    (folder / "picture.json").write_bytes(bytes(range(256)))
    (folder / "loop").symlink_to(folder)
    (folder / "self.yaml").symlink_to("self.yaml")
    (folder / "web.yaml").write_text(WARNED)
    (folder / "again.yaml").symlink_to("web.yaml")
    assert run(["lint", "-f", "."]) == 0
    assert capsys.readouterr().out == (
        f"again.yaml:{THRESHOLD}\n1 warning in 12 files; 11 objects of other kinds passed over\n"
    )
    chart = folder / "chart" / "templates" / "canary.yaml"
    chart.write_text("{{- if .Values.x }}\n" + CANARY.replace("v2", "{{ .Values.tag }}") + "{{- end }}\n")
    assert run(["lint", "-f", "chart"]) == 0
    sentence = "is a Helm template that isn't rendered; say `helm template … | canary lint -f -`"
    assert capsys.readouterr().out.splitlines()[0] == f"chart/templates/canary.yaml:1:3: warning: {sentence}"
    assert run(["lint", "-f", "chart/templates/canary.yaml"]) == 2
    assert capsys.readouterr().out.splitlines()[0] == f"chart/templates/canary.yaml:1:3: error: {sentence}"


def test_a_repository_without_any(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence for the folder, not one for each file."""
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(SERVICE)
    assert run(["lint", "-f", "."]) == 2
    assert capsys.readouterr().out.splitlines()[0] == (
        ".: error: holds none of canary's objects (apiVersion: canary-controller.dev/v1beta1), only 2 of other kinds"
    )
