"""`canary history`: the rollouts that are over."""

import sys
from datetime import UTC, datetime

from canary.bootstrap import Place
from canary.show.history import lines
from canary.show.records import summaries
from canary.show.screen import screen_of

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
    """List the last ten rollouts that are over, newest first: from where to where, when, how, and why."""
    place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
    history = remembered(target, place).status.history
    match output:
        case Form.JSON:
            print(summaries(history, "json"))
        case Form.YAML:
            print(summaries(history, "yaml"))
        case _:
            wide = output is Form.WIDE
            print(
                *lines(history, datetime.now(UTC), screen_of(sys.stdout), wide), sep="\n", end="\n" if history else ""
            )
            if not history:
                print("no rollout is over yet", file=sys.stderr)
