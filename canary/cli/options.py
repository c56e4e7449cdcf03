"""What commands share: options that say where a rollout is and what is printed, and who is at work on it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from canary import bootstrap
from canary.api.duration import parse
from canary.api.exit_codes import Exit
from canary.bootstrap import Followed, Memory, Place, memory, standalone_kind
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.errors import CanaryError, Conflict, Invalid
from canary.engine.formats import utc
from canary.show import times
from canary.show.summary import row
from canary.show.terminal import Line, Screen, Span

PATIENCE = 2.0
"""Seconds. A person who presses TAB waits no longer for a cluster that doesn't answer."""


def names(call: typer.Context, incomplete: str) -> list[str]:
    """Names that begin so; none where the cluster can't be asked, because a shell has no place for an error."""
    found: list[str] = []
    asking = threading.Thread(target=_ask, args=(call.params, found), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return sorted(name for name in dict.fromkeys(found) if name.startswith(incomplete))


def _ask(given: dict[str, Any], found: list[str]) -> None:
    place = Place(kubeconfig=given.get("kubeconfig"), context=given.get("context"), namespace=given.get("namespace"))
    with suppress(Exception):
        found += [one.name for one in bootstrap.running(place)]


Target = Annotated[
    str | None,
    typer.Argument(
        help="Name of a Canary in the cluster, or of a run's target; or use --file.", autocompletion=names
    ),
]
Name = Annotated[
    str | None, typer.Argument(help="Name of a Canary in the cluster; or use --file.", autocompletion=names)
]
OneOf = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the Canary, if there are several.")
]
Files = Annotated[list[Path] | None, typer.Option("--file", "-f", help="Manifest.")]
State = Annotated[Path | None, typer.Option("--state", help="State file, if the run was started with --state.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace in the cluster; default: that of the context.")
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig; default: the current one.")]
Kubeconfig = Annotated[
    str | None, typer.Option(help="Path of a kubeconfig; default: KUBECONFIG, then ~/.kube/config.")
]


class Form(StrEnum):
    """What `-o` of a reading command chooses."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def data_form(output: Form) -> Literal["json", "yaml"] | None:
    """How programs want it; None for people."""
    return "json" if output is Form.JSON else "yaml" if output is Form.YAML else None


Printed = Annotated[Form, typer.Option("--output", "-o", help="Output format.")]


def remembered(target: str | None, place: Place) -> Memory:
    """What the options mean. Raises Problem."""
    if target is None and place.state is None and not place.manifests:
        raise UsageProblem(
            "give a manifest with -f, a state file with --state, or the name of a target or a Canary in the cluster"
        )
    with reported():
        return memory(place, target)


def steered(target: str | None, place: Place) -> Memory:
    """The same for commands that look at a rollout or ask something of it: the run, where one holds the target."""
    found = remembered(target, place)
    if found.run is None:
        return found
    who = found.run.holder() or "a run holds the target"
    print(f"note: {who}; this command is about that run, not about the Canary object {found.name}", file=sys.stderr)
    return found.run


def reading(show: Callable[[Memory, Form, Place], None]) -> Callable[..., None]:
    """The command that looks at one rollout, wherever it is; its help is what `show` says of itself."""

    def command(
        target: Target = None,
        file: Files = None,
        state: State = None,
        output: Printed = Form.TEXT,
        namespace: Namespace = None,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
    ) -> None:
        place = Place(file or (), state, kubeconfig=kubeconfig, context=context, namespace=namespace)
        show(steered(target, place), output, place)

    command.__doc__ = show.__doc__
    return command


def remembered_object(name: str | None, place: Place, verb: str) -> Memory:
    """As `remembered`, for commands that need a Canary object: of a standalone target there never is one."""
    if name is None:
        with reported():
            kind = standalone_kind(place)
        if kind is not None:
            raise CommandProblem(
                f"there is no Canary object for a target of kind {kind}, so nothing can be {verb}; canary run drives "
                f"the rollout and waits for its end\nTry 'canary run -f {place.manifests[0]}'."
            )
    return remembered(name, place)


def object_of(found: Memory, verb: str) -> Followed:
    """The Canary object. Raises Problem if the name is a run's target."""
    if found.object is None:
        raise CommandProblem(
            f"{found.name} is the target of a canary run; only a Canary object can be {verb}\n"
            f"Try 'canary status {found.howto}'."
        )
    return found.object


@contextmanager
def reported(code: int = Exit.ERROR, conflict: int = 0, invalid: int = 0) -> Iterator[None]:
    """Turns errors of adapters into a sentence for the user; some commands have codes for some of them."""
    try:
        yield
    except Conflict as error:
        raise CommandProblem(str(error), conflict or code) from error
    except Invalid as error:
        raise CommandProblem(str(error), invalid or code) from error
    except CanaryError as error:
        raise CommandProblem(str(error), code) from error


def written(option: str, text: str | None) -> None:
    """Refuse an option without text: the variable of a pipeline that was never set. Raises UsageProblem."""
    if text is not None and not text.strip():
        raise UsageProblem(f"{option} is empty: give a {option.rsplit('-', maxsplit=1)[-1]}, or omit the option")


def server(option: str, url: str | None) -> None:
    """Refuse what is no URL of a server, before it takes the place of the manifest's. Raises UsageProblem."""
    from canary.engine.validation.target import no_address  # only where a URL is given

    sentence = "" if url is None else no_address(url)
    if sentence:
        raise UsageProblem(f"{option}: {sentence}")


def duration(option: str, text: str | None, zero: bool = False) -> timedelta | None:
    """What was given with an option, which may be `zero`. Raises UsageProblem."""
    try:
        found = None if text is None else parse(text)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}") from error
    if not zero and found is not None and found <= timedelta():
        raise UsageProblem(f"{option}: {text} is too short; it must be more than 0s")
    return found


def moment(option: str, text: str) -> datetime:
    """The time that was given with an option, in UTC, from any zone. Raises UsageProblem."""
    try:
        return utc(datetime.fromisoformat(text))
    except ValueError as error:
        raise UsageProblem(f"{option}: {text!r} is not a time such as 2030-12-24T15:00Z") from error


RECENT = timedelta(seconds=5)
"""A status that is not older is not said to be old."""


def absence(memory: Memory) -> str:
    """Since when no process is at work on the rollout under way, and the command to go on; empty otherwise."""
    if memory.status.rollout is None:
        return ""
    presence = memory.presence()
    return "" if presence is None or presence.active else str(presence)


def presence_lines(memory: Memory, now: datetime, screen: Screen) -> list[str]:
    """What a reader must know before the status of a rollout under way: who moves it, and when it was saved."""
    if memory.status.rollout is None:
        return []
    lines: list[Line] = []
    presence = memory.presence()
    if presence is not None:
        lines.append(row("process", Span(presence.sentence, "" if presence.active else "bad")))
        if presence.howto:
            lines.append(row("", Span("continue with "), Span(presence.howto, "strong")))
    if memory.saved is not None and now - memory.saved > RECENT:
        at = f"{times.moment(memory.saved, now, screen.zone)} ({times.ago(memory.saved, now)})"
        newer = "; the process saves its evaluations once a minute" if presence and presence.active else ""
        lines.append(row("saved", Span(f"{at}{newer}", "dim")))
    return [screen.paint(line) for line in lines]
