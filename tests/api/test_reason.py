"""Reasons: spelled in one file, the same words in JSON as before, and readable when a newer version wrote them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.api.action import Verb
from canary.api.reason import Reason, Topic, Trait
from canary.api.status import Condition, Outcome, Phase, Status
from canary.engine.verbs import ASKED

CANARY = Path(__file__).parents[2] / "canary"
OTHER = {phase.value for phase in Phase} | {outcome.value for outcome in Outcome}
OTHER |= set(Condition.model_json_schema()["properties"]["type"]["enum"])
"""Words that are phases, outcomes or types of conditions as well."""
REASONS = [reason for reason in Reason if reason is not Reason.UNDECIDED]


def literals(path: Path) -> Iterator[str]:
    """The string constants of a file, without docstrings and what a module exports."""
    tree = ast.parse(path.read_text("utf-8"))
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    exports = [
        one.value for one in assigned if any(isinstance(to, ast.Name) and to.id == "__all__" for to in one.targets)
    ]
    apart |= {id(node) for value in exports for node in ast.walk(value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            yield node.value


def test_a_reason_is_spelled_in_one_file() -> None:
    """Elsewhere it is a member, which a reader can follow and mypy can check."""
    words = {reason.value for reason in REASONS} - OTHER
    files = [path for path in sorted(CANARY.rglob("*.py")) if path != CANARY / "api/reason.py"]
    spelled = {str(path.relative_to(CANARY)): words & set(literals(path)) for path in files}
    assert {path: found for path, found in spelled.items() if found} == {}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_has_an_area_and_one_sentence(reason: Reason) -> None:
    """It is a row of docs/observability.md."""
    assert reason.topic is not None
    assert reason.means.endswith(".")
    assert reason.name == "".join(f"_{one}" if one.isupper() else one.upper() for one in reason.value).lstrip("_")


def test_every_outcome_is_a_reason() -> None:
    """And no other reason says that a rollout is over."""
    assert {outcome.reason for outcome in Outcome} == {reason for reason in Reason if reason.topic is Topic.OVER}


def test_every_verb_has_a_reason() -> None:
    """`retry` is heard at rest."""
    assert {*ASKED, Verb.RETRY} == set(Verb)


def test_a_reason_is_its_word_in_json() -> None:
    """And is read back as the same member."""
    status = Status(reason=Reason.PAUSED)
    assert status.wire()["reason"] == "Paused"
    assert Status.model_validate(status.wire()).reason is Reason.PAUSED


def test_a_reason_of_a_newer_version_is_kept() -> None:
    """After a downgrade a status is read as it is, and written as it was."""
    status = Status.model_validate({"reason": "SomethingNewer"})
    assert status.wire()["reason"] == f"{status.reason}" == "SomethingNewer"
    assert (status.reason.topic, status.reason.traits, status.reason.exit_code) == (None, Trait.NONE, None)
    assert status == Status.model_validate(status.wire())
