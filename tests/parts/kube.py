"""A small client of cluster.py's API server, with which tests arrange and look; it isn't a client under test."""

import json
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.parts.processes import Child, wait_for

SLOWLY = 60.0  # seconds: what takes 3 s alone takes longer beside other work

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Kube:
    """Requests to the API server at `url`, as any of the users whose `tokens` it has."""

    def __init__(self, url: str, ca: Path, tokens: Mapping[str, str]) -> None:
        self.url = url
        self.ca = ca
        self.tokens = tokens
        self._custom: list[str] = []  # where the objects of the CRDs are that we created
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor another CA of this machine

    def close(self) -> None:
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | str | None = None,
        *,
        user: str = "admin",
        content_type: str = "application/json",
        **query: str,
    ) -> requests.Response:
        """Any answer; `body` is an object, or text as it stands."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}", "Content-Type": content_type}
        data = json.dumps(body) if isinstance(body, Mapping) else body
        return self._session.request(
            method,
            self.url + path,
            params=query,
            data=data.encode() if data is not None else None,
            headers=headers,
            timeout=30,
            verify=str(self.ca),
        )

    def read(self, path: str) -> Any:
        """The object or list at a path, which must be there."""
        return _accepted(self.request("GET", path))

    def watch(self, path: str) -> requests.Response:
        """What is in the list at a path, and then each change of it, as a stream on a connection of its own."""
        session, given = requests.Session(), {"Authorization": f"Bearer {self.tokens['admin']}"}
        session.trust_env = False
        query, ca = {"watch": "true"}, str(self.ca)
        return session.get(self.url + path, params=query, headers=given, stream=True, timeout=(30, None), verify=ca)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """The object as the server made it in the list at a path; Strict, so that no field is lost silently."""
        return _accepted(self.request("POST", path, body, fieldValidation="Strict"))

    def merge(self, path: str, patch: Mapping[str, Any]) -> Any:
        """The object at a path after a merge patch."""
        kind = "application/merge-patch+json"
        return _accepted(self.request("PATCH", path, patch, content_type=kind, fieldValidation="Strict"))

    def create_namespace(self, name: str = "") -> str:
        """The name of a new namespace in which pods can be made; random unless one is given."""
        name = name or f"test-{secrets.token_hex(4)}"
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: self.request("GET", account).ok, f"the service account of {name}", within=SLOWLY)
        return name

    def delete_namespace(self, name: str) -> None:
        """Ask for its deletion, which takes some 5 s.

        No controller is left that removes the finalizers of Canaries, and for a namespace that can't end Kubernetes
        asks for two hundred lists every few seconds.
        """
        self.request("DELETE", f"/api/v1/namespaces/{name}")
        canaries = f"/apis/canary-controller.dev/v1beta1/namespaces/{name}/canaries"
        left = self.request("GET", canaries)
        for one in left.json()["items"] if left.ok else ():
            if one["metadata"].get("finalizers"):
                change, path = {"metadata": {"finalizers": None}}, f"{canaries}/{one['metadata']['name']}"
                self.request("PATCH", path, change, content_type="application/merge-patch+json")

    def create_nodes(self, *names: str) -> None:
        """Make nodes, and return when pods can run on them."""
        for name in names:
            self.create("/api/v1/nodes", {"metadata": {"name": name}})
        for name in names:
            wait_for(partial(self._node_ready, name), f"node {name} to be ready", within=SLOWLY)

    def create_crds(self, documents: Iterable[str]) -> None:
        """Make CRDs, each given as YAML or JSON, and return when they are Established and served.

        The first write to each kind waits until its CRD has been so for 2 s.
        """
        yaml = "application/yaml"
        crds = [_accepted(self.request("POST", _CRDS, text, content_type=yaml)) for text in documents]
        for crd in crds:
            name, spec = crd["metadata"]["name"], crd["spec"]
            wait_for(partial(self._established, name), f"{name} to be Established", within=SLOWLY)
            for version in spec["versions"]:
                if version["served"]:
                    self._custom.append(f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}")
        self._wait_until_served()

    def wait_until_ready(self, server: Child | None = None) -> None:
        """Return when everything can be read; custom objects come later than /readyz says."""
        wait_for(lambda: self.request("GET", "/readyz").ok, "/readyz", child=server, within=SLOWLY)
        self._wait_until_served()

    def _wait_until_served(self) -> None:
        for path in self._custom:
            wait_for(partial(self._served, path), f"{path} to be served", within=SLOWLY)

    def _served(self, path: str) -> bool:
        return self.request("GET", path, limit="1").ok

    def _established(self, crd: str) -> bool:
        return is_true(self.read(f"{_CRDS}/{crd}"), "Established")

    def _node_ready(self, name: str) -> bool:
        node = self.read(f"/api/v1/nodes/{name}")
        return is_true(node, "Ready") and not node["spec"].get("taints")


def is_true(found: Mapping[str, Any], condition: str) -> bool:
    """Whether the status of an object has this condition, and it is True."""
    conditions = found.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _accepted(answer: requests.Response) -> Any:
    if not answer.ok:
        raise AssertionError(f"{answer.request.method} {answer.url}: {answer.status_code}\n{answer.text}")
    return answer.json()
