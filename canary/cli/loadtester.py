"""`canary loadtester`: the server that hooks call for commands and gates; each option is a variable as well."""

import logging
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from canary.cli import heeded
from canary.cli.problems import UsageProblem
from canary.controller.logs import Format, Level, set_up
from canary.engine.errors import Invalid
from canary.loadtester.commands import allowed
from canary.loadtester.server import DEFAULT, LoadTester, LoadTesterSettings

from .options import duration

log = logging.getLogger(__name__)
TOKEN = "CANARY_LOADTESTER_TOKEN"


def command(
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="Command that hooks may start, such as 'hey -z * http://*.test/**'; * stands for text in one "
            "argument, ** at the end for further arguments; may be repeated."
        ),
    ] = None,
    allow_bash: Annotated[
        list[str] | None,
        typer.Option(help="Script that hooks of type bash may run, word for word; * for all; may be repeated."),
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = DEFAULT,
    timeout: Annotated[str, typer.Option(help="Time limit of a command.")] = "1h",
    log_format: Annotated[Format, typer.Option(help="Log format, on standard error.")] = Format.TEXT,
    log_level: Annotated[Level, typer.Option(help="Log level.")] = Level.INFO,
) -> int:
    """Start commands for hooks, and keep gates for them, as Flagger's load tester does.

    Only what --allow and --allow-bash name is started; without them there are gates only. If CANARY_LOADTESTER_TOKEN
    is set, clients must send it as a bearer token. It ends at SIGTERM, together with its commands.
    """
    limit = duration("--timeout", timeout)
    if limit is None:
        raise AssertionError("it has a default")
    set_up(log_format, log_level, sys.stderr)
    try:
        settings = LoadTesterSettings(
            allowed(allow or [], allow_bash or []), listen, limit.total_seconds(), os.environ.get(TOKEN, "")
        )
        server = LoadTester(settings)
        server.start()
    except Invalid as error:
        raise UsageProblem(str(error)) from error
    over = threading.Event()
    for number in heeded():
        # In a thread, because the handler may have interrupted who holds the lock that `set` takes.
        signal.signal(number, lambda *_: threading.Thread(target=over.set).start())
    log.info("listening port=%d", server.port)
    while not over.wait(1.0):  # a signal that another thread got doesn't wake this one
        pass
    server.stop()
    return 0
