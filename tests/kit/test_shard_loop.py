"""What may not go wrong in the shard loop, on a bus and a store in memory."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.timer.events import Elapsed
from schemas.topics import BATCH_BYTES_MAX
from schemas.wire import Actor, Command, Role
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider, Output
from shared.kernel.policies import Policies
from shared.kernel.ports import Commit, InputSource, Outage, Place, PlaceRefusal, Record, StoredEvent
from shared.runtime import outbox, shard_loop
from shared.runtime.memory import START, MemoryBus, MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.shard_loop import ShardLoop
from tests.kit.counter_decider import (
    UNLUCKY,
    Add,
    Added,
    Count,
    CountRejected,
    CountResume,
    CountResumed,
    Missed,
    Noted,
    Promise,
    Told,
    counter_decider,
    decide,
    decide_with_a_bug,
)
from tests.kit.own_inputs import NoInputs
from tests.support.waiting import until_true

NO_POLICIES = Policies({})
BUYER = Actor(role="buyer", id="b1")
BUGGY = counter_decider(decide=decide_with_a_bug)


class Doubtful(MemoryStore):
    """Another process's view of the same rows; a commit may meet an outage `before` or `after` it happened."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.projections)
        self.shards = store.shards
        self.outages: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def commit(self, commit: Commit) -> None:
        outage = self.outages.pop(0) if self.outages else None
        if outage == "before":
            raise Outage("the commit never arrived")
        await super().commit(commit)
        self.meanwhile()
        if outage == "after":
            raise Outage("the answer never arrived")


class Broker(MemoryPublisher):
    """Can be away; may be stopped after some rows of a wave."""

    def __init__(self, bus: MemoryBus, service: str) -> None:
        super().__init__(bus, service)
        self.away = False
        self.breaks_after: int | None = None

    async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        if self.away:
            raise Outage("the broker is away")
        if self.breaks_after is not None:
            await super().send(events[: self.breaks_after])
            raise Outage("the broker broke down")
        return await super().send(events)


class Process:
    """One process of a service."""

    def __init__(
        self, world: "Shop", decider: Decider[Any, Any, Any], store: MemoryStore, inputs: Sequence[InputSource] = ()
    ) -> None:
        self.partitions = world.bus.partitions
        home = home_among(self.partitions)
        self.store, self.broker = Doubtful(store), Broker(world.bus, decider.service)
        topics = Decoder(decider, home).topics
        self.source = MemorySource(world.bus, topics, decider.service)
        self.loop = ShardLoop(
            decider,
            NO_POLICIES,
            inputs,
            self.store,
            self.source,
            self.broker,
            world.bus.clock,
            home,
            owner=f"process-{id(self)}",
        )

    async def claim(self) -> None:
        await self.loop.claim(range(self.partitions))

    async def work(self) -> bool:
        """One batch of whatever lies there; nothing is published."""
        return await self.loop.step(await self.source.take(0))

    async def publish(self) -> None:
        while await self.loop.outbox.publish():
            pass

    async def settle(self) -> None:
        """Until everything is handled and published, through all outages."""
        for _ in range(20):
            if len(self.loop.shards) < self.partitions:
                await self.claim()
            records = await self.source.take(0)
            if await self.loop.step(records) and not records and not self.loop.goes_on():
                await self.publish()
                await self.loop.outbox.note_published()
                return
        raise AssertionError("never settles")


