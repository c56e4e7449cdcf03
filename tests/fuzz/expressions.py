"""CEL, as lint checks a guard, and as a rollout asks it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from canary.api.canary import Guard
from canary.engine import guards
from canary.engine.validation.guards import _wrong
from tests.fuzz.texts import drawn

CORPUS = (
    'now.getDayOfWeek("Europe/Berlin") in [1, 2, 3] && now.getHours("+01:00") < 16',
    'canary.name.startsWith("a") || rollout.approvals.exists(a, a.matches("^[a-z]+@example[.]com$"))',
    '"x" in canary.annotations && canary.annotations["x"].matches(r"^CHG\\d+$")',
    "step.to - step.from <= 50 && rollout.age >= duration('24h') ? size(canary.labels) > 0 : true",
    "[[1]]" + ".map(a, [a, a])" * 28 + ".all(a, a == a)",
    "[1, 2, 3].all(a, [1, 2, 3].exists(b, canary.annotations == canary.annotations && a == b))",
)
TOKENS = (
    *("(", ")", "[", "]", "{", "}", "true", "!", "-", "1", "+", "&&", "||", "?", ":", ",", ".", "==", "<", " in "),
    *("[1].all(x,", "[1,2,3,4,5,6,7,8,9].exists(x,", "[[1,2],[3,4]].map(x,", "canary.annotations.all(k,", "has("),
    *("canary.labels", "canary.annotations", "canary.name", '.matches("', '.matches("\\\\pL{40}")', "size(", "now"),
    *('.matches("(a|b)*c{9}")', '.contains("xxxx")', '["a"]', '"', "'", '"""', "r'", "b'", "0x", "1u", "1e308"),
    *("timestamp('", "duration('1h')", '.getHours("', "dyn(", "type(", "string(", "int(", "//", "\n", "{1:", "x"),
    *("9223372036854775807", "%", "/0", "[1,1,1,1,1,1,1,1,1]", "rollout.approvals", "step.to", "''", "canary"),
)
VALUES: dict[str, Any] = {
    **dict.fromkeys(guards.VARIABLES, 10),
    **{name: "reviews" for name, kind in guards.VARIABLES.items() if kind == "string"},
    **{name: ["ada@example.com"] * 20 for name, kind in guards.VARIABLES.items() if kind == "list"},
    **{name: datetime(2030, 1, 1, tzinfo=UTC) for name, kind in guards.VARIABLES.items() if kind == "timestamp"},
    **{name: timedelta(hours=1) for name, kind in guards.VARIABLES.items() if kind == "duration"},
    "canary.labels": {"app": "reviews"},
    "canary.annotations": {f"a{number}": "x" * guards.LONGEST for number in range(guards.ENTRIES)},
}


def _condition(random: Random, depth: int) -> str:
    """One that compiles, so that it is evaluated: comparisons, loops in loops, patterns."""

    def inner() -> str:
        return _condition(random, depth - 1) if depth else random.choice(("true", "step.to < 5"))

    each = random.choice(("all", "exists", "exists_one"))
    name = f"x{depth}"
    match random.randrange(6):
        case 0:
            return f"({inner()} {random.choice(('&&', '||', '==', '!='))} {inner()})"
        case 1:
            items = ", ".join(str(number) for number in range(random.choice((3, 30, 200))))
            return f"[{items}].{each}({name}, {inner()})"
        case 2:
            return f"canary.annotations.{each}({name}, {name}.matches('(x|y)*{random.choice('xyz')}') || {inner()})"
        case 3:
            return f"rollout.approvals.{each}({name}, canary.annotations == canary.annotations && {inner()})"
        case 4:
            return f"canary.annotations.{each}({name}, canary.annotations[{name}].contains('{'x' * 200}y'))"
        case _:
            return f"!(canary.annotations['a1'].matches('(x+x+)+y') ? {inner()} : {inner()})"


def prepared(random: Random) -> Callable[[], object]:
    """The check of one guard, and one evaluation with as much data as there may be."""
    text = drawn(random, CORPUS, TOKENS, 3000) if random.random() < 0.7 else _condition(random, random.randint(1, 5))
    guard = Guard.model_construct(name="mine", expression=text, message="")
    return lambda: (list(_wrong(text)), guards.held([guard], VALUES))
