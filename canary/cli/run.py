"""`canary run`: drives one rollout from here to its end; the exit code says what happened."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.duration import brief
from canary.api.exit_codes import Exit
from canary.cli import caught
from canary.engine.errors import Conflict
from canary.rollout.drive import Drive, Interrupts, Options, Then
from canary.show.outputs import Output, report_for

from .following import AllowUnanalysed, OnTimeout, WaitApproval
from .options import Context, Kubeconfig, Namespace, duration, reported, server, written

APART = 0.5
"""Seconds. Signals closer than this are one: `timeout` sends its own to the process and to its group."""


def command(
    file: Annotated[list[Path], typer.Option("--file", "-f", help="Manifest.")],
    version: Annotated[str | None, typer.Option(help="Version to roll out, instead of the manifest's.")] = None,
    revision: Annotated[
        str | None, typer.Option(help="Build of the version, instead of the manifest's; without a cluster.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="File with a CanaryPolicy.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="URL of the Prometheus.")] = None,
    state: Annotated[Path | None, typer.Option(help="State file; default: in .canary beside the route file.")] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="Output format; text is a live view on a terminal.")
    ] = Output.TEXT,
    live: Annotated[bool, typer.Option(help="Show the live view on a terminal.")] = True,
    timeout: Annotated[str | None, typer.Option(help="Time limit of this run, such as 30m; default: none.")] = None,
    on_timeout: OnTimeout = Then.HOLD,
    on_interrupt: Annotated[
        Then, typer.Option(help="At Ctrl-C or SIGTERM: leave the traffic, or roll back.")
    ] = Then.ROLLBACK,
    wait_approval: WaitApproval = True,
    allow_unanalysed: AllowUnanalysed = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try a version again that failed before.")] = False,
    wait_for_lock: Annotated[str | None, typer.Option(help="How long to wait for another run of the target.")] = None,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="Send alerts to this URL: a webhook of a chat, TYPE:URL, or an apprise URL. Other users don't see "
            "URLs in the variable, separated by blanks.",
            envvar="CANARY_NOTIFY",
            show_envvar=True,
        ),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    print_rbac: Annotated[
        bool, typer.Option("--print-rbac", help="Print the Role that the run needs, and exit.")
    ] = False,
) -> int:
    """Move traffic to the desired version in steps, check metrics at each step, then promote or roll back.

    Exit codes: 0 promoted, 1 error, 2 invalid manifest, 3 rolled back, 4 timed out, 5 needs approval, 6 rejected by a
    person, 7 superseded, 8 outcome unknown, 9 suspended, 10 another run holds the target, 11 serves but was never
    judged, 130 interrupted.
    """
    rules = str(policy) if policy else None
    written("--version", version)
    written("--revision", revision)
    server("--prometheus", prometheus)
    place = bootstrap.Place(
        file, state, rules, prometheus, kubeconfig, context, namespace, version, revision, notify or ()
    )
    limit = duration("--timeout", timeout)
    options = Options(limit, on_timeout, on_interrupt, wait_approval, allow_unanalysed=allow_unanalysed)
    patience = duration("--wait-for-lock", wait_for_lock, zero=True) or timedelta()
    if print_rbac:
        with reported(conflict=Exit.LOCKED, invalid=Exit.INVALID):
            print(bootstrap.role(place), end="")
        return Exit.PROMOTED
    return driven(place, options, output, bootstrap.Run.retry if retry else None, live, patience)


def driven(
    place: bootstrap.Place,
    options: Options,
    output: Output,
    first: Callable[[bootstrap.Run], None] | None = None,
    live: bool = True,
    patience: timedelta = timedelta(),
) -> int:
    """Drive a rollout from here to its end; `first` is called once the target is ours. Raises Problem."""
    if logging.lastResort is not None:  # it looks up standard error each time, so also above the live view
        logging.lastResort.setFormatter(logging.Formatter("warning: %(message)s"))
    errors = reported(conflict=Exit.LOCKED, invalid=Exit.INVALID)
    with errors, bootstrap.opened(place) as opened, held(opened, patience) as check:
        run = bootstrap.alerting(opened, place.notify)
        if not place.notify and run.parts.target.resolved().alerts:
            print("warning: spec.analysis.alerts: a run sends no alerts, except to --notify URL", file=sys.stderr)
        if first is not None:
            first(run)
        interrupts, approve = Interrupts(), f"canary approve {run.howto}"
        options = replace(options, author=run.author)
        with report_for(output, run.name, live, approve) as report, caught(_counting(interrupts)):
            over = Drive(run.parts, options, report, interrupts, check).run()
            report.close(over)
    return int(over.code)


@contextmanager
def held(run: bootstrap.Run, patience: timedelta) -> Iterator[Callable[[], None] | None]:
    """Hold the target; if another run has it, print which one and how long to wait. Raises Conflict."""
    with ExitStack() as stack:
        try:
            check = stack.enter_context(run.lock(0.0))
        except Conflict as error:
            if not patience:
                raise
            print(f"{error}; waiting up to {brief(patience)} for its end", file=sys.stderr, flush=True)
            check = stack.enter_context(run.lock(patience.total_seconds()))
        yield check


def _counting(interrupts: Interrupts) -> Callable[..., None]:
    last = -math.inf

    def once(*_: object) -> None:
        nonlocal last
        if time.monotonic() - last >= APART:
            last = time.monotonic()
            interrupts()

    return once