class Shop:
    def __init__(self, partitions: int = 1) -> None:
        self.bus = MemoryBus(partitions)
        self.stores: dict[str, MemoryStore] = {}

    async def process(self, decider: Decider[Any, Any, Any] | None = None, *inputs: InputSource) -> Process:
        """One more process, which takes all shards over."""
        decider = decider or counter_decider()
        store = self.stores.setdefault(decider.service, MemoryStore())
        process = Process(self, decider, store, inputs)
        await process.claim()
        return process

    def send(
        self,
        command: Command,
        id: str,  # noqa: A002 - the wire's word
        key: str | None = None,
        **headers: str,
    ) -> Record:
        named = {"ce_id": id, "ce_type": command.type, **{f"ce_{name}": text for name, text in headers.items()}}
        return self.bus.append(
            command.topic or "",
            (key or command.order_id).encode(),
            command.model_dump_json().encode(),
            [(name, text.encode()) for name, text in named.items()],
        )

    def tell(self, told: Told, sequence: int, source: str = "recourse/dispute/0") -> None:
        headers = {"ce_id": f"{source}-{sequence}", "ce_type": told.type, "ce_source": source}
        headers["ce_sequence"] = str(sequence)
        encoded = [(name, text.encode()) for name, text in headers.items()]
        self.bus.append("dispute.events", told.order_id.encode(), told.model_dump_json().encode(), encoded)

    def rows(self, service: str = "order") -> list[StoredEvent]:
        return [row for stored in self.stores[service].shards.values() for row in stored.events]

    def total(self, order_id: str = "order-1") -> int:
        """What the stored events of an order come to; its answers, never asked twice, are counted along."""
        added = [row for row in self.rows() if row.type == Added.type and row.stream_id == order_id]
        amounts = [json.loads(row.data or b"")["amount"] for row in added]
        assert [json.loads(row.data or b"")["total"] for row in added] == [
            sum(amounts[: n + 1]) for n in range(len(added))
        ]
        return sum(amounts)

    def published(self, topic: str = "order.events") -> list[Record]:
        return self.bus.records(topic)

    def sequences(self, topic: str = "order.events", name: str = "ce_sequence") -> list[int]:
        return [int(codec.header(record.headers, name) or 0) for record in self.published(topic)]


def add(amount: int = 1, order_id: str = "order-1") -> Add:
    return Add(order_id=order_id, actor=BUYER, amount=amount)


def promise(due_at: datetime) -> Promise:
    return Promise(order_id="order-1", actor=BUYER, name="first", due_at=due_at)


def garbage(shop: Shop, key: str | None = "order-1", value: bytes = b"{") -> Record:
    headers = [("ce_id", b"x"), ("ce_type", Add.type.encode())]
    return shop.bus.append("order.commands", key.encode() if key else None, value, headers)


# -- exactly once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outage", ["before", "after"])
async def test_a_commit_whose_outcome_is_unknown_has_its_effect_once(outage: str) -> None:
    shop = Shop(partitions=2)
    process = await shop.process()
    for number in range(4):
        shop.send(add(1, f"order-{number}"), "c1")
        shop.send(add(10, f"order-{number}"), "c2")
    process.store.outages = [outage, outage]
    assert not await process.work()
    assert process.loop.shards == {}, "nobody knows what is true: everything is read anew"

    await process.settle()

    assert [shop.total(f"order-{number}") for number in range(4)] == [11] * 4
    assert len(shop.published()) == 8


async def test_what_was_committed_and_not_published_goes_out_with_the_next_owner_first() -> None:
    shop = Shop()
    crashed = await shop.process()
    shop.send(add(1), "c1")
    shop.send(add(2), "c2")
    await crashed.work()
    assert shop.published() == []

    owner = await shop.process()
    shop.send(add(3), "c3")
    await owner.work()
    assert shop.published() == []
    await owner.publish()
    assert shop.sequences() == [1, 2, 3]
    await owner.settle()
    assert shop.sequences() == [1, 2, 3]


