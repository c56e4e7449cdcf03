"""Webhooks of the controller's Canaries: where they may go, and whose Secrets they are shown."""

from collections.abc import Callable

from canary.kube.client import Client
from canary.metrics.sources import Allowed
from canary.webhooks.calls import HookCaller, HookCalls
from canary.webhooks.secrets import hook_secrets


def caller(allowed: Allowed) -> HookCaller:
    """Of all Canaries. What a server says is shown only if the administrator named the server."""
    return HookCaller(refusal=allowed.hook_refusal, quoted=allowed.names_hook)


def calls(shared: HookCaller, client: Client, namespace: str, wake: Callable[[], None]) -> HookCalls:
    """Of one Canary; an urgent answer wakes it."""
    return HookCalls(shared, namespace, hook_secrets(client, namespace), wake)
