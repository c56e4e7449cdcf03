"""`canary status`: where a rollout stands, and what it waits for."""

import sys
from datetime import UTC, datetime

from canary.bootstrap import Place
from canary.show.records import document
from canary.show.screen import screen_of
from canary.show.summary import status_lines

from .places import Context, Files, Form, Kubeconfig, Namespace, Printed, State, Target, remembered


def command(
    target: Target = None,
    file: Files = None,
    state: State = None,
    output: Printed = Form.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show where a rollout stands, what it waits for, and the rollouts before it."""
    place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered(target, place)
    match output:
        case Form.JSON:
            print(document(memory.status, "json"))
        case Form.YAML:
            print(document(memory.status, "yaml"))
        case _:
            howto = f"canary approve {f'-f {file[0]}' if file and state is None else memory.howto}"
            wide = output is Form.WIDE
            lines = status_lines(memory.status, memory.name, datetime.now(UTC), screen_of(sys.stdout), wide, howto)
            print("\n".join(lines))
