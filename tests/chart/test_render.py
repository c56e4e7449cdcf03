"""What Helm makes of the chart is what the code says: permissions, settings, versions."""

import copy
import inspect
import typing
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary import __version__
from canary.cli import controller
from canary.controller.settings import Area
from canary.kube.rbac import (
    ALERTS,
    HOOKS,
    LEAD,
    METRIC_APIS,
    METRIC_SECRETS,
    OF_ALL,
    PRIMARY_SECRETS,
    PROOF,
    Permission,
)
from canary.registry import CLUSTER, LOOKED_AFTER, PRIMARIES
from canary.stores.objects import Objects
from tests.chart.helm import CHART, Data, Helm, only

OUTSIDE = {"CANARY_CONTEXT", "CANARY_KUBECONFIG"}
"""Settings for a controller that doesn't run in a pod."""
TENANT: Data = {
    "watch": {"namespace": "shop"},
    "actionPolicy": {"create": False},
    "accountPolicy": {"create": False},
    "roles": {"create": False},
}
ACCOUNT = ("leases", "events", "canaries", *(one.routes.plural for one in CLUSTER))
"""What the controller writes, and has a policy about each."""
OF_PRIMARIES = (
    *("deployments", "daemonsets", "services", "controllerrevisions", "destinationrules"),
    *("horizontalpodautoscalers", "scaledobjects", "configmaps", "secrets"),
)
"""The same for targets that have a primary."""
WITHOUT: Data = {"primaries": {"enabled": False}}
SETS: dict[str, Data] = {
    "as it comes": {},
    "without primaries": WITHOUT,
    "without Secrets of targets": {"primaries": {"secrets": False}},
    "for one namespace": {"watch": {"namespace": "shop"}},
    "for a tenant without rights in the cluster": TENANT,
    "a shard": {"watch": {"selector": "team in (a, b)"}, "fullnameOverride": "canary-a", "replicas": 1},
    "with a ServiceMonitor": {"monitor": {"kind": "ServiceMonitor", "labels": {"release": "prometheus"}}},
    "with a PodMonitor": {"monitor": {"kind": "PodMonitor"}},
    "with a load tester": {
        "loadtester": {
            "enabled": True,
            "image": "registry.example/loadtester:1",
            "allow": ["hey **"],
            "allowBash": ["a | b"],
            "tokenSecret": "loadtester",
            "from": [{"podSelector": {}}],
        }
    },
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


def cidr(address: str) -> Data:
    """Addresses, as a peer."""
    return {"ipBlock": {"cidr": address}}


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
    assert only(objects, "ClusterRole", "canary-controller")["rules"] == rules(
        (*LOOKED_AFTER, *PRIMARIES, *PRIMARY_SECRETS, *METRIC_SECRETS, *ALERTS, *OF_ALL)
    )
    assert only(objects, "Role", "canary-leader")["rules"] == rules(LEAD, "canary")
    assert only(objects, "ClusterRole", "canary-action-policy")["rules"] == rules(PROOF, "canary-actions")


def test_a_controller_for_one_namespace_has_roles_there(helm: Helm) -> None:
    """Nothing of the whole cluster but by name, and the policy judges that namespace only."""
    objects = helm.render({"watch": {"namespace": "shop"}})
    role = only(objects, "Role", "canary-controller")
    assert (role["metadata"]["namespace"], role["rules"]) == (
        "shop",
        rules((*LOOKED_AFTER, *PRIMARIES, *PRIMARY_SECRETS, *METRIC_SECRETS, *ALERTS)),
    )
    assert only(objects, "RoleBinding", "canary-controller")["metadata"]["namespace"] == "shop"
    bindings = [one["roleRef"]["name"] for one in objects if one["kind"] == "ClusterRoleBinding"]
    assert bindings == ["canary-shop-action-policy"]
    chosen = only(objects, "ValidatingAdmissionPolicyBinding", "canary-shop-actions")["spec"]["matchResources"]
    assert chosen == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert environment(objects)["CANARY_NAMESPACE"] == "shop"


def test_a_tenant_needs_nothing_of_the_cluster(helm: Helm) -> None:
    """Every object has a namespace, and no message says that authors are proved."""
    objects = helm.render(TENANT)
    assert [one["kind"] for one in objects if "namespace" not in one["metadata"]] == []
    assert environment(objects)["CANARY_ACTION_POLICY"] == ""


def test_a_policy_that_is_there_already_is_named(helm: Helm) -> None:
    """It may be read, and isn't made."""
    objects = helm.render({"actionPolicy": {"create": False, "name": "ours"}})
    assert environment(objects)["CANARY_ACTION_POLICY"] == "ours"
    assert only(objects, "ClusterRole", "canary-action-policy")["rules"] == rules(PROOF, "ours")
    policies = {one["metadata"]["name"] for one in objects if one["kind"].startswith("Validating")}
    assert policies == {f"canary-{what}" for what in (*ACCOUNT, *OF_PRIMARIES)}


def test_the_controller_writes_leases_of_targets_only(helm: Helm) -> None:
    """By their names, and its own by its place."""
    values = {"serviceAccount": {"name": "rollouts"}, "lease": {"name": "lead"}}
    spec = only(helm.render(values), "ValidatingAdmissionPolicy", "canary-leases")["spec"]
    assert spec["matchConditions"][0]["expression"].endswith("== 'system:serviceaccount:canary-system:rollouts'")
    *targets, own = spec["validations"][0]["expression"].split(" || ")
    prefixes = {Objects("shop", one.routes.kind, "", "").name for one in CLUSTER}
    assert {one.split("'")[1] for one in targets} == prefixes
    assert own.endswith("== 'canary-system/lead'")


def test_without_secrets_of_targets_the_controller_reads_none(helm: Helm) -> None:
    """All else of such targets stays. Addresses of alerts are a reason of their own."""
    off: Data = {"primaries": {"secrets": False}, "metricProviders": {"secrets": False}, "alerts": {"enabled": False}}
    objects = helm.render(off)
    assert only(objects, "ClusterRole", "canary-controller")["rules"] == rules((*LOOKED_AFTER, *PRIMARIES, *OF_ALL))


def test_credentials_of_templates_are_read_unless_it_is_forbidden_and_metric_apis_if_it_is_asked_for(
    helm: Helm,
) -> None:
    """Each by itself, and nothing is written for them."""
    only_apis = {"secrets": False, "apis": True}
    for values, permissions in (({}, METRIC_SECRETS), ({"secrets": False}, ()), (only_apis, METRIC_APIS)):
        objects = helm.render({**WITHOUT, "metricProviders": values})
        found = only(objects, "ClusterRole", "canary-controller")["rules"]
        assert found == rules((*LOOKED_AFTER, *permissions, *ALERTS, *OF_ALL))


def test_without_primaries_the_controller_writes_no_workloads(helm: Helm) -> None:
    """Neither rules nor policies are about them, and those of VirtualServices are about changes of routes only."""
    objects = helm.render(WITHOUT)
    assert only(objects, "ClusterRole", "canary-controller")["rules"] == rules(
        (*LOOKED_AFTER, *METRIC_SECRETS, *ALERTS, *OF_ALL)
    )
    spec = only(objects, "ValidatingAdmissionPolicy", "canary-virtualservices")["spec"]
    assert spec["matchConstraints"]["resourceRules"][0]["operations"] == ["UPDATE"]
    assert "variables.own" not in str(spec)
    assert "variables.adopts" not in str(spec)


@pytest.mark.parametrize(
    ("values", "permissions", "kinds"),
    [
        ({}, (*LOOKED_AFTER, *PRIMARIES, *PRIMARY_SECRETS), (*ACCOUNT, *OF_PRIMARIES)),
        ({"watch": {"namespace": "shop"}}, (*LOOKED_AFTER, *PRIMARIES, *PRIMARY_SECRETS), (*ACCOUNT, *OF_PRIMARIES)),
        (WITHOUT, LOOKED_AFTER, ACCOUNT),
        ({**WITHOUT, "receivers": {"secret": "hooks"}}, (*LOOKED_AFTER, *HOOKS), (*ACCOUNT, "canaryactions")),
    ],
    ids=["all namespaces", "one namespace", "without primaries", "with reported alerts"],
)
def test_each_kind_that_the_controller_writes_has_a_policy(
    helm: Helm, values: Data, permissions: tuple[Permission, ...], kinds: tuple[str, ...]
) -> None:
    """What it may patch or create, but for the status of Canaries and what it deletes."""
    objects = helm.render(values)
    every = [one for one in objects if one["kind"] == "ValidatingAdmissionPolicy"]
    policies = [one for one in every if "by-the-controller" in str(one)]
    judged = {rule["resources"][0] for one in policies for rule in one["spec"]["matchConstraints"]["resourceRules"]}
    written = {
        name
        for one in permissions
        if {"patch", "create"} & {str(verb) for verb in one.verbs}
        for name in one.names
        if "/" not in name
    }
    assert judged == written == set(kinds)
    denying = [one for one in objects if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {one["spec"]["policyName"] for one in denying} >= {one["metadata"]["name"] for one in policies}
    assert all(one["spec"]["validationActions"] == ["Deny"] for one in denying)
    without = helm.render({**values, "accountPolicy": {"create": False}})
    assert [one["metadata"]["name"] for one in without if "by-the-controller" in str(one)] == []


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
    kinds = {"Canary", "AlertProvider", "CanaryAction", "CanaryPolicy", "ClusterCanaryPolicy", "MetricTemplate"}
    assert found == kinds


def test_metrics_and_probes_come_in_and_questions_go_out(helm: Helm) -> None:
    """Where it is said who may come in, `helm test` may as well."""
    spec = only(helm.render(), "NetworkPolicy")["spec"]
    assert spec["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    ports = [[port["port"] for port in one["ports"]] for one in spec["egress"]]
    assert ports == [[53, 53], [443, 6443]]
    named = only(helm.render({"networkPolicy": {"from": [{"podSelector": {}}]}}), "NetworkPolicy")
    asker = only(helm.render(), "Job", "canary-ready")["spec"]["template"]["metadata"]["labels"]
    mine, theirs = named["spec"]["ingress"][0]["from"]
    assert mine["podSelector"]["matchLabels"].items() <= asker.items()
    assert theirs == {"podSelector": {}}


def namespace_of(name: str) -> Data:
    """The pods of a namespace, as a peer."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


@pytest.mark.parametrize(
    ("own", "allowed", "peers"),
    [
        ("http://prometheus.istio-system:9090", [], [namespace_of("istio-system")]),
        ("http://u.shop.svc.cluster.local/x", ["https://v.shop.svc"], [namespace_of("shop")]),
        ("http://prometheus", [], [namespace_of("canary-system")]),
        ("http://Prometheus.Shop:9090", [], [namespace_of("shop")]),
        ("http://10.0.0.1:9090", ["http://[fd00::1]:9090"], [cidr("10.0.0.1/32"), cidr("fd00::1/128")]),
        ("http://prometheus.istio-system", ["https://metrics.example.com"], None),
        ("http://prometheus.istio-system", ["*"], None),
        ("", ["*"], None),
    ],
)
def test_only_the_prometheus_that_is_named_is_reached(
    helm: Helm, own: str, allowed: list[str], peers: list[Data] | None
) -> None:
    """By its namespace or address; of other names a NetworkPolicy knows nothing, so people say where they lead."""
    values: Data = {"metricsServer": own, "allowedMetricsServers": allowed}
    assert only(helm.render(values), "NetworkPolicy")["spec"]["egress"][2].get("to") == peers
    here = [cidr("192.0.2.7/32")]
    policy = {"prometheus": here, "apiServer": here}
    _, server, prometheus = only(helm.render({**values, "networkPolicy": policy}), "NetworkPolicy")["spec"]["egress"]
    assert (server["to"], prometheus["to"]) == (here, here)


def test_without_an_address_no_prometheus_is_reached(helm: Helm) -> None:
    """The controller queries none then; peers that are named are reached all the same."""
    egress = only(helm.render(), "NetworkPolicy")["spec"]["egress"]
    assert [one["ports"][0]["port"] for one in egress] == [53, 443]
    named = only(helm.render({"networkPolicy": {"prometheus": [cidr("192.0.2.7/32")]}}), "NetworkPolicy")
    assert named["spec"]["egress"][2]["to"] == [cidr("192.0.2.7/32")]


@pytest.mark.parametrize(
    ("own", "allowed", "ports"),
    [
        ("http://mimir.shop:8080/prometheus", [], [80, 443, 9090, 8080]),
        ("http://10.0.0.7:9091", ["http://[fd00::1]:9092/x:1"], [80, 443, 9090, 9091, 9092]),
        ("https://metrics.example.com", ["*"], [80, 443, 9090]),
        ("http://prometheus:9090", [], [80, 443, 9090]),
    ],
)
def test_the_port_that_is_named_is_reached(helm: Helm, own: str, allowed: list[str], ports: list[int]) -> None:
    """An address that stands in the values isn't blocked for its port."""
    values: Data = {"metricsServer": own, "allowedMetricsServers": allowed}
    prometheus = only(helm.render(values), "NetworkPolicy")["spec"]["egress"][2]
    assert prometheus["ports"] == [{"port": one, "protocol": "TCP"} for one in ports]


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
    "loadtester.enabled": False,
    "loadtester.allow": ["hey **"],
    "loadtester.allowBash": ["*"],
    "loadtester.timeout": "2h",
    "loadtester.resources": {"limits": {"memory": "1Gi"}},
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
    """Another value makes another installation: none is read by no one."""
    shown: Data = YAML(typ="safe").load(CHART / "values.yaml")
    base: Data = {"monitor": {"kind": "PodMonitor"}, "serviceAccount": {"name": "rollouts"}}
    base["metricsServer"] = "http://metrics:9090"
    base["loadtester"] = {"enabled": True}
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


def test_the_load_tester_has_no_permissions_and_starts_what_is_listed(helm: Helm) -> None:
    """Only the controller calls it, and the peers that are named."""
    allow = ["hey -z * 'http://a b/'", "curl **"]
    given = helm.render({"loadtester": {"enabled": True, "allow": allow, "allowBash": ["a | b"]}})
    pod = only(given, "Deployment", "canary-loadtester")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    container = pod["containers"][0]
    assert container["args"][-3:] == [*(f"--allow={one}" for one in allow), "--allow-bash=a | b"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    policy = only(given, "NetworkPolicy", "canary-loadtester")["spec"]
    controller = only(given, "Deployment")["spec"]["selector"]
    assert policy["ingress"] == [
        {"ports": [{"port": "http", "protocol": "TCP"}], "from": [{"podSelector": controller}]}
    ]
    egress = only(given, "NetworkPolicy")["spec"]["egress"]
    assert {"ports": [{"port": 9090, "protocol": "TCP"}], "to": [{"podSelector": policy["podSelector"]}]} in egress
    assert only(given, "Service", "canary-loadtester")["spec"]["selector"] == policy["podSelector"]["matchLabels"]
    environment_of = environment(given)
    assert environment_of["CANARY_ALLOWED_METRICS_SERVERS"] == "http://canary-loadtester.canary-system"
    assert not [one for one in helm.render() if one["metadata"]["name"] == "canary-loadtester"]
