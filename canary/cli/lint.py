"""`canary lint`: every problem of some manifests at once, each with file, line and column."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from canary.cli.app import UsageProblem
from canary.engine.checks import Severity
from canary.manifests import Located, lint, read
from canary.manifests.files import within

FINE, BAD = 0, 2


class Output(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"


def command(
    file: Annotated[
        list[str], typer.Option("--file", "-f", help="A manifest, a directory of them, or - for standard input.")
    ],
    policy: Annotated[
        str | None,
        typer.Option(help="A file of policies; the only one in it holds for Canaries without policyRef."),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How problems are printed.")] = Output.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
) -> int:
    """Check manifests, and say what is wrong, where, and what was probably meant.

    Ends with 0 where a rollout could start, else with 2. Objects of other kinds are passed over.
    """
    files = _files(file)
    reading = read(files, policy)
    problems, others = lint(reading), len(reading.others)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = len(problems) - errors
    if output is Output.JSON:
        counts = {"errors": errors, "warnings": warnings, "passedOver": others}
        print(json.dumps({"problems": [each.wire() for each in problems], **counts}, indent=2))
    else:
        _print(problems, _summary(errors, warnings, len(files) + (policy is not None)) + _besides(others))
    return BAD if errors or (strict and warnings) else FINE


def _files(given: list[str]) -> list[str]:
    """Each once, directories opened; a directory of nothing was probably not meant."""
    found = {path: within(path) for path in given}
    for path, files in found.items():
        if not files:
            raise UsageProblem(f"no YAML or JSON file was found in {path}")
    return list(dict.fromkeys(path for files in found.values() for path in files))


def _print(problems: tuple[Located, ...], summary: str) -> None:
    for problem in problems:
        print(problem)
    print(summary)


def _summary(errors: int, warnings: int, files: int) -> str:
    counted = [_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return f"{' and '.join(counted) or 'no problems'} in {_count(files, 'file')}"


def _besides(others: int) -> str:
    return f"; {_count(others, 'object')} of other kinds passed over" if others else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
