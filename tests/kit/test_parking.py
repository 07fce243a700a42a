"""A bug stops one order, whatever raised it: a decision, the commit, what others wrote."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from schemas.wire import Command, Message
from shared.kernel import codec
from shared.kernel.decider import Decider, Output
from shared.kernel.policies import Policies
from shared.kernel.ports import Commit, Input, StoredEvent, Unstorable
from shared.rules import policies
from shared.runtime import parking
from shared.runtime.memory import MemoryStore
from tests.kit.counter_decider import (
    UNLUCKY,
    Add,
    Added,
    Count,
    Noted,
    Told,
    counter_decider,
    decide,
    decide_with_a_bug,
)
from tests.kit.own_inputs import NoInputs
from tests.kit.test_shard_loop import BUGGY, Doubtful, Process, Shop, add, resume
from tests.support.waiting import until_true


def letters(shop: Shop) -> list[str]:
    """Why what was set aside, without what follows for all alike."""
    reasons = [codec.header(one.headers, "x-dead-letter-reason") or "" for one in shop.published("order.dead-letters")]
    return [reason.removeprefix("parked: ").partition(": its order waits")[0] for reason in reasons]


# -- a commit that raises ----------------------------------------------------------------------------------------------


class Picky(Doubtful):
    """Refuses commits that hold what it does not like, as a constraint does; or a projection raises for it."""

    error: Exception = Unstorable("database: CheckViolationError (23514, event, no_such)")
    refuses: Callable[[Commit], bool] = staticmethod(lambda commit: False)
    tried: int = 0

    async def commit(self, commit: Commit) -> None:
        self.tried += 1
        stand = zip(commit.claims, commit.before(), strict=True)
        await self.check([replace(claim, position=before) for claim, before in stand])
        if self.refuses(commit):
            raise self.error
        await super().commit(commit)


def holds(order_id: str) -> Callable[[Commit], bool]:
    return lambda commit: any(event.stream_id == order_id for event in commit.events)


async def picky(shop: Shop, refuses: Callable[[Commit], bool], *inputs: Any, **how: Any) -> tuple[Process, Picky]:
    process = await shop.process(how.get("decider"), *inputs)
    store = Picky(process.store)
    store.refuses = refuses
    store.error = how.get("error", Picky.error)
    process.store = process.loop.store = process.loop.parking.store = store
    return process, store


@pytest.mark.parametrize("error", [Picky.error, KeyError("in a projection"), ValueError("anna@example.com")])
async def test_what_the_database_refuses_for_one_order_stops_that_order_alone(error: Exception) -> None:
    shop = Shop(partitions=2)
    process, store = await picky(shop, holds("bad"), error=error)
    for number in range(40):
        for order_id in (f"order-{number}", *(["bad"] if number in (7, 20) else [])):
            shop.send(add(1, order_id), f"c{number}")
    await process.settle()

    assert [shop.total(f"order-{number}") for number in range(40)] == [1] * 40
    assert shop.total("bad") == 0
    told = str(error) if isinstance(error, Unstorable) else ""
    assert letters(shop) == [f"{type(error).__name__}: {told}".rstrip(": ")]
    assert len(process.loop.shards) == 2, "nothing had to be claimed again"
    assert store.tried < 40, "by halves, not one by one"

    store.refuses = lambda commit: False
    shop.send(resume("bad"), "go on")
    await process.settle()
    assert shop.total("bad") == 2


async def test_streams_in_memory_say_nothing_that_was_not_kept() -> None:
    shop = Shop()
    process, _ = await picky(shop, holds("bad"))
    shop.send(add(1, "a"), "c0")
    await process.settle()
    for order_id in ("a", "bad", "a"):
        shop.send(add(1, order_id), f"c1-{order_id}")  # the second one to `a` is a repeat
    await process.settle()
    shop.send(add(1, "a"), "c2")
    await process.settle()
    assert shop.total("a") == 3


async def test_two_bad_ones_of_one_batch_are_both_found() -> None:
    shop = Shop()
    process, _ = await picky(shop, lambda commit: holds("bad")(commit) or holds("worse")(commit))
    for number, order_id in enumerate(["a", "bad", "b", "worse", "bad", "c"]):
        shop.send(add(1, order_id), f"c{number}")
    await process.settle()
    assert [shop.total(order_id) for order_id in ("a", "b", "c", "bad", "worse")] == [1, 1, 1, 0, 0]
    assert len(letters(shop)) == 2


async def test_who_lost_his_shard_takes_nothing_apart() -> None:
    """His old cursor brings rows to where others have written: that looks like a bug and is none."""
    shop = Shop()
    zombie, store = await picky(shop, lambda commit: False)

    async def refused(commit: Commit) -> None:
        raise Unstorable("database: UniqueViolationError (23505, event, event_pkey)")

    shop.send(add(1), "c1")
    batch = await zombie.source.take(0)
    owner = await shop.process()
    await owner.settle()
    store.commit = refused  # type: ignore[method-assign]
    assert not await zombie.loop.step(batch)
    assert zombie.loop.shards == {}
    assert letters(shop) == []


async def test_an_outage_on_the_way_is_waited_out_and_nothing_is_lost() -> None:
    shop = Shop()
    process, store = await picky(shop, holds("bad"))
    for number, order_id in enumerate(["a", "bad", "b", "c"]):
        shop.send(add(1, order_id), f"c{number}")
    store.outages = ["", "after"]
    await process.settle()
    assert [shop.total(order_id) for order_id in ("a", "b", "c", "bad")] == [1, 1, 1, 0]


async def test_a_stream_that_cannot_even_be_asked_for_waits_alone() -> None:
    shop = Shop()
    process, store = await picky(shop, lambda commit: False)
    load = store.load

    async def loads(streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[StoredEvent]]:
        if any(stream_id == "bad" for _, stream_id in streams):
            raise Unstorable("database: CharacterNotInRepertoireError (22021)")
        return await load(streams)

    store.load = loads  # type: ignore[method-assign]
    for number, order_id in enumerate(["a", "bad", "b"]):
        shop.send(add(1, order_id), f"c{number}")
    await process.settle()
    assert (shop.total("a"), shop.total("b")) == (1, 1)
    assert letters(shop) == ["Unstorable: database: CharacterNotInRepertoireError (22021)"]


async def test_a_stream_that_cannot_be_read_is_known_at_once_and_nothing_is_taken_apart() -> None:
    shop = Shop()
    process = await shop.process()
    shop.send(add(1, "bad"), "c0")
    await process.settle()
    events = shop.stores["order"].shards[0].events
    events[0] = replace(events[0], data=b"{}")
    process, store = await picky(shop, lambda commit: False)
    for number, order_id in enumerate(["a", "bad", "b"], 1):
        shop.send(add(1, order_id), f"c{number}")
    assert await process.loop.step(await process.source.take(0))
    assert store.tried == 1
    assert (shop.total("a"), shop.total("b")) == (1, 1)


async def test_a_gap_in_the_log_is_looked_at_again_though_its_batch_is_taken_apart() -> None:
    shop = Shop()
    process, _ = await picky(shop, holds("bad"))
    records = [shop.send(add(number), f"c{number}") for number in range(1, 4)]
    shop.tell(Told(order_id="bad"), 1)
    await process.loop.step([records[2], *shop.published("dispute.events")])
    await process.settle()
    assert shop.total() == 1 + 2 + 3


async def test_where_not_even_parking_can_be_kept_its_shard_alone_waits_ever_longer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parking, "REFUSED_SECONDS", 0.01)
    monkeypatch.setattr(parking, "REFUSED_SECONDS_MAX", 0.04)
    shop = Shop(partitions=2)
    here = next(f"bad-{number}" for number in range(9) if shop.bus.append("x", f"bad-{number}".encode(), b"").partition)
    there = next(f"ok-{n}" for n in range(9) if not shop.bus.append("x", f"ok-{n}".encode(), b"").partition)
    process, store = await picky(shop, lambda commit: any(claim.shard == 1 for claim in commit.claims))
    shop.send(add(1, here), "c1")
    shop.send(add(1, there), "c2")
    assert await process.work()
    assert shop.total(there) == 1
    assert [shard.ready for shard in process.loop.shards.values()] == [True, False]
    [problem] = process.loop.problems.told()
    assert problem["place"] == "order/1"
    assert "CheckViolationError" in problem["problem"]

    waits = []
    for _ in range(4):
        before = asyncio.get_running_loop().time()
        await until_true(lambda: 1 not in process.loop.shards)
        waits.append(asyncio.get_running_loop().time() - before)
        await process.loop.claim([1])
        assert await process.work()
    assert waits[2] > 0.03
    assert len([one for one in caplog.records if one.levelname == "CRITICAL"]) == 1, "said once"

    store.refuses = lambda commit: False
    await until_true(lambda: 1 not in process.loop.shards)
    await process.settle()
    assert shop.total(here) == 1
    assert process.loop.problems.told() == []
    assert letters(shop) == []


# -- own inputs --------------------------------------------------------------------------------------------------------


class Nudges(NoInputs):
    """Own inputs of a test's making: what was committed or parked is not handed out again, all else with the next
    claim."""

    def __init__(self, *amounts: int) -> None:
        self.pending = dict(enumerate(amounts))
        self.handed_out: set[int] = set()

    async def opened(self, shard: int) -> None:
        self.handed_out.clear()

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        new = {number: amount for number, amount in self.pending.items() if number not in self.handed_out}
        self.handed_out |= new.keys()
        return [
            Input(amount, "counter.nudge.v1", f"order-{amount % 2}", f"own-{number}", now, "own")
            for number, amount in new.items()
        ]

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        for _, found in inputs:
            if isinstance(found.payload, int) and not found.waited:
                del self.pending[int(found.id.removeprefix("own-"))]


def nudged(decide: Callable[..., Sequence[Output]], **more: Any) -> Decider[Any, Any, Any]:
    def react(state: Count | None, amount: int, *rest: Any) -> Sequence[Output]:
        return decide(state, add(amount), *rest)

    return counter_decider(decide=decide, react=react, own_inputs={"counter.nudge.v1": int}, **more)


async def shop_with(nudges: Nudges) -> Shop:
    shop = Shop()
    shop.stores["order"] = MemoryStore([nudges])
    return shop


async def test_an_own_input_that_raises_is_told_and_waits_like_any_other() -> None:
    nudges = Nudges(1, UNLUCKY, 2)
    shop = await shop_with(nudges)
    process = await shop.process(nudged(decide_with_a_bug), nudges)
    shop.send(add(3), "c1")
    shop.send(add(4, "order-0"), "c2")
    await process.settle()

    assert (shop.total("order-1"), shop.total("order-0")) == (1, 2 + 4)
    assert letters(shop) == ["ZeroDivisionError"]
    [letter] = shop.published("order.dead-letters")
    told = {name: codec.header(letter.headers, name) for name in ("ce_id", "ce_type", "kafka_dlt-original-topic")}
    assert told == {"ce_id": "own-1", "ce_type": "counter.nudge.v1", "kafka_dlt-original-topic": "own input"}
    assert (letter.key, json.loads(letter.value or b"")) == (b"order-1", UNLUCKY)
    assert nudges.pending == {}, "it is kept with its order"

    for _ in range(2):
        await (await shop.process(nudged(decide_with_a_bug), nudges)).settle()
    assert len(letters(shop)) == 1, "said once"

    await (await shop.process(nudged(decide), nudges)).settle()
    assert shop.total("order-1") == 1 + UNLUCKY + 3


async def test_an_own_input_that_raises_goes_on_when_an_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    nudges = Nudges(UNLUCKY)
    shop = await shop_with(nudges)
    process = await shop.process(nudged(decide_with_a_bug), nudges)
    await process.settle()
    nudges.pending[1] = 5  # and what comes for a parked order waits behind it
    await process.settle()
    assert nudges.pending == {}
    monkeypatch.setattr(process.loop, "decider", nudged(decide))
    shop.send(resume(), "c1")
    await process.settle()
    assert shop.total() == UNLUCKY + 5


async def test_own_inputs_of_a_batch_that_is_taken_apart_are_all_handled_once() -> None:
    nudges = Nudges(*range(1, 20))
    shop = await shop_with(nudges)
    process, _ = await picky(shop, holds("bad"), nudges, decider=nudged(decide))
    shop.send(add(1, "bad"), "c1")
    await process.settle()
    assert shop.total("order-1") + shop.total("order-0") == sum(range(1, 20))
    assert nudges.pending == {}


async def test_an_own_input_whose_commit_is_refused_waits_alone() -> None:
    nudges = Nudges(1, 2, 4, 3)
    shop = await shop_with(nudges)
    process, _ = await picky(shop, holds("order-1"), nudges, decider=nudged(decide))
    await process.settle()
    assert (shop.total("order-0"), shop.total("order-1")) == (6, 0)
    assert nudges.pending == {}
    assert len(letters(shop)) == 1


# -- a policy whose file is not there ----------------------------------------------------------------------------------


async def test_a_missing_policy_stops_its_order_alone_until_its_file_is_there() -> None:
    known = policies.load()
    [ref, *_] = known.by_ref

    def ruled(state: Count | None, command: Command, now: datetime, rules: Policies) -> Sequence[Output]:
        if isinstance(command, Add) and command.amount == UNLUCKY:
            rules.of(ref)
        return decide(state, command, now, rules)

    shop = Shop()
    process = await shop.process(counter_decider(decide=ruled))
    for number, (amount, order_id) in enumerate([(1, "a"), (UNLUCKY, "gold"), (2, "a"), (3, "gold")]):
        shop.send(add(amount, order_id), f"c{number}")
    await process.settle()
    assert (shop.total("a"), shop.total("gold")) == (3, 0)
    [letter] = letters(shop)
    assert letter.startswith(f"PolicyMissing: policy {ref.name} version {ref.version}")

    process.loop.policies = Policies({})  # read again, nothing new
    await process.settle()
    assert shop.total("gold") == 0
    process = await shop.process(counter_decider(decide=ruled))
    await process.settle()
    assert len(letters(shop)) == 1
    process.loop.policies = known
    await process.settle()
    assert shop.total("gold") == UNLUCKY + 3
    assert len(letters(shop)) == 1


# -- what a newer version wrote ----------------------------------------------------------------------------------------


class Stricter(Told):
    """Told as a newer version reads it; the older one's `due_at` is another's field."""

    type = "counter.stricter.v1"

    reason: str


del Message.MODELS[Stricter.type]


def told_strictly(shop: Shop, sequence: int, *, reason: str | None = "new", type_: str = Told.type) -> None:
    headers = {"ce_id": f"e{sequence}", "ce_type": type_, "ce_source": "recourse/dispute/0"}
    headers["ce_sequence"] = str(sequence)
    value = {"order_id": "order-1"} | ({"reason": reason} if reason else {})
    encoded = [(name, text.encode()) for name, text in headers.items()]
    shop.bus.append("dispute.events", b"order-1", json.dumps(value).encode(), encoded)


def noted(shop: Shop) -> int:
    return len([row for row in shop.rows() if row.type == Noted.type])


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Message]], Decider[Any, Any, Any]]:
    def reads(model: type[Message]) -> Decider[Any, Any, Any]:
        monkeypatch.setitem(Message.MODELS, model.type, model)
        return counter_decider(subscriptions=(Told, model))

    return reads


async def test_an_event_that_cannot_be_read_waits_with_what_follows_and_is_heard_once_after_the_upgrade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Stricter, "type", Told.type)
    shop = Shop()
    old = await shop.process(counter_decider(subscriptions=(Stricter,)))
    told_strictly(shop, 1)
    told_strictly(shop, 2, reason=None)
    told_strictly(shop, 2, reason=None)  # published twice
    told_strictly(shop, 3)
    shop.send(add(1), "c1")
    shop.send(add(2, "order-2"), "c2")
    await old.settle()
    assert (noted(shop), shop.total(), shop.total("order-2")) == (1, 0, 2)
    assert letters(shop) == ["unreadable_event: reason: Field required"]
    await (await shop.process(counter_decider(subscriptions=(Stricter,)))).settle()
    assert len(letters(shop)) == 1

    await (await shop.process()).settle()
    told_strictly(shop, 2)
    await (await shop.process()).settle()
    assert (noted(shop), shop.total()) == (3, 1)


async def test_an_event_of_a_type_that_nobody_knows_waits_for_who_does(
    newer: Callable[[type[Message]], Decider[Any, Any, Any]],
) -> None:
    shop = Shop()
    old = await shop.process()
    told_strictly(shop, 1, type_=Stricter.type)
    shop.send(add(1), "c1")
    await old.settle()
    assert (noted(shop), shop.total()) == (0, 0)
    assert letters(shop) == [f"unknown_type: {Stricter.type} is of a newer version than this one"]
    shop.send(resume(), "too early")
    await old.settle()
    assert len(letters(shop)) == 2, "who asks is told"

    await (await shop.process(newer(Stricter))).settle()
    assert (noted(shop), shop.total()) == (1, 1)
    assert shop.published()[-1].key == b"order-1"


async def test_what_a_newer_version_has_said_waits_for_it_when_an_older_one_is_back() -> None:
    """Rolled back: a stream of its own holds what it cannot read."""

    class News(Added):
        type = "counter.news.v1"

    def says_news(state: Count | None, command: Command, now: datetime, rules: Policies) -> Sequence[Output]:
        said = decide(state, command, now, rules)
        return [News(amount=one.amount, total=one.total) for one in said if isinstance(one, Added)]

    shop = Shop()
    shop.send(add(1), "c1")
    await (await shop.process(counter_decider(decide=says_news))).settle()
    model = Message.MODELS.pop(News.type)
    old = await shop.process()
    shop.send(add(2), "c2")
    shop.send(add(4, "order-2"), "c3")
    await old.settle()
    assert [row.type for row in shop.rows() if row.stream_id == "order-1"] == [News.type]
    assert shop.total("order-2") == 4
    Message.MODELS[News.type] = model
    await (await shop.process()).settle()
    del Message.MODELS[News.type]
    assert json.loads(shop.rows()[-1].data or b"")["total"] == 3


# -- slices ------------------------------------------------------------------------------------------------------------


async def test_however_much_waits_it_goes_on_slice_by_slice_and_others_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parking, "SLICE", 10)
    shop = Shop()
    process = await shop.process(BUGGY)
    shop.send(add(UNLUCKY), "c0")
    for number in range(1, 96):
        shop.send(add(1), f"c{number}")
    await process.settle()
    monkeypatch.setattr(process.loop, "decider", counter_decider())
    shop.send(resume(), "go on")
    shop.send(add(5, "order-2"), "other")
    steps = [await totals(process, shop) for _ in range(12)]
    assert steps[0] == (UNLUCKY + 9, 5)
    gained = [after - before for (before, _), (after, _) in pairwise(steps)]
    assert max(gained) == 10
    shop.send(add(100), "last")
    await process.settle()
    assert shop.total() == UNLUCKY + 95 + 100
    causes = [codec.header(one.headers, "ce_causationid") for one in shop.published() if one.key == b"order-1"]
    assert causes == [*(f"c{number}" for number in range(96)), "go on", "last"]


async def totals(process: Process, shop: Shop) -> tuple[int, int]:
    await process.work()
    return shop.total(), shop.total("order-2")


async def test_what_raises_again_stays_with_all_that_follows_and_what_came_before_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parking, "SLICE", 4)
    shop = Shop()

    def unlucky_after(total: int) -> Decider[Any, Any, Any]:
        def bug(state: Count | None, command: Command, now: datetime, rules: Policies) -> Sequence[Output]:
            if state is not None and state.total >= total:
                raise ZeroDivisionError
            return decide(state, command, now, rules)

        return counter_decider(decide=bug)

    process = await shop.process(unlucky_after(1))
    for number in range(20):
        shop.send(add(1), f"c{number}")
    await process.settle()
    process = await shop.process(unlucky_after(11))
    await process.settle()
    assert shop.total() == 11
    assert letters(shop) == ["ZeroDivisionError"] * 2, "another one is to blame, which is news"
    assert process.loop.shards[0].claim.parked == {"order-1"}
    await (await shop.process(unlucky_after(11))).settle()
    assert len(letters(shop)) == 2
    await (await shop.process()).settle()
    assert shop.total() == 20


async def test_a_slice_whose_commit_is_refused_is_taken_apart_too() -> None:
    shop = Shop()
    process = await shop.process(BUGGY)
    shop.send(add(UNLUCKY), "c0")
    for number in range(1, 20):
        shop.send(add(number), f"c{number}")
    await process.settle()

    def sixth(commit: Commit) -> bool:
        return any(event.causation_id == "c6" and event.type == Added.type for event in commit.events)

    fixed, store = await picky(shop, sixth)
    await fixed.settle()
    assert shop.total() == UNLUCKY + sum(range(6))
    assert letters(shop) == ["ZeroDivisionError", f"Unstorable: {Picky.error}"]
    store.refuses = lambda commit: False
    shop.send(resume(), "go on")
    await fixed.settle()
    assert shop.total() == UNLUCKY + sum(range(20))


async def test_orders_that_go_on_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "SLICE", 2)
    shop = Shop()
    process = await shop.process(BUGGY)
    for order_id, many in (("a", 30), ("b", 2)):
        shop.send(add(UNLUCKY, order_id), "c0")
        for number in range(1, many):
            shop.send(add(1, order_id), f"c{number}")
    await process.settle()
    fixed = await shop.process()
    for _ in range(2):
        await fixed.work()
    assert shop.total("b") == UNLUCKY + 1
    assert shop.total("a") == UNLUCKY + 1