async def test_what_was_published_twice_is_heard_once_downstream() -> None:
    def note(state: Count | None, event: Added, now: datetime, policies: Policies) -> Sequence[Output]:
        return [Noted()]

    shop = Shop()
    crashed = await shop.process()
    downstream = await shop.process(replace(counter_decider(react=note, subscriptions=(Added,)), service="dispute"))
    for number in range(5):
        shop.send(add(), f"c{number}")
    await crashed.work()
    crashed.broker.breaks_after = 3
    with pytest.raises(Outage):
        await crashed.loop.outbox.publish()
    await downstream.settle()

    owner = await shop.process()
    await owner.settle()
    crashed.broker.breaks_after = None
    await crashed.publish()  # frozen until now, it still has what it committed
    await downstream.settle()

    assert shop.sequences() == [1, 2, 3, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    ids = [codec.header(record.headers, "ce_id") for record in shop.published()]
    assert ids == [*ids[:3], *ids[3:8], *ids[3:8]], "a repeat is the same record"
    assert ids[:3] == ids[3:6]
    assert len(shop.rows("dispute")) == 5


async def test_a_wave_that_broke_down_is_sent_again_in_order() -> None:
    shop = Shop()
    process = await shop.process()
    for number in range(3):
        shop.send(add(), f"c{number}")
    await process.work()
    process.broker.breaks_after = 1
    with pytest.raises(Outage):
        await process.loop.outbox.publish()
    process.broker.breaks_after = None
    await process.publish()
    assert shop.sequences() == [1, 1, 2, 3]


async def test_a_bell_that_comes_twice_at_one_instant_sets_two_alarms_by_ids_of_their_own() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(promise(START + timedelta(seconds=10)), "c1")
    await process.settle()
    for _ in range(3):
        headers = [("ce_id", b"the same"), ("ce_type", Elapsed.type.encode())]
        shop.bus.append("order.commands", b"order-1", b"{}", headers)
    await process.settle()
    ids = [codec.header(record.headers, "ce_id") for record in shop.published("timer.commands")]
    assert len(set(ids)) == len(ids) == 4


async def test_repeats_are_dropped_by_sequence_only_where_our_services_alone_write() -> None:
    shop = Shop()
    process = await shop.process()
    told = Told(order_id="order-1")
    for source, sequence in [("a", 1), ("a", 3), ("a", 2), ("b", 1), ("a", 3), ("a", 4)]:
        shop.tell(told, sequence, source)
    await process.settle()
    noted = [row for row in shop.rows() if row.type == Noted.type]
    assert len(noted) == 4, "a/1, a/3, b/1, a/4"

    for number in range(3):
        shop.send(add(), f"c{number}", source="a", sequence="1")
    await process.settle()
    assert shop.total() == 3


async def test_marks_outlive_their_owner() -> None:
    shop = Shop()
    shop.tell(Told(order_id="order-1"), 7)
    await (await shop.process()).settle()
    shop.tell(Told(order_id="order-1"), 7)
    await (await shop.process()).settle()
    assert len(shop.rows()) == 1


async def test_sequences_are_gapless_over_all_topics_and_private_rows_have_none() -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    for number in range(4):
        shop.send(add(number), f"c{number}")
        shop.tell(Told(order_id="order-1"), number + 1)
        garbage(shop)
        shop.send(add(UNLUCKY, f"order-{number + 2}"), f"unlucky-{number}")
        shop.send(promise(START + timedelta(days=number)), f"p{number}")
        await process.work()
    await process.settle()

    rows = shop.rows()
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    numbered = [row for row in rows if row.topic is not None]
    assert [row.sequence for row in numbered] == list(range(1, len(numbered) + 1))
    assert {row.type for row in rows if row.sequence is None} == {Noted.type}
    said = sorted(
        shop.sequences()
        + shop.sequences("timer.commands")
        + shop.sequences("order.dead-letters", "x-dead-letter-sequence")
    )
    assert said == list(range(1, len(numbered) + 1))


# -- ownership ---------------------------------------------------------------------------------------------------------


async def test_who_lost_his_shard_keeps_nothing() -> None:
    shop = Shop()
    zombie = await shop.process()
    shop.send(add(1), "c1")
    batch = await zombie.source.take(0)
    owner = await shop.process()
    await owner.settle()
    before = shop.rows()

    shop.send(add(2), "c2")
    assert not await zombie.loop.step(batch)
    assert zombie.loop.shards == {}
    assert shop.rows() == before
    await owner.settle()
    assert shop.total() == 3


async def test_what_raises_in_who_lost_his_shard_parks_nothing_and_alarms_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    zombie = await shop.process(BUGGY)
    shop.send(add(1), "c1")
    await zombie.settle()  # so it has the order in memory, and does not see what others make of it
    shop.send(add(UNLUCKY), "c2")
    look_up = zombie.store.answered

    async def freezes(asked: Sequence[Any]) -> Sequence[StoredEvent]:
        """Right after it was told that the command was not answered."""
        found = await look_up(asked)
        await (await shop.process()).settle()
        return found

    monkeypatch.setattr(zombie.store, "answered", freezes)
    assert not await zombie.loop.step(await zombie.source.take(0))
    assert shop.total() == 1 + UNLUCKY
    assert shop.published("order.dead-letters") == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_what_was_lost_while_the_commit_was_under_way_is_published_by_the_next_owner() -> None:
    shop = Shop()
    loser = await shop.process()
    shop.send(add(1), "c1")
    loser.store.meanwhile = lambda: loser.loop.drop([0])
    assert await loser.work()
    await loser.publish()
    assert shop.published() == []
    assert await loser.loop.step([replace(shop.published("order.commands")[0], offset=1)])

    owner = await shop.process()
    await owner.settle()
    assert shop.sequences() == [1]
    assert shop.total() == 1


async def test_what_was_lost_while_it_was_being_published_is_only_repeated() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(1), "c1")
    await process.work()
    sending, arrived = asyncio.Event(), asyncio.Event()

    class Slow(MemoryPublisher):
        async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
            sending.set()
            await arrived.wait()
            return await super().send(events)

    process.loop.outbox.publisher = Slow(shop.bus, "order")
    wave = asyncio.create_task(process.loop.outbox.publish())
    await sending.wait()
    process.loop.drop([0])
    process.loop.outbox.publisher = process.broker
    await process.claim()
    shop.send(add(2), "c2")
    await process.work()
    arrived.set()
    await wave
    await process.publish()
    assert shop.sequences() == [1, 1, 2]


