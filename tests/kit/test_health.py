"""What a process says of itself: that all gets on, or in a sentence what does not."""

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.kernel.policies import Policies
from shared.runtime.health import Health
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.progress import STALLED_AFTER, Progress, Reach
from shared.runtime.shard_loop import ShardLoop
from tests.house.reading import ROOT
from tests.kit.counter_decider import counter_decider

SHARDS = 3
SECOND = timedelta(seconds=1)
SOON, LATE = STALLED_AFTER, STALLED_AFTER + SECOND
EMPTY = Reach(0, 0, 0, 0)


class Process:
    """The parts of one that is well."""

    def __init__(self) -> None:
        self.bus = MemoryBus(SHARDS)
        self.loop = ShardLoop(
            counter_decider(),
            Policies({}),
            (),
            MemoryStore(),
            MemorySource(self.bus, ["order.commands"]),
            MemoryPublisher(self.bus, "order"),
            self.bus.clock,
            home_among(SHARDS),
            "me",
        )
        self.complete, self.reached = asyncio.Event(), asyncio.Event()
        self.complete.set()
        self.reached.set()
        self.progress = Progress(self.bus.clock)
        membership: Any = SimpleNamespace(complete=self.complete, reached=self.reached)
        self.health = Health(self.loop, membership, self.progress)

    async def after(self, span: timedelta, reach: Reach = EMPTY, steps: bool = True) -> dict[str, Any]:
        """What is said when so much time has passed, in which the loop stepped."""
        self.bus.now += span
        if steps:
            await self.loop.step(())
        self.progress.look({("order.commands", 1): reach}, self.loop.cursors())
        return self.health.told()


@pytest.fixture
async def process() -> Process:
    process = Process()
    await process.loop.claim(range(SHARDS))
    assert process.health.told()["healthy"]
    return process


def sentences(told: dict[str, Any]) -> list[str]:
    assert told["healthy"] == (not told["problems"]), "whoever is not well says why"
    return [problem["problem"] for problem in told["problems"]]


async def test_who_begins_is_not_ready_and_says_so() -> None:
    process = Process()
    process.complete.clear()
    assert sentences(process.health.told()) == ["It starts: its share of the shards is not its yet."]
    assert sentences(await process.after(LATE)) == [
        "For 16 s shards of this process's share are not served by it; it has []."
    ]


async def test_who_does_not_step_hangs(process: Process) -> None:
    assert sentences(await process.after(SOON, steps=False)) == []
    assert sentences(await process.after(SECOND, steps=False)) == [
        "The shard loop has not taken a step for 16 s: it hangs, or the broker takes nothing."
    ]
    assert sentences(await process.after(SECOND)) == []


async def test_shards_may_move_but_not_be_away(process: Process) -> None:
    process.complete.clear()
    process.loop.drop([2])
    assert sentences(await process.after(SOON)) == []
    assert sentences(await process.after(SECOND)) == [
        "For 16 s shards of this process's share are not served by it; it has [0, 1]."
    ]
    process.complete.set()
    assert sentences(await process.after(SECOND)) == []


async def test_a_log_that_nobody_gets_on_in_is_named(process: Process) -> None:
    await process.after(SECOND, Reach(fetched=7, received=7, stable=7, end=7))
    told = await process.after(LATE, Reach(fetched=7, received=7, stable=7, end=7))
    assert sentences(told) == ["Nothing is handled of order.commands/1, where 7 offsets wait."]


async def test_a_transaction_that_nobody_ends_is_named(process: Process) -> None:
    await process.after(SECOND, Reach(fetched=0, received=0, stable=0, end=2))
    told = await process.after(LATE, Reach(fetched=0, received=0, stable=0, end=2))
    assert sentences(told) == ["A producer began a transaction in order.commands/1 at offset 0 and does not end it."]


async def test_a_broker_that_does_not_answer_is_a_problem(process: Process) -> None:
    process.reached.clear()
    assert sentences(process.health.told()) == ["Kafka does not answer this process."]


async def test_what_others_found_wrong_is_told_and_left_to_them(process: Process) -> None:
    process.loop.problems.begin("order.events/4", "The topic was made anew.", "nothing-is-handled")
    assert sentences(await process.after(SECOND)) == ["The topic was made anew."]


async def test_who_looks_says_it_once_in_the_log_though_nobody_asks(
    process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    process.reached.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            process.health.judge()
        process.reached.set()
        process.health.judge()
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"]


async def test_every_recipe_is_on_the_page(process: Process) -> None:
    page = (ROOT / "docs" / "OPERATIONS.md").read_text("utf-8")
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    process.reached.clear()
    process.complete.clear()
    await process.after(SECOND, Reach(fetched=7, received=7, stable=7, end=9), steps=False)
    told = await process.after(LATE, Reach(fetched=7, received=7, stable=7, end=9), steps=False)
    recipes = {problem["recipe"].partition("#")[2] for problem in told["problems"]}
    assert len(told["problems"]) == 5
    assert recipes <= headings
