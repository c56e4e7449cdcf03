"""A document to a resource, and to all that is wrong with its shape, which `sentences.py` and `loose.py` say."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ValidationError

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS, Resource
from canary.engine.checks import Field, Problem, Severity
from canary.engine.nearest import did_you_mean

from .loose import loose
from .sentences import sentences, shown

FLAGGER = "flagger.app/"
UNREAD = ("AlertProvider",)
"""Kinds of Flagger's that may stand in a file and aren't acted on."""
_SERVERS = (
    *("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "ownerReferences"),
    *("finalizers", "generateName", "deletionGracePeriodSeconds"),
)
"""What the API server writes into metadata; `kubectl get -o yaml` shows it."""


def resource(data: Any, extra: Literal["forbid", "ignore"] = "forbid") -> tuple[Resource | None, list[Problem]]:
    """The resource that the data describe, or None; and what is wrong with them.

    A cluster may keep fields that only a newer canary knows: of an object they are ignored, in a file forbidden.
    """
    if not isinstance(data, dict):
        return None, [Problem((), f"must be a mapping with apiVersion, kind, metadata and spec, not {shown(data)}")]
    problems = [*_version(data), *_kind(data)]
    model = KINDS.get(str(data.get("kind")))
    if model is None:
        return None, problems
    slips = list(loose(_own(data), model))
    problems += slips
    try:
        found: Any = model.model_validate(_own(data), extra=extra, by_alias=True, by_name=False)
    except ValidationError as error:
        said = {each.field for each in slips}
        return None, [*problems, *(each for each in sentences(error, model) if each.field not in said)]
    return (None if any(each.field != ("apiVersion",) for each in problems) else found), problems


def _version(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("apiVersion")
    field: Field = ("apiVersion",)
    if given is None:
        yield Problem(field, f"is missing; write apiVersion: {API_VERSION}")
    elif str(given).startswith(FLAGGER):
        yield Problem(field, f"{given} is Flagger's; change this line to apiVersion: {API_VERSION}")
    elif given != API_VERSION:
        hint = did_you_mean(str(given), [API_VERSION]) or f"; write apiVersion: {API_VERSION}"
        yield Problem(field, f"{shown(given)} is unknown{hint}")


def _kind(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("kind")
    if given is None:
        yield Problem(("kind",), f"is missing; write one of {', '.join(KINDS)}")
    elif given in UNREAD:
        yield Problem(("kind",), f"{given} isn't acted on by this build", Severity.WARNING)
    elif given not in KINDS:
        hint = did_you_mean(str(given), KINDS) or f"; there are {', '.join(KINDS)}"
        yield Problem(("kind",), f"{shown(given)} is unknown{hint}")


def _own(data: dict[str, Any]) -> Any:
    """What the author wrote: without nulls, as Kubernetes drops them, and without what a server adds."""
    data = {key: value for key, value in data.items() if key != "status"}
    metadata = data.get("metadata")
    if isinstance(metadata, dict):
        data["metadata"] = _named(data) | {key: value for key, value in metadata.items() if key not in _SERVERS}
    return _without_nulls(data)


def _named(data: dict[str, Any]) -> dict[str, Any]:
    """An action is created once, so that the API server may make up its name."""
    prefix = data["metadata"].get("generateName")
    return {"name": prefix} if prefix and data.get("kind") == "CanaryAction" else {}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