async def test_one_lost_shard_stops_its_batch_and_nothing_of_the_others_is_lost_or_doubled() -> None:
    shop = Shop(partitions=3)
    process = await shop.process()
    orders = [f"order-{number}" for number in range(9)]
    for order in orders:
        shop.send(add(1, order), "c1")
    await shop.stores["order"].claim([1], "somebody else")
    assert not await process.work()
    assert shop.rows() == []
    await process.settle()
    assert [shop.total(order) for order in orders] == [1] * 9


async def test_a_shard_given_back_has_published_what_it_committed() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(), "c1")
    await process.work()
    publishing = asyncio.create_task(process.loop.outbox.keep_publishing())
    await process.loop.release([0])
    publishing.cancel()
    assert shop.sequences() == [1]
    assert process.loop.shards == {}
    assert (await shop.stores["order"].claim([0], "next"))[0].published == 1


async def test_a_shard_is_given_back_though_the_broker_is_away() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(), "c1")
    await process.work()
    await process.loop.release([0], patience=0.01)
    await (await shop.process()).settle()
    assert shop.sequences() == [1]


class Forgetful(NoInputs):
    """Cannot read what was pending, the first time."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def opened(self, shard: int) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [Outage("database"), ConnectionResetError("database"), KeyError("bug")])
async def test_a_claim_that_fails_on_the_way_leaves_nothing_owned(error: Exception) -> None:
    shop = Shop(partitions=2)
    process = await shop.process()
    process.loop.drop([0, 1])
    process.loop.inputs = [Forgetful(error)]
    with pytest.raises(type(error)):
        await process.claim()
    assert process.loop.shards == {}
    shop.send(add(), "c1")
    await process.settle()
    assert shop.total() == 1


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_records_fetched_before_a_seek_do_not_make_the_loop_skip_any() -> None:
    shop = Shop()
    process = await shop.process()
    records = [shop.send(add(number), f"c{number}") for number in range(1, 8)]
    await process.loop.step(records[3:5])
    assert shop.rows() == []
    await process.loop.step(records[5:])
    await process.settle()
    assert shop.total() == sum(range(1, 8))
    assert shop.sequences() == list(range(1, 8))


async def test_a_gap_that_is_still_there_after_a_second_look_is_really_one() -> None:
    shop = Shop()
    process = await shop.process()
    *gone, last = [shop.send(add(number), f"c{number}") for number in range(1, 5)]
    assert len(gone) == 3
    await process.loop.step([last])
    assert shop.total() == 0
    await process.loop.step([last])
    assert shop.total() == 4


async def test_a_gap_within_a_batch_is_really_one() -> None:
    """Markers of a caller's transactions lie between his commands: each of them may not cost a fetch."""
    shop = Shop()
    process = await shop.process()
    records = [shop.send(add(number), f"c{number}") for number in range(1, 8)]
    await process.loop.step(records[::2])
    assert shop.total() == 1 + 3 + 5 + 7
    await process.loop.step(records)
    assert shop.total() == 1 + 3 + 5 + 7


