"""What every model of the api shares: frozen, camelCase on the wire, described by the docstrings of its fields."""

from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Frozen. Reads camelCase or snake_case, writes camelCase without fields that are null.

    Unknown fields are ignored, because a cluster may hold newer objects than this code;
    a user's file is read with `extra="forbid"` (see `canary.manifests`).
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        extra="ignore",
    )

    def but(self, **changes: Any) -> Self:
        """A copy with these fields changed; the values are taken as they are, not validated again."""
        return _slim(self.model_copy(update=changes))

    def model_post_init(self, context: Any, /) -> None:
        """Runs after each validation."""
        _slim(self)

    def wire(self) -> dict[str, Any]:
        """The model as JSON-ready data, camelCase, without nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_SETS: dict[frozenset[str], set[str]] = {}
"""One of each: models that differ in values have the same fields set, and nothing changes a frozen one's."""
M = TypeVar("M", bound=Model)


def _slim(model: M) -> M:
    """Without a set of its own of the names of the fields that were set, which is a quarter of a model's memory."""
    fields = model.__pydantic_fields_set__
    object.__setattr__(model, "__pydantic_fields_set__", _SETS.setdefault(frozenset(fields), fields))
    return model
