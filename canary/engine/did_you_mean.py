"""Did you mean: the known word that an unknown one is most like. Sentences about wrong words end so."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The most similar known word, in any case; None if none is similar.

    `alike`: the least ratio of `difflib`. Among many words something is always a little like any.
    """
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, to be appended to a sentence; empty where nothing is like the word."""
    name = nearest(word, known)
    return f"; did you mean {name}?" if name is not None else ""
