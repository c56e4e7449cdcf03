"""`canary crd`: the CustomResourceDefinitions of canary's kinds, for `kubectl apply -f -`."""

from pathlib import Path
from typing import Annotated

import typer

from canary.api.kinds import KINDS
from canary.cli.problems import CommandProblem
from canary.crds.definitions import file_name, text


def command(
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-d", help="Write one file per kind to this directory, instead of printing."),
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions of canary's kinds.

    Example: canary crd | kubectl apply --server-side -f -
    """
    if directory is None:
        print("---\n".join(text(kind) for kind in KINDS), end="")
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (directory / file_name(kind)).write_text(text(kind), encoding="utf-8")
    except OSError as error:
        raise CommandProblem(f"{error.filename} can't be written: {error.strerror}") from None
