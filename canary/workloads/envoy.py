"""How many endpoints of a cluster can answer, as Envoy's health checks see it (`canary/envoy/admin.py` asks)."""

from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.envoy.admin import Admin, Unanswered, literal, stat_name
from canary.envoy.stats import values
from canary.ports import Workloads


class EnvoyWorkloads(Workloads):
    """The port Workloads on one Envoy. Without active health checks every endpoint counts as available."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def read(self, version: str) -> WorkloadSeen | Missing:
        """The cluster of this name."""
        try:
            answer = self._admin.stats(rf"^cluster\.{literal(version)}\.membership_(healthy|total)$")
        except Unanswered as error:
            return error.missing
        counts, prefix = values(answer), f"cluster.{stat_name(version)}.membership_"
        if f"{prefix}total" not in counts:
            return Missing(Cause.ABSENT, f"Envoy has no cluster {version}")
        return WorkloadSeen(version, int(counts[f"{prefix}total"]), int(counts.get(f"{prefix}healthy", 0)))
