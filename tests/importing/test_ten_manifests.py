"""Ten manifests as users of Flagger write them, each of another kind: imported, linted, simulated and applied.

The word SPACE in a file stands for the namespace.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from canary.cli.app import run
from tests.crds.conftest import Kubectl, kubectl

__all__ = ["kubectl"]

FILES = sorted((Path(__file__).parent / "flagger").glob("*.yaml"))
FORMS: tuple[list[str], ...] = ([], ["--modern"])


def in_space(space: str) -> Callable[[str], str]:
    """For a namespace."""
    return lambda text: text.replace("SPACE", space)


def imported(file: Path, named: Callable[[str], str], capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `canary import` writes, which has no error to correct; `named` replaces the word SPACE."""
    written = named(file.read_text())
    before = Path(file.name)
    before.write_text(written)
    assert run(["import", "flagger", "-f", str(before), *options]) == 0
    printed = capsys.readouterr()
    count = written.count("apiVersion: flagger.app/v1beta1")
    said = f"converted {count} object{'' if count == 1 else 's'}; no errors to correct in the output"
    assert printed.err.splitlines()[-1] == said
    return printed.out


@pytest.mark.parametrize("options", FORMS, ids=["as it is", "modern"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_manifest_is_imported_and_rolled_out(
    file: Path,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A good version is promoted, a bad one is rolled back."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "made.yaml"
    made.write_text(imported(file, in_space("shop"), capsys, *options))
    assert run(["lint", "-f", str(made)]) == 0
    assert run(["simulate", "-f", str(made), "--scenario", "good"]) == 0
    assert run(["simulate", "-f", str(made), "--scenario", "bad"]) == 3


def test_the_api_server_takes_them(
    namespace: str,
    kubectl: Kubectl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In both forms, with strict validation; what it has can be read and linted again."""
    monkeypatch.chdir(tmp_path)
    assert len(FILES) == 10
    for options in FORMS:
        made = "---\n".join(imported(file, in_space(namespace), capsys, *options) for file in FILES)
        answer = kubectl("apply", "--validate=strict", "-f", "-", given=made)
        assert answer.done, answer.err
    kept = json.loads(kubectl("get", "canaries,metrictemplates,alertproviders", "-o", "json").out)["items"]
    assert [one["kind"] for one in kept].count("Canary") == len(FILES)
    found = tmp_path / "kept.yaml"
    found.write_text("\n---\n".join(map(json.dumps, kept)))
    assert run(["lint", "-f", str(found)]) == 0, capsys.readouterr().out
