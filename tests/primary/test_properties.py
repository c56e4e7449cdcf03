"""For any Deployment and VirtualService: pods are distinguished, and what isn't ours stays."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.istio.weights import weighed
from canary.primary.names import Names
from canary.primary.routes import adopted
from canary.primary.services import services
from canary.primary.workload import SELECTOR_LABELS, primary

from .podinfo import NAMESPACE, REVISION, Data, Object, canary, deployment, template

VALUES = st.sampled_from(["podinfo", "web", "podinfo-primary", "x" * 55])
OTHER_LABELS = st.dictionaries(
    st.sampled_from(["team", "tier", "version", *SELECTOR_LABELS]), st.sampled_from(["podinfo", "shop", ""])
)
PORT_NAMES = st.sampled_from([None, "http", "admin", "grpc"])


@st.composite
def containers(draw: st.DrawFn) -> list[Object]:
    """Some with ports, whose names are unique in each."""
    made = []
    for name in draw(st.sets(st.sampled_from(["web", "log", "envoy", "c" * 63]), min_size=1)):
        ports = draw(st.lists(st.tuples(PORT_NAMES, st.integers(80, 84)), max_size=4, unique_by=(_name, _number)))
        listed = [{"containerPort": number} | ({"name": called} if called else {}) for called, number in ports]
        made.append({"name": name, "image": "x", **({"ports": listed} if listed else {})})
    return made


def _name(port: tuple[str | None, int]) -> object:
    return port[0] or port


def _number(port: tuple[str | None, int]) -> int:
    return port[1]


@st.composite
def targets(draw: st.DrawFn) -> Object:
    """Selected by one of the labels at least; their pods have more."""
    key = draw(st.sampled_from(SELECTOR_LABELS))
    selected = {**draw(OTHER_LABELS), key: draw(VALUES)}
    made = deployment(selected, {"containers": draw(containers())}, labels=draw(OTHER_LABELS))
    made["spec"]["template"]["metadata"]["labels"] = {**draw(OTHER_LABELS), **selected}
    return made


CANARIES: st.SearchStrategy[Canary] = st.builds(
    canary,
    st.fixed_dictionaries(
        {"port": st.integers(80, 84)},
        optional={
            "name": st.sampled_from(["web", "podinfo"]),
            "targetPort": st.sampled_from(["http", 80, 8080]),
            "portName": st.sampled_from(["http", "grpc"]),
            "portDiscovery": st.booleans(),
        },
    ),
)


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels selects pods with these."""
    return selector.items() <= labels.items()


def labels_of(workload: Data) -> dict[str, str]:
    """Of its pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


@given(CANARIES, targets(), st.none() | st.integers(0, 5))
def test_pods_are_distinguished(given: Canary, target: Object, replicas: int | None) -> None:
    """Each selector selects the pods of its own workload, and no pod of the other's."""
    before = deepcopy(target)
    made = primary(given, target, template(target), REVISION, replicas)
    apex, promoted, own = (one["spec"]["selector"] for one in services(given, target))
    theirs, ours = labels_of(made), labels_of(target)
    selector = made["spec"]["selector"]["matchLabels"]
    for one in (selector, apex, promoted):
        assert selects(one, theirs)
        assert not selects(one, ours)
    for one in (own, target["spec"]["selector"]["matchLabels"]):
        assert selects(one, ours)
        assert not selects(one, theirs)
    assert target == before


@given(CANARIES, targets())
def test_one_label_of_a_pod_is_another(given: Canary, target: Object) -> None:
    """All others are kept, and all of the pod's spec where nothing in it speaks of its own pods."""
    made = primary(given, target, template(target), REVISION, None)
    (key,) = made["spec"]["selector"]["matchLabels"]
    theirs, ours = labels_of(made), labels_of(target)
    assert (theirs.pop(key), theirs) == (ours.pop(key) + "-primary", ours)
    assert made["spec"]["template"]["spec"] == target["spec"]["template"]["spec"]


