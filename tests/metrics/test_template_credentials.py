"""A template's own credentials and headers reach its server, and nothing else: no message, no other server."""

import base64
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from canary.api.pinned import PinnedProvider
from canary.bootstrap.site import headers_of
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Value
from canary.kube.client import Client
from canary.kube.errors import Forbidden, NotFound
from canary.manifests import lint, read
from canary.manifests.linting import load
from canary.manifests.target import ManifestTarget
from canary.metrics.prometheus import Prometheus
from canary.metrics.providers.adapter import Providers, Routed, Surroundings
from canary.metrics.secrets import REMEMBERED, ClusterSecrets, FolderSecrets, NoSecrets, from_environment
from tests.metrics.providers import AT, Held, answer, query
from tests.metrics.server import serve, vector

ONE = (200, vector(({}, "1")))


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": "s3cret-t0ken"}, "Bearer s3cret-t0ken"),
        ({"username": "ann", "password": "pa:ss"}, "Basic " + base64.b64encode(b"ann:pa:ss").decode()),
    ],
)
def test_a_secret_is_shown_to_the_templates_server(secret: Mapping[str, str], header: str) -> None:
    """A token, or a user name with a password."""
    with serve(ONE) as server:
        assert answer(query("prometheus", "up", server.url, "creds"), secret) == Value(1)
    assert (server.asked[0].headers["Authorization"], server.asked[0].form["query"]) == (header, "up")


def test_headers_of_the_template_are_sent() -> None:
    """The tenant of Mimir, say; several values are joined as HTTP has them."""
    templates = {("shop", "mine"): {"X-Scope-OrgID": ["shop", "cart"]}}
    with serve(ONE) as server:
        asked = query("prometheus", "up", server.url)
        assert answer(asked, templates=lambda *name: templates.get(name)) == Value(1)
    assert server.asked[0].headers["X-Scope-OrgID"] == "shop, cart"


def test_a_template_that_is_gone_isnt_asked_without_its_headers() -> None:
    """Without the tenant another tenant's numbers would be judged."""
    with serve(ONE) as server:
        found = answer(query("prometheus", "up", server.url), templates=lambda *name: None)
    assert isinstance(found, Missing)
    assert found.detail.startswith("the MetricTemplate mine doesn't exist any more")
    assert not server.asked


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ({}, "the Secret creds has neither token nor username and password"),
        ({"username": "ann"}, "the Secret creds has no key password"),
        (Missing(Cause.DENIED, "the Secret creds doesn't exist"), "the Secret creds doesn't exist"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said(secret: Mapping[str, str] | Missing, sentence: str) -> None:
    """And nothing is sent."""
    with serve(ONE) as server:
        found = answer(query("prometheus", "up", server.url, "creds"), secret)
    assert isinstance(found, Missing)
    assert found.detail == f"{sentence}; {server.url}"
    assert not server.asked


def test_no_message_holds_a_secret() -> None:
    """Even if the server repeats it, as it is or coded; it is read again after a refusal."""
    token = "s3cret/t0ken"
    coded = base64.b64encode(token.encode()).decode()
    reply = f'{{"status":"error","error":"no {token} and no {coded} and no team-a"}}'
    held = Held({("shop", "creds"): {"token": token}})
    around = Surroundings(held, lambda *name: {"X-Scope-OrgID": ["team-a"]})
    with serve((403, reply)) as server, closing(Providers(around)) as source:
        asked = query("prometheus", "up", server.url, "creds")
        found = source.measure([asked], AT)[asked]
    assert found == Missing(Cause.DENIED, f"HTTP 403: no *** and no *** and no ***; {server.url}")
    assert held.forgotten == [("shop", "creds")]


def test_without_an_address_the_own_prometheus_is_shown_the_templates_credentials() -> None:
    """And not those of another template, nor those of the environment."""
    held = Held({("shop", "creds"): {"token": "mine"}})
    with serve(ONE) as server, closing(Prometheus(server.url)) as own:
        around = Surroundings(held, lambda *name: {})
        with closing(Providers(around)) as providers:
            plain = Query("own", query("prometheus", "up", None).window, query("prometheus", "up", None).subject,
                          text="up == 1")  # fmt: skip
            theirs = query("prometheus", "up", None, "creds")
            found = Routed(own, providers, server.url).measure([plain, theirs], AT)
    assert found == {plain: Value(1), theirs: Value(1)}
    shown = {one.form["query"]: one.headers.get("Authorization") for one in server.asked}
    assert shown == {"up == 1": None, "up": "Bearer mine"}


def test_equal_questions_of_one_template_are_asked_once() -> None:
    """Two Canaries with one query cost one request."""
    with serve(ONE) as server, closing(Providers(Surroundings(Held(), lambda *name: {}))) as source:
        first = query("prometheus", "up", server.url)
        again = Query("other", first.window, first.subject, text="up", server=server.url, provider=first.provider)
        assert source.measure([first, again], AT) == {first: Value(1), again: Value(1)}
    assert len(server.asked) == 1


def test_a_certificate_is_verified_unless_the_template_says_otherwise(keys: Path) -> None:
    """`insecureSkipVerify` is for its own template only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    with serve(ONE, context) as server:
        careful = answer(query("prometheus", "up", server.url))
        assert answer(query("prometheus", "up", server.url, insecure=True)) == Value(1)
    assert isinstance(careful, Missing)
    assert (careful.cause, careful.detail.startswith("TLS: ")) == (Cause.DENIED, True)


MANIFEST = """\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  targetRef: {kind: EnvoyRoute, name: web}
  version: v2
  envoy: {admin: "http://127.0.0.1:9901", routes: routes.yaml}
  metricsServer: http://prometheus:9090
  analysis:
    stepWeights: [50]
    metrics:
    - {name: plain, thresholdRange: {max: 1}, templateRef: {name: plain}}
    - {name: errors, thresholdRange: {max: 1}, templateRef: {name: errors, namespace: monitoring}}
---
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: plain, namespace: shop}
spec: {provider: {address: "http://other:9090"}, query: up}
"""
TEMPLATE = """\
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: errors, namespace: monitoring}
spec:
  provider:
    address: https://mimir.example.com
    headers: {X-Scope-OrgID: [team-a]}
    secretRef: {name: mimir}
    insecureSkipVerify: true
  query: up{a="{{ variables.x }}"}
