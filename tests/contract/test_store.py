"""What a store must do, in memory and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from schemas.timer.commands import CancelTimer
from schemas.wire import Actor
from shared.kernel.agenda import Agenda, Written
from shared.kernel.ports import Claim, Commit, Cursor, Fenced, Outage, Record, Row, Store
from shared.runtime.memory import START, MemoryStore
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore


class Keeping(Agenda):
    """Keeps what is written to it, and may be told to fail after it did."""

    def __init__(self) -> None:
        self.fails = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.writing = asyncio.Event()

    async def write(self, transaction: Any, written: Sequence[Written]) -> None:
        if self.fails:
            raise Outage("the agenda could not be written")
        if isinstance(transaction, MemoryStore):
            self.memory.extend(one.order_id for one in written)
        else:
            await transaction.executemany("INSERT INTO kept VALUES ($1)", [(one.order_id,) for one in written])
            self.writing.set()
            await self.goes_on.wait()

    memory: list[str]


@dataclass
class Bench:
    store: Store
    agenda: Keeping
    pool: asyncpg.Pool | None

    async def kept(self) -> list[str]:
        if self.pool is None:
            return self.agenda.memory
        return [row[0] for row in await self.pool.fetch("SELECT * FROM kept")]

    async def claim(self, shard: int = 0) -> Claim:
        [claim] = await self.store.claim([shard], f"process-{uuid4()}")
        return claim

    async def stored(self, shard: int = 0) -> list[Row]:
        return await self.store.unpublished(Claim(shard, 0, 0, 0, 0), 1_000)


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    agenda = Keeping()
    agenda.memory = []
    if real is None:
        yield Bench(MemoryStore(agenda), agenda, None)
        return
    schema = f"store_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [KERNEL_MIGRATIONS])
    pool = await create_pool(real.database_url, schema, 3)
    await pool.execute("CREATE TABLE kept (order_id text)")
    await pool.execute("INSERT INTO shard (shard) SELECT generate_series(0, 2)")
    yield Bench(PostgresStore(pool, agenda), agenda, pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def row(position: int, order_id: str | None = "order-1", shard: int = 0, **other: Any) -> Row:
    topic = other.pop("topic", "order.events")
    plain = Row(
        shard,
        position,
        None if topic is None else position,
        topic,
        shard,
        None,
        order_id,
        "some.type.v1",
        1_700_000_000_000 + position,
        None,
        None,
        [],
        b"{}",
    )
    return replace(plain, **other)


def commit(*claims: Claim, rows: Sequence[Row] = (), **other: Any) -> Commit:
    """Everything that a batch may bring along, of the shards as `claims` say."""
    cursors = [(claim.shard, topic, cursor) for claim in claims for topic, cursor in claim.cursors.items()]
    marks = [(claim.shard, *place, sequence) for claim in claims for place, sequence in claim.marks.items()]
    parts = {"written": [], "parked": [], "released": [], **other}
    return Commit(list(claims), cursors, marks, list(rows), **parts)


def written(order_id: str = "order-1") -> Written:
    message = CancelTimer(order_id=order_id, actor=Actor(role="platform", id="p"), timer_id="t")
    return Written(0, 1, order_id, "id", "correlation", START, message)


def record(offset: int, **other: Any) -> Record:
    return replace(
        Record("order.commands", 0, offset, 1_700_000_000_000, b"order-1", b"{}", [("ce_id", b"1")]), **other
    )


async def test_a_shard_begins_with_nothing(bench: Bench) -> None:
    assert await bench.claim() == Claim(shard=0, epoch=1, position=0, sequence=0, published=0)


async def test_what_is_committed_is_what_the_next_owner_starts_from(bench: Bench) -> None:
    claim = await bench.claim()
    after = replace(
        claim,
        position=2,
        sequence=1,
        published=1,
        cursors={"order.commands": Cursor(7, 1_700_000_000_000), "dispute.events": Cursor(1, 5)},
        marks={("dispute.events", "recourse/dispute/0"): 2**40},
    )
    await bench.store.commit(
        commit(after, rows=[row(1), row(2, topic=None)], written=[written()], parked=[(0, "order-9", record(3))])
    )
    parked = {"order-9": [record(3)]}
    assert await bench.claim() == replace(after, epoch=2, parked=parked)
    assert await bench.stored() == [row(1)]
    assert await bench.kept() == ["order-1"]


async def test_later_commits_move_on_from_earlier_ones(bench: Bench) -> None:
    claim = await bench.claim()
    first = replace(claim, position=1, cursors={"a": Cursor(1, 1)}, marks={("a", "x"): 1})
    await bench.store.commit(commit(first, rows=[row(1)]))
    second = replace(
        first, position=2, cursors={"a": Cursor(2, 2), "b": Cursor(9, 9)}, marks={("a", "x"): 2, ("a", "y"): 1}
    )
    await bench.store.commit(commit(second, rows=[row(2)]))
    assert await bench.claim() == replace(second, epoch=2)


async def test_a_claim_fences_whoever_had_the_shard(bench: Bench) -> None:
    old, new = await bench.claim(), await bench.claim()
    assert new.epoch > old.epoch
    await bench.store.check([new])
    with pytest.raises(Fenced):
        await bench.store.check([old])
    with pytest.raises(Fenced):
        await bench.store.commit(commit(replace(old, position=1), rows=[row(1)]))
    await bench.store.commit(commit(replace(new, position=1), rows=[row(1)]))


async def test_a_commit_that_is_fenced_in_one_shard_keeps_nothing_of_any(bench: Bench) -> None:
    lost, kept = await bench.claim(0), await bench.claim(1)
    await bench.store.commit(commit(lost, parked=[(0, "order-9", record(3))]))
    before = await bench.claim(0)
    moved = [
        replace(claim, position=1, sequence=1, cursors={"a": Cursor(9, 9)}, marks={("a", "b"): 9})
        for claim in (lost, kept)
    ]
    with pytest.raises(Fenced):
        await bench.store.commit(
            commit(
                *moved,
                rows=[row(1), row(1, shard=1)],
                written=[written()],
                parked=[(1, "order-1", record(1))],
                released=[(0, "order-9")],
            )
        )
    assert await bench.claim(0) == replace(before, epoch=3)
    assert await bench.claim(1) == replace(kept, epoch=2)
    assert await bench.stored(0) == await bench.stored(1) == []
    assert await bench.kept() == []


async def test_a_commit_whose_agenda_fails_keeps_nothing(bench: Bench) -> None:
    claim = await bench.claim()
    bench.agenda.fails = True
    with pytest.raises(Outage):
        await bench.store.commit(commit(replace(claim, position=1), rows=[row(1)], parked=[(0, "order-1", record(1))]))
    assert await bench.claim() == replace(claim, epoch=2)
    assert await bench.stored() == []


async def test_streams_are_loaded_in_order_and_apart_from_each_other(bench: Bench) -> None:
    first, second = await bench.claim(0), await bench.claim(1)
    rows = [
        row(1, "a"),
        row(2, "b", topic=None),
        row(
            3,
            "a",
            topic=None,
            command_id="c1 \N{SNOWMAN}",
            digest=b"\x00\xff",
            headers=[("n", b"v"), ("null", None)],
            data=None,
        ),
        row(4, None),
        row(5, "a", key=b"\x00\xff", partition=2),
    ]
    await bench.store.commit(
        commit(replace(first, position=5), replace(second, position=1), rows=[*rows, row(1, "a", shard=1)])
    )
    loaded = await bench.store.load([(0, "a"), (1, "a"), (0, "nothing")])
    assert {stream: found for stream, found in loaded.items() if found} == {
        (0, "a"): [rows[0], rows[2], rows[4]],
        (1, "a"): [row(1, "a", shard=1)],
    }


async def test_the_unpublished_tail_is_read_in_order_and_in_pieces(bench: Bench) -> None:
    claim = await bench.claim()
    rows = [row(1), row(2, topic=None), row(3, None, topic="order.dead-letters"), row(4, key=b"k"), row(5)]
    await bench.store.commit(commit(replace(claim, position=5, published=1), rows=rows))
    owner = await bench.claim()
    assert await bench.store.unpublished(owner, 2) == rows[2:4]
    owner.published = 4
    assert await bench.store.unpublished(owner, 2) == rows[4:]
    owner.published = 5
    assert await bench.store.unpublished(owner, 2) == []


async def test_what_is_published_is_remembered_and_never_taken_back(bench: Bench) -> None:
    claim = await bench.claim()
    await bench.store.note_published([replace(claim, published=5)])
    await bench.store.note_published([replace(claim, published=3)])
    assert (await bench.claim()).published == 5
    claim = await bench.claim()
    await bench.store.commit(commit(replace(claim, published=4)))
    assert (await bench.claim()).published == 5


async def test_who_lost_a_shard_neither_gives_it_back_nor_says_what_is_published(bench: Bench) -> None:
    old, new = await bench.claim(), await bench.claim()
    await bench.store.note_published([replace(old, published=5)])
    await bench.store.release([replace(old, published=5)])
    await bench.store.check([new])
    assert (await bench.claim()).published == 0


async def test_a_shard_that_is_given_back_keeps_what_was_published(bench: Bench) -> None:
    claim = await bench.claim()
    await bench.store.release([replace(claim, published=3)])
    assert await bench.claim() == replace(claim, epoch=2, published=3)


async def test_parked_records_wait_in_order_until_their_order_is_released(bench: Bench) -> None:
    claim = await bench.claim()
    odd = record(
        2, key=b"\xff\x00", value=None, headers=[("", b"\x80\x00"), ("null", None), ("twice", b"1"), ("twice", b"2")]
    )
    await bench.store.commit(
        commit(claim, parked=[(0, "b", record(7)), (0, "a", odd), (0, "b", record(3, topic="dispute.events"))])
    )
    await bench.store.commit(commit(claim, parked=[(0, "a", record(4, key=None))]))
    parked = (await bench.claim()).parked
    assert parked == {"b": [record(7), record(3, topic="dispute.events")], "a": [odd, record(4, key=None)]}

    claim = await bench.claim()
    await bench.store.commit(commit(replace(claim, parked={}), released=[(0, "b")]))
    assert list((await bench.claim()).parked) == ["a"]


async def test_several_shards_are_claimed_at_once(bench: Bench) -> None:
    await bench.claim(1)
    claims = await bench.store.claim([0, 1, 2], f"process-{uuid4()}")
    assert sorted((claim.shard, claim.epoch) for claim in claims) == [(0, 1), (1, 2), (2, 1)]


# -- what only a real store has ----------------------------------------------------------------------------------------

postgres = pytest.mark.parametrize("real", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)


@postgres
async def test_a_claim_waits_for_a_commit_in_flight_and_sees_what_it_kept(bench: Bench) -> None:
    old = await bench.claim()
    bench.agenda.goes_on.clear()
    flying = asyncio.create_task(
        bench.store.commit(commit(replace(old, position=1), rows=[row(1)], written=[written()]))
    )
    await bench.agenda.writing.wait()
    claiming = asyncio.create_task(bench.claim())
    await asyncio.sleep(0.1)
    assert not claiming.done()
    bench.agenda.goes_on.set()
    await flying
    assert (await claiming).position == 1


@postgres
async def test_what_a_living_member_owns_is_not_taken_from_him(bench: Bench) -> None:
    assert bench.pool is not None
    await bench.pool.execute("INSERT INTO member VALUES ('a', 1, now())")
    [held] = await bench.store.claim([0], "a")
    assert [claim.shard for claim in await bench.store.claim([0, 1], "b")] == [1]
    assert [claim.epoch for claim in await bench.store.claim([0], "a")] == [held.epoch + 1], "from oneself it is"
    await bench.pool.execute("DELETE FROM member")
    assert [claim.shard for claim in await bench.store.claim([0], "b")] == [0]


@postgres
async def test_a_session_cut_in_mid_commit_is_an_outage_and_the_next_one_works(bench: Bench) -> None:
    assert bench.pool is not None
    claim = await bench.claim()
    bench.agenda.goes_on.clear()
    flying = asyncio.create_task(
        bench.store.commit(commit(replace(claim, position=1), rows=[row(1)], written=[written()]))
    )
    await bench.agenda.writing.wait()
    await bench.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND application_name = current_setting('application_name')"
    )
    bench.agenda.goes_on.set()
    with pytest.raises(Outage):
        await flying
    again = await bench.claim()
    assert again == replace(claim, epoch=2)
    await bench.store.commit(commit(replace(again, position=1), rows=[row(1)]))
    assert await bench.stored() == [row(1)]
