"""What lint says of guards: each row is a Canary or a policy with guards, and all problems that follow."""

from typing import Any

import pytest

from canary.api.canary import CanaryPolicy
from canary.engine.guards import Broken, compiled
from canary.engine.validation import check_policy
from tests.engine.test_checks import STANDARD, canary, reported


def guard(expression: str, name: str = "mine") -> dict[str, Any]:
    """A guard as it is written."""
    return {"name": name, "expression": expression}


def wrong(expression: str) -> str:
    """What `guards` says of an expression; test_guards.py has the sentences."""
    found = compiled(expression)
    assert isinstance(found, Broken)
    return found.sentence


def policy(*guards: dict[str, Any]) -> CanaryPolicy:
    """A policy called standard, with these."""
    return CanaryPolicy.model_validate({"metadata": STANDARD, "spec": {"guards": list(guards)}}, extra="forbid")


@pytest.mark.parametrize(
    ("guards", "problems"),
    [
        pytest.param([guard('now.getHours("Europe/Berlin") < 16 && step.to <= 50')], [], id="a good one"),
        pytest.param([guard("now.getHours('+01:00') < 16")], [], id="an offset is a time zone, too"),
        pytest.param(
            [guard("step.too <= 50")],
            [f"error: spec.guards[0].expression: {wrong('step.too <= 50')}"],
            id="a misspelt variable",
        ),
        pytest.param(
            [guard("true"), guard("step.to", "other")],
            ["error: spec.guards[1].expression: must be true or false, and is of type int"],
            id="an expression that is no condition",
        ),
        pytest.param(
            [guard("now.getHours('Europe/Belin') < 16")],
            ["error: spec.guards[0].expression: 'Europe/Belin' is no time zone that is known here; "
             "write one such as Europe/Berlin, or +01:00"],
            id="a time zone that isn't there is found before it is needed",
        ),
        pytest.param(
            [guard(f"canary.name.matches({literal})") for literal in ('"^a+$"', "r'^\\d+$'", "'(\\\\(|a)'")],
            [f"error: spec.guards[{index}].name: 'mine' is the name of another guard as well" for index in (1, 2)],
            id="regular expressions",
        ),
        pytest.param(
            [guard('canary.name.matches("((a{1,1000}){1,1000})")')],
            ["error: spec.guards[0].expression: invalid regular expression: invalid repetition size: {1,1000}"],
            id="a regular expression that is too large",
        ),
        pytest.param(
            [guard("step.to < 50 || matches(canary.version, r'v(\\d')")],
            ["error: spec.guards[0].expression: invalid regular expression: missing ): v(\\d"],
            id="a regular expression that doesn't end",
        ),
        pytest.param(
            [guard("true"), guard("1 > 0")],
            ["error: spec.guards[1].name: 'mine' is the name of another guard as well"],
            id="two of one name can't be distinguished",
        ),
    ],
)  # fmt: skip
def test_guards(guards: list[dict[str, Any]], problems: list[str]) -> None:
    """Of a Canary and of a policy alike."""
    assert reported(canary({"guards": guards})) == problems
    assert [f"{each.severity}: {each}" for each in check_policy(policy(*guards))] == problems


def test_a_policys_guards_are_checked_at_the_canary_that_refers_to_it() -> None:
    """Where `run` would start, nothing says what is wrong with the policy's own file."""
    given = canary({"policyRef": STANDARD, "guards": [guard("true")]})
    assert reported(given, policy(guard("stepp.to < 1"), guard("true", "other"))) == [
        f"error: spec.policyRef: in the policy standard, spec.guards[0].expression: {wrong('stepp.to < 1')}"
    ]


def test_the_same_name_in_canary_and_policy_is_fine() -> None:
    """A policy can't know what its canaries call theirs; both hold."""
    given = canary({"policyRef": STANDARD, "guards": [guard("true")]})
    assert reported(given, policy(guard("step.to < 1"))) == []
