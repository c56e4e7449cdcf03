"""`analysis.judge`: the name of a judge, or a judge with its settings."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema

from .duration import Duration
from .model import Model
from .plan import Patience

NAME = "^(threshold|sequential)$"
"""Of the judges that there are."""


def _per_cent(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        return value.removesuffix("%").rstrip()
    if isinstance(value, str | bool):
        given = f"{value} in quotes" if isinstance(value, str) else str(value).lower()
        raise ValueError(f"must be a number or per cent such as 1%, not {given}")
    return value


UNTYPED = "x-kubernetes-preserve-unknown-fields"
"""A schema for Kubernetes has one type, or this and none. What it says of texts and of numbers then holds for what is
given of these, and no rule in CEL can read the field."""


@dataclass(frozen=True)
class _NumberOrShare:
    """The schema of both, with bounds for numbers only."""

    low: float
    high: float

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bounds = {"minimum": self.low, "maximum": self.high}
        return bounds | {"pattern": PER_CENT, "maxLength": 32, UNTYPED: True}


PER_CENT = "^[0-9]+([.][0-9]+)? *%$"
SIGNED = BeforeValidator(_per_cent)
"""Marks a number that may have the sign of per cent."""
Share = Annotated[float, SIGNED, Field(gt=0, lt=100), _NumberOrShare(0, 100)]
"""Per cent of requests, with or without the sign. A number in quotes isn't taken, as everywhere."""
Rate = Annotated[float, SIGNED, Field(ge=0.0001, le=50), _NumberOrShare(0.0001, 50)]
"""Per cent of rollouts."""


def _slowest(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value:g} is not a duration such as 250ms or 1s; did you mean {value:g}ms?")
    return value


class LatencyObjective(Model):
    """How slow requests may be."""

    quantile: Share = 99.0
    """The share of requests that must be answered within `max`, in per cent."""
    max: Annotated[Duration, BeforeValidator(_slowest)]
    """The longest time that these may take. Other tools count it in milliseconds, so a plain number is refused."""


class Objective(Model):
    """What the canary must reach, independent of stable."""

    success_rate: Share | None = None
    """The lowest share of requests without an error, in per cent; default: `min` of `request-success-rate`."""
    latency: LatencyObjective | None = None
    """Default: `max` of `request-duration` for 99% of the requests."""


class JudgeSpec(Model):
    """A judge and its settings, which only `sequential` has."""

    type: Annotated[str, Field(max_length=63, json_schema_extra={"pattern": NAME})]
    """`threshold` counts failed checks; `sequential` weighs evidence."""
    false_rollback_rate: Rate = 1.0
    """The chance that a rollout of a healthy canary is rolled back, in per cent: `1%`. Evidence of 100 rolls back
    then."""
    min_effect: Annotated[float, Field(ge=1, le=20)] = 1.5
    """The canary is worse than stable if it has more than this many times its error rate."""
    objective: Objective | None = None
    """What the canary must reach; default: the ranges of the builtin metrics."""
    warmup: Duration | None = None
    """How long latency doesn't count after the first requests to the canary; default 1m."""
    on_inconclusive: Patience | None = None
    """What to do if a step gets neither proof against the canary nor enough evidence for it; default: after 1h,
    `hold`."""


def _named(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _short(value: JudgeSpec) -> Any:
    """As it may be written."""
    if value.model_fields_set <= {"type"}:
        return value.type
    return value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class _NameOrObject:
    """The schema of both, without a type: it says what a name may be, and what the fields of an object may be."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(core))
        fields = {name: found[name] for name in ("properties", "required")}
        return fields | {"pattern": NAME, "maxLength": 63, UNTYPED: True}


Judge = Annotated[JudgeSpec, BeforeValidator(_named), PlainSerializer(_short), _NameOrObject()]
"""A name or an object."""
