"""Several who are told what happens, as one: metrics and logs."""

from dataclasses import dataclass

from canary.rollout.tick import Turn

from .fleet import Key, Watcher


@dataclass(frozen=True)
class Watchers:
    """Each is told, in this order."""

    each: tuple[Watcher, ...]

    def ticked(self, key: Key, turn: Turn, seconds: float, late: float) -> None:
        for one in self.each:
            one.ticked(key, turn, seconds, late)

    def crashed(self, key: Key, error: Exception) -> None:
        for one in self.each:
            one.crashed(key, error)

    def forgot(self, key: Key) -> None:
        for one in self.each:
            one.forgot(key)
