"""`--allow-unanalysed` reaches what ends a run or a wait, from each command that has it."""

from types import SimpleNamespace
from typing import Any

import pytest

from canary.cli import run, start, wait

MEMORY = SimpleNamespace(author="ada")
FOLLOWED = SimpleNamespace(canary=SimpleNamespace(spec=SimpleNamespace(version="v2")), destinations=lambda _: ())


FOUND: dict[str, Any] = {"remembered_object": MEMORY, "object_of": FOLLOWED, "_want": FOLLOWED.canary}


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize(
    ("module", "given", "found"),
    [
        pytest.param(run, {"file": []}, (), id="run"),
        pytest.param(wait, {}, ("remembered_object",), id="wait"),
        pytest.param(
            start, {"version": "v2", "wait": True}, ("remembered_object", "object_of", "_want"), id="start --wait"
        ),
    ],
)
def test_the_option_is_passed_on(
    module: Any, given: dict[str, Any], found: tuple[str, ...], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Options of a run, as Terms of a wait."""
    passed: list[Any] = []

    def end(_: Any, options: Any, *__: Any) -> int:
        passed.append(options)
        return 0

    monkeypatch.setattr(module, "driven" if module is run else "follow", end)
    for name in found:
        monkeypatch.setattr(module, name, lambda *_, answer=FOUND[name]: answer)
    module.command(**given, allow_unanalysed=allowed)
    assert [one.allow_unanalysed for one in passed] == [allowed]
