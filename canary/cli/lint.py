"""`canary lint`: every problem of some manifests at once, each with file, line and column."""

import json
from typing import Annotated

import typer

from canary.cli.problems import UsageProblem
from canary.engine.validation import Severity
from canary.manifests import lint, read, with_fields
from canary.manifests.reading import within
from canary.show.outputs import Output

from .options import written

FINE, BAD = 0, 2


def command(
    file: Annotated[
        list[str], typer.Option("--file", "-f", help="Manifest, directory, or - for standard input; may be repeated.")
    ],
    policy: Annotated[
        str | None,
        typer.Option(help="File of policies; if it has only one, it is used for Canaries without policyRef."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Version, instead of the manifests', as for canary run.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> int:
    """Check manifests, and show each error with its position and a suggestion.

    Exit code 0: a rollout could start; 2: there are errors. Objects of other kinds are skipped.
    """
    written("--version", version)
    found = _found(file)
    files = list(dict.fromkeys(path for paths in found.values() for path in paths))
    reading = with_fields(read(files, policy, set(files) - set(file)), version=version)
    problems, others = lint(reading), len(reading.others)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = len(problems) - errors
    if output is Output.JSON:
        counts = {"errors": errors, "warnings": warnings, "passedOver": others}
        print(json.dumps({"problems": [each.wire() for each in problems], **counts}, indent=2))
    else:
        besides = f"; {_count(others, 'object')} of other kinds passed over" if others else ""
        print(*problems, _summary(errors, warnings, len(files) + (policy is not None)) + besides, sep="\n")
    return BAD if errors or (strict and warnings) else FINE


def _found(given: list[str]) -> dict[str, list[str]]:
    """What each stands for, directories opened; an empty directory is probably a mistake."""
    found = {path: within(path) for path in given}
    for path, files in found.items():
        if not files:
            raise UsageProblem(f"no YAML or JSON file was found in {path}")
    return found


def _summary(errors: int, warnings: int, files: int) -> str:
    counted = [_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return f"{' and '.join(counted) or 'no problems'} in {_count(files, 'file')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
