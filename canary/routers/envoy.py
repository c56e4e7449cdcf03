"""Moves traffic on a standalone Envoy: writes its route file, and believes only what Envoy has loaded.

Reads answer from /config_dump; the file gives the token that guards a write. `canary/envoy/routes.py` knows what
a route says, `canary/envoy/discovery.py` keeps the file.

Envoy counts refusals (`update_failure`: it could not parse the file, `update_rejected`: it would not serve it) and
the time of its last success; its words stand in its log, and nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from canary import files
from canary.api.canary import CanarySpec
from canary.api.plan import Traffic
from canary.engine.errors import Conflict, Invalid, Rejected, Unreachable
from canary.engine.next_traffic import increases
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.envoy.admin import Admin, Unanswered, literal
from canary.envoy.discovery import RouteFile, token_of
from canary.envoy.routes import RouteScope, RouteState, apply, read
from canary.envoy.stats import values
from canary.ports import Router

_REFUSED = ("update_failure", "update_rejected")
_ENTRY = re.compile(
    r"^\[[^\n]*Filesystem config update (?:failure|rejected): (.*?)(?=^\[\d{4}-|\Z)", re.MULTILINE | re.DOTALL
)
_TAIL = 256 * 1024
"""As much of the log as is searched for the last refusal, in bytes."""
_LONGEST = 1000
"""As many of Envoy's words as are passed on, in characters: it may quote the whole file."""


@dataclass(frozen=True)
class Taken:
    """How Envoy took the file."""

    rejected: str | None
    """Its words, where it refused what is in the file now."""
    loaded: bool
    """Whether it has loaded what is in the file now."""


class Refusals:
    """Watches one RouteConfiguration's subscription."""

    def __init__(self, admin: Admin, name: str, file: RouteFile, log: Path | None) -> None:
        self._admin = admin
        self._name = name
        self._file = file
        self._log = log
        self._success = 0
        self._known: dict[str, int] = {}
        """Refusals of earlier files, from when the file at hand was seen to be loaded."""

    def seen(self) -> Taken | None:
        """None where Envoy has no subscription of this name. Raises Unanswered, and OSError for the file."""
        changed = self._file.changed()
        answer = self._admin.stats(rf"^http\..*\.rds\.{literal(self._name)}\.(update_(failure|rejected|time))$")
        found = values(answer)
        if not found:
            return None
        counts = {kind: sum(int(v) for name, v in found.items() if name.endswith(kind)) for kind in _REFUSED}
        success = max((int(v) for name, v in found.items() if name.endswith("update_time")), default=0)
        loaded = success >= changed
        if loaded or success < self._success:  # or a new life of Envoy, which counts from zero
            self._known = counts if loaded else {}
        self._success = success
        risen = {kind: count for kind, count in counts.items() if count > self._known.get(kind, 0)}
        if loaded or not risen:
            return Taken(None, loaded)
        return Taken(self._words() or self._counted(risen), loaded)

    def _words(self) -> str | None:
        """The last refusal in the log; Envoy may need a moment to write it there."""
        if self._log is None:
            return None
        try:
            entries = _ENTRY.findall(files.tail(self._log, _TAIL).decode(errors="replace"))
        except OSError:
            return None
        words = " ".join(entries[-1].split()) if entries else None
        return words[:_LONGEST] if words else None

    def _counted(self, risen: dict[str, int]) -> str:
        rose = " and ".join(
            f"{kind} rose from {self._known.get(kind, 0)} to {count}" for kind, count in risen.items()
        )
        return f"Envoy refused the file ({rose}); its log has the words"


