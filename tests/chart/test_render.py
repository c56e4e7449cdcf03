"""What Helm makes of the chart is what the code says: permissions, settings, versions."""

import copy
import inspect
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary import __version__
from canary.api.duration import parse
from canary.bootstrap.cluster import KIND
from canary.bootstrap.settings import Area, Settings
from canary.bootstrap.site import Place
from canary.cli import controller
from canary.engine.errors import Invalid
from canary.kube.rbac import LEAD, LOOKED_AFTER, OF_ALL, PROOF, Permission
from canary.stores.objects import Objects
from tests.addresses import ASKED, NOT_ASKED
from tests.chart.helm import CHART, Data, Helm, Refused, only

OUTSIDE = {"CANARY_CONTEXT", "CANARY_KUBECONFIG"}
"""Settings for a controller that doesn't run in a pod."""
TENANT: Data = {
    "watch": {"namespace": "shop"},
    "actionPolicy": {"create": False},
    "roles": {"create": False},
}
SETS: dict[str, Data] = {
    "as it comes": {},
    "for one namespace": {"watch": {"namespace": "shop"}},
    "for a tenant without rights in the cluster": TENANT,
    "a shard": {"watch": {"selector": "team in (a, b)"}, "fullnameOverride": "canary-a", "replicas": 1},
    "with a ServiceMonitor": {"monitor": {"kind": "ServiceMonitor", "labels": {"release": "prometheus"}}},
    "with a PodMonitor": {"monitor": {"kind": "PodMonitor"}},
    "with lists and maps": {
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": [{"name": "key"}]},
        "networkPolicy": {
            "from": [{"namespaceSelector": {"matchLabels": {"team": "metrics"}}}],
            "extraEgress": [{"ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
        "env": [{"name": "PROMETHEUS_TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}],
        "envFrom": [{"secretRef": {"name": "prometheus"}}],
        "volumes": [{"name": "ca", "secret": {"secretName": "ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "podLabels": {"team": "platform"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "serviceAccount": {"annotations": {"a": "b"}},
        "priorityClassName": "system-cluster-critical",
    },
}


def rules(permissions: tuple[Permission, ...], own: str = "") -> list[Data]:
    """As RBAC has them."""
    found = []
    for one in permissions:
        rule: Data = {"apiGroups": [one.resources[0].group], "resources": list(one.names)}
        rule |= {"resourceNames": [own]} if one.on else {}
        found.append({**rule, "verbs": [str(verb) for verb in one.verbs]})
    return found


def settings() -> dict[str, Any]:
    """Each variable of the command, with its default."""
    hints = typing.get_type_hints(controller.command, include_extras=True)
    parameters = inspect.signature(controller.command).parameters
    options = {name: one.default for name, one in parameters.items() if name != "call"}
    return {hints[name].__metadata__[0].envvar: default for name, default in options.items()}


def written(value: Any) -> str:
    """As a variable has it."""
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def environment(objects: list[Data], name: str = "canary") -> dict[str, str]:
    """What the Deployment tells the controller."""
    container = only(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one["value"] for one in container["env"]}


@pytest.mark.parametrize("values", SETS.values(), ids=list(SETS))
def test_helm_has_no_complaint(helm: Helm, values: Data) -> None:
    """Not even a warning."""
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), *helm.given(values))


def test_the_controller_may_do_what_the_code_says(helm: Helm) -> None:
    """Rule by rule, in all namespaces, in its own one, and by name."""
    objects = helm.render()
    assert only(objects, "ClusterRole", "canary-controller")["rules"] == rules((*LOOKED_AFTER, *OF_ALL))
    assert only(objects, "Role", "canary-leader")["rules"] == rules(LEAD, "canary")
    assert only(objects, "ClusterRole", "canary-action-policy")["rules"] == rules(PROOF, "canary-actions")


def test_a_controller_for_one_namespace_has_roles_there(helm: Helm) -> None:
    """Nothing of the whole cluster but by name, and the policy judges that namespace only."""
    objects = helm.render({"watch": {"namespace": "shop"}})
    role = only(objects, "Role", "canary-controller")
    assert (role["metadata"]["namespace"], role["rules"]) == ("shop", rules(LOOKED_AFTER))
    assert only(objects, "RoleBinding", "canary-controller")["metadata"]["namespace"] == "shop"
    bindings = [one["roleRef"]["name"] for one in objects if one["kind"] == "ClusterRoleBinding"]
    assert bindings == ["canary-shop-action-policy"]
    chosen = only(objects, "ValidatingAdmissionPolicyBinding", "canary-shop-actions")["spec"]["matchResources"]
    assert chosen == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert environment(objects)["CANARY_NAMESPACE"] == "shop"


def test_a_tenant_needs_nothing_of_the_cluster(helm: Helm) -> None:
    """Every object has a namespace, and nobody is told that authors are proved."""
    objects = helm.render(TENANT)
    assert [one["kind"] for one in objects if "namespace" not in one["metadata"]] == []
    assert environment(objects)["CANARY_ACTION_POLICY"] == ""


def test_a_policy_that_is_there_already_is_named(helm: Helm) -> None:
    """It may be read, and isn't made."""
    objects = helm.render({"actionPolicy": {"create": False, "name": "ours"}})
    assert environment(objects)["CANARY_ACTION_POLICY"] == "ours"
    assert only(objects, "ClusterRole", "canary-action-policy")["rules"] == rules(PROOF, "ours")
    policies = [one["metadata"]["name"] for one in objects if one["kind"].startswith("Validating")]
    assert [name for name in policies if name != "canary-leases"] == []


def test_a_controller_of_all_namespaces_writes_leases_of_targets_only(helm: Helm) -> None:
    """By their names, and its own by its place; the Role of one namespace ends there anyway."""
    values = {"serviceAccount": {"name": "rollouts"}, "lease": {"name": "lead"}}
    spec = only(helm.render(values), "ValidatingAdmissionPolicy", "canary-leases")["spec"]
    assert spec["matchConditions"][0]["expression"].endswith("== 'system:serviceaccount:canary-system:rollouts'")
    targets, own = spec["validations"][0]["expression"].split(" || ")
    assert Objects("shop", KIND, "", "").name in targets
    assert own.endswith("== 'canary-system/lead'")
    for without in ({"leasePolicy": {"create": False}}, {"watch": {"namespace": "shop"}}):
        assert [one for one in helm.render(without) if one["metadata"]["name"].endswith("-leases")] == []


def test_every_setting_of_the_command_comes_from_the_values(helm: Helm) -> None:
    """In the order of its help, and none besides."""
    assert list(environment(helm.render())) == [name for name in settings() if name not in OUTSIDE]


def test_the_defaults_are_those_of_the_command(helm: Helm) -> None:
    """But for what a pod needs: it listens for others, logs for machines, knows its namespace and policy."""
    ours = {name: written(value) for name, value in settings().items() if name not in OUTSIDE}
    ours |= {"CANARY_QPS": "200", "CANARY_LISTEN": "0.0.0.0:8080", "CANARY_LOG_FORMAT": "json"}
    ours |= {"CANARY_CROSS_NAMESPACE": "false"}
    ours |= {"CANARY_LEASE_NAMESPACE": "canary-system", "CANARY_ACTION_POLICY": "canary-actions"}
    assert environment(helm.render()) == ours


def test_allowed_addresses_reach_the_command_as_it_reads_them(helm: Helm) -> None:
    """All in one variable."""
    given = ["http://prometheus:9090", "https://metrics.example/shop"]
    text = environment(helm.render({"allowedMetricsServers": given}))["CANARY_ALLOWED_METRICS_SERVERS"]
    assert Area(allowed_metrics_servers=text).allowed.prefixes == tuple(given)


def test_large_numbers_stay_numbers(helm: Helm) -> None:
    """Helm reads all numbers as floats, and would write 1e+06."""
    found = environment(helm.render({"burst": 1000000, "workers": 100}))
    assert (found["CANARY_BURST"], found["CANARY_WORKERS"]) == ("1000000", "100")


def test_the_versions_are_the_projects(helm: Helm) -> None:
    """The image's tag is the chart's appVersion, which is the version of the code."""
    image = only(helm.render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"canary:{__version__}"
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_definitions_come_with_the_chart(helm: Helm) -> None:
    """All that `canary crd` prints."""
    found = {one["spec"]["names"]["kind"] for one in helm.render({}, "--include-crds") if "Custom" in one["kind"]}
    kinds = {"Canary", "CanaryAction", "CanaryPolicy", "ClusterCanaryPolicy", "MetricTemplate"}
    assert found == kinds


def test_metrics_and_probes_come_in_and_questions_go_out(helm: Helm) -> None:
    """Where it is said who may come in, `helm test` may as well."""
    spec = only(helm.render(), "NetworkPolicy")["spec"]
    assert spec["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    ports = [[port["port"] for port in one["ports"]] for one in spec["egress"]]
    assert ports == [[53, 53], [443, 6443], [80, 443, 9090]]
    named = only(helm.render({"networkPolicy": {"from": [{"podSelector": {}}]}}), "NetworkPolicy")
    asker = only(helm.render(), "Job", "canary-ready")["spec"]["template"]["metadata"]["labels"]
    mine, theirs = named["spec"]["ingress"][0]["from"]
    assert mine["podSelector"]["matchLabels"].items() <= asker.items()
    assert theirs == {"podSelector": {}}


@pytest.mark.parametrize(
    ("kind", "endpoints"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")]
)
def test_a_monitor_finds_the_controller(helm: Helm, kind: str, endpoints: str) -> None:
    """By labels that Service and pods have, on a port of theirs; labels of a Canary stay its own."""
    objects = helm.render({"monitor": {"kind": kind, "labels": {"release": "p"}}})
    monitor, service = only(objects, kind), only(objects, "Service")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    pod = only(objects, "Deployment")["spec"]["template"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert wanted.items() <= pod["metadata"]["labels"].items()
    scraped = {"port": "http", "path": "/metrics", "interval": "30s", "honorLabels": True}
    assert monitor["spec"][endpoints] == [scraped]
    assert [one["name"] for one in service["spec"]["ports"]] == ["http"]
    assert [one["name"] for one in pod["spec"]["containers"][0]["ports"]] == ["http"]
    assert monitor["metadata"]["labels"]["release"] == "p"


TYPOS: dict[str, tuple[str, str]] = {
    "a misspelt value": ("replica=3", "replica"),
    "a misspelt inner value": ("watch.namespaces=shop", "namespaces"),
    "a word that isn't one of those": ("log.level=verbose", "level"),
    "a monitor that isn't one": ("monitor.kind=Servicemonitor", "kind"),
    "too short a grace": ("terminationGracePeriodSeconds=10", "terminationGracePeriodSeconds"),
    "a port that needs root": ("listen.port=80", "port"),
    "a word for a number": ("workers=many", "workers"),
    "a duration without a unit": ("resync=10", "resync"),
    "a URL without a scheme": ("metricsServer=prometheus:9090", "metricsServer"),
    "an allowed address without a scheme": ("allowedMetricsServers={prometheus:9090}", "allowedMetricsServers"),
    "a tag that is a whole image": ("image.tag=canary:1", "tag"),
    "an uppercase namespace": ("watch.namespace=Shop", "namespace"),
    "too short a lease": ("lease.duration=5s", "duration"),
    "too long a lease": ("lease.duration=10m1s", "duration"),
    "too seldom a look": ("resync=25h", "resync"),
    "an IPv6 address without brackets": ("listen.host=::", "host"),
    "a URL with a query": ("metricsServer=http://prometheus:9090/?a=b", "metricsServer"),
    "a label by which the pods are found": (r"podLabels.app\.kubernetes\.io/name=x", "podLabels"),
    "a label that the chart gives": (r"monitor.labels.helm\.sh/chart=x", "labels"),
    "half a selector": (r"watch.selector=a\,\,b", "selector"),
    "nobody's account": ("serviceAccount.create=false", "serviceAccount/name"),
}


@pytest.mark.parametrize(("given", "field"), TYPOS.values(), ids=list(TYPOS))
def test_values_are_checked(helm: Helm, given: str, field: str) -> None:
    """Before anything is installed, with the field's name."""
    with pytest.raises(Refused, match="don't meet the specifications") as refusal:
        helm.run("template", "canary", str(CHART), "--set", given)
    assert field in str(refusal.value)


@pytest.mark.parametrize("given", ["metricsServer=http://u:p@prom", "allowedMetricsServers={https://u@prom/x}"])
def test_a_password_is_not_written_into_the_deployment(helm: Helm, given: str) -> None:
    """Where it belongs is said."""
    with pytest.raises(Refused, match="would read the password; give it by env, from a Secret"):
        helm.run("template", "canary", str(CHART), "--set", given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_metrics_are_not_served_where_nobody_comes(helm: Helm, host: str) -> None:
    """The kubelet asks from outside of the pod, and would kill it again and again."""
    with pytest.raises(Refused, match=re.escape(f"listen.host: {host} is heard within the pod only")):
        helm.run("template", "canary", str(CHART), "--set", f"listen.host={host}")


def test_no_setting_is_given_twice(helm: Helm) -> None:
    """The one in `env` would win, and what was read from the other would be wrong: the port, the Lease's name."""
    for name in environment(helm.render()):
        with pytest.raises(Refused, match=f"env: {name} is set by the chart already"):
            helm.render({"env": [{"name": "A"}, {"name": name, "value": "1"}]})
    assert helm.render({"env": [{"name": each} for each in sorted(OUTSIDE)]})


SCHEMA: Data = YAML(typ="safe").load(CHART / "values.schema.json")["properties"]
DURATIONS = ["5s", "6s", "59s", "60s", "99s", "600s", "601s", "1m", "1m5s", "9m59s", "10m", "10m0s", "10m1s", "11m"]
TURNS = ["9s", "10s", "9999s", "1m", "999m59s", "1h", "23h59m", "24h", "25h", "24h1s", "0s", "9000ms"]

SELECTORS = ["", "a", "!a", "team=shop", "a==b,c != d", "x.io/a in (b, c),!d", "a notin ()", "a=", "a > 3"]
HALF = ["a,,b", "a in (b", "a=b=c", "A_/b", "a b", ",", "a=" + "x" * 64]


@pytest.mark.parametrize("text", DURATIONS)
def test_a_lease_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round, in these forms."""
    assert bool(re.match(SCHEMA["lease"]["properties"]["duration"]["pattern"], text)) == starts(lease_duration=text)


@pytest.mark.parametrize("text", TURNS)
def test_a_resync_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round, in these forms."""
    assert bool(re.match(SCHEMA["resync"]["pattern"], text)) == starts(resync=text)


@pytest.mark.parametrize("text", [*SELECTORS, *HALF])
def test_a_selector_that_helm_lets_through_is_one_for_the_controller(text: str) -> None:
    """And the other way round."""
    pattern = SCHEMA["watch"]["properties"]["selector"]["pattern"]
    assert bool(re.match(pattern, text)) == (text in SELECTORS)
    assert starts(area={"selector": text}) == (text in SELECTORS)


@pytest.mark.parametrize("url", [*ASKED, *NOT_ASKED])
def test_an_address_that_helm_lets_through_is_one_for_the_controller(url: str) -> None:
    """And the other way round."""
    own, allowed = SCHEMA["metricsServer"]["pattern"], SCHEMA["allowedMetricsServers"]["items"]["pattern"]
    assert bool(re.match(own, url)) == (url in ASKED)
    assert starts(area={"metrics_server": url}) == (url in ASKED)
    assert bool(re.match(allowed, url)) == (url in ASKED)
    assert starts(area={"allowed_metrics_servers": url}) == (url in ASKED)


def starts(lease_duration: str = "15s", resync: str = "10m", area: Mapping[str, Any] | None = None) -> bool:
    """Whether the controller takes these."""
    try:
        wanted = Area(**(area or {}))
        Settings(Place(), wanted, ":8080", "canary", "shop", parse(lease_duration), 1, parse(resync), 1.0, 1, "")
    except Invalid:
        return False
    return True


def leaves(values: Data, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Each value by its path; lists, empty maps and `resources` are values."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in values.items():
        inner = isinstance(value, dict) and value and key != "resources"
        found += leaves(value, (*path, key)) if inner else [((*path, key), value)]
    return found


OTHER: dict[str, Any] = {
    "image.digest": "sha256:" + "1" * 64,
    "image.pullPolicy": "Always",
    "metricsServer": "http://prometheus:9090",
    "allowedMetricsServers": ["http://prometheus:9090", "https://metrics.example/shop"],
    "lease.duration": "20s",
    "resync": "5m",
    "log.format": "text",
    "log.level": "debug",
    "monitor.kind": "ServiceMonitor",
    "monitor.interval": "1m",
    "listen.host": "[::]",
    "resources": {"limits": {"memory": "1Gi"}},
}


def another(path: str, value: Any) -> Any:
    """A value that is allowed as well."""
    if path in OTHER:
        return OTHER[path]
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return "other"
        case list():
            return [8443] if value else [{"name": "other"}]
    return {"other": "x"} if path != "affinity" else {"nodeAffinity": {}}


def test_every_value_does_something(helm: Helm, tmp_path: Path) -> None:
    """Another value makes another installation: none is read by nobody."""
    shown: Data = YAML(typ="safe").load(CHART / "values.yaml")
    base: Data = {"monitor": {"kind": "PodMonitor"}, "serviceAccount": {"name": "rollouts"}}
    before, dead = helm.text(base), []
    for path, value in leaves(shown):
        changed: Data = copy.deepcopy(base)
        within = changed
        for key in path[:-1]:
            within = within.setdefault(key, {})
        within[path[-1]] = another(".".join(path), value)
        if helm.text(changed) == before:
            dead.append(".".join(path))
    assert dead == []
