"""`canary history`: the rollouts that are over, and the revisions that can be gone back to."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from canary.api.revision import PromotedRevision
from canary.bootstrap import Memory, Place
from canary.engine.errors import CanaryError
from canary.show.records import revisions, summaries
from canary.show.tables import history_lines, revision_lines
from canary.show.terminal import screen_of

from .options import (
    Context,
    Files,
    Form,
    Kubeconfig,
    Namespace,
    Printed,
    State,
    Target,
    data_form,
    reported,
    steered,
)


def command(
    target: Target = None,
    file: Files = None,
    only_revisions: Annotated[
        bool, typer.Option("--revisions", help="Only the kept revisions of a target with a primary.")
    ] = False,
    state: State = None,
    output: Printed = Form.TEXT,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the last ten finished rollouts, newest first, and the revisions that canary rollback --to goes back to."""
    memory = steered(target, Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace))
    if only_revisions:
        with reported():
            _show_revisions(memory.promoted(), output)
        return
    history = memory.status.history
    if form := data_form(output):
        print(summaries(history, form))
        return
    screen, wide = screen_of(sys.stdout), output is Form.WIDE
    found = history_lines(history, datetime.now(UTC), screen, wide)
    print(*found, sep="\n", end="\n" if history else "")
    if not history:
        print("no rollout has finished yet", file=sys.stderr)
    if kept := _kept(memory):
        print(*(("",) if history else ()), *revision_lines(kept, datetime.now(UTC), screen, wide), sep="\n")


def _show_revisions(kept: Sequence[PromotedRevision], output: Form) -> None:
    if form := data_form(output):
        print(revisions(kept, form))
        return
    found = revision_lines(kept, datetime.now(UTC), screen_of(sys.stdout), output is Form.WIDE)
    print(*found, sep="\n", end="\n" if kept else "")
    if not kept:
        print("no revision is kept; only targets with a primary have some", file=sys.stderr)


def _kept(memory: Memory) -> Sequence[PromotedRevision]:
    """The history is shown all the same to a user who may not list them."""
    try:
        return memory.promoted()
    except CanaryError as error:
        if memory.object is not None:
            print(f"note: the kept revisions can't be listed: {error}", file=sys.stderr)
        return ()
