"""Addresses of HTTP servers, as manifests name them: one rule for the schema, lint, and whoever asks them."""

_HOST = r"([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
PATTERN = rf"^https?://([^\[\]/?#\s]*@)?{_HOST}(:{_PORT})?(/[^?#\s]*)?$"
"""Without query and fragment: what is asked is put behind it. For RE2 as well."""
