"""What every model of the api shares: frozen, camelCase on the wire, described by the docstrings of its fields."""

from typing import Any, Self

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
        return self.model_copy(update=changes)

    def wire(self) -> dict[str, Any]:
        """The model as JSON-ready data, camelCase, without nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
