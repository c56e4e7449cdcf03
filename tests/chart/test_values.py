"""Values that can't be used are refused with sentences, and just those that the controller refuses as well."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.duration import parse
from canary.controller.settings import Area, Settings
from canary.engine.errors import Invalid
from canary.kube.client import ClusterAccess
from tests.addresses import ASKED, NOT_ASKED
from tests.chart.helm import CHART, Data, Helm, Refused
from tests.chart.test_render import OUTSIDE, environment, leaves

TYPOS: dict[str, tuple[str, str]] = {
    "a misspelt value": ("replica=3", "additional properties 'replica' not allowed"),
    "a misspelt inner value": ("watch.namespaces=shop", "additional properties 'namespaces' not allowed"),
    "a word that isn't one of those": (
        "log.level=verbose",
        "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'",
    ),
    "a monitor that isn't one": ("monitor.kind=Servicemonitor", "at '/monitor/kind': value must be one of"),
    "a word for a number": ("workers=many", "at '/workers': got string, want integer"),
}
WRONG: dict[str, tuple[str, str]] = {
    "too short a grace": (
        "terminationGracePeriodSeconds=10",
        "must be more than 10: the controller takes",
    ),
    "a port that needs root": ("listen.port=80", "listen.port: 80 must be a port from 1024 to 65535"),
    "no requests": ("qps=0", "qps: 0 must be a number of requests a second above 0"),
    "too many workers": ("workers=257", "workers: 257 must be a number from 1 to 256"),
    "a duration without a unit": ("resync=10", "resync: 10 must be a duration from 10s to 24h, such as 10m"),
    "a URL without a scheme": (
        "metricsServer=prometheus:9090",
        'metricsServer: "prometheus:9090" must be a URL with a scheme',
    ),
    "an allowed address without a scheme": (
        "allowedMetricsServers={http://a,prometheus:9090}",
        'allowedMetricsServers[1]: "prometheus:9090" must be the beginning of a URL, with a scheme',
    ),
    "a repository in upper case": (
        "image.repository=registry.example/Team/canary",
        'image.repository: "registry.example/Team/canary" must be in lower case',
    ),
    "a repository with a tag": (
        "image.repository=registry.example/canary:1",
        'image.repository: "registry.example/canary:1" must be in lower case and without a tag',
    ),
    "no repository": ("image.repository=", 'image.repository: "" must be in lower case'),
    "a tag that is a whole image": ("image.tag=canary:1", 'image.tag: "canary:1" must be a tag alone'),
    "a digest that is cut": ("image.digest=sha256:0", 'image.digest: "sha256:0" must be a digest with 64'),
    "an uppercase namespace": ("watch.namespace=Shop", 'watch.namespace: "Shop" must be one namespace'),
    "too long a name": (f"fullnameOverride={'x' * 41}", "must be at most 40 lower-case letters"),
    "too short a lease": ("lease.duration=5s", 'lease.duration: "5s" must be a duration from 6s to 10m'),
    "too long a lease": ("lease.duration=10m1s", 'lease.duration: "10m1s" must be a duration from 6s to 10m'),
    "too seldom an evaluation": ("resync=25h", 'resync: "25h" must be a duration from 10s to 24h'),
    "an IPv6 address without brackets": ("listen.host=::", 'listen.host: "::" must be an address or a name without'),
    "a URL with a query": (
        "metricsServer=http://prometheus:9090/?a=b",
        "with a scheme and without a query",
    ),
    "a label by which the pods are found": (
        r"podLabels.app\.kubernetes\.io/name=x",
        "podLabels: app.kubernetes.io/name is a label by which the pods are found; the chart sets it",
    ),
    "a label that the chart gives": (
        r"monitor.labels.helm\.sh/chart=x",
        "monitor.labels: helm.sh/chart is set by the chart; choose another label",
    ),
    "half a selector": (
        r"watch.selector=a\,\,b",
        'watch.selector: "a,,b" must be a label selector',
    ),
    "no one's account": ("serviceAccount.create=false", "serviceAccount.name: is missing; name the account"),
    "a variable that is none": ("env[0].name=1a", 'env[0].name: "1a" must be the name of a variable'),
    "half a share": ("podDisruptionBudget.maxUnavailable=half", "must be a number of replicas or a share of them"),
}


@pytest.mark.parametrize(("given", "words"), TYPOS.values(), ids=list(TYPOS))
def test_words_are_checked(helm: Helm, given: str, words: str) -> None:
    """By the schema, in Helm's words, before anything is installed."""
    with pytest.raises(Refused, match="don't meet the specifications") as refusal:
        helm.run("template", "canary", str(CHART), "--set", given)
    assert words in str(refusal.value)


