"""What all checks of one Canary look at: the joined analysis, and where each of its fields was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from canary.api.analysis import Analysis
from canary.api.canary import Canary, CanaryPolicy, CanarySpec, MetricTemplate

from ..policy import effective
from .problem import Capabilities, Field, Problem, Severity, dotted, on_the_wire


@dataclass(frozen=True)
class Case:
    """A Canary and what it refers to."""

    canary: Canary
    policy: CanaryPolicy | None
    templates: Mapping[str, MetricTemplate]
    capabilities: Capabilities

    @property
    def spec(self) -> CanarySpec:
        """The Canary's."""
        return self.canary.spec

    @cached_property
    def analysis(self) -> Analysis:
        """What holds once Canary, `canaryAnalysis` and policy are joined."""
        return effective(self.spec, self.policy)

    @property
    def policy_missing(self) -> bool:
        """The Canary refers to a policy that isn't there; what it would have supplied can't be judged."""
        return self.spec.policy_ref is not None and self.policy is None

    def written(self, name: str) -> bool:
        """Whether the analysis has the field of this Python name, from wherever."""
        return name in self.analysis.written()

    def block(self, name: str = "") -> str | None:
        """The block of the spec that the analysis' field comes from; None for the policy."""
        for block, found in (("analysis", self.spec.analysis), ("canaryAnalysis", self.spec.canary_analysis)):
            if found is not None and (not name or name in found.written()):
                return block
        return None

    def problem(self, name: str, sentence: str, *rest: str | int, severity: Severity = Severity.ERROR) -> Problem:
        """A problem with the analysis' field of this Python name, or (`rest`) with something inside it."""
        inside: Field = (on_the_wire(Analysis, name), *rest)
        block = self.block(name)
        if block is not None:
            return Problem(("spec", block, *inside), sentence, severity)
        if self.policy is not None and name in self.policy.spec.analysis.written():
            return shared(self.policy, Problem(("spec", "analysis", *inside), sentence, severity))
        return Problem(("spec", self.block() or "analysis", *inside), sentence, severity)

    def warning(self, name: str, sentence: str, *rest: str | int) -> Problem:
        """As `problem`, but it keeps nothing from starting."""
        return self.problem(name, sentence, *rest, severity=Severity.WARNING)


def shared(policy: CanaryPolicy, problem: Problem) -> Problem:
    """How a problem of a policy reads at the Canary that refers to it."""
    name = policy.metadata.name
    sentence = f"in the policy {name}, {dotted(problem.field)}: {problem.sentence}"
    return Problem(("spec", "policyRef"), sentence, problem.severity)
