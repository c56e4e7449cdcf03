"""Argo's steps, each a change, to ours, each a complete traffic state with what ends it."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

from canary.api.duration import brief, parse

Data = Mapping[str, Any]
TRAFFIC = ("weight", "match", "mirror")
ENDLESS = {"approval": {"count": 1}, "onTimeout": "hold"}
"""Argo waits without a limit."""


class Steps:
    """Reads Argo's steps in their order."""

    def __init__(self, lost: Callable[[str], None], iterations: int | None) -> None:
        """`iterations` of a step that has no analysis of its own; None for the default."""
        self._lost, self._iterations = lost, iterations
        self._made: list[dict[str, Any]] = []
        self._now: dict[str, Any] = {"weight": 0}

    def read(self, steps: Sequence[Any], counts: Callable[[Data], int]) -> list[dict[str, Any]]:
        """`counts` says how many measurements an inline analysis takes."""
        for index, step in enumerate(steps):
            for word, value in step.items() if isinstance(step, dict) else ():
                self._one(word, value if value is not None else {}, f"step {index + 1}", counts)
        self._end()
        return self._made

    def _one(self, word: str, value: Any, where: str, counts: Callable[[Data], int]) -> None:
        match word:
            case "setWeight":
                self._weight(value, where)
            case "pause":
                self._pause(value, where)
            case "analysis":
                self._fresh("iterations", "gates")
                self._now["iterations"] = counts(value)
            case "setHeaderRoute":
                self._headers(value)
            case "setMirrorRoute":
                self._mirror(value, where)
            case "setCanaryScale":
                self._lost(
                    f"{where}: setCanaryScale. Before each increase, canary waits for as many replicas as the next "
                    "weight needs; the Deployment is scaled like the primary."
                )
            case _:
                self._lost(f"{where}: {word}")

    def _weight(self, weight: Any, where: str) -> None:
        if not isinstance(weight, int) or not 0 <= weight <= 100:
            self._lost(f"{where}: setWeight {weight!r} is no whole number from 0 to 100")
        elif weight < self._now["weight"]:
            self._lost(f"{where}: setWeight goes down from {self._now['weight']} to {weight}; weights may only rise")
        elif weight > self._now["weight"]:
            self._change(weight=weight)

    def _pause(self, pause: Any, where: str) -> None:
        duration = pause.get("duration") if isinstance(pause, dict) else None
        if duration is None:
            self._fresh("gates")
            self._now["gates"] = [deepcopy(ENDLESS)]
            return
        try:
            seconds = str(duration)
            length = parse(f"{seconds}s" if seconds.isdecimal() else seconds)
        except ValueError:
            self._lost(f"{where}: pause of {duration!r}, which is no duration such as 10m")
            return
        self._fresh("gates")
        so_far = parse(self._now["hold"]) if "hold" in self._now else timedelta()
        self._now["hold"] = brief(so_far + length)

    def _headers(self, route: Data) -> None:
        matches = [
            {"headers": {str(one["headerName"]).lower(): dict(one.get("headerValue") or {})}}
            for one in route.get("match") or []
            if isinstance(one, dict) and one.get("headerName")
        ]
        self._change(match=matches)

    def _mirror(self, route: Data, where: str) -> None:
        if route.get("match"):
            self._lost(f"{where}: setMirrorRoute with match; canary copies a share of all requests")
        elif "percentage" in route:
            self._change(mirror=route["percentage"])
        else:
            self._change(mirror=0)

    def _change(self, **traffic: Any) -> None:
        self._end()
        kept = {name: self._now[name] for name in TRAFFIC if name in self._now}
        self._now = {name: value for name, value in {**kept, **traffic}.items() if value or name == "weight"}

    def _fresh(self, *words: str) -> None:
        """The same traffic in a step of its own, because the present one ends before what follows."""
        if any(word in self._now for word in words):
            self._change()

    def _end(self) -> None:
        """Keep the present step, unless it is the start and nothing waits there."""
        if not any(value for value in self._now.values()):
            return
        step = dict(self._now)
        if "iterations" not in step and self._iterations is not None:
            step["iterations"] = self._iterations
        self._made.append(step)
