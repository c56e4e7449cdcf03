"""Regular expressions, as `match`, queries and guards have them."""

from collections.abc import Callable
from random import Random

from canary.engine import guards
from tests.fuzz.texts import drawn

CORPUS = (
    "^(a|b)+$",
    "[0-9a-f]{40}",
    "(?i)user-[a-z]{1,63}",
    r"\d{3}-\w+",
    "(?P<name>.*?)x|y",
    r"\p{Greek}+",
    "[^a-z]*",
)
TOKENS = (
    *("a", "(", ")", "[", "]", "{", "}", "|", "*", "+", "?", ".", "^", "$", "(?i)", "(?:", "(?P<n>", "(?=", "(?!"),
    *("\\pL", "\\PN", "\\p{Greek}", "\\d", "\\W", "\\b", "{2}", "{1,1000}", "{30}", "{,}", "{999999999999}", "{9}"),
    *("[[:alpha:]]", "[^a]", "[a-z]", "\\Q", "\\E", "\\x{10ffff}", "\\1", "**", "(|", "[\\pL\\pN_-]", "\\C", "-"),
)


def prepared(random: Random) -> Callable[[], object]:
    """The check of one regular expression, also of a length that no field allows."""
    text = drawn(random, CORPUS, TOKENS, random.choice((1024, 1024, 10_000)))
    return lambda: (guards.refused_regex(text), guards.compiled(f"canary.name.matches({text!r})"))
