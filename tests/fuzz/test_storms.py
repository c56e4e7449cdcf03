"""Action storms: 10,000 generated floods of what people ask. No action is lost, and none counts twice."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from canary.api.action import CanaryAction, Verb
from canary.engine.verbs import REMEMBERED
from canary.rollout.reconcile import reconcile
from canary.rollout.record import Record, load
from canary.sandbox.parts import Sandbox
from canary.stores import status_json
from tests.rollout.wired import sandbox

STORMS = 10_000
SECOND = timedelta(seconds=1)
VERBS = [*Verb, *[Verb.APPROVE, Verb.RESUME, Verb.PAUSE, Verb.SKIP] * 5]
HEARD = frozenset({"ActionRefused", *(f"{verb.capitalize()}Asked" for verb in Verb)})
BACK = frozenset({Verb.ROLLBACK, Verb.REJECT})


@dataclass
class Storm:
    """A few floods on one running rollout: many actions of one second, clocks that differ, crashes before a save."""

    seed: int
    random: Random = field(init=False)
    box: Sandbox = field(init=False)
    record: Record = field(init=False)
    posted: dict[str, CanaryAction] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random, self.box = Random(self.seed), sandbox()
        self.record = load(self.box.store)
        while self.record.status.canary_weight == 0:
            self.reconcile()
        self.box.inbox.kept = self.random.random() < 0.05

    def run(self) -> None:
        """Until nothing waits any more."""
        for _ in range(self.random.randint(1, 3)):
            rollout = self.record.status.rollout
            verbs = self.post(self.random.choice((1, 3, 10, 30, 120)))
            self.reconcile()
            if BACK & verbs and rollout is not None and rollout.number == 1 and rollout.end is None:
                assert self.box.world.traffic.weight == 0, f"storm {self.seed}: a rollback had to wait"
        for _ in range(200):
            if self.counted.keys() == self.posted.keys():
                return
            self.reconcile(pause=SECOND if not self.box.inbox.kept else 61 * 60 * SECOND)

    def post(self, count: int) -> set[Verb]:
        """So many actions at once; the API server's times are whole seconds, and one server is behind."""
        verbs = self.random.choices(VERBS, k=count)
        now: datetime = self.box.clock.now().replace(microsecond=0)
        behind = self.random.choice((0, 0, 1, 30))
        for verb in verbs:
            id_ = f"{self.random.getrandbits(64):016x}"
            at = now - SECOND * self.random.randint(0, behind)
            action = CanaryAction(id=id_, target="web", verb=verb, author=id_, rollout=1, at=at)
            self.posted[id_] = action
            self.box.inbox.actions.append(action)
        self.random.shuffle(self.box.inbox.actions)
        return set(verbs)

    def reconcile(self, pause: timedelta = SECOND) -> None:
        """One reconcile, which may lose its save, or die before it."""
        before, fate = self.record, self.random.random()
        self.box.store.down = bool(self.posted) and fate < 0.05
        for turn in reconcile(self.box.parts, self.record):
            self.record = turn.record
        if self.box.store.down and fate < 0.025:
            self.record = replace(before, fresh=True)  # killed: only what was saved is known
        else:
            said = (one for one in turn.decision.messages if one.reason in HEARD)
            self.counted.update(one.message.split()[0] for one in said)
        self.box.store.down = False
        ids = self.record.status.actions_taken
        assert len(ids) <= REMEMBERED
        self.box.inbox.remove_taken(self.record.durable, turn.at)
        self.box.clock.wait(pause.total_seconds(), lambda: False)


def lost_and_twice(storm: Storm) -> tuple[set[str], set[str]]:
    """Ids of actions that never counted, and of those that did more than once."""
    twice = {id_ for id_, times in storm.counted.items() if times > 1}
    return storm.posted.keys() - storm.counted.keys(), twice


def swept(seeds: range) -> int:
    """Runs a storm for each seed; returns how many actions there were."""
    actions = 0
    for seed in seeds:
        storm = Storm(seed)
        storm.run()
        assert (seed, lost_and_twice(storm)) == (seed, (set(), set()))
        assert len(status_json.text(storm.record.status).encode()) <= status_json.LIMIT, seed
        actions += len(storm.posted)
    return actions


def test_a_few_storms_lose_nothing() -> None:
    """What the long test does ten thousand times."""
    assert swept(range(20)) > 500


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_storms_lose_nothing() -> None:
    """Each action is taken once, the status stays small, and a rollback among them doesn't wait."""
    assert swept(range(STORMS)) > 50 * STORMS
