"""Names of Kubernetes objects and addresses of HTTP servers, where a manifest refers to one: one rule for the schema,
lint, and what asks them."""

from typing import Annotated

from pydantic import Field

_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
PATTERN = rf"{_PART}(\.{_PART})*"
"""Kubernetes' rule for most objects; for RE2 as well."""
LONGEST = 253
NAMESPACE = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
ObjectName = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": f"^{PATTERN}$", "maxLength": LONGEST})]
"""The API server holds it to the whole rule; lint's check of names explains it."""
Namespace = Annotated[str, Field(json_schema_extra={"pattern": f"^({NAMESPACE})?$", "maxLength": 63})]
"""Empty is as good as absent."""

_HOST = r"([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
ADDRESS = rf"^https?://([^\[\]/?#\s]*@)?{_HOST}(:{_PORT})?(/[^?#\s]*)?$"
"""Without query and fragment: what is asked is put behind it. For RE2 as well."""
HOOK_URL = rf"^https?://([^\[\]/?#\s]*@)?{_HOST}(:{_PORT})?(/[^?#\s]*)?(\?[^#\s]*)?$"
"""With a query, unlike ADDRESS. For RE2 as well."""
