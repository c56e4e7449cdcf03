"""Query templates: the functions of Flagger's Go templates, and nothing else of Go's language.

`checks/metrics.py` renders a query to see whether it parses; `canary/metrics` renders it for each look.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .errors import Invalid
from .nearest import did_you_mean

FUNCTIONS = ("name", "namespace", "target", "service", "ingress", "route", "interval")
"""What a query may ask for, beside `variables.X`."""

VARIABLES = "variables."

# `{{-` and `-}}` eat the blanks outside, as in Go.
_ACTION = re.compile(r"(?:\s*\{\{-(?=\s)|\{\{)\s*(?P<word>.*?)\s*(?:(?<=\s)-\}\}\s*|\}\})", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A stretch of a template: text that stays, or a word that stands for something."""

    text: str
    word: bool = False


def render(text: str, names: Mapping[str, str]) -> str:
    """The query with each `{{ word }}` replaced by its value; `names` holds words such as `variables.x`.

    Raises Invalid for a word that `names` doesn't hold.
    """
    return "".join(_value(piece.text, names) if piece.word else piece.text for piece in pieces(text))


def used(text: str) -> set[str]:
    """The words in `{{ }}`, such as `namespace` and `variables.x`. Raises Invalid for braces left open."""
    return {piece.text for piece in pieces(text) if piece.word}


def pieces(text: str) -> Iterator[Piece]:
    """The template, cut at its words. Raises Invalid for braces left open."""
    end = 0
    for found in _ACTION.finditer(text):
        yield Piece(_closed(text[end : found.start()]))
        yield Piece(found["word"], word=True)
        end = found.end()
    yield Piece(_closed(text[end:]))


def unknown(word: str, names: Mapping[str, str]) -> str:
    """The sentence for a word that stands for nothing."""
    if word.startswith(VARIABLES):
        given = [name.removeprefix(VARIABLES) for name in names if name.startswith(VARIABLES)]
        hint = did_you_mean(word.removeprefix(VARIABLES), given)
        return f"{{{{ {word} }}}} isn't given in templateVariables{hint}"
    known = [*FUNCTIONS, *(name for name in names if name.startswith(VARIABLES))]
    hint = did_you_mean(word.lstrip("."), known) or f"; there are {', '.join(FUNCTIONS)} and variables.NAME"
    return f"{{{{ {word} }}}} is no template function{hint}"


def _value(word: str, names: Mapping[str, str]) -> str:
    if word not in names:
        raise Invalid(unknown(word, names))
    return names[word]


def _closed(text: str) -> str:
    if "{{" in text:
        raise Invalid("the template opens '{{' and never closes it")
    return text
