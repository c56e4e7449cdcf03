"""The three Services: whom they select, their ports, their metadata."""

from typing import Any

import pytest

from canary.engine.errors import Invalid
from canary.primary.services import services

from .podinfo import DEPLOYMENT, NAMESPACE, Object, canary, deployment

FLUX = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
MARK = {"canary-controller.dev/canary": "podinfo"}


def ports(service: dict[str, Any], target: Object = DEPLOYMENT) -> list[tuple[Any, ...]]:
    """(name, port, targetPort) of each, which all three have alike."""
    apex, primary, own = services(canary(service), target)
    assert apex["spec"]["ports"] == primary["spec"]["ports"] == own["spec"]["ports"]
    assert {one["protocol"] for one in apex["spec"]["ports"]} == {"TCP"}
    return [(one["name"], one["port"], one["targetPort"]) for one in apex["spec"]["ports"]]


def test_all_of_them() -> None:
    """Two select the primary. Type and address are left out, so that a Service that was there keeps its own."""

    def service(name: str, selected: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {"app": name},
                "annotations": FLUX | MARK,
            },
            "spec": {
                "ports": [{"name": "http", "protocol": "TCP", "port": 9898, "targetPort": 9898}],
                "selector": {"app": selected},
            },
        }

    assert services(canary(), DEPLOYMENT) == (
        service("podinfo", "podinfo-primary"),
        service("podinfo-primary", "podinfo-primary"),
        service("podinfo-canary", "podinfo"),
    )


def test_labels_select_by_what_the_target_is_selected_by() -> None:
    """The label's name and value are the target's; each Service is labelled with its own name."""
    target = deployment({"app.kubernetes.io/name": "web"})
    made = services(canary({"name": "pod-info"}), target)
    assert [(one["metadata"]["labels"], one["spec"]["selector"]) for one in made] == [
        ({"app.kubernetes.io/name": "pod-info"}, {"app.kubernetes.io/name": "web-primary"}),
        ({"app.kubernetes.io/name": "pod-info-primary"}, {"app.kubernetes.io/name": "web-primary"}),
        ({"app.kubernetes.io/name": "pod-info-canary"}, {"app.kubernetes.io/name": "web"}),
    ]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"port": 80}, [("http", 80, 80)]),
        ({"port": 80, "targetPort": 9898}, [("http", 80, 9898)]),
        ({"port": 80, "targetPort": "http"}, [("http", 80, "http")]),
        ({"port": 80, "portName": "grpc"}, [("grpc", 80, 80)]),
        ({"port": 80, "portName": ""}, [("http", 80, 80)]),
    ],
)
def test_the_port(service: dict[str, Any], expected: list[Any]) -> None:
    """As the manifest says, with Flagger's defaults."""
    assert ports(service) == expected


OTHERS = [("http-metrics", 9797, 9797), ("grpc", 9999, 9999)]


def container(name: str, *given: tuple[int, str | None]) -> Object:
    """One with these ports."""
    listed = [{"containerPort": port} | ({"name": called} if called else {}) for port, called in given]
    return {"name": name, "image": "x", "ports": listed}


@pytest.mark.parametrize(
    ("service", "containers", "expected"),
    [
        pytest.param({"port": 9898}, None, [("http", 9898, 9898), *OTHERS], id="without the one that is named"),
        pytest.param(
            {"port": 80, "targetPort": 9898}, None, [("http", 80, 9898), *OTHERS], id="without the target port"
        ),
        pytest.param(
            {"port": 80, "targetPort": "http"},
            None,
            [("http", 80, "http"), *OTHERS],
            id="without the target port of this name",
        ),
        pytest.param(
            {"port": 80},
            [container("web", (80, None), (81, None), (82, "admin"))],
            [("http", 80, 80), ("tcp-web-1", 81, 81), ("admin", 82, 82)],
            id="a port without a name has the container's and its place",
        ),
        pytest.param(
            {"port": 80},
            [container("istio-proxy", (15090, "http-envoy-prom")), container("envoy", (9901, None))],
            [("http", 80, 80)],
            id="no ports of the mesh",
        ),
        pytest.param(
            {"port": 80, "targetPort": 8080},
            [container("web", (80, "plain"), (8080, None))],
            [("http", 80, 8080)],
            id="a port that the Service has already is not there twice",
        ),
        pytest.param(
            {"port": 80},
            [
                container("web", (81, "http")),
                container("log", (82, "admin"), (83, None)),
                container("b", (84, "admin")),
            ],
            [("http", 80, 80), ("tcp-web-0", 81, 81), ("admin", 82, 82), ("tcp-log-1", 83, 83), ("tcp-b-0", 84, 84)],
            id="a name that the Service has already gives way",
        ),
        pytest.param(
            {"port": 80},
            [container("dns", (53, "dns")), container("b", (53, "dns-tcp"))],
            [("http", 80, 80), ("dns", 53, 53)],
            id="a number of two containers is one port",
        ),
        pytest.param(
            {"port": 80},
            [container("c" * 63, (81, None))],
            [("http", 80, 80), (f"tcp-{'c' * 57}-0", 81, 81)],
            id="a name is no longer than a label",
        ),
        pytest.param({"port": 80}, [{"name": "web", "image": "x"}], [("http", 80, 80)], id="no ports at all"),
    ],
)
def test_discovered_ports(service: dict[str, Any], containers: list[Object] | None, expected: list[Any]) -> None:
    """Those of the target's containers, unless the Service has them."""
    target = deployment(pod={"containers": containers} if containers else None)
    assert ports({**service, "portDiscovery": True}, target) == expected


