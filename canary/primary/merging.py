"""A pod template that server-side apply takes: it refuses lists of named entries in which a name stands twice.

An API server accepts these otherwise, with a warning, and charts have them. Here each entry that is without effect is
left out, so that the pods are the same; where they might not be, the owner has to choose.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from canary.engine.errors import Invalid

from .names import Data, Object

_CONTAINERS = ("initContainers", "containers")


def mergeable(spec: Data) -> Object:
    """The pod spec with each name once. Raises Invalid where leaving an entry out would change the pods."""
    made: Object = deepcopy(dict(spec))
    for kind in _CONTAINERS:
        for container in made.get(kind) or ():
            if container.get("env"):
                container["env"] = _variables(container["name"], container["env"])
            if container.get("ports"):
                container["ports"] = _ports(container["name"], container["ports"])
    if made.get("imagePullSecrets"):
        made["imagePullSecrets"] = list({one.get("name"): one for one in made["imagePullSecrets"]}.values())
    if made.get("hostAliases"):
        made["hostAliases"] = _aliases(made["hostAliases"])
    return made


def _variables(container: str, env: list[Any]) -> list[Any]:
    """The last value of each, which is what a container gets; a value that another one is made of isn't left out."""
    last = {one["name"]: index for index, one in enumerate(env)}
    for index, one in enumerate(env):
        name, end = one["name"], last[one["name"]]
        if index < end and any(f"$({name})" in (later.get("value") or "") for later in env[index + 1 : end + 1]):
            raise Invalid(
                f"container {container} has the environment variable {name} twice, and another one is made of its "
                "first value; write each variable once"
            )
    return [one for index, one in enumerate(env) if last[one["name"]] == index]


def _ports(container: str, ports: list[Any]) -> list[Any]:
    """The first entry of each, with the only name that it has; they are read by name."""
    made: dict[tuple[Any, str], dict[str, Any]] = {}
    for one in ports:
        known = made.setdefault((one["containerPort"], one.get("protocol") or "TCP"), one)
        if {**known, **one} != {**one, **known}:
            raise Invalid(f"container {container} has port {one['containerPort']} twice; write each port once")
        known.update(one)
    return list(made.values())


def _aliases(aliases: Iterable[Mapping[str, Any]]) -> list[Object]:
    """All host names of an address in one entry."""
    made: dict[str, list[str]] = {}
    for one in aliases:
        made.setdefault(one["ip"], []).extend(one.get("hostnames") or ())
    return [{"ip": ip, "hostnames": list(dict.fromkeys(names))} for ip, names in made.items()]
