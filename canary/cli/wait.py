"""`canary wait`: waits for the end of the rollout of the present version and revision."""

from typing import Annotated

import typer

from canary.bootstrap import Place
from canary.rollout.drive import Then
from canary.show.outputs import Output
from canary.waiting.wait import WaitTerms

from .following import AllowUnanalysed, OnTimeout, OutputOption, Timeout, WaitApproval, follow, warn_of
from .options import Context, Files, Kubeconfig, Name, Namespace, duration, object_of, remembered_object, written


def command(
    name: Name = None,
    file: Files = None,
    timeout: Timeout = None,
    on_timeout: OnTimeout = Then.HOLD,
    wait_approval: WaitApproval = True,
    for_version: Annotated[str | None, typer.Option(help="First wait until spec.version is this version.")] = None,
    allow_unanalysed: AllowUnanalysed = False,
    output: OutputOption = Output.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Wait for the end of the rollout of a Canary object's present version and revision.

    Exit codes: 0 promoted or serves already, 1 nothing can be read, 2 invalid, 3 rolled back or failed before,
    4 timed out, 5 needs approval, 6 rejected by a person, 7 superseded, 8 outcome unknown, 9 deleted or suspended,
    10 another one moves the target, 11 serves but was never judged, 130 interrupted. If this command is interrupted,
    the controller continues.
    """
    written("--for-version", for_version)
    limit = duration("--timeout", timeout)
    place = Place(file or (), kubeconfig=kubeconfig, context=context, namespace=namespace)
    memory = remembered_object(name, place, "waited for")
    if for_version is not None:
        warn_of(object_of(memory, "waited for"), for_version)
    terms = WaitTerms(
        limit, on_timeout, wait_approval, for_version, author=memory.author, allow_unanalysed=allow_unanalysed
    )
    return follow(memory, terms, output)
