"""The cost of a regular expression (RE2), estimated from its text before it is compiled.

RE2 takes linear time and at most 8 MiB, but it compiles a class of Unicode characters in 3 ms, and writes counted
repetitions out: 7 characters, `\\pL{40}`, take 0.2 s, and `a{1,1000}` a hundred times 10 s. With these bounds none of
10,000 took more than 0.1 s.
A guard compiles its patterns again in each round of a loop, of which CEL allows 10,000.
"""

import re
from math import prod

LONGEST = 8192
"""Characters; those of a Canary's own fields have less."""
CLASSES = 10
"""Unicode classes (`\\p{L}`), counted repetitions written out."""
COUNTED = 2000
"""The counts of all repetitions together; RE2's time grows with the square of what they write out."""
IN_LOOPS = 128
"""Characters of a pattern that a guard's loop uses, counted repetitions written out: 10,000 of them take 1 s."""

_COUNTED = re.compile(r"\{(\d{1,9})?(?:,(\d{1,9})?)?\}")
HALF = "has half of a character (a surrogate) in it; write the whole"
_HALF = re.compile("[\ud800-\udfff]")
_CLASS = re.compile(r"\\[pP]")


def too_costly(pattern: str, in_loop: bool = False) -> str:
    """What is wrong with a pattern that isn't compiled; empty where it may be."""
    if len(pattern) > LONGEST:
        return f"is {len(pattern)} characters long, and at most {LONGEST} are read; write a shorter one"
    if not encodable(pattern):
        return HALF
    counts = _counts(pattern)
    if sum(counts) > COUNTED:
        return (
            f"has counted repetitions such as {{9}} of {sum(counts)} in all, and at most {COUNTED} are read; write + "
            "or * in place of a count"
        )
    times = min(prod(counts[:20]), 10**6)
    if (classes := len(_CLASS.findall(pattern)) * times) > CLASSES:
        return (
            f"has {classes} Unicode classes such as \\p{{L}}, counted repetitions written out, and at most {CLASSES} "
            "are read; write + in place of a count, or characters such as [a-z]"
        )
    if in_loop and (classes or len(pattern) * times > IN_LOOPS):
        return (
            f"is used in a loop, so that it may have {IN_LOOPS} characters at most, counted repetitions written out, "
            "and no \\p; write a shorter one, or use it outside of all, exists, exists_one, filter and map"
        )
    return ""


def encodable(text: str) -> bool:
    """Whether native code can be given the text: JSON may have half of a character in it."""
    return not _HALF.search(text)


def _counts(pattern: str) -> list[int]:
    """How often each count repeats what stands before it; their product is that of one within the other."""
    return [max(int(low or 0), int(high or 0), 1) for low, high in _COUNTED.findall(pattern)]
