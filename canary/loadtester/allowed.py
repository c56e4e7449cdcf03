"""Which commands may be started: each word of a command must match a word of a pattern. No shell reads it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from canary.engine.errors import Invalid

REST = "**"
"""At the end of a pattern: any further words."""
ANY = "*"
_SHELL = set("|&;<>()$`\\\n")
"""What only a shell understands."""
PROGRAMS = {"helm": "helm", "helmv3": "helm", "kubectl": "kubectl"}
"""By type of a hook: the program that its command is for."""
KINDS = ("cmd", "bash", *PROGRAMS)


@dataclass(frozen=True)
class AllowedCommands:
    """The commands that may be started."""

    patterns: tuple[tuple[str, ...], ...] = ()
    """A program, and a pattern for each argument."""
    scripts: tuple[str, ...] = ()
    """Texts that bash may run, word for word; `*` stands for any text."""

    def command(self, kind: str, text: str) -> Sequence[str]:
        """The program and its arguments for a hook of this type. Raises Invalid with what to allow."""
        if kind == "bash" and (text in self.scripts or ANY in self.scripts):
            return ("bash", "-c", text)
        if _SHELL & set(text):
            if kind == "bash":
                raise Invalid(
                    f"the script isn't allowed; start the load tester with --allow-bash {shlex.quote(text)}"
                )
            raise Invalid(
                f"a command of type {kind} is started without a shell, and has | & ; < > ( ) $ ` or \\; "
                "write type: bash, and allow it with --allow-bash"
            )
        words = _words(text)
        command = (PROGRAMS[kind], *words) if kind in PROGRAMS else words
        if not any(matches(pattern, command) for pattern in self.patterns):
            raise Invalid(
                f"{shlex.join(command)} isn't allowed; start the load tester with "
                f"--allow {shlex.quote(f'{command[0]} {REST}')}, or with a pattern for each argument"
            )
        return command


def allowed(patterns: Sequence[str], scripts: Sequence[str]) -> AllowedCommands:
    """What the options say. Raises Invalid."""
    read = []
    for text in patterns:
        pattern = _words(text)
        if set("*?[/") & set(pattern[0]):
            raise Invalid(f"--allow {text!r} must begin with the name of a program, without wildcards and without /")
        if REST in pattern[:-1]:
            raise Invalid(f"--allow {text!r} has {REST} before its end; write * for one argument")
        read.append(pattern)
    return AllowedCommands(tuple(read), tuple(scripts))


def matches(pattern: Sequence[str], command: Sequence[str]) -> bool:
    """Whether each word fits. A wildcard stands for text within one argument."""
    more = pattern[-1] == REST and len(pattern) > 1
    fixed = pattern[:-1] if more else pattern
    if len(command) < len(fixed) or (len(command) > len(fixed) and not more):
        return False
    pairs = zip(fixed[1:], command[1:], strict=False)
    return command[0] == fixed[0] and all(fnmatchcase(word, one) for one, word in pairs)


def _words(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise Invalid(f"the command {text!r} has a quote that isn't closed") from None
    if not words or not words[0]:
        raise Invalid("the command is empty; write it in metadata.cmd")
    return words
