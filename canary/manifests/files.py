"""Files to text: what can't be read as text is one sentence. `documents.py` reads the text."""

import sys
from pathlib import Path

from canary.engine.errors import Invalid

STDIN = "-"
LARGEST = 4 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")


def shown(path: str) -> str:
    """How problems name the file."""
    return "<stdin>" if path == STDIN else path


def text_of(path: str) -> str:
    """The file's text. Raises Invalid with what is wrong, without the file's name."""
    data = _bytes_of(path)
    if len(data) > LARGEST:
        raise Invalid(f"is larger than {LARGEST // 1024 // 1024} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("is no text file (UTF-8)") from None
    if "\0" in text:
        raise Invalid("is no text file (UTF-8)")
    return text


def within(path: str) -> list[str]:
    """The file itself, or all YAML and JSON files below a directory, hidden ones aside, by name."""
    folder = Path(path)
    if path == STDIN or not folder.is_dir():
        return [path]
    found = (each for each in folder.rglob("*") if each.suffix in SUFFIXES and each.is_file())
    return sorted(str(each) for each in found if not _hidden(each.relative_to(folder)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _bytes_of(path: str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(LARGEST + 1)
    try:
        with Path(path).open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Invalid("there is no such file") from None
    except IsADirectoryError:
        raise Invalid("is a directory; name a file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Invalid(f"can't be read: {reason}") from None
