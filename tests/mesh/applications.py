"""What runs in the pods: one real HTTP service for each workload and image, which does as the test says."""

import threading
from typing import Any

from tests.parts.backend import Backend


class Applications:
    """Backends by (workload, image). What is said of a workload holds for all its images, unless one is named."""

    def __init__(self) -> None:
        self._backends: dict[tuple[str, str], Backend] = {}
        self._reported: list[tuple[str, str | None, dict[str, Any]]] = []
        self._lock = threading.Lock()

    def behave(self, workload: str, image: str | None, **attributes: Any) -> None:
        """Set attributes of backends: of those that run, and of those to come."""
        with self._lock:
            self._reported.append((workload, image, attributes))
            for (name, its), backend in self._backends.items():
                if name == workload and image in (None, its):
                    vars(backend).update(attributes)

    def port(self, workload: str, image: str) -> int:
        """Where it listens; it starts when it is first asked for."""
        with self._lock:
            found = self._backends.get((workload, image))
            if found is None:
                found = self._backends[workload, image] = Backend(workload)
                for name, its, attributes in self._reported:
                    if name == workload and its in (None, image):
                        vars(found).update(attributes)
                found.start()
            return found.port

    def stop(self) -> None:
        with self._lock:
            for one in self._backends.values():
                one.stop()
