"""Objects as YAML text, and sentences as comments above the fields that they are about."""

import io
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from canary.engine.validation import Field
from canary.manifests.documents import Document, documents

WIDTH = 116
_LINE = re.compile("[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029])|[^\n\r\x85\u2028\u2029]+\\Z")
_OTHERWISE = re.compile(
    r"y|n|yes|no|on|off|true|false|null|~|[-+]?[\d.][\d_:.xo]*(e[-+]?\d+)?|\d+-\d+-\d+.*", re.IGNORECASE
)
"""What some readers of YAML take for a switch, a number or a date if it has no quotes."""


@dataclass(frozen=True)
class Note:
    """A sentence about a field; it stands above the field, or above what would hold it."""

    field: Field
    sentence: str


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    text: str
    """The manifests, documents of YAML."""
    lost: tuple[str, ...] = ()
    """What has no counterpart, a sentence each."""
    count: int = 0
    """How many objects were converted."""


class _Representer(SafeRepresenter):
    """Writes text of several lines as people do."""

    def text(self, data: str) -> Any:
        if _OTHERWISE.fullmatch(data):
            return self.represent_scalar("tag:yaml.org,2002:str", data, style="'")
        style = "|" if "\n" in data and not any(line != line.rstrip() for line in data.split("\n")) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.text)


def written(data: Mapping[str, Any], notes: Iterable[Note] = ()) -> str:
    """An object as one document, without its border."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment] # ruamel has None as its default
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(dict(data), stream)
    text = stream.getvalue()
    return commented(text, [(document, note) for document in documents(text) for note in notes])


def commented(text: str, notes: Iterable[tuple[Document, Note]]) -> str:
    """The text of a file with notes about its documents. Nothing else changes."""
    above: dict[int, list[str]] = defaultdict(list)
    for document, note in notes:
        above[document.place(note.field)[0]].append(note.sentence)
    made: list[str] = []
    for number, line in enumerate(lines(text), start=1):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        for sentence in dict.fromkeys(above.get(number, ())):
            wrapped = textwrap.wrap(sentence, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
            made += [f"{one}\n" for one in wrapped]
        made.append(line)
    return "".join(made)


def lines(text: str) -> list[str]:
    """With their line breaks, as YAML counts them."""
    return _LINE.findall(text)


def joined(texts: Iterable[str]) -> str:
    """Documents in one file."""
    return "---\n".join(text if text.endswith("\n") else f"{text}\n" for text in texts)


def together(made: Iterable[Imported]) -> Imported:
    """What several imports made."""
    every = list(made)
    return Imported(
        joined(one.text for one in every),
        tuple(sentence for one in every for sentence in one.lost),
        sum(one.count for one in every),
    )
