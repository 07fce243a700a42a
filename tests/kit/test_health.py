"""What a process says of itself: that all gets on, or in a sentence what does not."""

import asyncio
import logging
import re
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.kernel.policies import Policies
from shared.kernel.ports import Commit, Outage
from shared.runtime import metrics
from shared.runtime.health import Health
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.outages import FORGOTTEN_AFTER
from shared.runtime.partitions import home_among
from shared.runtime.postgres import database
from shared.runtime.progress import STALLED_AFTER, Progress, Reach
from shared.runtime.shard_loop import ShardLoop
from tests.kit.counter_decider import counter_decider

SHARDS = 3
SECOND = timedelta(seconds=1)
SOON, LATE = STALLED_AFTER, STALLED_AFTER + SECOND
EMPTY = Reach(0, 0, 0, 0)


class Process:
    """The parts of one that is well."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.bus = MemoryBus(SHARDS)
        self.loop = ShardLoop(
            counter_decider(),
            Policies({}),
            (),
            store or MemoryStore(),
            MemorySource(self.bus, ["order.commands", "dispute.events"], "order"),
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
        self.database: Exception | None = None
        self.database_ahead, self.read_only, self.overdue = timedelta(), False, [0]
        self.health = Health(self.loop, membership, self.progress, self.ask, lambda before: self.overdue[-1])

    async def ask(self) -> database.DatabaseAnswer:
        if self.database is not None:
            raise self.database
        return database.DatabaseAnswer(self.bus.now + self.database_ahead, self.read_only)

    async def after(self, span: timedelta, reach: Reach = EMPTY, steps: bool = True) -> dict[str, Any]:
        """What is said when so much time has passed, in which the loop stepped."""
        self.bus.now += span
        if steps:
            await self.loop.step(())
        self.progress.look({("order.commands", 1): reach}, self.loop.cursors())
        await self.health.look()
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


async def test_a_database_that_is_away_for_long_is_a_problem(process: Process) -> None:
    process.database = ConnectionRefusedError("postgresql://postgres:secret@127.0.0.1")
    assert sentences(await process.after(SOON)) == []
    assert sentences(await process.after(SECOND)) == ["For 16 s PostgreSQL does not answer: ConnectionRefusedError."]
    process.database = None
    assert sentences(await process.after(SECOND)) == []


async def test_a_database_that_takes_no_writes_is_a_problem(process: Process) -> None:
    process.read_only = True
    assert sentences(await process.after(SOON)) == []
    assert sentences(await process.after(SECOND)) == ["For 16 s PostgreSQL takes no writes: it is read-only."]


@pytest.mark.parametrize("apart", [timedelta(seconds=61), timedelta(seconds=-61)])
async def test_clocks_that_disagree_are_told_with_their_difference(process: Process, apart: timedelta) -> None:
    process.database_ahead = apart
    told = await process.after(SECOND)
    words = f"The clock of the database is {apart.total_seconds():+.0f} s apart from this machine's."
    assert (sentences(told), told["clock_skew_seconds"]) == ([words], {"database": apart.total_seconds()})
    process.database_ahead = apart * 60 / 61
    assert sentences(await process.after(SECOND)) == []


async def test_alarms_may_be_late_but_not_stay_so(process: Process) -> None:
    looks: list[list[str]] = []
    for overdue in (0, 5, 6, 5, 5, 6, 6):
        process.overdue.append(overdue)
        looks.append(sentences(await process.after(timedelta(seconds=9))))
    assert looks == [[], [], [], [], [], ["6 alarms should have rung, and they do not get fewer."], looks[-1]]
    assert looks[-1]


async def test_alarms_are_late_by_the_clock_by_which_they_ring(process: Process) -> None:
    asked: list[datetime] = []

    def overdue(before: datetime) -> int:
        asked.append(before)
        return 0

    process.health._overdue = overdue
    process.loop.clocks.skew = lambda: timedelta(seconds=-40)
    await process.health.look()
    assert asked == [process.bus.now - timedelta(seconds=40) - STALLED_AFTER]


# -- a shard that meets one outage after the other ---------------------------------------------------------------------


class Failing(MemoryStore):
    """Keeps nothing of what it is told in vain."""

    in_vain = True

    async def commit(self, commit: Commit) -> None:
        if self.in_vain and commit.events:
            raise Outage("database: CheckViolationError: row (secret)") from ValueError("secret")
        await super().commit(commit)


async def tries(process: Process, shard: int = 1) -> None:
    """Once: a command comes, the shard is claimed again if it was lost."""
    if shard not in process.loop.shards:
        await process.loop.claim([shard])
    await process.loop.step(await process.loop.source.take(0))


async def test_a_shard_that_commits_nothing_though_all_else_goes_on_is_named() -> None:
    process = Process(store := Failing())
    await process.loop.claim(range(SHARDS))
    process.bus.append("order.commands", b"order-1", b"what has a dead letter", (), partition=1)
    looks: list[list[str]] = []
    for _ in range(17):
        await tries(process)
        looks.append(sentences(await process.after(SECOND)))
    assert looks[:16] == [[]] * 16
    assert looks[16] == ["Shard 1 met 17 outages and committed nothing in between; the last was ValueError."]
    store.in_vain = False
    await tries(process)
    assert sentences(await process.after(SECOND)) == []


async def test_two_outages_with_nothing_to_do_between_them_are_two(process: Process) -> None:
    process.loop.outages.met([1], Outage("away"))
    process.bus.now += FORGOTTEN_AFTER
    assert sentences(await process.after(SECOND)) == []
    process.loop.outages.met([1], Outage("away"))
    assert sentences(await process.after(SECOND)) == []


async def test_who_gave_a_shard_back_is_not_blamed_for_it(process: Process) -> None:
    for _ in range(2):
        process.loop.outages.met([1, 2], Outage("away"))
        process.bus.now += LATE
    process.loop.drop([1])
    await process.loop.release([2])
    assert process.loop.outages.lasting() == {}


# -- figures -----------------------------------------------------------------------------------------------------------


async def test_the_figures_are_what_is_told_as_prometheus_reads_it(process: Process) -> None:
    process.reached.clear()
    process.database_ahead = timedelta(seconds=2)
    text = metrics.text("order", await process.after(SECOND))
    sample = r'recourse_\w+\{\w+="[^"]+"(,\w+="[^"]+")*\} -?[\d.]+'
    assert [
        line for line in text.splitlines() if not re.fullmatch(rf"# (HELP|TYPE) recourse_\w+ .+|{sample}", line)
    ] == []
    assert {
        'recourse_healthy{service="order"} 0',
        'recourse_problems{service="order",recipe="a-server-does-not-answer"} 1',
        'recourse_shards{service="order"} 3',
        "# TYPE recourse_handled_total counter",
        'recourse_clock_skew_seconds{service="order",clock="database"} 2.0',
    } <= set(text.splitlines())


async def test_every_figure_is_there(process: Process) -> None:
    assert set(process.health.told()) == set(metrics.FIGURES)


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
