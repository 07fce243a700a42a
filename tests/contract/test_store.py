"""What a store must do, in memory and on PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from schemas.wire import Actor, Message, PrivateEvent
from shared.kernel import codec
from shared.kernel.ports import (
    SAID_EVENTS,
    Claim,
    Commit,
    Cursor,
    Fenced,
    Input,
    Outage,
    Record,
    Store,
    StoredEvent,
    Unstorable,
)
from shared.kernel.stream import asked
from shared.runtime.memory import START, MemoryStore
from shared.runtime.postgres.database import connect, create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import ANSWERED, LOAD, LOAD_FROM_SNAPSHOT, PostgresStore


class Keeping:
    """Keeps what is written to it, and may be told to fail after it did."""

    def __init__(self) -> None:
        self.fails = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.writing = asyncio.Event()

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        if self.fails:
            raise Outage("the projection could not be written")
        heard = [found.stream_id for _, found in inputs]
        if isinstance(transaction, MemoryStore):
            self.memory.extend(heard)
        else:
            await transaction.executemany("INSERT INTO kept VALUES ($1)", [(one,) for one in heard])
            self.writing.set()
            await self.goes_on.wait()

    memory: list[str]


@dataclass
class Bench:
    store: Store
    projection: Keeping
    pool: asyncpg.Pool | None

    async def kept(self) -> list[str]:
        if self.pool is None:
            return self.projection.memory
        return [row[0] for row in await self.pool.fetch("SELECT * FROM kept")]

    async def claim(self, shard: int = 0) -> Claim:
        [claim] = await self.store.claim([shard], f"process-{uuid4()}")
        return claim

    async def parked(self, stream_id: str) -> list[Record]:
        return [one.record for one in await self.store.parked(0, stream_id, 1_000)]

    async def stored(self, shard: int = 0) -> list[StoredEvent]:
        return await self.store.unpublished(Claim(shard, 0, 0, 0, 0), 1_000)


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    keeping = Keeping()
    keeping.memory = []
    if real is None:
        yield Bench(MemoryStore([keeping]), keeping, None)
        return
    schema = f"store_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [KERNEL_MIGRATIONS])
    pool = await create_pool(real.database_url, schema, 3)
    await pool.execute("CREATE TABLE kept (order_id text)")
    await pool.execute("INSERT INTO shard (shard) SELECT generate_series(0, 2)")
    yield Bench(PostgresStore(pool, [keeping]), keeping, pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def event(position: int, stream_id: str | None = "order-1", shard: int = 0, **other: Any) -> StoredEvent:
    topic = other.pop("topic", "order.events")
    plain = StoredEvent(
        shard=shard,
        position=position,
        sequence=None if topic is None else position,
        topic=topic,
        partition=shard,
        key=None,
        stream_id=stream_id,
        type="some.type.v1",
        time=1_700_000_000_000 + position,
        id=f"id-{position}",
        causation_id="cause \N{SNOWMAN}",
        correlation_id="story",
        traceparent="00-1-2-01",
        data=b"{}",
    )
    return replace(plain, **other)


def commit(*claims: Claim, events: Sequence[StoredEvent] = (), **other: Any) -> Commit:
    """Everything that a batch may bring along, of the shards as `claims` say."""
    cursors = [(claim.shard, topic, cursor) for claim in claims for topic, cursor in claim.cursors.items()]
    marks = [(claim.shard, *place, sequence) for claim in claims for place, sequence in claim.marks.items()]
    parts = {"inputs": [], "parked": [], "released": [], **other}
    return Commit(list(claims), cursors, marks, events=list(events), **parts)


def heard(stream_id: str = "order-1") -> tuple[int, Input]:
    return 0, Input(None, "some.command.v1", stream_id, "c1", START, "story")


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
        cursors={"order.commands": Cursor(7, 1_700_000_000_000, "id"), "dispute.events": Cursor(1, 5)},
        marks={("dispute.events", "recourse/dispute/0"): 2**40},
    )
    await bench.store.commit(
        commit(after, events=[event(1), event(2, topic=None)], inputs=[heard()], parked=[(0, "order-9", record(3))])
    )
    assert await bench.claim() == replace(after, epoch=2, parked={"order-9"})
    assert await bench.parked("order-9") == [record(3)]
    assert await bench.stored() == [event(1)]
    assert await bench.kept() == ["order-1"]


async def test_later_commits_move_on_from_earlier_ones(bench: Bench) -> None:
    claim = await bench.claim()
    first = replace(claim, position=1, cursors={"a": Cursor(1, 1)}, marks={("a", "x"): 1})
    await bench.store.commit(commit(first, events=[event(1)]))
    second = replace(
        first, position=2, cursors={"a": Cursor(2, 2), "b": Cursor(9, 9)}, marks={("a", "x"): 2, ("a", "y"): 1}
    )
    await bench.store.commit(commit(second, events=[event(2)]))
    assert await bench.claim() == replace(second, epoch=2)


async def test_a_claim_fences_whoever_had_the_shard(bench: Bench) -> None:
    old, new = await bench.claim(), await bench.claim()
    assert new.epoch > old.epoch
    await bench.store.check([new])
    with pytest.raises(Fenced):
        await bench.store.check([old])
    with pytest.raises(Fenced):
        await bench.store.commit(commit(replace(old, position=1), events=[event(1)]))
    await bench.store.commit(commit(replace(new, position=1), events=[event(1)]))


async def test_rows_that_were_put_back_are_seen_by_the_position(bench: Bench) -> None:
    claim = replace(await bench.claim(), position=1)
    await bench.store.commit(commit(claim, events=[event(1)]))
    await bench.store.check([claim])
    await bench.store.check([replace(claim, position=0)])
    with pytest.raises(Fenced):
        await bench.store.check([replace(claim, position=2)])
    with pytest.raises(Fenced):
        await bench.store.check([await bench.claim(1), replace(claim, position=2)])


async def test_rows_that_were_put_back_to_before_a_silent_commit_are_seen_by_how_many_there_were(bench: Bench) -> None:
    """It moved a cursor alone. Whoever goes on from them reads again what was heard since."""
    claim = await bench.claim()
    known = replace(claim, cursors={"a": Cursor(1, 1)})
    await bench.store.commit(commit(known, inputs=[heard()]))
    assert (known.commits, claim.commits) == (1, 0)
    await bench.store.check([known])
    ahead = replace(known, commits=2, published=9, cursors={"a": Cursor(2, 2)})
    with pytest.raises(Fenced):
        await bench.store.check([ahead])
    for events in ([], [event(position) for position in range(1, 90)]):
        with pytest.raises(Fenced):
            await bench.store.commit(commit(replace(ahead, position=len(events)), events=events, inputs=[heard()]))
    await bench.store.note_published([ahead])
    after = await bench.claim()
    assert (after, after.commits) == (replace(known, epoch=2), 1)


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
                events=[event(1), event(1, shard=1)],
                inputs=[heard()],
                parked=[(1, "order-1", record(1))],
                released=[(0, "order-9", 2**40)],
            )
        )
    assert await bench.claim(0) == replace(before, epoch=3)
    assert await bench.claim(1) == replace(kept, epoch=2)
    assert await bench.stored(0) == await bench.stored(1) == []
    assert await bench.kept() == []


async def test_a_commit_whose_projection_fails_keeps_nothing(bench: Bench) -> None:
    claim = await bench.claim()
    bench.projection.fails = True
    with pytest.raises(Outage):
        await bench.store.commit(
            commit(replace(claim, position=1), events=[event(1)], parked=[(0, "order-1", record(1))])
        )
    assert await bench.claim() == replace(claim, epoch=2)
    assert await bench.stored() == []


async def test_streams_are_loaded_in_order_and_apart_from_each_other(bench: Bench) -> None:
    first, second = await bench.claim(0), await bench.claim(1)
    events = [
        event(1, "a"),
        event(2, "b", topic=None),
        event(
            3,
            "a",
            topic=None,
            command_id="c1 \N{SNOWMAN}",
            digest=b"\x00\xff",
            headers=[("n", b"v"), ("null", None)],
            data=None,
        ),
        event(4, None),
        event(5, "a", key=b"\x00\xff", partition=2),
        *(event(6 + n, "a", type=f"some.{what}.v1") for n, what in enumerate(("rejected", "repeated", "resumed"))),
    ]
    await bench.store.commit(
        commit(replace(first, position=8), replace(second, position=1), events=[*events, event(1, "a", shard=1)])
    )
    loaded = await bench.store.load([(0, "a"), (1, "a"), (0, "nothing")])
    assert {stream: found for stream, found in loaded.items() if found} == {
        (0, "a"): [events[0], events[2], events[4]],
        (1, "a"): [event(1, "a", shard=1)],
    }


class Whole(PrivateEvent):
    """The whole state of a stream."""

    type = "some.whole.v1"
    is_snapshot = True


del Message.MODELS[Whole.type]


async def test_a_stream_is_loaded_from_its_last_snapshot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Message.MODELS, Whole.type, Whole)
    claim = await bench.claim()
    kept: dict[str, Any] = {"type": Whole.type, "topic": None}
    events = [event(1, "a"), event(2, "a", **kept), event(3, "b"), event(4, "a"), event(5, "a", **kept), event(6, "a")]
    await bench.store.commit(commit(replace(claim, position=6, sequence=6), events=events))

    loaded = await bench.store.load([(0, "a"), (0, "b")])

    assert {stream: [one.position for one in some] for stream, some in loaded.items()} == {
        (0, "a"): [5, 6],
        (0, "b"): [3],
    }


async def test_whether_a_command_was_answered_is_told_by_two_answers_at_most(bench: Bench) -> None:
    first, second = await bench.claim(0), await bench.claim(1)
    answers = [event(n, "a", type="some.rejected.v1", asked=b"mine", digest=b"%03d" % n) for n in range(1, 300)]
    others = [event(300, "a", asked=b"his", digest=b"001"), event(301, "a")]
    elsewhere = event(1, "a", shard=1, asked=b"mine", digest=b"001")
    moved = replace(first, position=301), replace(second, position=1)
    await bench.store.commit(commit(*moved, events=[*answers, *others, elsewhere]))

    async def answered(*commands: tuple[int, bytes, bytes]) -> set[tuple[int, int]]:
        found = await bench.store.answered(commands)
        assert len(found) <= 2 * len(commands)
        assert all(one in [*answers, *others, elsewhere] for one in found)
        return {(one.shard, one.position) for one in found}

    assert (0, 7) in await answered((0, b"mine", b"007"))
    [other] = await answered((0, b"mine", b"new"))
    assert other in {(0, n) for n in range(1, 300)}, "the same command with another content"
    assert await answered((0, b"his", b"001"), (1, b"mine", b"001")) == {(0, 300), (1, 1)}
    assert await answered((0, b"nobody's", b"001"), (1, b"his", b"001"), (2, b"mine", b"001")) == set()


async def test_the_unpublished_tail_is_read_in_order_and_in_pieces(bench: Bench) -> None:
    claim = await bench.claim()
    events = [event(1), event(2, topic=None), event(3, None, topic="order.dead-letters"), event(4, key=b"k"), event(5)]
    await bench.store.commit(commit(replace(claim, position=5, published=1), events=events))
    owner = await bench.claim()
    assert await bench.store.unpublished(owner, 2) == events[2:4]
    owner.published = 4
    assert await bench.store.unpublished(owner, 2) == events[4:]
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
    assert (await bench.claim()).parked == {"a", "b"}
    assert await bench.parked("b") == [record(7), record(3, topic="dispute.events")]
    assert await bench.parked("a") == [odd, record(4, key=None)]

    claim = await bench.claim()
    [*_, last] = await bench.store.parked(0, "b", 9)
    await bench.store.commit(commit(replace(claim, parked={"a"}), released=[(0, "b", last.number)]))
    assert (await bench.claim()).parked == {"a"}
    assert await bench.parked("b") == []


async def test_what_waits_of_an_order_is_given_in_slices_and_what_was_handled_of_it_is_gone(bench: Bench) -> None:
    claim = await bench.claim()
    waiting = [record(offset) for offset in (5, 3, 9, 1, 7)]
    others = [(0, "b", record(2)), (0, "b", record(4))]
    await bench.store.commit(
        commit(claim, parked=[(0, "a", waiting[0]), others[0], *((0, "a", w) for w in waiting[1:4])])
    )
    await bench.store.commit(commit(claim, parked=[others[1], (0, "a", waiting[4])]))
    first = await bench.store.parked(0, "a", 2)
    assert [one.record for one in first] == waiting[:2]
    await bench.store.commit(commit(claim, released=[(0, "a", first[-1].number)]))
    second = await bench.store.parked(0, "a", 2)
    assert [one.record for one in second] == waiting[2:4]
    assert await bench.store.parked(0, "a", 2) == second, "until it is handled it is given again"
    assert (await bench.claim()).parked == {"a", "b"}
    claim = await bench.claim()
    await bench.store.commit(commit(claim, released=[(0, "a", second[-1].number)], parked=[(0, "a", record(11))]))
    assert await bench.parked("a") == [waiting[4], record(11)]
    assert await bench.parked("b") == [record(2), record(4)]
    assert await bench.parked("c") == []


async def test_several_shards_are_claimed_at_once(bench: Bench) -> None:
    await bench.claim(1)
    claims = await bench.store.claim([0, 1, 2], f"process-{uuid4()}")
    assert sorted((claim.shard, claim.epoch) for claim in claims) == [(0, 1), (1, 2), (2, 1)]


# -- what only a real store has ----------------------------------------------------------------------------------------

postgres = pytest.mark.parametrize("real", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)


@postgres
async def test_a_claim_leaves_out_what_somebody_is_committing_to_and_then_sees_what_he_kept(bench: Bench) -> None:
    old = await bench.claim()
    bench.projection.goes_on.clear()
    flying = asyncio.create_task(
        bench.store.commit(commit(replace(old, position=1), events=[event(1)], inputs=[heard()]))
    )
    await bench.projection.writing.wait()
    assert [claim.shard for claim in await bench.store.claim([0, 1], "next")] == [1]
    bench.projection.goes_on.set()
    await flying
    assert (await bench.claim()).position == 1


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
    bench.projection.goes_on.clear()
    flying = asyncio.create_task(
        bench.store.commit(commit(replace(claim, position=1), events=[event(1)], inputs=[heard()]))
    )
    await bench.projection.writing.wait()
    await bench.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND application_name = current_setting('application_name')"
    )
    bench.projection.goes_on.set()
    with pytest.raises(Outage):
        await flying
    again = await bench.claim()
    assert again == replace(claim, epoch=2)
    await bench.store.commit(commit(replace(again, position=1), events=[event(1)]))
    assert await bench.stored() == [event(1)]


@pytest.mark.parametrize("number", [1, 49, 50, 200])
async def test_however_many_events_a_commit_has_all_are_kept(bench: Bench, number: int) -> None:
    claim = await bench.claim()
    events = [event(position) for position in range(1, number + 1)]
    await bench.store.commit(commit(replace(claim, position=number), events=events))
    assert await bench.stored() == events


@postgres
async def test_what_the_database_refuses_is_told_from_what_it_did_not_do(bench: Bench) -> None:
    """And nothing of it is kept, in either way of writing."""
    assert bench.pool is not None
    await bench.pool.execute("ALTER TABLE event ADD CONSTRAINT no_such CHECK (order_id <> 'bad')")
    claim = await bench.claim()
    for number in (2, 60):
        events = [*(event(position) for position in range(1, number)), event(number, "bad", data=b"anna@example.com")]
        with pytest.raises(Unstorable, match=r"CheckViolationError \(23514, event, no_such\)$"):
            await bench.store.commit(commit(replace(claim, position=number), events=events))
    for odd in ({"time": 2**70}, {"id": "\ud800"}):
        with pytest.raises(Unstorable, match="DataError"):
            await bench.store.commit(commit(replace(claim, position=1), events=[event(1, **odd)]))
    with pytest.raises(Unstorable):
        await bench.store.load([(0, "a\0b")])
    assert await bench.stored() == []
    await bench.store.commit(commit(replace(claim, position=1), events=[event(1)]))


@postgres
async def test_what_was_parked_by_the_edition_before_is_given_as_it_was(bench: Bench) -> None:
    assert bench.pool is not None
    row = 'INSERT INTO parked (shard, order_id, topic, partition, "offset", timestamp, key, value, headers)'
    await bench.pool.execute(
        f"{row} VALUES (0, 'a', 'order.commands', 0, 3, 1700000000000, 'order-1', '{{}}', $1)",
        codec.pack_headers([("ce_id", b"1")]),
    )
    assert (await bench.claim()).parked == {"a"}
    assert await bench.parked("a") == [record(3)]


@postgres
async def test_rows_of_the_first_edition_are_read_as_what_they_were(real: Stack) -> None:
    """They have their headers as JSON, every byte a character, and none of the columns that these follow from."""
    schema = f"store_{uuid4().hex[:8]}"
    plain, letter = event(1, traceparent=None), event(2, None, type="dead-letter", topic="order.dead-letters")
    letter = replace(
        letter, id=None, causation_id=None, correlation_id=None, traceparent=None, headers=[("x", b"\xff")]
    )
    connection = await asyncpg.connect(real.database_url, server_settings={"search_path": schema})
    await connection.execute(f'CREATE SCHEMA "{schema}"')
    await connection.execute((KERNEL_MIGRATIONS / "0001_shards.sql").read_text())
    for one in (plain, letter):
        _, value, headers = codec.published(one, "order")
        await connection.execute(
            "INSERT INTO event (shard, position, sequence, topic, partition, key, order_id, type, time, headers, data)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            *(one.shard, one.position, one.sequence, one.topic, one.partition, one.key, one.stream_id, one.type),
            *(one.time, codec.pack_headers(headers), value),
        )
    for file in sorted(KERNEL_MIGRATIONS.glob("*.sql"))[1:]:
        await connection.execute(file.read_text())

    pool = await create_pool(real.database_url, schema, 1)
    assert await PostgresStore(pool, ()).unpublished(Claim(0, 0, 0, 0, 0), 9) == [plain, letter]
    await pool.close()
    await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await connection.close()


async def test_rows_that_do_not_stand_where_a_commit_goes_on_from_take_nothing(bench: Bench) -> None:
    """They were put back while their owner went on: it is the owner by its epoch, but of other rows."""
    claim = await bench.claim()
    await bench.store.commit(commit(replace(claim, position=1, sequence=1), events=[event(1)]))
    for events in ([event(3), event(4)], [event(position) for position in range(3, 90)]):
        ahead = replace(claim, position=events[-1].position, sequence=events[-1].position)
        with pytest.raises(Fenced):
            await bench.store.commit(commit(ahead, events=events, inputs=[heard()]))
    assert await bench.stored() == [event(1)]
    assert await bench.kept() == []
    await bench.store.commit(commit(replace(claim, position=3, sequence=3), events=[event(2), event(3)]))
    assert len(await bench.stored()) == 3


async def test_a_store_knows_which_numbers_it_has_on_the_bus(bench: Bench) -> None:
    first, second = await bench.claim(0), await bench.claim(1)
    ours = [
        event(1),
        event(2, topic="order.dead-letters"),
        event(3),
        event(4, topic=None),
        event(5, partition=2, topic="timer.commands"),
        event(6),
    ]
    first, second = replace(first, position=6, sequence=6), replace(second, position=1, sequence=1)
    await bench.store.commit(commit(first, second, events=[*ours, event(1, shard=1)]))
    assert await bench.store.said([first, second]) == {}
    first.published, second.published = 5, 1
    assert await bench.store.said([first, second]) == {
        ("order.events", 0): 3,
        ("order.dead-letters", 0): 2,
        ("order.events", 1): 1,
    }
    assert await bench.store.said([second]) == {("order.events", 1): 1}


async def test_what_was_said_long_ago_is_not_asked_for(bench: Bench) -> None:
    claim = await bench.claim()
    events = [event(1, topic="order.dead-letters"), *(event(number) for number in range(2, SAID_EVENTS + 2))]
    claim = replace(claim, position=SAID_EVENTS + 1, sequence=SAID_EVENTS + 1)
    await bench.store.commit(commit(claim, events=events))
    claim.published = SAID_EVENTS
    assert await bench.store.said([claim]) == {("order.events", 0): SAID_EVENTS, ("order.dead-letters", 0): 1}
    claim.published = SAID_EVENTS + 1
    assert await bench.store.said([claim]) == {("order.events", 0): SAID_EVENTS + 1}


@postgres
async def test_answers_of_old_are_known_by_what_was_asked(real: Stack) -> None:
    schema = f"store_{uuid4().hex[:8]}"
    connection = await connect(real.database_url, schema, "test")
    await connection.execute(f'CREATE SCHEMA "{schema}"')
    *before, answers = [file for file in sorted(KERNEL_MIGRATIONS.glob("*.sql")) if file.name <= "0004_answers.sql"]
    for file in before:
        await connection.execute(file.read_text())
    snow = "order \N{SNOWMAN}"
    said = [
        (
            "c1",
            {"actor": {"role": "buyer", "id": "anna"}},
            asked(snow, Actor(role="buyer", id="anna"), "c1"),
        ),
        ("c2", {"actor": None}, asked(snow, None, "c2")),
        ("c3", {"note": "\0 \\u0000"}, asked(snow, None, "c3")),
        (None, {"actor": {"role": "buyer", "id": "anna"}}, None),
    ]
    for position, (command_id, data, _) in enumerate(said):
        await connection.execute(
            "INSERT INTO event (shard, position, partition, order_id, type, time, command_id, digest, data)"
            " VALUES (0, $1, 0, $2, 'some.type.v1', 0, $3, 'd', $4)",
            *(position, snow, command_id, json.dumps(data).encode()),
        )
    await connection.execute(answers.read_text())
    assert [row[0] for row in await connection.fetch("SELECT asked FROM event ORDER BY position")] == [
        whose for _, _, whose in said
    ]
    await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await connection.close()


@postgres
async def test_a_life_and_an_answer_are_found_by_an_index_alone(bench: Bench) -> None:
    """Else who was refused a million times would be read a million times."""
    assert bench.pool is not None
    async with bench.pool.acquire() as connection:
        await connection.execute("SET enable_seqscan = off")
        for statement, arguments, index in (
            (LOAD, ([0], ["a"]), "event_history"),
            (LOAD_FROM_SNAPSHOT, ([0], ["a"], ["some.whole.v1"]), "event_history"),
            (ANSWERED, ([0], [b"mine"], [b"1"]), "event_answer"),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *arguments))
            assert index in plan
            assert "Seq Scan" not in plan
        await connection.execute("RESET enable_seqscan")
