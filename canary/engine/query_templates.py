"""Query templates: the functions of Flagger's Go templates; `template_functions.py` has those of Go's language.

`validation/metrics.py` renders a query to see whether it parses; `canary/metrics` renders it for each evaluation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from canary.api.analysis import LONGEST_QUERY

from .did_you_mean import did_you_mean
from .errors import Invalid
from .template_functions import parsed, value, words

FUNCTIONS = ("name", "namespace", "target", "service", "ingress", "route", "interval")
"""What a query may ask for, beside `variables.X`."""

VARIABLES = "variables."


@dataclass(frozen=True)
class Piece:
    """A stretch of a template: text that stays, or a word that stands for something."""

    text: str
    word: bool = False
    at: int = 0
    """Where it begins."""


def render(text: str, names: Mapping[str, str]) -> str:
    """The query with each `{{ word }}` replaced by its value; `names` holds words such as `variables.x`.

    Raises Invalid for a word that `names` doesn't hold, and for a query that grows too long.
    """
    return "".join(made for made, _ in filled(text, names))


def filled(text: str, names: Mapping[str, str]) -> Iterator[tuple[str, Piece]]:
    """Each piece with what it is replaced by. Raises Invalid as `render` does."""
    length = 0
    for piece in pieces(text):
        made = _value(piece.text, names) if piece.word else piece.text
        length += len(made)
        if length > LONGEST_QUERY:
            raise Invalid(
                f"is more than {LONGEST_QUERY} characters long once its words are filled in; write a shorter query, "
                "or shorter templateVariables"
            )
        yield made, piece


def place(text: str, names: Mapping[str, str], at: int) -> int:
    """Where a character of the rendered query comes from: an index into the template."""
    for made, piece in filled(text, names):
        if at < len(made):
            return piece.at + (0 if piece.word else at)
        at -= len(made)
    return len(text)


def used(text: str) -> set[str]:
    """The words in `{{ }}`, such as `namespace` and `variables.x`. Raises Invalid for what can't be read."""
    found = ((piece.text, parsed(piece.text)) for piece in pieces(text) if piece.word)
    return {word for plain, call in found for word in ([plain] if call is None else words(call))}


def pieces(text: str) -> Iterator[Piece]:
    """The template, cut at its words. Raises Invalid for braces left open.

    `{{-` and `-}}` eat the blanks outside, as in Go. No regular expression does it: on blanks and braces of any
    number Python's would take hours.
    """
    end, trimmed = 0, False
    while (opened := text.find("{{", end)) >= 0:
        closed = _closed(text, opened + 2)
        if closed < 0:
            raise Invalid("the template opens '{{' and never closes it")
        word = text[opened + 2 : closed]
        before, trims = word[:1] == "-" and word[1:2].isspace(), word[-1:] == "-" and word[-2:-1].isspace()
        yield _stretch(text, (end, opened), left=trimmed, right=before)
        yield Piece(word[before : len(word) - trims].strip(), word=True, at=opened)
        end, trimmed = closed + 2, trims
    yield _stretch(text, (end, len(text)), left=trimmed, right=False)


def _closed(text: str, at: int) -> int:
    """Where the braces close; those in a text in quotes don't count."""
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\" and quote == '"'
            quote = "" if char == quote else quote
        elif char in '"`':
            quote = char
        elif text.startswith("}}", at):
            return at
        at += 1
    return -1


def _stretch(text: str, span: tuple[int, int], left: bool, right: bool) -> Piece:
    """What stays of a stretch of text, with the blanks gone at either side that is trimmed."""
    start, end = span
    stays = text[start:end].rstrip() if right else text[start:end]
    stripped = stays.lstrip() if left else stays
    return Piece(stripped, at=start + len(stays) - len(stripped))


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
    call = None if word in names else parsed(word)
    if call is not None:
        missing = sorted(each for each in words(call) if each not in names)
        if not missing:
            return str(value(call, names))
        word = missing[0]
    if word not in names:
        raise Invalid(unknown(word, names))
    return names[word]
