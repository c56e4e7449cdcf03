"""What a check hands back, and what it is told about the router. `case.py` comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from canary.api.model import Model

Field = tuple[str | int, ...]
"""A way through a resource as it is written: `("spec", "analysis", "steps", 1, "weight")`."""


class Severity(StrEnum):
    """Whether it keeps a rollout from starting."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or probably not meant, and where."""

    field: Field
    sentence: str
    """What is wrong and what was probably meant; read after the field's name and a colon."""
    severity: Severity = Severity.ERROR

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
class Capabilities:
    """What a router can do beside weights."""

    name: str
    """What sentences call it: the target's kind."""
    mirror: bool = False
    headers: bool = False
    query_params: bool = False
    source_labels: bool = False
    affinity: bool = False


ROUTERS: Mapping[str, Capabilities] = {
    "EnvoyRoute": Capabilities("EnvoyRoute", mirror=True, headers=True, query_params=True),
    "VirtualService": Capabilities(
        "VirtualService", mirror=True, headers=True, query_params=True, source_labels=True
    ),
}
"""By kind of target."""
ENVOY_ROUTE = ROUTERS["EnvoyRoute"]
ABLEST = ROUTERS["VirtualService"]
"""What it can't do, none can."""
