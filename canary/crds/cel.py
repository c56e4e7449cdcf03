"""A rule of CEL, and the phrases that rules are made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from canary.api import names
from canary.api.duration import LONGER, PATTERN
from canary.engine.pairs import PAIRS, Pairing
from canary.engine.policy_merge import BUILTINS
from canary.engine.validation import target, timing

BLOCKS = ("analysis", "canaryAnalysis")
"""Where an analysis may stand in a Canary."""
BUILTIN_NAMES = ", ".join(f"'{name}'" for name in BUILTINS)


@dataclass(frozen=True)
class Rule:
    """One validation."""

    expression: str
    """CEL that holds for what is right; `self` is the model's object."""
    sentence: str
    """Lint's, without the values: what may be of any length can't be put into a message."""
    field: str = ""
    """The field of the model that is at fault or missing, where the object as a whole isn't."""

    def wire(self) -> dict[str, Any]:
        """An entry of `x-kubernetes-validations`."""
        where = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.expression, "message": self.sentence, **where}


def any_of(*fields: str) -> str:
    return " || ".join(f"has(self.{field})" for field in fields)


def at_most_one(*fields: str) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(given, given).size() <= 1"


def exactly_one(*fields: str) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(given, given).size() == 1"


def filled(field: str) -> str:
    return f"(has(self.{field}) && size(self.{field}) > 0)"


def lasting(field: str, limit: str) -> str:
    """What is no duration at all is the pattern's to refuse."""
    given = f"self.{field}"
    return f"!has({given}) || !{given}.matches(r'{PATTERN}') || duration({given}) {limit}"


def longer_than_nothing(field: str) -> Rule:
    return Rule(lasting(field, "> duration('0s')"), timing.NOT_NOTHING, field)


def gate_name(gate: str) -> str:
    return f"(has({gate}.name) && {gate}.name != '' ? {gate}.name : 'approval')"


def unless(pair: Pairing) -> str:
    """Whether the target is of another kind."""
    return f"self.targetRef.kind != '{pair.kind}'"


def unless_routed(pair: Pairing, pairs: Iterable[Pairing] = PAIRS) -> str:
    """Whether the target is of another kind, or is moved by another one of the routers of its kind."""
    first, *others = (one.router for one in pairs if one.kind == pair.kind)
    if not others:
        return unless(pair)
    if pair.router == first:
        return f"{unless(pair)} || (has(self.provider) && self.provider in {others})"
    return f"{unless(pair)} || !has(self.provider) || self.provider != '{pair.router}'"


def address(field: str) -> Rule:
    return Rule(f"!has(self.{field}) || self.{field}.matches(r'{names.ADDRESS}')", target.NO_ADDRESS, field)


def countable(*fields: str) -> tuple[Rule, ...]:
    """Of durations without another bound: what Go can't count in nanoseconds isn't read, by no program."""
    return tuple(Rule(lasting(field, ">= duration('0s')"), LONGER, field) for field in fields)


def empty(field: str) -> str:
    return f"!{filled(field)}"


def object_name(name: str) -> str:
    return f"size({name}) <= {names.LONGEST} && {name}.matches(r'^{names.PATTERN}$')"
