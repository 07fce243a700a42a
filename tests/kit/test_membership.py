"""Who owns which shard, on a real PostgreSQL: fair shares, and nobody's shards wait for long."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.kernel.policies import Policies
from shared.kernel.ports import Claim, Fenced, InputSource, Outage
from shared.runtime.membership import Membership
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemorySource
from shared.runtime.partitions import home_among
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore
from shared.runtime.shard_loop import ShardLoop
from tests.kit.counter_decider import counter_decider
from tests.kit.own_inputs import NoInputs

pytestmark = pytest.mark.stack

SHARDS = 6
LEASE_SECONDS = 1.0
SOON_SECONDS = 0.7
"""Sooner than a lease runs out."""


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
            MemorySource(bus, ["order.commands"]),
            MemoryPublisher(bus, "order"),
            bus.clock,
            home_among(SHARDS),
            name,
        )
        self.membership = Membership(dsn, "order", self.loop, SHARDS, LEASE_SECONDS, look_seconds=0.05)
        self.task: asyncio.Task[None] = asyncio.create_task(self.membership.keep())

    @property
    def shards(self) -> list[int]:
        return sorted(number for number, shard in self.loop.shards.items() if shard.ready)

    async def stop_looking(self) -> None:
        """Frozen: neither looks nor notices, but its session stays."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def killed(self) -> None:
        await self.stop_looking()
        assert self.membership.connection is not None
        self.membership.connection.terminate()

    async def leave(self) -> None:
        await self.stop_looking()
        await self.membership.leave()


Join = Callable[..., Awaitable[Member]]


@pytest.fixture
async def join(database_url: str) -> AsyncIterator[Join]:
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
        await frozen.stop_looking()
        await asyncio.sleep(LEASE_SECONDS / 2)
        assert len(survivor.shards) == 3, "the lease has not run out"
        await assert_soon(lambda: len(survivor.shards) == 6)
    claims = [shard.claim for shard in frozen.loop.shards.values()]
    assert len(claims) == 3
    with pytest.raises(Fenced):
        await frozen.store.check(claims)
    async with within(5) as assert_soon:
        frozen.task = asyncio.create_task(frozen.membership.keep())
        await assert_soon(shared_out(survivor, frozen, shares=[3, 3]))


async def test_a_member_that_lost_its_session_lives_on_with_a_new_one(join: Join) -> None:
    async with within(5) as assert_soon:
        member = await join("a")
        await assert_soon(shared_out(member, shares=[6]))
        assert member.membership.connection is not None
        member.membership.connection.terminate()
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
