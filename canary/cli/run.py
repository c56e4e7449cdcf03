"""`canary run`: drives one rollout from here to its end; the exit code says what happened."""

import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.duration import parse
from canary.cli.app import Problem, UsageProblem
from canary.engine.errors import CanaryError, Conflict, Invalid
from canary.rollout.drive import Drive, Interrupts, Options, Then
from canary.rollout.ending import Exit
from canary.show.outputs import Output, report_for

from .places import Context, Kubeconfig, Namespace

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
APART = 0.5
"""Seconds. Signals closer than this are one: `timeout` sends its own to the process and to its group."""


def command(
    file: Annotated[list[Path], typer.Option("--file", "-f", help="The manifest.")],
    policy: Annotated[Path | None, typer.Option(help="A file with a CanaryPolicy for it.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="URL of the Prometheus to ask.")] = None,
    state: Annotated[Path | None, typer.Option(help="State file; NAME.state.json beside the manifest.")] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="text is a live view on a terminal.")
    ] = Output.TEXT,
    live: Annotated[bool, typer.Option(help="Whether a terminal shows the live view.")] = True,
    timeout: Annotated[str | None, typer.Option(help="The longest that this run may take, such as 30m.")] = None,
    on_timeout: Annotated[Then, typer.Option(help="Leave the traffic, or roll back.")] = Then.HOLD,
    on_interrupt: Annotated[Then, typer.Option(help="What Ctrl-C and SIGTERM do.")] = Then.ROLLBACK,
    wait_approval: Annotated[bool, typer.Option(help="Wait at gates, or leave with code 5.")] = True,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed before.")] = False,
    wait_for_lock: Annotated[str | None, typer.Option(help="Wait this long for another run of the target.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    print_rbac: Annotated[bool, typer.Option("--print-rbac", help="Print the least Role for it, and leave.")] = False,
) -> int:
    """Shift traffic to the wanted version in steps, judge each step, promote or roll back.

    Ends with 0 promoted, 1 error, 2 invalid manifest, 3 rolled back, 4 timed out, 5 needs approval, 6 rejected by a
    person, 7 superseded, 8 outcome unknown, 9 suspended, 10 another run holds the target, 130 interrupted.
    """
    rules = str(policy) if policy else None
    place = bootstrap.Place(file, state, rules, prometheus, kubeconfig, context, namespace)
    limit = _duration("--timeout", timeout)
    if limit is not None and limit <= timedelta():
        raise UsageProblem(f"--timeout: {timeout} leaves no time for anything")
    options = Options(limit, on_timeout, on_interrupt, wait_approval)
    patience = _duration("--wait-for-lock", wait_for_lock) or timedelta()
    try:
        if print_rbac:
            print(bootstrap.role(place), end="")
            return Exit.PROMOTED
        return _run(place, options, output, live, retry, patience)
    except Conflict as error:
        raise Problem(str(error), Exit.LOCKED) from error
    except Invalid as error:
        raise Problem(str(error), Exit.INVALID) from error
    except CanaryError as error:
        raise Problem(str(error), Exit.ERROR) from error


def _run(
    place: bootstrap.Place, options: Options, output: Output, live: bool, retry: bool, patience: timedelta
) -> int:
    if logging.lastResort is not None:  # it finds standard error anew each time, so also above the live view
        logging.lastResort.setFormatter(logging.Formatter("warning: %(message)s"))
    with bootstrap.opened(place) as run, run.lock(patience.total_seconds()):
        if retry:
            run.retry()
        interrupts, approve = Interrupts(), f"canary approve {run.howto}"
        options = replace(options, author=run.author)
        with report_for(output, run.name, live, approve) as report, _signals(interrupts):
            over = Drive(run.parts, options, report, interrupts).run()
            report.close(over)
    return int(over.code)


@contextmanager
def _signals(interrupts: Interrupts) -> Iterator[None]:
    last = -math.inf

    def once(*_: object) -> None:
        nonlocal last
        if time.monotonic() - last >= APART:
            last = time.monotonic()
            interrupts()

    before = {number: signal.signal(number, once) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _duration(option: str, text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}") from error
