"""Reads the Secrets that MetricTemplates name: by name, from the cluster or from a folder. Nothing writes them down.

What was read is kept in memory for a few seconds, so that many metrics of one template cost one request.
"""

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary import files
from canary.api.names import LONGEST, PATTERN
from canary.engine.observed import Cause, Missing
from canary.kube.client import Client
from canary.kube.errors import Failure, NotFound
from canary.kube.resources import SECRETS
from canary.ports import Secrets

FOLDER = "CANARY_SECRETS"
"""The environment variable that names a folder of Secrets."""
REMEMBERED = 15.0
"""Seconds for which a Secret is believed."""
_LARGEST = 2**20


@dataclass
class ClusterSecrets(Secrets):
    """Those of a cluster."""

    client: Client
    clock: Callable[[], float] = time.monotonic
    _known: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, namespace: str, name: str) -> Mapping[str, str] | Missing:
        key, now = (namespace, name), self.clock()
        with self._lock:
            self._known = {one: each for one, each in self._known.items() if now - each[0] < REMEMBERED}
            known = self._known.get(key)
        if known is not None:
            return known[1]
        try:
            found = _decoded(self.client.fresh(SECRETS, namespace, name).get("data"))
        except NotFound:
            return Missing(Cause.DENIED, f"the Secret {name} doesn't exist in namespace {namespace}")
        except Failure as error:
            return Missing(error.missing.cause, f"the Secret {name} can't be read: {error.missing.detail}")
        with self._lock:
            self._known[key] = now, found
        return found

    def forget(self, namespace: str, name: str) -> None:
        with self._lock:
            self._known.pop((namespace, name), None)


@dataclass(frozen=True)
class FolderSecrets(Secrets):
    """A folder for each Secret with a file for each key, as Kubernetes mounts them."""

    folder: Path

    def read(self, namespace: str, name: str) -> Mapping[str, str] | Missing:
        if not re.fullmatch(PATTERN, name) or len(name) > LONGEST:
            return Missing(Cause.DENIED, f"{name!r} is no name of a Secret")
        place = self.folder / name
        try:
            there = [path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")]
            return {path.name: files.read(path, _LARGEST).data.decode(errors="replace").strip() for path in there}
        except OSError as error:
            return Missing(
                Cause.DENIED, f"the Secret {name} can't be read: {place}: {error.strerror or 'unreadable'}"
            )

    def forget(self, namespace: str, name: str) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class NoSecrets(Secrets):
    """Where there is neither a cluster nor a folder."""

    def read(self, namespace: str, name: str) -> Mapping[str, str] | Missing:
        return Missing(
            Cause.DENIED,
            f"there is no cluster to read the Secret {name} from; set {FOLDER} to a folder that has {name}/KEY",
        )

    def forget(self, namespace: str, name: str) -> None:
        """Nothing is kept."""


def from_environment(environment: Mapping[str, str], otherwise: Secrets) -> Secrets:
    """Those of the folder that CANARY_SECRETS names, if it is set."""
    folder = environment.get(FOLDER)
    return FolderSecrets(Path(folder)) if folder else otherwise


def _decoded(data: object) -> Mapping[str, str]:
    found = data if isinstance(data, dict) else {}
    return {
        str(key): base64.b64decode(value).decode(errors="replace").strip()
        for key, value in found.items()
        if isinstance(value, str)
    }
