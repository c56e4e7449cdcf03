"""What all checks of one Canary look at, and what a check hands back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from canary.api.analysis import Analysis
from canary.api.canary import Canary, CanaryPolicy, CanarySpec, MetricTemplate
from canary.api.model import Model

from ..pairs import Capabilities
from ..policy_merge import effective

Field = tuple[str | int, ...]
"""A way through a resource as it is written: `("spec", "analysis", "steps", 1, "weight")`."""


class Severity(StrEnum):
    """Whether it keeps a rollout from starting."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One error or probable mistake, with its field."""

    field: Field
    sentence: str
    """The error and a suggestion; printed after the field's name and a colon."""
    severity: Severity = Severity.ERROR
    absent: bool = False
    """Whether it is that something isn't there which the field refers to."""

    def __str__(self) -> str:
        return f"{dotted(self.field)}: {self.sentence}" if self.field else self.sentence


def dotted(field: Field) -> str:
    """`spec.analysis.steps[1].weight`; a name that isn't plain stands in brackets, quoted."""
    text = ""
    for part in field:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum() and part.isascii():
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def on_the_wire(model: type[Model], name: str) -> str:
    """How a manifest writes the field of this Python name: `step_weight` is `stepWeight`."""
    return model.model_fields[name].alias or name


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