async def test_a_second_look_at_one_topic_holds_up_no_other_and_repeats_nothing() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(1), "c1")
    late = shop.send(add(2), "c2")
    shop.tell(Told(order_id="order-1"), 1)
    await process.loop.step([late, *shop.published("dispute.events")])
    assert [row.type for row in shop.rows()] == [Noted.type]
    await process.settle()
    assert shop.total() == 3
    assert len(shop.rows()) == 3


async def test_the_time_of_inputs_never_goes_back_though_the_brokers_clock_does() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(promise(START + timedelta(seconds=10)), "c1")
    await process.settle()
    shop.bus.now += timedelta(seconds=11)
    shop.send(add(0), "c2")
    await process.settle()
    shop.bus.now -= timedelta(seconds=5)
    shop.send(promise(START + timedelta(seconds=10)), "c3")
    shop.send(add(1), "c4")
    await (await shop.process()).settle()

    assert [row.type for row in shop.rows()].count(Missed.type) == 2, "it was past 10 seconds, and still is"
    times = [row.time for row in shop.rows()]
    assert times == sorted(times)


async def test_what_is_not_for_this_service_is_passed_over_and_not_read_again() -> None:
    shop = Shop()
    process = await shop.process()
    shop.bus.append("dispute.events", b"order-1", b"{", [("ce_type", b"dispute.opened.v1")])
    shop.bus.append("dispute.events", b"order-1", b"{", [("ce_id", b"1")])
    await process.settle()
    assert shop.rows() == []
    [claim] = await shop.stores["order"].claim([0], "next")
    assert claim.cursors["dispute.events"].offset == 2


# -- what cannot be handled --------------------------------------------------------------------------------------------


async def test_what_cannot_be_read_is_put_aside_in_order_with_its_reason() -> None:
    shop = Shop()
    process = await shop.process()
    garbage(shop)
    shop.send(add(), "c1")
    garbage(shop, key=None, value=b"original")
    await process.settle()

    first, second = shop.published("order.dead-letters")
    reasons = [
        (codec.header(letter.headers, "x-dead-letter-reason") or "").partition(":")[0] for letter in (first, second)
    ]
    assert reasons == ["not_json", "no_key"]
    assert (second.key, second.value) == (None, b"original")
    assert codec.header(second.headers, "kafka_dlt-original-offset") == "2"
    assert shop.sequences("order.dead-letters", "x-dead-letter-sequence") == [1, 3]
    assert shop.total() == 1


async def test_an_order_whose_handling_raises_waits_and_all_others_go_on() -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    for id_, amount, order in [("c1", 1, "a"), ("c2", UNLUCKY, "a"), ("c3", 2, "a"), ("c4", 4, "b")]:
        shop.send(add(amount, order), id_)
    await process.settle()
    shop.send(add(3, "a"), "c5")
    shop.send(add(5, "b"), "c6")
    await process.settle()

    assert (shop.total("a"), shop.total("b")) == (1, 9)
    [letter] = shop.published("order.dead-letters")
    assert (codec.header(letter.headers, "x-dead-letter-reason") or "").startswith("parked: ZeroDivisionError")

    await (await shop.process(BUGGY)).settle()  # restarted with the same bug
    assert shop.total("a") == 1
    assert len(shop.published("order.dead-letters")) == 1, "said once"

    fixed = await shop.process()
    await fixed.settle()
    assert shop.total("a") == 1 + UNLUCKY + 2 + 3
    shop.send(add(10, "a"), "c7")
    await fixed.settle()
    assert shop.total("a") == 1 + UNLUCKY + 2 + 3 + 10
    causes = [codec.header(record.headers, "ce_causationid") for record in shop.published() if record.key == b"a"]
    assert causes == ["c1", "c2", "c3", "c5", "c7"]
    assert (await shop.stores["order"].claim([0], "next"))[0].parked == set()


