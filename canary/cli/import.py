"""`canary import`: manifests of Flagger and of Argo Rollouts as ours."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from canary import bootstrap
from canary.api.exit_codes import Exit
from canary.cli.problems import UsageProblem
from canary.engine.errors import Invalid
from canary.engine.validation import Severity
from canary.importing import Imported, argo, flagger, flagger_objects, together
from canary.manifests import lint
from canary.manifests.reading import read_text, shown, text_of, within

from .options import Context, Kubeconfig, Namespace, reported

OUTPUT = "the output"
GROUP = "flagger.app/"


class Source(StrEnum):
    """Whose manifests are read."""

    FLAGGER = "flagger"
    ARGO = "argo"


def command(
    source: Annotated[Source, typer.Argument(help="Whose manifests to read: flagger or argo.", show_default=False)],
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", help="Manifest, directory, or - for standard input; may be repeated."),
    ] = None,
    modern: Annotated[
        bool, typer.Option("--modern", help="Write explicit steps and ranges, instead of Flagger's short forms.")
    ] = False,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Read all namespaces of the cluster.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> int:
    """Write manifests of canary that do the same as those of Flagger or Argo Rollouts.

    Comments say what means something else here. Without --file, Flagger's objects are read from the cluster, and
    nothing is changed there. Exit code 0: lint finds no error in the output; 2: it does, or a file can't be read.
    """
    with reported(Exit.INVALID):
        if source is Source.ARGO:
            if modern or not file:
                raise UsageProblem(
                    "give the manifests with -f; --modern and a cluster are for `canary import flagger`"
                )
            made = argo([(shown(path), _text(path)) for path in _paths(file)])
        elif file:
            made = _flagger(_paths(file), modern)
        else:
            place = bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace)
            made = flagger_objects(bootstrap.flaggers(place, everywhere), modern)
    print(made.text, end="")
    return _reported(made)


def _paths(given: list[str]) -> list[str]:
    return [path for one in given for path in within(one)]


def _text(path: str) -> str:
    try:
        return text_of(path)
    except Invalid as error:
        raise Invalid(f"{shown(path)}: {error}") from error


def _flagger(paths: list[str], modern: bool) -> Imported:
    """Files that hold none of Flagger's objects are left out. Raises Invalid."""
    texts = [(shown(path), _text(path)) for path in paths]
    every = [flagger(text, name, modern) for name, text in texts if len(texts) == 1 or GROUP in text]
    made = together(one for one in every if one.count)
    if not made.count:
        names = ", ".join(name for name, _ in texts)
        raise Invalid(
            f"there are none of Flagger's objects (apiVersion: {GROUP}v1beta1) in {names or 'these folders'}"
        )
    return made


def _reported(made: Imported) -> int:
    """What the user has still to do, on standard error."""
    for sentence in made.lost:
        print(f"no counterpart: {sentence}", file=sys.stderr)
    problems = lint(read_text(OUTPUT, made.text))
    for problem in problems:
        print(problem, file=sys.stderr)
    errors = sum(one.severity is Severity.ERROR for one in problems)
    objects = f"{made.count} object{'' if made.count == 1 else 's'}"
    found = f"{errors or 'no'} error{'' if errors == 1 else 's'} to correct in the output"
    print(f"converted {objects}; {found}", file=sys.stderr)
    return Exit.INVALID if errors else Exit.PROMOTED