@pytest.mark.parametrize(("given", "words"), WRONG.values(), ids=list(WRONG))
def test_values_are_checked(helm: Helm, given: str, words: str) -> None:
    """In sentences that say what to write; a pattern is no answer."""
    with pytest.raises(Refused) as refusal:
        helm.run("template", "canary", str(CHART), "--set", given)
    (sentence,) = [one for one in str(refusal.value).splitlines() if words in one]
    assert not re.search(r"\^|\$$|\(\?|pattern|schema", sentence)


def test_all_problems_are_shown_at_once(helm: Helm) -> None:
    """One round is enough."""
    with pytest.raises(Refused) as refusal:
        helm.run("template", "canary", str(CHART), "--set", "qps=0,resync=1s,image.tag=a:b,listen.host=localhost")
    found = re.findall(r"^(\S+): ", str(refusal.value), re.MULTILINE)
    assert found[-4:] == ["image.tag", "resync", "qps", "listen.host"]


def test_helm_is_left_no_pattern_to_show() -> None:
    """All patterns are in checks.yaml, each with its sentence; values that they name are there."""
    schema = (CHART / "values.schema.json").read_text("utf-8")
    assert not re.search(r'"(pattern|maxLength|exclusiveMinimum|if|oneOf|not)": ', schema)
    known = {".".join(path) for path, _ in leaves(YAML(typ="safe").load(CHART / "values.yaml"))}
    assert CHECKS.keys() - known == set()


@pytest.mark.parametrize("given", ["metricsServer=http://u:p@prom", "allowedMetricsServers={https://u@prom/x}"])
def test_a_password_is_not_written_into_the_deployment(helm: Helm, given: str) -> None:
    """Where it belongs is said."""
    with pytest.raises(Refused, match="would read the password; give it by env, from a Secret"):
        helm.run("template", "canary", str(CHART), "--set", given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_metrics_are_not_served_where_no_scrape_comes(helm: Helm, host: str) -> None:
    """The kubelet asks from outside of the pod, and would kill it again and again."""
    with pytest.raises(Refused, match=re.escape(f"listen.host: {host} is heard within the pod only")):
        helm.run("template", "canary", str(CHART), "--set", f"listen.host={host}")


def test_no_setting_is_given_twice(helm: Helm) -> None:
    """The one in `env` would win, and what was read from the other would be wrong: the port, the Lease's name."""
    for name in environment(helm.render()):
        with pytest.raises(Refused, match=f"env: {name} is set by the chart already"):
            helm.render({"env": [{"name": "A"}, {"name": name, "value": "1"}]})
    assert helm.render({"env": [{"name": each} for each in sorted(OUTSIDE)]})


CHECKS: dict[str, Data] = {one["value"]: one for one in YAML(typ="safe").load(CHART / "checks.yaml")}
DURATIONS = ["5s", "6s", "59s", "60s", "99s", "600s", "601s", "1m", "1m5s", "9m59s", "10m", "10m0s", "10m1s", "11m"]
TURNS = ["9s", "10s", "9999s", "1m", "999m59s", "1h", "23h59m", "24h", "25h", "24h1s", "0s", "9000ms"]

SELECTORS = ["", "a", "!a", "team=shop", "a==b,c != d", "x.io/a in (b, c),!d", "a notin ()", "a=", "a > 3"]
HALF = ["a,,b", "a in (b", "a=b=c", "A_/b", "a b", ",", "a=" + "x" * 64]


@pytest.mark.parametrize("text", DURATIONS)
def test_a_lease_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round, in these forms."""
    assert bool(re.match(CHECKS["lease.duration"]["pattern"], text)) == starts(lease_duration=text)


@pytest.mark.parametrize("text", TURNS)
def test_a_resync_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round, in these forms."""
    assert bool(re.match(CHECKS["resync"]["pattern"], text)) == starts(resync=text)


@pytest.mark.parametrize("text", [*SELECTORS, *HALF])
def test_a_selector_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round."""
    pattern = CHECKS["watch.selector"]["pattern"]
    assert bool(re.match(pattern, text)) == (text in SELECTORS)
    assert starts(area={"selector": text}) == (text in SELECTORS)


@pytest.mark.parametrize("url", [*ASKED, *NOT_ASKED])
def test_an_address_that_helm_lets_through_is_one_for_the_controller(url: str) -> None:
    """And the other way round."""
    own, allowed = CHECKS["metricsServer"]["pattern"], CHECKS["allowedMetricsServers"]["pattern"]
    assert bool(re.match(own, url)) == (url in ASKED)
    assert starts(area={"metrics_server": url}) == (url in ASKED)
    assert bool(re.match(allowed, url)) == (url in ASKED)
    assert starts(area={"allowed_metrics_servers": url}) == (url in ASKED)


def starts(lease_duration: str = "15s", resync: str = "10m", area: Mapping[str, Any] | None = None) -> bool:
    """Whether the controller takes these."""
    try:
        wanted = Area(**(area or {}))
        Settings(
            ClusterAccess(), wanted, ":8080", "canary", "shop", parse(lease_duration), 1, parse(resync), 1.0, 1, ""
        )
    except Invalid:
        return False
    return True
