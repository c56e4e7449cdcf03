"""`canary wait`: until the revision that is wanted now serves everything, or doesn't."""

from typing import Annotated

import typer

from canary.bootstrap import Place
from canary.cli.app import UsageProblem
from canary.rollout.drive import Then
from canary.rollout.waiting import Terms
from canary.show.outputs import Output

from .following import OnTimeout, Timeout, Told, WaitApproval, follow, warn_of
from .places import Context, Files, Kubeconfig, Name, Namespace, duration, object_of, remembered


def command(
    name: Name = None,
    file: Files = None,
    timeout: Timeout = None,
    on_timeout: OnTimeout = Then.HOLD,
    wait_approval: WaitApproval = True,
    for_version: Annotated[
        str | None, typer.Option(help="Wait until this version is wanted, too; else the one that is wanted now.")
    ] = None,
    output: Told = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Wait until the version and revision that a Canary object wants now serve everything, or don't.

    Ends with 0 promoted or serves already, 1 nothing can be read, 2 invalid, 3 rolled back or failed before, 4 timed
    out, 5 needs approval, 6 rejected by a person, 7 superseded, 8 outcome unknown, 9 deleted or suspended, 10 another
    one moves the target, 130 interrupted. The controller goes on whatever happens to this command.
    """
    if for_version is not None and not for_version.strip():
        raise UsageProblem("--for-version is empty: write the version to wait for, or leave the option away")
    limit = duration("--timeout", timeout)
    place = Place(file or (), kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered(name, place)
    if for_version is not None:
        warn_of(object_of(memory, "waited for"), for_version)
    return follow(memory, Terms(limit, on_timeout, wait_approval, for_version, author=memory.author), output)
