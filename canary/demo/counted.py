"""One result from three counts: by the load, by the versions themselves, and by Envoy."""

from collections.abc import Mapping
from dataclasses import dataclass

from .load import Tally

Answers = Mapping[str, Mapping[str, int]]
"""By version and HTTP status."""


@dataclass(frozen=True)
class Counted:
    """What the three who can count have counted, once no request is under way any more."""

    load: Mapping[str, Tally]
    services: Answers
    envoy: Answers

    @property
    def agree(self) -> bool:
        """Whether they counted the same; a version can't count what never reached it (503, from Envoy)."""
        load = {version: tally.answers for version, tally in self.load.items()}
        reached = {version: _without(answers, "503") for version, answers in load.items()}
        met = {version: answers for version, answers in self.services.items() if answers}
        return load == _positive(self.envoy) and _positive(reached) == met


def _without(answers: Mapping[str, int], status: str) -> dict[str, int]:
    return {key: number for key, number in answers.items() if key != status}


def _positive(answers: Answers) -> dict[str, dict[str, int]]:
    """Without zeros, and without those who have nothing else."""
    counted = {version: {key: n for key, n in by.items() if n} for version, by in answers.items()}
    return {version: by for version, by in counted.items() if by}