def resume(order_id: str = "order-1", role: Role = "operator") -> CountResume:
    return CountResume(order_id=order_id, actor=Actor(role=role, id="somebody"))


async def test_an_operator_lets_a_parked_order_go_on_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    for id_, amount, order in [("c1", 1, "a"), ("c2", UNLUCKY, "a"), ("c3", 2, "a"), ("c4", 4, "b")]:
        shop.send(add(amount, order), id_)
    shop.send(resume("a"), "too early")
    shop.send(add(3, "a"), "c5")
    await process.settle()
    assert (shop.total("a"), shop.total("b")) == (1, 4)
    reasons = [codec.header(one.headers, "x-dead-letter-reason") for one in shop.published("order.dead-letters")]
    assert reasons == ["parked: ZeroDivisionError: its order waits for a fix, with what follows"] * 2, "told again"

    monkeypatch.setattr(process.loop, "decider", counter_decider())
    shop.send(resume("a"), "in time")
    shop.send(add(5, "a"), "c6")
    shop.send(add(6, "b"), "c7")
    await process.settle()
    assert (shop.total("a"), shop.total("b")) == (1 + UNLUCKY + 2 + 3 + 5, 10)
    answers = {codec.header(one.headers, "ce_causationid"): one for one in shop.published() if one.key == b"a"}
    assert list(answers) == ["c1", "c2", "c3", "too early", "c5", "in time", "c6"]
    assert {codec.header(answers[id_].headers, "ce_type") for id_ in ("too early", "in time")} == {CountResumed.type}
    assert (await shop.stores["order"].claim([0], "next"))[0].parked == set()
    await (await shop.process()).settle()
    shop.send(add(7, "a"), "c8")
    await (await shop.process()).settle()
    assert shop.total("a") == 1 + UNLUCKY + 2 + 3 + 5 + 7, "read back as it was"


@pytest.mark.parametrize(("role", "code"), [("operator", "wrong_state"), ("buyer", "not_allowed")])
async def test_where_nothing_waits_nothing_goes_on(role: Role, code: str) -> None:
    shop = Shop()
    shop.send(resume(role=role), "c1")
    await (await shop.process()).settle()
    [answer] = shop.published()
    assert json.loads(answer.value or b"")["code"] == code


async def test_who_is_no_operator_lets_no_parked_order_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    shop.send(add(UNLUCKY), "c1")
    await process.settle()
    monkeypatch.setattr(process.loop, "decider", counter_decider())
    shop.send(resume(role="buyer"), "c2")
    await process.settle()
    assert shop.published() == [], "it waits with the others"
    await (await shop.process()).settle()
    assert [codec.header(one.headers, "ce_type") for one in shop.published()] == [Added.type, CountRejected.type]


@pytest.mark.parametrize("outage", ["before", "after"])
async def test_a_parked_order_goes_on_once_though_the_commit_is_in_doubt(outage: str) -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    shop.send(add(UNLUCKY), "c1")
    await process.settle()
    fixed = Process(shop, counter_decider(), shop.stores["order"])
    fixed.store.outages = [outage]
    await fixed.claim()
    assert not await fixed.work()
    shop.send(resume(), "c2")
    shop.send(add(1), "c3")
    await fixed.settle()
    assert shop.total() == UNLUCKY + 1


async def test_a_released_order_is_judged_by_the_time_at_which_its_records_came() -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    shop.bus.now += timedelta(seconds=20)
    shop.send(add(1, "order-2"), "c1")
    shop.bus.now -= timedelta(seconds=10)  # the broker's clock steps back: for us it is still 20 seconds past
    shop.send(promise(START + timedelta(seconds=15)), "c2")
    shop.send(add(UNLUCKY), "c3")
    await process.settle()
    await (await shop.process()).settle()
    assert [row.type for row in shop.rows() if row.stream_id == "order-1"].count(Missed.type) == 1
    times = [row.time for row in shop.rows() if row.stream_id == "order-1"]
    assert times == sorted(times)


