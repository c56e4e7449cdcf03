"""`canary explain`: what a field of a manifest holds and means, from the models' own docstrings."""

from inspect import cleandoc
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS
from canary.api.model import Model
from canary.cli.problems import UsageProblem
from canary.engine.errors import Invalid
from canary.manifests.fields import FoundField, KnownField, find, tree

WIDEST = 100


def command(
    field: Annotated[
        str | None, typer.Argument(help="Field, such as canary.spec.analysis.steps or analysis.steps.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Show nested fields.")] = False,
) -> None:
    """Explain a field of a manifest. Without a field, list the kinds."""
    if field is None:
        _print(_kinds())
        return
    try:
        found = find(field)
    except Invalid as error:
        raise UsageProblem(str(error)) from None
    _print(_head(found))
    if found.model is not None:
        _print(Text("\nFIELDS", style="bold"), _fields(found.model, recursive))


def _print(*parts: Table | Text) -> None:
    """As wide as the terminal, up to what is good to read; without the blanks that fill up a table's lines."""
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, WIDEST)
    with console.capture() as shown:
        for part in parts:
            console.print(part)
    print("\n".join(line.rstrip() for line in shown.get().splitlines()))


def _kinds() -> Table:
    table = _table(2)
    for kind, model in KINDS.items():
        table.add_row(kind, cleandoc(model.__doc__ or ""))
    return table


def _head(found: FoundField) -> Table:
    table = _table(2)
    table.add_row(Text("KIND", style="bold"), f"{found.kind} ({API_VERSION})")
    if found.field is None:
        table.add_row(Text("ABOUT", style="bold"), cleandoc(KINDS[found.kind].__doc__ or ""))
        return table
    table.add_row(Text("FIELD", style="bold"), ".".join(found.way))
    table.add_row(Text("TYPE", style="bold"), found.field.kind + (", required" if found.field.required else ""))
    if found.field.default:
        table.add_row(Text("DEFAULT", style="bold"), found.field.default)
    table.add_row(Text("ABOUT", style="bold"), found.field.about)
    return table


def _fields(model: type[Model], recursive: bool) -> Table:
    table = _table(3)
    for depth, field in tree(model, recursive):
        table.add_row("  " * (depth + 1) + field.name, field.kind, _about(field))
    return table


def _about(field: KnownField) -> str:
    """What it means, and what the type doesn't say."""
    marks = ["required"] if field.required else []
    marks += [f"default {field.default}"] if field.default else []
    return f"{field.about} ({', '.join(marks)})" if marks else field.about


def _table(columns: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    if columns == 3:
        table.add_column(max_width=18)
    table.add_column()
    return table