class EnvoyRouter(Router):
    """The port Router on one RouteConfiguration of one Envoy."""

    def __init__(self, admin: Admin, path: Path, scope: RouteScope, log: Path | None = None) -> None:
        """`path` is the file that Envoy reads the configuration from (RDS), `log` the one that it writes its log to.

        Raises Invalid for a path whose format isn't known.
        """
        self._admin = admin
        self._scope = scope
        self._file = RouteFile(path, scope.name)
        self._refusals = Refusals(admin, scope.name, self._file, log)

    @classmethod
    def of(cls, spec: CanarySpec, admin: Admin, beside: Path) -> Self:
        """For a manifest's spec; files are relative to the folder `beside`. Raises Invalid without `spec.envoy`."""
        if spec.envoy is None:
            raise Invalid("spec.envoy: missing; an EnvoyRoute needs envoy.admin and envoy.routes")
        log = beside / spec.envoy.log if spec.envoy.log else None
        scope = RouteScope(spec.target_ref.name, spec.routes, spec.host)
        return cls(admin, beside / spec.envoy.routes, scope, log)

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """What Envoy has loaded; the token is of the file."""
        try:
            content = self._file.content()
            loaded, taken = self._loaded(), self._refusals.seen()
            if taken is not None and taken.loaded:
                self._file.keep(content)
            if taken is None and loaded is None:
                return self._absent()
            state = read(loaded, self._scope, stable, canary) if loaded else self._nothing()
            clusters = self._clusters()
        except Unanswered as error:
            return error.missing
        except Rejected as error:
            return Missing(Cause.INVALID, str(error))
        except FileNotFoundError:
            return Missing(Cause.ABSENT, f"{self._file.path} isn't there")
        except OSError as error:
            return Missing(Cause.DENIED, f"{self._file.path} can't be read: {error.strerror}")
        return RouteSeen(
            token=token_of(content),
            shares=state.shares,
            traffic=state.traffic,
            described=state.described,
            destinations=clusters,
            unmoved=state.unmoved,
            mixed=stable is None,
            rejected=taken.rejected if taken else None,
        )

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """Replaces the file, unless it asks for `traffic` already. Raises Conflict, Rejected or Unreachable."""
        try:
            document = self._file.read()
        except (Rejected, Unreachable):
            if not self._restores(stable, canary, traffic):
                raise
            return
        if token is not None and token != document.token:
            raise Conflict(f"{self._file.path} was changed by another client")
        try:
            config = apply(document.config, self._scope, stable, canary, traffic)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Rejected(f"{self._file.path} is not shaped as a RouteConfiguration: {error!r}") from None
        if config != document.config:
            self._file.replace(document, document.holding(config))

    def _restores(self, stable: str, canary: str, traffic: Traffic) -> bool:
        """Replaces a file that can't be read with the last readable one, if that only decreases exposure."""
        known = self._file.kept()
        if known is None:
            return False
        seen = read(known.config, self._scope, stable, canary).traffic
        if seen is None or increases(seen, traffic):
            return False
        self._file.restore(known.holding(apply(known.config, self._scope, stable, canary, traffic)))
        return True

    def _loaded(self) -> Mapping[str, Any] | None:
        for entry in self._admin.dump(resource="dynamic_route_configs"):
            config = entry.get("route_config")
            if isinstance(config, dict) and config.get("name") == self._scope.name:
                return config
        return None

    def _nothing(self) -> RouteState:
        return RouteState({}, None, f"Envoy has not loaded the route configuration {self._scope.name}")

    def _absent(self) -> Missing:
        """Envoy doesn't even try to read a configuration of this name."""
        entries = self._admin.dump(resource="dynamic_route_configs", mask="route_config.name")
        names = sorted(str(entry.get("route_config", {}).get("name")) for entry in entries)
        there = f"; it reads {', '.join(names)}" if names else ""
        return Missing(Cause.ABSENT, f"Envoy reads no route configuration {self._scope.name} from a file{there}")

    def _clusters(self) -> frozenset[str]:
        kinds = ("static_clusters", "dynamic_active_clusters")
        entries = [entry for kind in kinds for entry in self._admin.dump(resource=kind, mask="cluster.name")]
        return frozenset(str(entry.get("cluster", {}).get("name")) for entry in entries)
