"""A process that holds the lock of a target and writes as often as it may: `python -m tests.kube.holding …`.

Prints a line for each thing that happens. It writes a counter into a ConfigMap, through a guarded client.
"""

import os
import signal
import sys
import time
from typing import Any

from canary.engine.errors import CanaryError, Unreachable
from canary.kube.client import Client, ClusterAccess, Object
from canary.kube.connection import Connection
from canary.kube.errors import VersionConflict
from canary.kube.lease import Identity, LeaseTerms
from canary.kube.resources import CONFIG_MAPS
from canary.stores.lease import RunLease, held
from canary.stores.objects import Objects
from tests.parts.fences import guarded, unfenced

TERMS = LeaseTerms(duration=4, deadline=2.0, every=0.5, request=2.0)


def shop(namespace: str) -> Objects:
    return Objects(namespace, "VirtualService", "shop", "shop")


def main(kubeconfig: str, namespace: str, patience: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    client = Client(Connection(ClusterAccess(kubeconfig)), timeout=TERMS.request, fence=unfenced)
    lease = RunLease(client, shop(namespace), Identity.mine(), TERMS)
    try:
        with held(lease, float(patience)):
            say(f"holds {lease.identity}")
            write(guarded(client, lease.check), namespace)
    except CanaryError as error:
        say(f"{type(error).__name__} {error}")


class Writer:
    """Writes as the product does: it names the version that it knows, so what it sends late, when another client has
    written, is refused by the API server."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self._known, self._number = "", 0

    def write(self) -> None:
        """The process and a number. Raises what the guard and the server say."""
        self._number += 1
        data = {"data": {"by": f"{os.getpid()} {self._number}"}}
        try:
            self._merge(data)
        except VersionConflict:
            self._known = self._there()
            self._merge(data)

    def _merge(self, data: dict[str, Any]) -> None:
        known = self._known or self._there()
        self._known = version(self._client.merge(CONFIG_MAPS, self._namespace, "written", known, data))

    def _there(self) -> str:
        return version(self._client.get(CONFIG_MAPS, self._namespace, "written"))


def version(found: Object) -> str:
    return str(found["metadata"]["resourceVersion"])


def writer(client: Client, namespace: str) -> int:
    """The process that wrote last."""
    return int(client.get(CONFIG_MAPS, namespace, "written")["data"]["by"].split()[0])


def write(client: Client, namespace: str) -> None:
    """Until the lock is another's; what is said about it ends the process."""
    last, mine = "", Writer(client, namespace)
    while True:
        try:
            mine.write()
            said = "writes"
        except Unreachable as error:
            said = f"may not {error}" if "the lock" in str(error) else f"cannot {error}"
        if said.split()[0] != last:
            say(said)
        last = said.split()[0]
        time.sleep(0.05)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
