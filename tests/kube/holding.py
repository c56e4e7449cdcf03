"""A process that holds the lock of a target and writes as often as it may: `python -m tests.kube.holding …`.

Prints a line for each thing that happens. It writes a counter into a ConfigMap, through a guarded client.
"""

import signal
import sys
import time

from canary.engine.errors import CanaryError, Unreachable
from canary.kube.client import Client
from canary.kube.connection import Connection, Place
from canary.kube.lease import Identity
from canary.kube.resources import CONFIG_MAPS
from canary.kube.tenure import Terms
from canary.stores.lease import Lease, held
from canary.stores.objects import Objects

TERMS = Terms(duration=4, deadline=2.0, every=0.5, request=2.0)


def shop(namespace: str) -> Objects:
    return Objects(namespace, "VirtualService", "shop", "shop")


def main(kubeconfig: str, namespace: str, patience: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    client = Client(Connection(Place(kubeconfig)), timeout=TERMS.request)
    lease = Lease(client, shop(namespace), Identity.mine(), TERMS)
    try:
        with held(lease, float(patience)):
            say(f"holds {lease.identity}")
            write(client.guarded(lease.check), namespace)
    except CanaryError as error:
        say(f"{type(error).__name__} {error}")


def write(client: Client, namespace: str) -> None:
    """Until the lock is another's; what is said about it ends the process."""
    last = ""
    for number in range(1_000_000):
        try:
            client.patch(
                CONFIG_MAPS, namespace, "written", [{"op": "add", "path": "/data", "value": {"by": str(number)}}]
            )
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
