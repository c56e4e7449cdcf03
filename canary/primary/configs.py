"""What a target's pods read from ConfigMaps and Secrets, and the immutable copies that its primary's pods read. Pure.

A copy is named by what it holds, so that pods of the primary never see what was written later.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from hashlib import sha256
from typing import Any, NamedTuple

from canary.api.canary import Canary
from canary.kube.projections import packed

from .kept import KEPT
from .names import Data, Names, Object, metadata

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
TRACKING = ("canary-controller.dev/config-tracking", "flagger.app/config-tracking")
"""Annotations of a ConfigMap or Secret that is left out, with a value that begins with `disable`."""
SECRET_TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
"""Of Secrets that are tracked; the others are made by controllers."""
LONGEST_NAME = 253
DIGITS, DIGITS_OF_NAME = 8, 10


class Config(NamedTuple):
    """A ConfigMap or a Secret, by its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ConfigRef(NamedTuple):
    """One that a pod template refers to."""

    kind: str
    name: str
    optional: bool
    """Whether pods start without it: no reference to it is mandatory."""

    @property
    def config(self) -> Config:
        return Config(self.kind, self.name)


def references(template: Data) -> tuple[ConfigRef, ...]:
    """All that a pod template refers to in volumes and environments, each once, in order."""
    found: dict[Config, bool] = {}
    for kind, holder, key in _holders(template):
        one = Config(kind, str(holder[key]))
        found[one] = found.get(one, True) and bool(holder.get("optional"))
    return tuple(ConfigRef(*one, optional) for one, optional in sorted(found.items()))


def renamed(template: Data, names: Mapping[Config, str]) -> Object:
    """The template with other names in its references."""
    made: Object = deepcopy(dict(template))
    for kind, holder, key in _holders(made):
        holder[key] = names.get(Config(kind, str(holder[key])), holder[key])
    return made


def tracked(kind: str, found: Data) -> bool:
    """Whether a change of it starts a rollout, and the primary gets a copy of it."""
    said = (found.get("metadata") or {}).get("annotations") or {}
    if any(str(said.get(name) or "").startswith("disable") for name in TRACKING):
        return False
    return kind != SECRET or (found.get("type") or "Opaque") in SECRET_TYPES


def digest(found: Data) -> str:
    """Of all that pods can read of it; of a `projected` one as it was then."""
    if "digest" in found:
        return str(found["digest"])
    held = [found.get("data") or {}, found.get("binaryData") or {}]
    return sha256(json.dumps(held, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest_of_all(found: Mapping[Config, Data]) -> str:
    """Of several; empty for none."""
    if not found:
        return ""
    said = [[*one, digest(each)] for one, each in sorted(found.items())]
    return sha256(json.dumps(said).encode()).hexdigest()[:DIGITS]


def projected(found: Data) -> bytes:
    """What is kept of a ConfigMap that is watched: none of its contents."""
    about = found.get("metadata") or {}
    said = {key: value for key, value in (about.get("annotations") or {}).items() if key in TRACKING}
    kept = {"name": about.get("name"), "namespace": about.get("namespace")} | ({"annotations": said} if said else {})
    return packed({"metadata": kept, "digest": digest(found)})


def copy_name(canary: Canary, name: str, found: Data) -> str:
    """What the copy is called: by the original, and by what it holds now."""
    end = f"-primary-{sha256(f'{canary.metadata.name} {digest(found)}'.encode()).hexdigest()[:DIGITS_OF_NAME]}"
    return name[: LONGEST_NAME - len(end)] + end


def copy_of(canary: Canary, one: Config, found: Data) -> Object:
    """The immutable copy, whole."""
    made = metadata(canary, copy_name(canary, one.name, found), {KEPT: Names.of(canary).primary})
    held = {field: dict(found[field]) for field in ("data", "binaryData") if found.get(field)}
    kind = {"type": found["type"]} if one.kind == SECRET and found.get("type") else {}
    return {"metadata": made, "immutable": True, **kind, **held}


def written(names: Mapping[Config, str]) -> list[dict[str, str]]:
    """Originals and copies, for a ControllerRevision."""
    return [{"kind": one.kind, "name": one.name, "copy": name} for one, name in sorted(names.items())]


def read(noted: Iterable[Mapping[str, str]]) -> dict[Config, str]:
    """What `written` made."""
    return {Config(one["kind"], one["name"]): one["copy"] for one in noted}


def _holders(template: Data) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each reference: its kind, the object that it stands in, and the field with the name."""
    spec = template.get("spec") or {}
    for volume in spec.get("volumes") or ():
        yield from _sources(volume, (CONFIG_MAP, "configMap", "name"), (SECRET, "secret", "secretName"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _sources(source, (CONFIG_MAP, "configMap", "name"), (SECRET, "secret", "name"))
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for variable in container.get("env") or ():
            given = variable.get("valueFrom") or {}
            yield from _sources(given, (CONFIG_MAP, "configMapKeyRef", "name"), (SECRET, "secretKeyRef", "name"))
        for source in container.get("envFrom") or ():
            yield from _sources(source, (CONFIG_MAP, "configMapRef", "name"), (SECRET, "secretRef", "name"))


def _sources(holder: Data, *known: tuple[str, str, str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    for kind, field, key in known:
        if (holder.get(field) or {}).get(key):
            yield kind, holder[field], key
