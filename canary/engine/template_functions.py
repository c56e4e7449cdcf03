"""Expressions in query templates: the functions of Go's templates that give a text, such as `printf`, and pipes.

    {{ printf "%s-canary" target }}   {{ target | printf "%q" }}   {{ index variables "path" | urlquery }}

`query_templates.py` has the plain words. Conditions and loops aren't known: a query has no use for them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import Invalid

Argument = str | int | float
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*+"|`[^`]*+`)|(?P<number>-?\d++(?:\.\d++)?+)"""
    r"""|(?P<word>[A-Za-z_][\w.-]*+)|(?P<sign>[()|]))"""
)
_VERB = re.compile(r"%(?P<flags>[-+0 ]*+)(?P<width>\d{0,3})(?P<precision>\.\d{1,2})?(?P<verb>.)", re.DOTALL)
_DEEPEST = 8
_UNQUOTED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


@dataclass(frozen=True)
class Word:
    """A word of a query template, such as `target`."""

    name: str


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple["Expression", ...]


class _UnknownFunction(Exception):
    """What is in braces is something else."""


Expression = Word | Call | str | int | float


def parsed(text: str) -> Call | None:
    """The call that a text in braces is; None for a plain word, and for what isn't known. Raises Invalid."""
    tokens = list(_tokens(text))
    if len(tokens) < 2:
        return None
    try:
        found, rest = _pipeline(tokens, 0)
    except _UnknownFunction:
        return None
    if rest:
        raise Invalid(f"{{{{ {text} }}}} has a bracket too many")
    return found if isinstance(found, Call) else None


def words(expression: Expression) -> Iterator[str]:
    """The words that it asks for."""
    match expression:
        case Word(name):
            yield name
        case Call("index", (Word("variables"), str(key))):
            yield f"variables.{key}"
        case Call(_, arguments):
            for each in arguments:
                yield from words(each)


def value(expression: Expression, names: Mapping[str, str]) -> Argument:
    """What it stands for. Raises Invalid, KeyError for a word that `names` doesn't hold."""
    match expression:
        case Word(name):
            return names[name]
        case Call("index", (Word("variables"), str(key))):
            return names[f"variables.{key}"]
        case Call("index", _):
            raise Invalid('index takes variables and a name, as in {{ index variables "path" }}')
        case Call(function, arguments):
            return FUNCTIONS[function]([value(each, names) for each in arguments])
    return expression


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Nothing where a part is none."""
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            return
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    yield from found


def _pipeline(tokens: Sequence[tuple[str, str]], depth: int) -> tuple[Expression, Sequence[tuple[str, str]]]:
    """One after the other, each the last argument of the next; and the tokens that are left."""
    if depth > _DEEPEST:
        raise Invalid(f"a template with more than {_DEEPEST} brackets in each other")
    piped: tuple[Expression, ...] = ()
    while True:
        operands: list[Expression] = []
        while tokens and tokens[0] not in (("sign", "|"), ("sign", ")")):
            operand, tokens = _operand(tokens, depth)
            operands.append(operand)
        whole = _command((*operands, *piped))
        if not tokens or tokens[0][1] == ")":
            return whole, tokens
        piped, tokens = (whole,), tokens[1:]


def _operand(tokens: Sequence[tuple[str, str]], depth: int) -> tuple[Expression, Sequence[tuple[str, str]]]:
    (kind, text), rest = tokens[0], tokens[1:]
    match kind:
        case "sign":  # an opening bracket
            inner, rest = _pipeline(rest, depth + 1)
            if not rest:
                raise Invalid("a bracket of the template is never closed")
            return inner, rest[1:]
        case "text":
            return _literal(text), rest
        case "number":
            return (float(text) if "." in text else int(text)), rest
    return Word(text), rest


def _command(operands: tuple[Expression, ...]) -> Expression:
    match operands:
        case (Word(name), *arguments) if name in FUNCTIONS:
            return Call(name, tuple(arguments))
        case (single,):
            return single
        case (Word(), *_):
            raise _UnknownFunction
    raise Invalid(f"a template's function comes first; there are {', '.join(FUNCTIONS)}")


def _literal(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        found: str = json.loads(text)
    except ValueError:
        raise Invalid(f"{text} has an escape that isn't known; write it in back quotes") from None
    return found


def _printf(arguments: Sequence[Argument]) -> str:
    """As Go's, for texts and numbers. Raises Invalid."""
    if not arguments or not isinstance(arguments[0], str):
        raise Invalid('printf takes a format first, as in {{ printf "%s-canary" target }}')
    rest = list(arguments[1:])

    def written(match: re.Match[str]) -> str:
        if match["verb"] == "%":
            return "%"
        if not rest:
            raise Invalid(f"printf has no value for {match[0]}")
        return _formatted(match, rest.pop(0))

    made = _VERB.sub(written, arguments[0])
    if rest:
        raise Invalid(f"printf has {len(rest)} values more than its format asks for")
    return made


def _formatted(match: re.Match[str], given: Argument) -> str:
    verb, layout = match["verb"], f"{match['flags']}{match['width']}{match['precision'] or ''}"
    try:
        match verb:
            case "s" | "v":
                return f"%{layout}s" % _plain(given)
            case "q":
                return f"%{layout}s" % json.dumps(str(given), ensure_ascii=False)
            case "d":
                return f"%{layout}d" % int(given)
            case "f" | "g" | "e":
                return f"%{layout}{verb}" % float(given)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"printf can't write {_plain(given)!r} as {match[0]}") from None
    raise Invalid(f"printf doesn't know {match[0]}; there are %s, %v, %q, %d, %f, %g, %e and %%")


def _plain(given: Argument) -> str:
    return f"{given:g}" if isinstance(given, float) else str(given)


def _print(arguments: Sequence[Argument]) -> str:
    return "".join(map(_plain, arguments))


def _quoted(arguments: Sequence[Argument]) -> str:
    """For the part of a URL behind the question mark, as Go's."""
    octets = _print(arguments).encode()
    return "".join(chr(one) if chr(one) in _UNQUOTED else "+" if one == 32 else f"%{one:02X}" for one in octets)


def _index(arguments: Sequence[Argument]) -> str:
    raise AssertionError("`value` reads variables itself")


FUNCTIONS: Mapping[str, Callable[[Sequence[Argument]], str]] = {
    "printf": _printf,
    "print": _print,
    "urlquery": _quoted,
    "index": _index,
}
"""By name."""
