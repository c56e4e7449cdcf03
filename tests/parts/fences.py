"""Clients that may write anything that a test wants, or as long as a check lets them; canary's own are in
`rollout/fencing.py`."""

from collections.abc import Callable

from canary.kube.client import Client
from canary.kube.requests import Request


def unfenced(_request: Request) -> None:
    """A fence that lets everything through."""


def guarded(client: Client, check: Callable[[], None]) -> Client:
    """The client, whose writes are sent as long as the check returns."""
    return client.fenced(lambda request: check())
