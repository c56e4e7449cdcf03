"""A process that wants to lead and then writes as often as it may: `python -m tests.kube.leading …`.

Prints a line for each thing that happens. SIGTERM ends it.
"""

import signal
import sys
import threading
from types import FrameType

from canary.engine.errors import CanaryError
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.kube.election import Election, Leadership
from tests.kube.holding import TERMS, Writer, say
from tests.parts.fences import guarded, unfenced

NAME = "canary"


def main(kubeconfig: str, namespace: str) -> None:
    client = Client(Connection(ClusterAccess(kubeconfig)), timeout=TERMS.request, fence=unfenced)
    election = Election(client, namespace, NAME, {}, TERMS)

    def stop(_: int, __: FrameType | None) -> None:
        election.stop()

    def work(lease: Leadership, over: threading.Event) -> None:
        say(f"leads {lease.identity}")
        write(guarded(client, lease.check), namespace, over)
        say("over")

    signal.signal(signal.SIGTERM, stop)
    election.lead(work)
    say("done")


def write(client: Client, namespace: str, over: threading.Event) -> None:
    """Until the term is over; says what it is refused."""
    last, mine = "", Writer(client, namespace)
    while not over.wait(0.05):
        try:
            mine.write()
            said = "writes"
        except CanaryError as error:
            said = f"refused {error}"
        if said.split()[0] != last:
            say(said)
        last = said.split()[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
