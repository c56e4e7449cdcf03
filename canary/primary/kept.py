"""The last promoted templates, each in a ControllerRevision: what a failed promotion or a rollback goes back to.

Their references to ConfigMaps and Secrets are to immutable copies (`configs.py`), so that nothing else is needed. The
template that is being analysed is kept in the same way where it has such references, with 0 as its number.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from canary.api.canary import Canary
from canary.api.revision import PromotedRevision
from canary.engine.did_you_mean import did_you_mean
from canary.engine.errors import Invalid

from .names import MARK, REVISION, Data, Names, Object, metadata

KEPT = "canary-controller.dev/primary"
"""A label of the ControllerRevisions of one primary."""
MOST = 5
"""How many are kept."""
Copies = Sequence[Mapping[str, str]]
"""ConfigMaps and Secrets with their copies, as `configs.written` makes them."""


def revision_object(
    canary: Canary, template: Data, revision: str, replicas: int, kept: Iterable[Data], copies: Copies = ()
) -> Object:
    """The ControllerRevision of a revision, newer than those that are kept; `replicas` are the primary's."""
    names = Names.of(canary)
    name = f"{names.primary}-{sha256(revision.encode()).hexdigest()[:10]}"
    made = metadata(canary, name, {KEPT: names.primary}, {REVISION: revision})
    newest = max((int(one.get("revision") or 0) for one in kept), default=0)
    held = {"template": dict(template), "replicas": replicas} | ({"copies": list(copies)} if copies else {})
    return {"metadata": made, "revision": newest + 1, "data": held}


def analysed_object(canary: Canary, template: Data, revision: str, copies: Copies) -> Object:
    """The ControllerRevision of the one revision that is being analysed."""
    made = revision_object(canary, template, revision, 0, (), copies)
    return {**made, "metadata": {**made["metadata"], "name": f"{made['metadata']['name']}-next"}, "revision": 0}


def is_promoted(one: Data) -> bool:
    """Whether it was copied to the primary, and isn't only being analysed."""
    return int(one.get("revision") or 0) > 0


def found_of(kept: Iterable[Data], revision: str) -> Data | None:
    """The ControllerRevision of a revision."""
    return next((one for one in kept if _revision_of(one) == revision), None)


def copies_of(one: Data) -> Copies:
    """What its template refers to."""
    return (one.get("data") or {}).get("copies") or ()


def kept_template(kept: Iterable[Data], revision: str) -> Object | None:
    """The pod template of a revision; None where it isn't kept."""
    for one in kept:
        if _revision_of(one) == revision:
            return dict((one.get("data") or {}).get("template") or {})
    return None


def kept_replicas(kept: Iterable[Data], revision: str) -> int:
    """How many a primary that is made again gets; at least one."""
    found = next((one for one in kept if _revision_of(one) == revision), {})
    return max(1, int((found.get("data") or {}).get("replicas") or 0))


def surplus(kept: Iterable[Data], serving: str) -> Sequence[Data]:
    """Those to remove when one more is added, the oldest first; never the one that serves."""
    spared = [one for one in kept if _revision_of(one) != serving]
    in_order = sorted(spared, key=lambda one: int(one.get("revision") or 0))
    return in_order[: max(0, len(in_order) + 2 - MOST)]


def kept_for(found: Iterable[Data], canary: str) -> list[Data]:
    """Those of a Canary, by its name, among all ControllerRevisions of its namespace."""
    return [
        one
        for one in found
        if is_promoted(one) and KEPT in _about(one, "labels") and _about(one, "annotations").get(MARK) == canary
    ]


def primary_of(one: Data) -> str:
    """The name of the primary that a ControllerRevision belongs to."""
    return str(_about(one, "labels").get(KEPT) or "")


def described(kept: Iterable[Data], serving: str) -> tuple[PromotedRevision, ...]:
    """What users see of them, newest first; the primary has the revision `serving`."""
    found = [
        PromotedRevision(
            number=int(one.get("revision") or 0),
            revision=_revision_of(one),
            images=tuple(str(each.get("image") or "") for each in _containers(one)),
            promoted=(one.get("metadata") or {}).get("creationTimestamp"),
            serving=_revision_of(one) == serving,
        )
        for one in kept
    ]
    return tuple(sorted(found, key=lambda one: one.number, reverse=True))


def chosen(kept: Sequence[PromotedRevision], word: str) -> PromotedRevision:
    """The revision that a user names, by its name or its number. Raises Invalid."""
    for said in (lambda one: one.revision, lambda one: str(one.number)):
        if found := next((one for one in kept if said(one) == word), None):
            return found
    if not kept:
        raise Invalid("no promoted revision is kept, so there is none to go back to")
    meant = did_you_mean(word, [one.revision for one in kept])
    there = ", ".join(f"{one.number} ({one.revision})" for one in kept)
    raise Invalid(f"revision {word} isn't kept{meant or f'; there are {there}'}")


def _containers(one: Data) -> Sequence[Data]:
    template = (one.get("data") or {}).get("template") or {}
    return (template.get("spec") or {}).get("containers") or ()


def _revision_of(one: Data) -> str:
    return str(_about(one, "annotations").get(REVISION) or "")


def _about(one: Data, field: str) -> Mapping[str, str]:
    return (one.get("metadata") or {}).get(field) or {}
