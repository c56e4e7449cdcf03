"""Documents that aren't canary's: a repository, a chart's output and a folder of manifests are full of them.

A document with neither an apiVersion nor a kind of ours is passed over. What may be ours is kept, so that a slip is
reported: our kinds in any group, a kind that is like ours without an apiVersion, a group that is like ours or
Flagger's.
"""

import re
from typing import Any

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from canary.engine.did_you_mean import nearest
from canary.engine.validation import Problem

from .validation import FLAGGER

_NEAR = (API_VERSION.partition("/")[0], FLAGGER.rstrip("/"))
_OURS = tuple(KINDS)
_TRACE = re.compile(
    rf"\bapiVersion[\"']?\s*:\s*[\"']?({'|'.join(map(re.escape, _NEAR))})\b"
    rf"|\bkind[\"']?\s*:\s*[\"']?({'|'.join(_OURS)})\b[\"']?\s*([,}}#]|$)",
    re.MULTILINE,
)
"""Not our group alone: roles, admission policies and annotations name it."""
_OWNER = re.compile(r"^(apiVersion|kind):[ \t]+[\"']?([^\s\"'#]+)", re.MULTILINE)
_HOLDS = re.compile(r"^(items:|[{\[\"'?])", re.MULTILINE)
"""What may hold objects, and what isn't written a field a line."""
_HELM = re.compile(
    r"""^[^#\n]*\{\{-?\s*(/\*|["`$]|\.(Values|Release|Chart|Capabilities|Files|Template)\b"""
    r"|(if|else|end|range|with|define|template|block|include|tpl|toYaml|fail)\b)",
    re.MULTILINE,
)
"""Actions of Go templates that can't be template functions of a MetricTemplate."""
UNRENDERED = "is a Helm template that isn't rendered; say `helm template … | canary lint -f -`"


def other(data: Any) -> bool:
    """Whether the document isn't canary's."""
    if not isinstance(data, dict):
        return False
    version, kind = data.get("apiVersion"), data.get("kind")
    if isinstance(kind, str) and kind in _OURS:
        return False
    if not isinstance(version, str) or not version:
        return not (version or (isinstance(kind, str) and nearest(kind, _OURS)))
    return nearest(version.partition("/")[0], _NEAR) is None and not _within(data)


def unopened(data: Any) -> Problem | None:
    """What to say of a list, as `kubectl get -o yaml` prints several objects, that has some of ours in it."""
    if not isinstance(data, dict) or data.get("apiVersion") != "v1" or not _within(data):
        return None
    return Problem(("items",), "has objects of canary's in it; write each as a document of its own, parted by ---")


def mentioned(text: str) -> bool:
    """Whether a file that was found in a folder may hold anything of canary's: any other file isn't parsed."""
    return _TRACE.search(text) is not None


def raw(text: str) -> bool:
    """Whether Helm has still to make YAML of the text."""
    return _HELM.search(text) is not None


def theirs(text: str) -> dict[str, str] | None:
    """Recognises from its text a document that isn't canary's: it isn't parsed.

    Nothing where a border may be missing before one of ours, or Helm has still to make YAML of it.
    """
    pairs = _OWNER.findall(text)
    top = dict(pairs)
    if len(pairs) != 2 or len(top) != 2 or not other(top) or raw(text):
        return None
    return None if mentioned(text) and _HOLDS.search(text) else top


def counted(text: str) -> int:
    """How many objects a file holds that isn't parsed."""
    return max(1, len(re.findall(r"^apiVersion:", text, re.MULTILINE)))


def _within(data: dict[str, Any]) -> bool:
    items = data.get("items")
    objects = [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []
    return any(isinstance(one.get("apiVersion"), str) and not other(one) for one in objects)
