"""What `undo` and `rollback --to` share: an earlier version or revision is rolled out, by a controller or from here.

For a target that has a primary, going back is a push in the user's own name: it writes what
of the target is released, such as its pod template.
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.revision import PromotedRevision
from canary.api.status import Status
from canary.bootstrap import Memory, Place, Run
from canary.cli.problems import CommandProblem, UsageProblem
from canary.engine.errors import Conflict, Invalid
from canary.engine.pairs import TargetType, pair_for
from canary.rollout.drive import Options, Then
from canary.show.outputs import Output
from canary.waiting.wait import WaitTerms

from .actions import EVERY, answered, asked, until
from .following import follow
from .options import reported
from .run import driven

BEGINS = 30.0
"""Seconds within which the controller begins a rollout, before `--now` gives up."""


@dataclass(frozen=True)
class Way:
    """How a user wants to go back."""

    place: Place
    now: bool
    """To 100% without the steps."""
    wait: bool
    timeout: timedelta | None
    allow_unanalysed: bool
    output: Output


def at_rest(status: Status) -> None:
    """Raises Invalid while a rollout is running."""
    if status.rollout is not None:
        pair = f"{status.rollout.stable_version} to {status.rollout.canary_version}"
        raise Invalid(
            f"a rollout from {pair} is running; canary rollback sends everything back to the stable version"
        )


def has_primary(memory: Memory, place: Place) -> bool:
    """Whether the target is released through a primary; a run's manifest says so. Raises Problem."""
    if memory.object is not None:
        spec = memory.object.canary.spec
    elif place.manifests:
        with reported(Exit.INVALID):
            spec = place.named.resolved().manifest.spec
    else:
        return False
    pair = pair_for(spec)
    return pair is not None and pair.type is TargetType.PRIMARY


def back(memory: Memory, kept: PromotedRevision, way: Way) -> int:
    """Roll out a kept revision of a target that has a primary; the exit code. Raises Problem."""
    with reported(Exit.INVALID):
        at_rest(memory.status)
    if memory.object is None:
        return _driven_back(memory, kept, way)
    with redirect_stdout(sys.stderr if way.output is Output.JSON else sys.stdout):
        begins = _pushed_back(memory, kept)
        if begins and way.now:
            number = memory.status.rollouts
            hurry(memory, kept.revision, lambda status: status.rollouts > number and status.rollout is not None)
    if not begins or not way.wait:
        return Exit.PROMOTED
    terms = WaitTerms(
        way.timeout,
        after=memory.status.rollouts,
        author=memory.author,
        allow_unanalysed=way.allow_unanalysed,
    )
    return follow(memory, terms, way.output)


def hurry(memory: Memory, to: str, begun: Callable[[Status], bool]) -> None:
    """Ask for all traffic as soon as the rollout has begun: an action is for a rollout that runs. Raises Problem."""
    with reported():
        status = until(memory, begun, BEGINS, EVERY)
    if not begun(status):
        why = status.message or "is it running?"
        raise CommandProblem(f"the controller hasn't begun the rollout to {to} within {BEGINS:g} s: {why}")
    with reported():
        action = asked(Verb.PROMOTE, replace(memory, status=status), "--now", memory.author)
        print(answered(memory, action.but(id=memory.post(action))))


def _pushed_back(memory: Memory, kept: PromotedRevision) -> bool:
    """Writes the template, for a controller to roll out; whether a rollout follows."""
    put_back = memory.object.put_back if memory.object is not None else None
    if put_back is None:
        raise AssertionError("a target with a primary has something to put back")
    with reported(conflict=Exit.SUPERSEDED):
        changed = put_back(kept.revision)
        if _failed(memory.status, kept, changed):
            memory.post(asked(Verb.RETRY, memory, "", memory.author))
    print(_words(memory, kept, changed))
    return not kept.serving


def _driven_back(memory: Memory, kept: PromotedRevision, way: Way) -> int:
    """From here to the end, as the manifest says."""
    if not way.place.manifests:
        raise UsageProblem(f"{memory.name} is the target of a run: name its manifest with -f, this command drives it")

    def first(run: Run) -> None:
        status = unmoved(memory, run)
        if run.put_back is None:
            raise AssertionError("a target with a primary has something to put back")
        changed = run.put_back(kept.revision)
        if _failed(status, kept, changed):
            run.retry()
        print(_words(memory, kept, changed), file=sys.stderr)

    options = Options(timeout=way.timeout, on_timeout=Then.HOLD, hurry=way.now, allow_unanalysed=way.allow_unanalysed)
    code = driven(way.place, options, way.output, first)
    if code == Exit.PROMOTED:
        print("the next push of its manifest goes on from here", file=sys.stderr)
    return code


def unmoved(memory: Memory, run: Run) -> Status:
    """The saved status. Raises Conflict if another run has ended between the first read and the lock."""
    stored = run.parts.store.load()
    if stored is None or stored.status.stable != memory.status.stable or stored.status.rollout is not None:
        raise Conflict(f"another run has moved {memory.name} just now; look at canary status, and try again")
    return stored.status


def _failed(status: Status, kept: PromotedRevision, changed: bool) -> bool:
    """Whether what the target has now was tried last and failed. With a copy in it, it has another name."""
    return status.failed is not None and (status.failed.revision == kept.revision or not (changed or kept.serving))


def _words(memory: Memory, kept: PromotedRevision, changed: bool) -> str:
    if kept.serving:
        again = "; the target is set back to it, and nothing is rolled out" if changed else ""
        return f"{memory.name}: the primary serves {kept.revision} already{again}"
    images = f" with {', '.join(kept.images)}" if kept.images else ""
    return f"{memory.name} goes back from {memory.status.stable} to revision {kept.number} ({kept.revision}){images}"