@given(CANARIES, targets())
def test_ports_are_valid(given: Canary, target: Object) -> None:
    """Each name and each number once, and no name is too long; the first is the manifest's."""
    service = given.spec.service
    assert service is not None
    for one in services(given, target):
        ports = one["spec"]["ports"]
        names, numbers = [port["name"] for port in ports], [port["port"] for port in ports]
        assert (len(set(names)), len(set(numbers))) == (len(ports), len(ports))
        assert max(map(len, names)) <= 63
        assert (names[0], numbers[0]) == (service.port_name or "http", service.port)


HOSTS = st.sampled_from([
    "podinfo", "podinfo.test.svc.cluster.local", "podinfo-primary", "podinfo-canary", "podinfo.other", "legacy",
])  # fmt: skip
ENTRIES = st.builds(
    lambda host, port, rest: {"destination": {"host": host, **port}, **rest},
    HOSTS,
    st.sampled_from([{}, {"port": {"number": 9898}}, {"port": {"number": 22}}, {"subset": "v1"}]),
    st.fixed_dictionaries({}, optional={"weight": st.integers(0, 100), "headers": st.just({"request": {}})}),
)
ROUTES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("all"),
        "match": st.just([{"uri": {"prefix": "/"}}]),
        "route": st.lists(ENTRIES, max_size=4),
        "mirror": st.just({"host": "podinfo"}),
        "redirect": st.just({"uri": "/new"}),
    },
)
VIRTUAL_SERVICES = st.builds(
    lambda spec, annotations: {"metadata": {"name": "podinfo", "namespace": NAMESPACE, **annotations}, "spec": spec},
    st.fixed_dictionaries(
        {},
        optional={
            "hosts": st.just(["podinfo"]),
            "exportTo": st.just(["."]),
            "http": st.lists(ROUTES, max_size=3),
            "tcp": st.lists(st.builds(lambda one: {"route": [one]}, ENTRIES), max_size=1),
            "tls": st.lists(st.builds(lambda one: {"route": [one]}, ENTRIES), max_size=1),
        },
    ),
    st.sampled_from([{}, {"annotations": {"note": "mine"}}]),
)


def called(entry: Data, names: Names) -> str | None:
    """Which of the three hosts a destination has, where it has a port that the versions' Services have."""
    destination = entry["destination"]
    host = destination["host"].removesuffix(f".{NAMESPACE}.svc.cluster.local")
    known = host in (names.apex, names.primary_host, names.canary_host)
    return host if known and destination.get("port") != {"number": 22} else None


def shares(route: Data, names: Names) -> dict[str | None, int]:
    """Weight by what serves it: the Service is served by the primary."""
    found: dict[str | None, int] = {}
    entries = route.get("route") or ()
    for entry, weight in zip(entries, weighed(entries), strict=True):
        host = called(entry, names)
        host = names.primary_host if host == names.apex else host
        found[host] = found.get(host, 0) + weight
    return {host: weight for host, weight in found.items() if weight}


@given(VIRTUAL_SERVICES, st.sampled_from(["http", "tcp"]))
def test_adopting_changes_routes_to_the_service_alone(before: Object, kind: str) -> None:
    """Beside them all is equal; each version has the share that it had, and nothing goes to the Service any more."""
    given, kept = canary({"portName": kind}), deepcopy(before)
    names = Names.of(given)
    after = adopted(before, given, deployment())
    assert before == kept
    assert adopted(after, given, deployment()) == after
    old, new = before["spec"].pop(kind, []), after["spec"].pop(kind, [])
    assert after == before
    for was, now in zip(old, new, strict=True):
        entries: list[Any] = was.get("route") or []
        met = {called(one, names) for one in entries}
        if not met & {names.apex, names.primary_host}:
            assert now == was
            continue
        hosts = [called(one, names) for one in now["route"]]
        assert (hosts.count(names.primary_host), hosts.count(names.canary_host), hosts.count(names.apex)) == (1, 1, 0)
        assert shares(now, names) == shares(was, names)
        assert [one for one in now["route"] if not called(one, names)] == [
            one for one in entries if not called(one, names)
        ]
        assert {**now, "route": None} == {**was, "route": None}