"""


def test_a_rollout_pins_who_is_asked_and_no_credential(tmp_path: Path) -> None:
    """The status has the Secret's name; headers are found by the template's name, as the files have them now."""
    canary, template = tmp_path / "canary.yaml", tmp_path / "template.yaml"
    canary.write_text(MANIFEST)
    template.write_text(TEMPLATE.replace('{a="{{ variables.x }}"}', ""))
    target = ManifestTarget([canary, template])
    plain, errors = target.resolved().policy.metrics
    assert (plain.server, plain.provider) == ("http://other:9090", None)
    assert errors.server == "https://mimir.example.com"
    assert errors.provider == PinnedProvider(namespace="monitoring", template="errors", secret="mimir", insecure=True)
    assert "team-a" not in target.resolved().policy.model_dump_json()
    assert headers_of(target)("monitoring", "errors") == {"X-Scope-OrgID": ("team-a",)}
    assert headers_of(target)("shop", "plain") == {}
    assert headers_of(target)("shop", "gone") is None


def test_a_template_in_no_file_is_named(tmp_path: Path) -> None:
    """With what to do about it; for lint the cluster may have it."""
    canary = tmp_path / "canary.yaml"
    canary.write_text(MANIFEST)
    with pytest.raises(Invalid) as error:
        load([str(canary)])
    said = "there is no MetricTemplate 'monitoring/errors' in these files; name its file with -f as well"
    assert str(error.value).endswith(f"metrics[1].templateRef: {said}")
    (warned,) = lint(read([str(canary)]))
    assert "these files have no MetricTemplate 'monitoring/errors', so the cluster must have it" in str(warned)


class Reads(Client):
    """A cluster with one Secret."""

    def __new__(cls, *_: object) -> "Reads":
        return object.__new__(cls)

    def __init__(self, found: object) -> None:
        object.__setattr__(self, "found", found)
        object.__setattr__(self, "names", [])

    def fresh(self, resource: object, namespace: str, name: str) -> dict[str, object]:
        self.names.append((namespace, name))  # type: ignore[attr-defined]
        found = self.found  # type: ignore[attr-defined]
        if isinstance(found, Exception):
            raise found
        return {"data": found}


def test_a_secret_of_the_cluster_is_read_by_name_and_believed_for_seconds() -> None:
    """Many metrics of one template cost one request; a refused one is read again at once."""
    now = [0.0]
    client = Reads({"token": base64.b64encode(b"s3cret\n").decode()})
    secrets = ClusterSecrets(client, lambda: now[0])
    for _ in range(2):
        assert secrets.read("shop", "creds") == {"token": "s3cret"}
    assert client.names == [("shop", "creds")]  # type: ignore[attr-defined]
    secrets.forget("shop", "creds")
    secrets.read("shop", "creds")
    now[0] = REMEMBERED
    secrets.read("shop", "creds")
    assert len(client.names) == 3  # type: ignore[attr-defined]
    assert "s3cret" not in repr(replace(secrets, client=None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotFound(Cause.ABSENT, "gone"), "the Secret creds doesn't exist in namespace shop"),
        (Forbidden(Cause.DENIED, "may not get secrets"), "the Secret creds can't be read: may not get secrets"),
    ],
)
def test_a_secret_that_cant_be_read_is_no_answer(error: Exception, sentence: str) -> None:
    """It isn't an empty Secret: the metric can't be read."""
    assert ClusterSecrets(Reads(error)).read("shop", "creds") == Missing(Cause.DENIED, sentence)


def test_a_folder_stands_for_a_cluster(tmp_path: Path) -> None:
    """As Kubernetes mounts Secrets: a folder for each, a file for each key."""
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "token").write_text("abc\n")
    (tmp_path / "creds" / "..data").mkdir()
    secrets = from_environment({"CANARY_SECRETS": str(tmp_path)}, NoSecrets())
    assert isinstance(secrets, FolderSecrets)
    assert secrets.read("shop", "creds") == {"token": "abc"}
    for name in ("nothing", "../creds"):
        found = secrets.read("shop", name)
        assert isinstance(found, Missing)
        assert found.cause is Cause.DENIED
    without = from_environment({}, NoSecrets()).read("shop", "creds")
    assert "CANARY_SECRETS" in str(without)
