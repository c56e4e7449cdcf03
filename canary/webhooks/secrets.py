"""Secrets with credentials of webhooks: read by name for each call, and never kept."""

from canary.engine.errors import Invalid, Rejected
from canary.engine.observed import Missing
from canary.kube.client import Client
from canary.kube.errors import Forbidden, NotFound
from canary.kube.resources import SECRETS
from canary.ports import Secrets

from .calls import SecretOf
from .credentials import HookCredentials


def hook_secrets(client: Client, namespace: str) -> SecretOf:
    """Reads those of one namespace. What it returns raises CanaryError."""

    def read(name: str) -> HookCredentials:
        try:
            return HookCredentials.of(name, client.fresh(SECRETS, namespace, name))
        except NotFound:
            raise Invalid(f"there is no Secret {name} in namespace {namespace}") from None
        except Forbidden as error:
            raise Rejected(f"its Secret may not be read: {error}") from None

    return read


def folder_secrets(secrets: Secrets) -> SecretOf:
    """The same of a folder, which has no namespaces."""

    def read(name: str) -> HookCredentials:
        found = secrets.read("", name)
        if isinstance(found, Missing):
            raise Rejected(found.detail)
        return HookCredentials.checked(name, {key: value.encode() for key, value in found.items()})

    return read
