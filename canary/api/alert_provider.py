"""The AlertProvider resource: where alerts of Canaries are sent. Flagger's fields, `type: apprise`, and templates."""

from typing import Annotated, Literal

from pydantic import Field

from .canary import API_VERSION, Address, Metadata, SecretRef
from .model import Model

DEFAULT = "default"
"""The template for reasons that have none of their own."""
Template = Annotated[str, Field(max_length=1024)]


class AlertProviderSpec(Model):
    """The receiver of alerts."""

    type: Literal["slack", "msteams", "discord", "rocket", "gchat", "apprise"]
    """`slack`, `msteams`, `discord`, `rocket` or `gchat` as in Flagger; `apprise` for others by apprise URL."""
    channel: str | None = None
    """Channel of a chat."""
    username: str | None = None
    """Name of the sender in a chat; default: canary."""
    address: Address | None = None
    """URL of the webhook, or apprise URL; a URL with a token belongs in a Secret."""
    secret_ref: SecretRef | None = None
    """A Secret in the namespace of the AlertProvider, with the key `address`, and `token` for a bot of Slack."""
    proxy: Address | None = None
    """URL of an HTTP proxy."""
    templates: Annotated[dict[str, Template], Field(max_length=50)] = Field(default_factory=dict)
    """Texts in place of the message, by reason or `default`, with words such as `{{ name }}` and `{{ message }}`."""


class AlertProvider(Model):
    """A receiver of alerts that Canaries refer to by name."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["AlertProvider"] = "AlertProvider"
    """`AlertProvider`."""
    metadata: Metadata
    """Name and namespace."""
    spec: AlertProviderSpec
    """The receiver."""
