"""Draws docs/demo.svg from a real run: the live view at the moment at which a bad version fails its first evaluation.

python -m tests.picture
"""

import tempfile
from pathlib import Path

from canary.demo.stage import Pace, stage
from canary.rollout.drive import Interrupts
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import HEALTHY, SCENARIOS
from tests.svg import picture

TARGET = Path(__file__).parents[1] / "docs" / "demo.svg"


def main() -> None:
    """One rollout of a version that leaks errors only once it has passed its first steps."""
    turns: list[Turn] = []
    versions = {"v1": HEALTHY, "v2": SCENARIOS["flaky"].canary}
    with (
        tempfile.TemporaryDirectory() as folder,
        stage(Path(folder), versions, 150.0, Pace(), Interrupts()) as running,
    ):
        running.want("v2")
        running.roll_out(turns.append)
    failed = next(index for index, turn in enumerate(turns) if turn.decision.status.failed_checks)
    TARGET.write_text(picture(turns[: failed + 1]))
    print(f"drew {TARGET.name}: {turns[failed].decision.sentence}")


if __name__ == "__main__":
    main()
