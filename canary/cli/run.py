"""`canary run`: drives one rollout from here to its end; the exit code says what happened."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
) -> int:
    """Shift traffic to the wanted version in steps, judge each step, promote or roll back.

    Ends with 0 promoted, 1 error, 2 invalid manifest, 3 rolled back, 4 timed out, 5 needs approval, 6 rejected by a
    person, 7 superseded, 8 outcome unknown, 9 suspended, 10 another run holds the target, 130 interrupted.
    """
    place = bootstrap.Standalone(
        file, state or bootstrap.state_beside(file[0]), str(policy) if policy else None, prometheus
    )
    options = Options(_duration(timeout), on_timeout, on_interrupt, wait_approval, author=bootstrap.me())
    try:
        return _run(place, options, output, live, retry)
    except Conflict as error:
        raise Problem(str(error), Exit.LOCKED) from error
    except Invalid as error:
        raise Problem(str(error), Exit.INVALID) from error
    except CanaryError as error:
        raise Problem(str(error), Exit.ERROR) from error


def _run(place: bootstrap.Standalone, options: Options, output: Output, live: bool, retry: bool) -> int:
    with bootstrap.standalone(place) as parts, bootstrap.held(place.state):
        if retry:
            bootstrap.retry(place.state, parts)
        name, interrupts = parts.target.desired().canary.metadata.name, Interrupts()
        with report_for(output, name, live, _howto(place)) as report, _signals(interrupts):
            over = Drive(parts, options, report, interrupts).run()
            report.close(over)
    return int(over.code)


@contextmanager
def _signals(interrupts: Interrupts) -> Iterator[None]:
    before = {number: signal.signal(number, interrupts) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _howto(place: bootstrap.Standalone) -> str:
    """The command that approves a gate of this run."""
    manifest = place.manifests[0]
    beside = place.state == bootstrap.state_beside(manifest)
    return f"canary approve -f {manifest}" if beside else f"canary approve --state {place.state}"


def _duration(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise UsageProblem(f"--timeout: {error}") from error
