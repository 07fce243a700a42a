"""Who owns which shard, on a real PostgreSQL: fair shares, and nobody's shards wait for long."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from shared.kernel.policies import Policies
from shared.kernel.ports import Claim, Commit, Fenced, Input, InputSource, Outage, StoredEvent
from shared.runtime import membership, presence
from shared.runtime.membership import Membership
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemorySource
from shared.runtime.partitions import home_among
from shared.runtime.postgres import database
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore
from shared.runtime.presence import Presence
from shared.runtime.shard_loop import ShardLoop
from tests.kit.counter_decider import counter_decider
from tests.kit.own_inputs import NoInputs

pytestmark = pytest.mark.stack

SHARDS = 6
LEASE_SECONDS = 1.0
SOON_SECONDS = 0.7
"""Sooner than a lease runs out."""
LET_GO_SECONDS = 2.0
"""After which the database takes a frozen transaction's rows from it; longer than the lease."""


class Store(PostgresStore):
    """May fail to give shards back, so many times."""

    failures = 0

    async def release(self, claims: Sequence[Claim]) -> None:
        if self.failures:
            self.failures -= 1
            raise Outage("the database went away")
        await super().release(claims)


class Member:
    """One process of a service, as far as its shards are concerned."""

    def __init__(self, dsn: str, pool: asyncpg.Pool, bus: MemoryBus, name: str, inputs: InputSource) -> None:
        self.store = Store(pool, ())
        self.loop = ShardLoop(
            counter_decider(),
            Policies({}),
            [inputs],
            self.store,
            MemorySource(bus, ["order.commands", "dispute.events"], "order"),
            MemoryPublisher(bus, "order"),
            bus.clock,
            home_among(SHARDS),
            name,
        )
        self.membership = Membership(dsn, "order", self.loop, SHARDS, LEASE_SECONDS, look_seconds=0.05)
        self.task: asyncio.Task[None] = asyncio.create_task(self.membership.keep())
        self.thawed = threading.Event()

    @property
    def shards(self) -> list[int]:
        return sorted(number for number, shard in self.loop.shards.items() if shard.ready)

    @property
    def presence(self) -> Presence:
        assert self.membership.presence is not None
        return self.membership.presence

    async def hang(self) -> None:
        """Its event loop does not come to anything any more; the thread beside it does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def freeze(self) -> None:
        """Neither looks nor notices, but its session stays."""
        await self.hang()
        self.thawed.clear()
        self.presence._loop.call_soon_threadsafe(self.thawed.wait)

    def thaw(self) -> None:
        self.thawed.set()
        self.task = asyncio.create_task(self.membership.keep())

    def lose_session(self) -> None:
        connection = self.presence._connection
        assert connection is not None
        self.presence._loop.call_soon_threadsafe(connection.terminate)

    async def killed(self) -> None:
        await self.hang()
        await self.membership._disconnect()

    async def leave(self) -> None:
        self.thawed.set()
        await self.hang()
        await self.membership.leave()


Join = Callable[..., Awaitable[Member]]


@pytest.fixture
async def join(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Join]:
    monkeypatch.setattr(database, "LET_GO_SECONDS", LET_GO_SECONDS)
    await migrate(database_url, "order", [KERNEL_MIGRATIONS])
    bus, members = MemoryBus(SHARDS), list[Member]()
    pool = await create_pool(database_url, "order", 4)

    async def join(name: str, inputs: InputSource | None = None) -> Member:
        members.append(Member(database_url, pool, bus, name, inputs or NoInputs()))
        return members[-1]

    yield join
    for member in members:
        await member.leave()
    await pool.close()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    async def assert_soon(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - what the database says has no event to await
            await asyncio.sleep(0.01)

    async with asyncio.timeout(seconds):
        yield assert_soon


def shared_out(*members: Member, shares: Sequence[int]) -> Callable[[], bool]:
    def check() -> bool:
        held = [shard for member in members for shard in member.shards]
        fair = sorted(len(member.shards) for member in members) == sorted(shares)
        return fair and sorted(held) == list(range(SHARDS))

    return check


async def test_who_is_cut_off_from_the_broker_and_alone_keeps_its_shards(join: Join) -> None:
    """Nobody could use them better, and a machine that is merely slow would move them for nothing."""
    only = await join("only")
    async with within(10) as assert_soon:
        await assert_soon(shared_out(only, shares=[SHARDS]))
        epochs = {number: shard.claim.epoch for number, shard in only.loop.shards.items()}
        only.membership.reached.clear()
        for _ in range(10):
            only.membership.wake.set()
            await asyncio.sleep(0.05)
        assert {number: shard.claim.epoch for number, shard in only.loop.shards.items()} == epochs


async def test_who_is_cut_off_from_the_broker_leaves_its_shards_to_others_until_it_answers_again(join: Join) -> None:
    cut_off, other = await join("cut off"), await join("other")
    async with within(10) as assert_soon:
        await assert_soon(shared_out(cut_off, other, shares=[3, 3]))
        cut_off.membership.reached.clear()
        await assert_soon(lambda: len(other.shards) == SHARDS and not cut_off.shards)
        assert not cut_off.membership.complete.is_set()
        cut_off.membership.reached.set()
        await assert_soon(shared_out(cut_off, other, shares=[3, 3]))


async def test_who_was_claiming_when_it_was_cut_off_claims_again_when_the_broker_answers(join: Join) -> None:
    class Unanswered(NoInputs):
        """What a claim asks the broker, who is away for now."""

        def __init__(self) -> None:
            self.answers, self.asked = asyncio.Event(), asyncio.Event()
            self.answers.set()

        async def opened(self, shard: int) -> None:
            if not self.answers.is_set():
                self.asked.set()
            await self.answers.wait()

    broker = Unanswered()
    cut_off, other = await join("cut off", broker), await join("other")
    async with within(10) as assert_soon:
        await assert_soon(shared_out(cut_off, other, shares=[3, 3]))
        broker.answers.clear()
        cut_off.loop.drop(cut_off.shards)
        await broker.asked.wait()
        cut_off.membership.reached.clear()
        await assert_soon(lambda: len(other.shards) == SHARDS)
        broker.answers.set()
        cut_off.membership.reached.set()
        await assert_soon(shared_out(cut_off, other, shares=[3, 3]))


async def test_members_share_fairly_as_they_come_and_go(join: Join, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with within(5) as assert_soon:
        first = await join("a")
        await assert_soon(shared_out(first, shares=[6]))
        second = await join("b")
        await assert_soon(shared_out(first, second, shares=[3, 3]))
        third = await join("c")
        await assert_soon(shared_out(first, second, third, shares=[2, 2, 2]))
    async with within(SOON_SECONDS) as assert_soon:
        await second.leave()
        await assert_soon(shared_out(first, third, shares=[3, 3]))
        await assert_soon(lambda: first.membership.complete.is_set() and third.membership.complete.is_set())
    assert second.loop.shards == {}
    assert [record.getMessage() for record in caplog.records if record.name == "shared.runtime.membership"] == []


async def test_whoever_is_above_his_share_gives_no_more_than_that_back(join: Join) -> None:
    async with within(5) as assert_soon:
        first = await join("a")
        await assert_soon(shared_out(first, shares=[6]))
        kept = first.loop.shards[0]
        second = await join("b")
        await assert_soon(shared_out(first, second, shares=[3, 3]))
    assert first.loop.shards[0] is kept, "work on what stays goes on undisturbed"


async def test_the_shards_of_a_killed_member_are_taken_at_once(join: Join) -> None:
    async with within(5) as assert_soon:
        survivor, victim = await join("a"), await join("b")
        await assert_soon(shared_out(survivor, victim, shares=[3, 3]))
    async with within(SOON_SECONDS) as assert_soon:
        await victim.killed()
        await assert_soon(shared_out(survivor, shares=[6]))


async def test_a_frozen_member_is_given_up_after_its_lease_and_fenced_when_it_thaws(join: Join) -> None:
    async with within(5) as assert_soon:
        survivor, frozen = await join("a"), await join("b")
        await assert_soon(shared_out(survivor, frozen, shares=[3, 3]))
        await frozen.freeze()
        await asyncio.sleep(LEASE_SECONDS / 2)
        assert len(survivor.shards) == 3, "the lease has not run out"
        await assert_soon(lambda: len(survivor.shards) == 6)
    claims = [shard.claim for shard in frozen.loop.shards.values()]
    assert len(claims) == 3
    with pytest.raises(Fenced):
        await frozen.store.check(claims)
    async with within(5) as assert_soon:
        frozen.thaw()
        await assert_soon(shared_out(survivor, frozen, shares=[3, 3]))


async def test_a_member_that_lost_its_session_lives_on_with_a_new_one(join: Join) -> None:
    async with within(5) as assert_soon:
        member = await join("a")
        await assert_soon(shared_out(member, shares=[6]))
        member.lose_session()
        other = await join("b")
        await assert_soon(shared_out(member, other, shares=[3, 3]))


async def test_shards_whose_release_failed_are_not_lost_to_everybody(join: Join) -> None:
    async with within(5) as assert_soon:
        first = await join("a")
        await assert_soon(shared_out(first, shares=[6]))
        first.store.failures = 1
        second = await join("b")
        await assert_soon(shared_out(first, second, shares=[3, 3]))


class Failing(NoInputs):
    """Cannot be opened, so many times."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors

    async def opened(self, shard: int) -> None:
        if self.errors:
            raise self.errors.pop()


