"""What Kubernetes takes for a name, and for a label selector.

Asked before the server is: a watch with a wrong one only fails again and again.
"""

import re
from dataclasses import dataclass

from canary.api.names import LONGEST, NAMESPACE, PATTERN
from canary.engine.errors import Invalid

NamespacedName = tuple[str, str]
"""Namespace and name of an object."""


@dataclass(frozen=True, order=True, slots=True)
class ObjectRef:
    """An object of any kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:{PATTERN}/)?{_WORD}"
_VALUES = rf"\(\s*(?:{_WORD})?\s*(?:,\s*(?:{_WORD})?\s*)*\)"
_REQUIREMENT = (
    rf"\s*(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==?|!=)\s*(?:{_WORD})?|\s*[<>]\s*-?[0-9]+|\s+(?:not)?in\s*{_VALUES})?)\s*"
)
_SELECTOR = re.compile(rf"{_REQUIREMENT}(?:,{_REQUIREMENT})*")


def check_namespace(field: str, text: str) -> None:
    """Raises Invalid for what no namespace can be called."""
    _check(field, text, NAMESPACE, 63, "a namespace", "digits and dashes")


def check_name(field: str, text: str) -> None:
    """Raises Invalid for what no object can be called."""
    _check(field, text, PATTERN, LONGEST, "an object", "digits, dashes and dots")


def check_selector(field: str, text: str) -> None:
    """Raises Invalid for what isn't a label selector in kubectl's words."""
    if not _SELECTOR.fullmatch(text):
        raise Invalid(f"{field}: {text!r} isn't a label selector, such as team=shop,track in (a, b)")


def _check(field: str, text: str, form: str, longest: int, what: str, of: str) -> None:
    if re.fullmatch(form, text) and len(text) <= longest:
        return
    if len(text) > longest:
        raise Invalid(f"{field}: {text!r} is too long for the name of {what}, which has up to {longest} characters")
    meant = text.strip().lower().replace("_", "-")
    hint = f"; did you mean {meant}?" if re.fullmatch(form, meant) else ""
    raise Invalid(f"{field}: {text!r} isn't the name of {what}: lower case letters, {of}{hint}")