def test_init_containers_serve_nothing() -> None:
    """Not even one that lists a port."""
    target = deployment(pod={"initContainers": [container("init", (7000, "init"))]})
    assert ports({"portDiscovery": True}, target) == [("http", 9898, 9898), *OTHERS]


def test_metadata() -> None:
    """Each Service has what is given for it; what other clients set isn't said."""
    service = {
        "apex": {"labels": {"team": "shop"}, "annotations": {"note": "apex", "lb": "x"}},
        "primary": {"annotations": {"note": "primary"}},
        "canary": {"labels": {"app": "mine", "preview": "yes"}},
        "unmanagedMetadata": {"labels": ["team"], "annotations": ["lb", "kustomize.toolkit.fluxcd.io/reconcile"]},
    }
    flux = {"helm.toolkit.fluxcd.io/driftDetection": "disabled"}
    made = [one["metadata"] for one in services(canary(service), DEPLOYMENT)]
    assert [(one["labels"], one["annotations"]) for one in made] == [
        ({"app": "podinfo"}, {"note": "apex"} | flux | MARK),
        ({"app": "podinfo-primary"}, {"note": "primary"} | flux | MARK),
        ({"app": "podinfo-canary", "preview": "yes"}, flux | MARK),
    ]


def test_what_else_the_manifest_says() -> None:
    """For all three."""
    service = {"headless": True, "trafficDistribution": "PreferClose", "appProtocol": "grpc"}
    for one in services(canary(service), DEPLOYMENT):
        assert (one["spec"]["clusterIP"], one["spec"]["trafficDistribution"]) == ("None", "PreferClose")
        assert one["spec"]["ports"][0]["appProtocol"] == "grpc"


NOTED = {"canary-controller.dev/original": '{"ports": [{"port": 80, "name": "web"}]}', **MARK}


def named(port: int, name: str | None = None, protocol: str = "TCP", **rest: Any) -> Object:
    """A port of a user's Service."""
    return {"port": port, "protocol": protocol, **({"name": name} if name else {}), **rest}


@pytest.mark.parametrize(
    ("service", "own", "annotations", "expected"),
    [
        pytest.param({}, [named(80, "web")], {}, [("web", 80)], id="keeps its name"),
        pytest.param({}, [named(80)], {}, [(None, 80)], id="keeps having none"),
        pytest.param({"portName": "grpc"}, [named(80, "web")], {}, [("grpc", 80)], id="has the manifest's name"),
        pytest.param({}, [named(80, "web")], NOTED, [("web", 80)], id="keeps its name once it is adopted"),
        pytest.param({}, [named(80, "http")], NOTED, [("http", 80)], id="keeps the name that it was given since"),
        pytest.param({}, [named(80, "web")], MARK, [("http", 80)], id="of a Service that canary made is called http"),
        pytest.param(
            {}, [named(81, "http")], {}, [("http-80", 80)], id="gets another name than those that are there"
        ),
        pytest.param({}, [named(80, "dns", "UDP")], {}, [("http", 80)], id="of another protocol is another port"),
        pytest.param(
            {"portDiscovery": True},
            [named(80, "web"), named(9797, "prom"), named(82, "grpc")],
            {},
            [("web", 80), ("http", 9898), ("prom", 9797), ("tcp-podinfod-2", 9999)],
            id="that is discovered keeps its name, and takes none of the others",
        ),
    ],
)
def test_a_port_of_a_service_that_was_there(
    service: dict[str, Any], own: list[Object], annotations: dict[str, str], expected: list[Any]
) -> None:
    """Where the manifest has no name for it. The versions' Services have the same ports."""
    found = {"metadata": {"annotations": annotations}, "spec": {"ports": own}}
    made = services(canary({"port": 80, **service}), DEPLOYMENT, found=found)
    for one in made:
        assert [(port.get("name"), port["port"]) for port in one["spec"]["ports"]] == expected


def test_the_protocol_of_a_port_that_was_there() -> None:
    """The versions' Services get it, too: a proxy talks to them as their own ports say."""
    found = {"spec": {"ports": [named(80, "web", appProtocol="grpc")]}}
    for one in services(canary({"port": 80}), DEPLOYMENT, found=found):
        assert one["spec"]["ports"][0]["appProtocol"] == "grpc"


READ = (
    "spec.service.{0}: is missing, and Istio takes the port 80 of your Service podinfo for {1}; write {0}: {2}, or "
    "{0}: {3}, which canary then sets in your Service"
)


@pytest.mark.parametrize(
    ("service", "own", "expected"),
    [
        pytest.param({}, named(80, "tcp-db"), ("portName", "tcp-db", "tcp-db", "http"), id="TCP by its name"),
        pytest.param({}, named(80, "https"), ("portName", "https", "tcp", "http"), id="TLS"),
        pytest.param(
            {"portName": "tcp-db"},
            named(80, "tcp-db", appProtocol="http"),
            ("appProtocol", "http", "http", "tcp"),
            id="HTTP by its protocol",
        ),
    ],
)
def test_a_protocol_that_the_routes_are_not_for(service: dict[str, Any], own: Object, expected: tuple[str]) -> None:
    """Istio would ignore the weights."""
    with pytest.raises(Invalid) as error:
        services(canary({"port": 80, **service}), DEPLOYMENT, found={"spec": {"ports": [own]}})
    assert str(error.value) == READ.format(*expected)