async def test_a_claim_that_meets_an_outage_is_tried_again(join: Join) -> None:
    errors: list[Exception] = [Outage("broker"), ConnectionResetError("database")]
    async with within(5) as assert_soon:
        member = await join("a", Failing(errors))
        await assert_soon(shared_out(member, shares=[6]))


async def test_a_claim_that_meets_a_bug_ends_the_process(join: Join) -> None:
    member = await join("a", Failing([ZeroDivisionError("bug")]))
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(5):
            await member.task


async def test_a_member_whose_claim_takes_long_is_not_given_up(join: Join) -> None:
    class Slow(NoInputs):
        async def opened(self, shard: int) -> None:
            await asyncio.sleep(LEASE_SECONDS * 2 / SHARDS)

    async with within(8) as assert_soon:
        slow = await join("a", Slow())
        await assert_soon(lambda: len(slow.loop.shards) == SHARDS)
        epochs = [shard.claim.epoch for shard in slow.loop.shards.values()]
        other = await join("b")
        await assert_soon(shared_out(slow, other, shares=[3, 3]))
        assert [shard.claim.epoch for shard in slow.loop.shards.values()] == epochs[:3]


class Stuck:
    """A projection that never comes back."""

    def __init__(self) -> None:
        self.writing = asyncio.Event()

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        self.writing.set()
        await asyncio.Event().wait()


