"""Texts that a person could hand to a parser: drawn from a grammar, mutated, and repeated as no person would."""

from collections.abc import Sequence
from random import Random

ODD = (
    "\x00",
    "\ud800",
    "😀",
    "é",
    "\t",
    "\n",
    "\\",
    '"',
    "'",
    "`",
    "#",
    "{{",
    "}}",
    "/*",
    "//",
    "$",
    "\u2028",
    "\x7f",
)


def drawn(random: Random, corpus: Sequence[str], tokens: Sequence[str], longest: int) -> str:
    """A good text, one with changes, a row of tokens, or one said again up to `longest` characters."""
    match random.randrange(4):
        case 0:
            return _mutated(random, random.choice(corpus), tokens)
        case 1:
            return "".join(random.choice(tokens) for _ in range(random.randint(1, 60)))
        case 2:
            return _nested(random, corpus, tokens, longest)
        case _:
            said = "".join(random.choice(tokens) for _ in range(random.randint(1, 4)))
            return _mutated(random, (said * _many(random, longest // len(said) + 1)), tokens)


def _many(random: Random, most: int) -> int:
    """Often few, now and then as many as may be, or just more."""
    return random.choice((random.randint(1, 20), random.randint(1, max(1, most)), most, most + 1))


def _nested(random: Random, corpus: Sequence[str], tokens: Sequence[str], longest: int) -> str:
    before = "".join(random.choice(tokens) for _ in range(random.randint(1, 3)))
    after = "".join({"(": ")", "[": "]", "{": "}"}.get(each, "") for each in reversed(before)) or random.choice(
        tokens
    )
    times = _many(random, longest // (len(before) + len(after)) + 1)
    return before * times + random.choice((*corpus, *tokens)) + after * times


def _mutated(random: Random, text: str, tokens: Sequence[str]) -> str:
    for _ in range(random.randint(0, 4)):
        start = random.randint(0, len(text))
        end = min(len(text), start + random.randint(0, 8))
        text = text[:start] + random.choice((*tokens, *ODD, "", text[start:end] * 50)) + text[end:]
    return text
