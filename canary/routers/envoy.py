"""Moves traffic on a standalone Envoy: writes its route file, and believes only what Envoy has loaded.

Reads answer from /config_dump; the file gives the token that guards a write. `canary/envoy/routes.py` knows what
a route says, `discovery.py` keeps the file, `refusals.py` finds out what Envoy didn't take.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from canary.api.canary import CanarySpec
from canary.api.plan import Traffic
from canary.engine.errors import Conflict, Invalid, Rejected
from canary.engine.observed import Kind, Missing, RouteSeen
from canary.envoy.admin import Admin, Unanswered
from canary.envoy.discovery import RouteFile
from canary.envoy.refusals import Refusals
from canary.envoy.routes import Scope, State, apply, read


class EnvoyRouter:
    """The port Router on one RouteConfiguration of one Envoy."""

    def __init__(self, admin: Admin, path: Path, scope: Scope, log: Path | None = None) -> None:
        """`path` is the file that Envoy reads the configuration from (RDS), `log` the one that it writes its log to.

        Raises Invalid for a path whose format can't be told.
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
        scope = Scope(spec.target_ref.name, spec.routes, spec.host)
        return cls(admin, beside / spec.envoy.routes, scope, log)

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """What Envoy has loaded; the token is of the file."""
        try:
            token = self._file.token()
            loaded, taken = self._loaded(), self._refusals.seen()
            if taken is None and loaded is None:
                return self._absent()
            state = read(loaded, self._scope, stable, canary) if loaded else self._nothing()
            clusters = self._clusters()
        except Unanswered as error:
            return error.missing
        except FileNotFoundError:
            return Missing(Kind.ABSENT, f"{self._file.path} isn't there")
        except OSError as error:
            return Missing(Kind.DENIED, f"{self._file.path} can't be read: {error.strerror}")
        return RouteSeen(
            token=token,
            shares=state.shares,
            traffic=state.traffic,
            described=state.described,
            destinations=clusters,
            unmoved=state.unmoved,
            rejected=taken.rejected if taken else None,
        )

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """Replaces the file, unless it asks for `traffic` already. Raises Conflict, Rejected or Unreachable."""
        document = self._file.read()
        if token is not None and token != document.token:
            raise Conflict(f"{self._file.path} was changed by somebody else")
        try:
            config = apply(document.config, self._scope, stable, canary, traffic)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Rejected(f"{self._file.path} is not shaped as a RouteConfiguration: {error!r}") from None
        if config != document.config:
            self._file.replace(document, document.holding(config))

    def _loaded(self) -> Mapping[str, Any] | None:
        for entry in self._admin.dump(resource="dynamic_route_configs"):
            config = entry.get("route_config")
            if isinstance(config, dict) and config.get("name") == self._scope.name:
                return config
        return None

    def _nothing(self) -> State:
        return State({}, None, f"Envoy has not loaded the route configuration {self._scope.name}")

    def _absent(self) -> Missing:
        """Envoy doesn't even try to read a configuration of this name."""
        entries = self._admin.dump(resource="dynamic_route_configs", mask="route_config.name")
        names = sorted(str(entry.get("route_config", {}).get("name")) for entry in entries)
        there = f"; it reads {', '.join(names)}" if names else ""
        return Missing(Kind.ABSENT, f"Envoy reads no route configuration {self._scope.name} from a file{there}")

    def _clusters(self) -> frozenset[str]:
        kinds = ("static_clusters", "dynamic_active_clusters")
        entries = [entry for kind in kinds for entry in self._admin.dump(resource=kind, mask="cluster.name")]
        return frozenset(str(entry.get("cluster", {}).get("name")) for entry in entries)