async def test_an_event_too_large_for_the_bus_parks_its_order_instead_of_blocking_all() -> None:
    def talkative(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
        if isinstance(command, Add) and command.amount == UNLUCKY:
            return [Added(amount=UNLUCKY, total=UNLUCKY, note="x" * BATCH_BYTES_MAX)]
        return decide(state, command, now, policies)

    shop = Shop()
    process = await shop.process(counter_decider(decide=talkative))
    shop.send(add(UNLUCKY, "a"), "c1")
    shop.send(add(1, "b"), "c2")
    await process.settle()
    assert (shop.total("a"), shop.total("b")) == (0, 1)
    [letter] = shop.published("order.dead-letters")
    assert letter.key == b"a"


async def test_a_command_under_a_key_that_is_no_order_is_refused_again_and_again() -> None:
    shop = Shop()
    for number in range(3):
        shop.send(add(), f"c{number}", key="no order: \N{SNOWMAN}")
        await (await shop.process()).settle()
    codes = [json.loads(record.value or b"")["code"] for record in shop.published()]
    assert codes == ["key_mismatch"] * 3


async def test_an_order_whose_stored_events_cannot_be_read_waits_alone() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(1, "a"), "c1")
    await process.settle()
    stored = shop.stores["order"].shards[0]
    stored.events[0] = replace(stored.events[0], data=b"{}")
    process = await shop.process()
    shop.send(add(2, "a"), "c2")
    shop.send(add(4, "b"), "c3")
    await process.settle()
    assert shop.total("b") == 4
    [letter] = shop.published("order.dead-letters")
    assert (codec.header(letter.headers, "x-dead-letter-reason") or "").startswith("parked: ValidationError")


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_only_so_many_orders_stay_in_memory_and_the_others_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shard_loop, "STREAMS_CACHED_MAX", 2)
    shop = Shop()
    process = await shop.process()
    for amount in (1, 2):
        for number in range(5):
            shop.send(add(amount, f"order-{number}"), f"c{amount}")
            await process.settle()
    assert list(process.loop.shards[0].streams) == ["order-3", "order-4"]
    shop.send(add(1, "order-3"), "c1")
    shop.send(add(1, "order-0"), "c1")
    await process.settle()
    assert list(process.loop.shards[0].streams) == ["order-3", "order-0"], "who was not heard of for longest goes"
    assert [shop.total(f"order-{number}") for number in range(5)] == [3] * 5
    assert len(shop.published()) == 10 + 2


async def test_the_orders_in_memory_are_shared_by_the_shards_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_loop, "STREAMS_CACHED_MAX", 6)
    shop = Shop(partitions=3)
    process = await shop.process()
    for number in range(30):
        shop.send(add(1, f"order-{number}"), "c1")
    await process.settle()
    assert [len(shard.streams) for shard in process.loop.shards.values()] == [2, 2, 2]


class OneByOne(MemorySource):
    """As a real source, it lets others run while it waits."""

    async def take(self, wait: float) -> Sequence[Record]:
        await asyncio.sleep(0.001)
        records = [record for record in await super().take(wait) if record.topic == "order.commands"]
        if len(records) > 1:
            self.resume(0, {"order.commands": records[1].offset})
        return records[:1]


async def test_while_too_much_waits_for_the_broker_nothing_new_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "UNPUBLISHED_MAX", 3)
    shop = Shop()
    process = await shop.process()
    process.loop.source = OneByOne(shop.bus, process.source.topics, "order")
    process.loop.drop([0])
    await process.claim()
    process.broker.away = True
    for number in range(20):
        shop.send(add(), f"c{number}")
    tasks = [asyncio.create_task(process.loop.run()), asyncio.create_task(process.loop.outbox.keep_publishing())]
    await until_true(lambda: process.loop.shards[0].held)
    await asyncio.sleep(0.1)
    assert shop.total() == 4
    process.broker.away = False
    await until_true(lambda: len(shop.sequences()) == 20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert shop.sequences() == list(range(1, 21))


async def test_what_an_idle_shard_has_published_is_remembered() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(), "c1")
    await process.settle()
    await shop.process()
    assert shop.sequences() == [1]