async def test_who_freezes_in_mid_commit_holds_up_that_shard_alone_and_not_for_long(join: Join) -> None:
    async with within(5) as assert_soon:
        frozen = await join("a")
        await assert_soon(shared_out(frozen, shares=[6]))
    stuck = Stuck()
    frozen.store.projections = [stuck]
    claim = replace(frozen.loop.shards[2].claim, sequence=7)
    flying = asyncio.create_task(frozen.store.commit(Commit([claim], [], [], [], [], [], [])))
    await stuck.writing.wait()
    await frozen.freeze()
    try:
        async with within(LEASE_SECONDS + LET_GO_SECONDS / 2) as assert_soon:
            heir = await join("b")
            await assert_soon(lambda: heir.shards == [0, 1, 3, 4, 5])
        async with within(LET_GO_SECONDS + SOON_SECONDS) as assert_soon:
            await assert_soon(lambda: len(heir.shards) == SHARDS)
        assert heir.loop.shards[2].claim.sequence == 0, "nothing of it is kept"
    finally:
        flying.cancel()
        await asyncio.gather(flying, return_exceptions=True)


async def test_of_what_nobody_holds_a_member_asks_first_for_what_it_was_not_refused(
    join: Join, database_url: str
) -> None:
    """Two members, each short of one shard; of two that are free somebody holds the row of the first."""
    connection = await database.connect(database_url, "order", "test")
    await connection.execute("INSERT INTO shard (shard) SELECT generate_series(0, 5)")

    def held(*members: Member) -> Callable[[], bool]:
        return lambda: sorted(shard for member in members for shard in member.shards) == [1, 2, 3, 4, 5]

    async with connection.transaction():
        await connection.execute("SELECT FROM shard WHERE shard = 0 FOR UPDATE")
        async with within(8) as assert_soon:
            first, second, third = [await join(name) for name in "abc"]
            await assert_soon(lambda: held(first, second, third)() and bool(third.shards))
            await third.leave()
            await assert_soon(held(first, second))
    async with within(5) as assert_soon:
        await assert_soon(shared_out(first, second, shares=[3, 3]))
    await connection.close()


async def test_who_computes_for_longer_than_his_lease_lives(join: Join, database_url: str) -> None:
    """Seen from a thread of its own: the loop of this test is the one that computes."""
    async with within(5) as assert_soon:
        busy = await join("a")
        await assert_soon(shared_out(busy, shares=[6]))
    stop, seen = threading.Event(), list[set[str]]()

    async def watch() -> None:
        connection = await database.connect(database_url, "order", "test")
        await connection.execute(presence.JOIN, "b")
        while not stop.is_set():
            seen.append({row[0] for row in await connection.fetch(presence.LOOK, "b", LEASE_SECONDS)})
            await asyncio.sleep(0.05)
        await connection.close()

    watching = threading.Thread(target=lambda: asyncio.run(watch()))
    watching.start()
    until = time.monotonic() + 3 * LEASE_SECONDS
    while time.monotonic() < until:
        pass
    stop.set()
    watching.join()
    assert len(seen) > 3
    assert all(living == {"a", "b"} for living in seen)


async def test_who_hangs_is_given_up_though_his_session_is_well(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "HUNG_AFTER", timedelta(seconds=2 * LEASE_SECONDS))
    async with within(5) as assert_soon:
        survivor, hung = await join("a"), await join("b")
        await assert_soon(shared_out(survivor, hung, shares=[3, 3]))
    await hung.hang()
    await asyncio.sleep(1.5 * LEASE_SECONDS)
    assert len(survivor.shards) == 3, "he may only be busy"
    async with within(5) as assert_soon:
        await assert_soon(lambda: len(survivor.shards) == 6)


async def test_who_cannot_look_for_a_while_is_not_complete(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "PATIENCE", timedelta(seconds=0.5))
    async with within(5) as assert_soon:
        member = await join("a")
        await assert_soon(member.membership.complete.is_set)
        member.membership.dsn = "postgresql://127.0.0.1:1/nowhere"
        member.lose_session()
        await assert_soon(lambda: not member.membership.complete.is_set())
