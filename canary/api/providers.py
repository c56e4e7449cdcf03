"""The types of metric providers that a MetricTemplate may name, and what each needs.

A new type is a line here and a file of its name in `canary/metrics/providers/`.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

REGION = "^[a-z0-9-]+$"
"""A region of AWS; it becomes a part of an address."""


@dataclass(frozen=True)
class MetricProvider:
    """Facts about a type of provider."""

    asks: str
    """What its query is."""
    address: str = ""
    """Who is asked unless the template names an address; `REGION` stands for its region."""
    needs: tuple[str, ...] = ()
    """Fields of `provider` that must be written."""
    keys: tuple[str, ...] = ()
    """Keys that its Secret must have."""
    may: tuple[str, ...] = ()
    """Keys that its Secret may have."""
    in_cluster: bool = False
    """Whether the API server of the cluster answers, unless the template names an address."""
    renamed: tuple[str, str] = ("", "")
    """A part of the address that users write, and what stands for it in the address that is asked."""
    form: str = ""
    """A regular expression for queries; what doesn't match is probably a mistake."""


_SECRET = ("secretRef",)
PROVIDERS: dict[str, MetricProvider] = {
    "prometheus": MetricProvider("PromQL", may=("token", "username", "password")),
    "graphite": MetricProvider(
        "`target=…`", needs=("address",), may=("username", "password"), form=r"\??.*\btarget=.*"
    ),
    "influxdb": MetricProvider("Flux", needs=("address",), may=("token", "org")),
    "datadog": MetricProvider(
        "a metrics query",
        address="https://api.datadoghq.com",
        needs=_SECRET,
        keys=("datadog_api_key", "datadog_application_key"),
    ),
    "newrelic": MetricProvider(
        "NRQL",
        address="https://insights-api.newrelic.com",
        needs=_SECRET,
        keys=("newrelic_account_id", "newrelic_query_key"),
        form=r"\s*(SELECT|FROM)\b.*",
    ),
    "dynatrace": MetricProvider("a metric selector", needs=("address", *_SECRET), keys=("dynatrace_token",)),
    "splunk": MetricProvider(
        "SignalFlow", needs=("address", *_SECRET), keys=("sf_token_key",), renamed=("://api.", "://stream.")
    ),
    "cloudwatch": MetricProvider(
        "a list of MetricDataQuery in JSON",
        address="https://monitoring.REGION.amazonaws.com",
        needs=("region",),
        may=("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        form=r"\s*\[.*\]\s*",
    ),
    "stackdriver": MetricProvider(
        "MQL", address="https://monitoring.googleapis.com", may=("project", "serviceAccountKey")
    ),
    "externalmetrics": MetricProvider(
        "`NAMESPACE/METRIC?labelSelector=…`",
        may=("token",),
        in_cluster=True,
        form=r"\s*([a-z0-9-]*/)?[\w.:-]+(\?.*)?\s*",
    ),
    "keptn": MetricProvider(
        "`keptnmetric/NAMESPACE/NAME`", in_cluster=True, form=r"\s*keptnmetrics?/[a-z0-9-]+/[a-z0-9.-]+\s*"
    ),
}
"""By `provider.type`."""


def _known(name: str) -> str:
    if name not in PROVIDERS:
        expected = ", ".join(f"'{one}'" for one in PROVIDERS)
        raise PydanticCustomError("enum", "should be one of {expected}", {"expected": expected})
    return name


ProviderType = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [*PROVIDERS]})]
