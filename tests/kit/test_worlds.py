"""Database and logs are compared, and what does not fit is not served, loudly."""

import copy
import logging
from collections.abc import Mapping, Sequence

import pytest

from shared.kernel.ports import Claim, Cursor, Fenced, InputSource, Log, Place
from shared.runtime import worlds
from shared.runtime.worlds import of_inputs, of_outputs
from tests.kit.counter_decider import counter_decider
from tests.kit.own_inputs import NoInputs
from tests.kit.test_shard_loop import Process, Shop, add, garbage

EVENTS, COMMANDS = "dispute.events", "order.commands"


def read(
    topic: str, *, offset: int, topic_id: str | None = "a", begin: int = 0, end: int, found: str = "a"
) -> list[str]:
    """Recipes for a shard that is to read `offset` next, of a log from `begin` to `end`."""
    claim = Claim(3, 1, 10, 10, 10, cursors={topic: Cursor(offset, 0, topic_id)})
    return [one.recipe for one in of_inputs(claim, [topic], {(topic, 3): Log(found, begin, end)})]


@pytest.mark.parametrize("topic", [EVENTS, COMMANDS])
def test_a_cursor_stands_in_the_log_of_its_topic(topic: str) -> None:
    assert read(topic, offset=5, end=5) == []
    assert read(topic, offset=0, end=5) == []
    assert read(topic, offset=5, end=9, begin=5) == []
    assert read(topic, offset=5, end=9, topic_id=None) == []
    assert read(topic, offset=6, end=5) == ["the-log-lost-its-tail"]
    assert read(topic, offset=6, end=5, topic_id=None) == ["the-log-lost-its-tail"]
    assert read(topic, offset=5, end=9, found="b") == ["a-topic-was-made-anew"]
    assert read(topic, offset=5, end=0, found="b") == ["a-topic-was-made-anew"]
    assert [one.recipe for one in of_inputs(Claim(3, 1, 0, 0, 0), [topic], {})] == ["a-topic-was-made-anew"]
    unled = of_inputs(Claim(3, 1, 0, 0, 0), [topic], {(topic, 3): None})
    assert [one.recipe for one in unled] == ["a-server-does-not-answer"]


def test_only_what_is_kept_for_ever_must_not_end_unread() -> None:
    assert read(EVENTS, offset=5, begin=6, end=9) == ["records-ended-before-they-were-read"]
    assert read(COMMANDS, offset=5, begin=6, end=9) == []


def said(
    topic: str, *, sequence: int, known: int | None = None, found: int | None = None, begin: int = 0, end: int = 9
) -> list[str]:
    """Recipes for a shard that has said `sequence`, `known` of it on the bus, where `found` is found."""
    place = topic, 3
    told = of_outputs(
        Claim(3, 1, 10, sequence, 10),
        {place: Log("a", begin, end)},
        {} if known is None else {place: known},
        {} if found is None else {place: found},
    )
    return [one.recipe for one in told]


@pytest.mark.parametrize("topic", ["order.events", "order.dead-letters", "timer.commands"])
def test_what_the_bus_has_is_what_the_database_knows(topic: str) -> None:
    assert said(topic, sequence=8) == []
    assert said(topic, sequence=8, found=8) == []
    assert said(topic, sequence=8, found=9) == ["the-database-is-older-than-the-bus"]
    assert said(topic, sequence=8, known=6, found=9) == ["the-database-is-older-than-the-bus"]
    assert said(topic, sequence=8, known=6, found=6) == []
    assert said(topic, sequence=8, known=6, found=7) == [], "published, and not noted yet"
    assert said(topic, sequence=8, known=6, found=5) == ["the-bus-lost-what-we-said"]
    assert said(topic, sequence=8, known=6, end=0) == ["the-bus-lost-what-we-said"]


def test_what_others_or_retention_may_have_hidden_is_not_lost() -> None:
    assert said("timer.commands", sequence=8, known=6, begin=5_000, end=9_500) == []
    assert said("timer.commands", sequence=8, known=6, begin=9_500, end=9_500) == []
    assert said("timer.commands", sequence=8, known=6, end=9_500) == []
    assert said("order.events", sequence=8, known=6, begin=5_000, end=9_500) == ["the-bus-lost-what-we-said"]


def test_a_shard_is_compared_with_its_own_places() -> None:
    theirs = ("order.events", 4)
    assert [*of_outputs(Claim(3, 1, 10, 8, 10), {theirs: Log("a", 0, 9)}, {theirs: 6}, {})] == []
    assert [*of_outputs(Claim(3, 1, 10, 8, 10), {theirs: Log("a", 0, 9)}, {}, {theirs: 9})] == []


# -- the loop ----------------------------------------------------------------------------------------------------------


class Opened(NoInputs):
    """Says which shards it was opened for."""

    def __init__(self) -> None:
        self.shards: list[int] = []

    async def opened(self, shard: int) -> None:
        self.shards.append(shard)


def recipes(process: Process) -> list[str]:
    return [told["recipe"].partition("#")[2] for told in process.loop.problems.told()]


def served(process: Process) -> list[int]:
    return [number for number, shard in process.loop.shards.items() if shard.ready]


async def shop_that_sold(*inputs: InputSource) -> tuple[Shop, Process]:
    """Orders on both shards, all said."""
    shop = Shop(partitions=2)
    process = await shop.process(counter_decider(), *inputs)
    for number in range(8):
        shop.send(add(1, f"order-{number}"), "c1")
    await process.settle()
    await process.loop.look()
    assert recipes(process) == []
    return shop, process


async def look_later(shop: Shop, process: Process) -> None:
    shop.bus.now += worlds.COMPARED_AGAIN_AFTER
    await process.loop.look()


async def test_a_topic_that_is_made_anew_while_the_service_runs_stops_it_at_once() -> None:
    shop, process = await shop_that_sold()
    shop.bus.make_anew("order.commands")
    await process.loop.look()
    assert recipes(process) == ["a-topic-was-made-anew"], "once, not for every shard"
    assert process.loop.shards == {}
    await process.claim()
    assert served(process) == []
    shop.send(add(1, "order-1"), "c2")
    assert await process.work()
    assert process.loop.handled == 8, "whatever comes is not read"


async def test_a_topic_that_grew_beyond_the_cursor_before_anybody_looked_is_another_one_all_the_same() -> None:
    shop, process = await shop_that_sold()
    shop.bus.make_anew("order.commands")
    for number in range(90):
        shop.send(add(1, f"order-{number}"), "c2")
    await process.loop.look()
    assert recipes(process) == ["a-topic-was-made-anew"]
    restarted = await shop.process()
    assert served(restarted) == []
    assert recipes(restarted) == ["a-topic-was-made-anew"]


@pytest.mark.parametrize("topic", ["order.commands", "dispute.events", "order.events", "timer.commands"])
async def test_any_topic_that_is_read_or_written_counts(topic: str) -> None:
    shop, process = await shop_that_sold()
    shop.bus.make_anew(topic)
    await process.loop.look()
    assert recipes(process) == ["a-topic-was-made-anew"]


async def test_a_bus_that_was_lost_as_a_whole_stops_everything() -> None:
    shop, process = await shop_that_sold()
    for topic in ("order.commands", "dispute.events", "order.events", "timer.commands"):
        shop.bus.make_anew(topic)
    await process.loop.look()
    assert recipes(process) == ["a-topic-was-made-anew"] * 4
    restarted = await shop.process()
    assert served(restarted) == []
    shop.send(add(1, "order-1"), "c2")
    await restarted.work()
    await restarted.publish()
    assert shop.published() == []


async def test_one_log_that_lost_its_tail_stops_its_own_shard_alone() -> None:
    shop, process = await shop_that_sold()
    ends = shop.bus.log("order.commands", 1).end
    shop.bus.lose_tail("order.commands", 1, ends - 1)
    await process.loop.look()
    assert recipes(process) == ["the-log-lost-its-tail"]
    await process.claim()
    assert served(process) == [0]
    handled = process.loop.handled
    for number in range(8):
        shop.send(add(1, f"order-{number}"), "c2")
    await process.work()
    assert 0 < process.loop.handled - handled < 8


async def test_a_shard_goes_on_by_itself_once_the_world_fits_again(caplog: pytest.LogCaptureFixture) -> None:
    opened = Opened()
    shop, process = await shop_that_sold(opened)
    kept = copy.copy(shop.bus.logs["order.commands", 1])
    shop.bus.lose_tail("order.commands", 1, 1)
    await process.loop.look()
    await process.claim()
    assert opened.shards == [0, 1, 0], "what is not served does nothing by itself"
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await look_later(shop, process)
        assert served(process) == [0]
        shop.bus.logs["order.commands", 1] = kept
        await process.loop.look()
        assert served(process) == [0], "not asked without end"
        await look_later(shop, process)
    assert sorted(served(process)) == [0, 1]
    assert recipes(process) == []
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"], (
        "said once, when it began and ended"
    )


async def test_a_database_that_was_put_back_says_nothing_under_numbers_that_were_said() -> None:
    shop, process = await shop_that_sold()
    backup = copy.deepcopy(process.store.shards)
    for number in range(8):
        shop.send(add(1, f"order-{number}"), "c2")
    await process.settle()
    said = len(shop.published())
    shop.stores["order"].shards = backup
    restored = await shop.process()
    assert recipes(restored) == ["the-database-is-older-than-the-bus"] * 2
    for number in range(8):
        shop.send(add(1, f"order-{number}"), "c3")
    await restored.work()
    await restored.publish()
    assert len(shop.published()) == said


async def test_a_database_that_was_put_back_takes_nothing_of_who_knows_more() -> None:
    """A replica was promoted that had not heard of the last commits; with the same epoch, for nobody claimed since."""
    shop, process = await shop_that_sold()
    backup = copy.deepcopy(process.store.shards)
    shop.send(add(1, "order-1"), "c2")
    await process.settle()
    for number, stored in backup.items():
        process.store.shards[number] = stored
    shop.send(add(1, "order-1"), "c3")
    assert not await process.work(), "fenced"
    await process.claim()
    assert recipes(process) == ["the-database-is-older-than-the-bus"]
    assert len(served(process)) == 1


async def test_a_database_that_is_put_back_is_noticed_by_who_has_nothing_to_do() -> None:
    shop, process = await shop_that_sold()
    backup = copy.deepcopy(process.store.shards)
    shop.send(add(1, "order-1"), "c2")
    await process.settle()
    await process.loop.look()
    assert len(served(process)) == 2
    for number, stored in backup.items():
        process.store.shards[number] = stored
    with pytest.raises(Fenced):
        await process.loop.look()
    await process.claim()
    assert recipes(process) == ["the-database-is-older-than-the-bus"]
    assert len(served(process)) == 1


async def test_what_was_committed_and_never_said_is_no_discrepancy() -> None:
    shop, process = await shop_that_sold()
    shop.send(add(1, "order-1"), "c2")
    await process.work()
    restarted = await shop.process()
    assert sorted(served(restarted)) == [0, 1]
    await restarted.publish()
    assert len(shop.published()) == 9


async def test_dead_letters_that_are_gone_are_missed_by_nobody() -> None:
    shop, process = await shop_that_sold()
    garbage(shop)
    await process.settle()
    assert len(shop.published("order.dead-letters")) == 1
    shop.bus.make_anew("order.dead-letters")
    assert len(await process.loop.world.look(list(process.loop.shards.values()))) == 0
    assert sorted(served(await shop.process())) == [0, 1]


async def test_events_that_the_bus_has_not_any_more_stop_the_shard() -> None:
    shop, process = await shop_that_sold()
    await process.loop.release([0, 1])
    for shard in (0, 1):
        shop.bus.lose_tail("order.events", shard, 1)
    restarted = await shop.process()
    assert recipes(restarted) == ["the-bus-lost-what-we-said"] * 2
    assert served(restarted) == []


async def test_commands_that_ended_unread_are_lost_and_said_once_and_the_others_are_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop, process = await shop_that_sold()
    await process.loop.release([0, 1])
    for number in range(8):
        shop.send(add(1, f"order-{number}"), "c2")
    lost = shop.bus.log("order.commands", 0).end
    shop.bus.end_life("order.commands", 0, lost)
    with caplog.at_level(logging.CRITICAL):
        restarted = await shop.process()
        await restarted.loop.look()
        await shop.process()
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert f"order.commands/0 begins at {lost}" in caplog.text
    assert recipes(restarted) == []
    assert sorted(served(restarted)) == [0, 1]


async def test_events_that_ended_unread_stop_the_shard() -> None:
    shop, process = await shop_that_sold()
    for shard in (0, 1):
        for _ in range(3):
            shop.bus.append("dispute.events", b"x", b"{}", (), shard)
        shop.bus.end_life("dispute.events", shard, 2)
    await process.loop.look()
    assert recipes(process) == ["records-ended-before-they-were-read"] * 2
    assert process.loop.shards == {}


async def test_cursors_of_before_take_the_topic_that_is_there_for_theirs() -> None:
    shop, _ = await shop_that_sold()
    stored = shop.stores["order"].shards
    for shard in stored.values():
        for cursor in shard.claim.cursors.values():
            cursor.topic_id = None
    restarted = await shop.process()
    assert sorted(served(restarted)) == [0, 1]
    kept = {cursor.topic_id for shard in stored.values() for cursor in shard.claim.cursors.values()}
    assert kept == {shop.bus.log("order.commands", 0).topic_id}


async def test_a_problem_goes_with_its_shard(caplog: pytest.LogCaptureFixture) -> None:
    shop, process = await shop_that_sold()
    shop.bus.make_anew("order.commands")
    await process.loop.look()
    await process.claim()
    await process.loop.release([0, 1])
    await look_later(shop, process)
    assert recipes(process) == []
    assert process.loop.shards == {}


@pytest.mark.parametrize("topic", ["order.commands", "timer.commands"])
async def test_a_log_without_a_leader_keeps_one_shard_from_being_claimed_and_none_from_going_on(
    topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, process = await shop_that_sold()
    logs = process.source.logs

    async def one_is_unled(shards: Sequence[int]) -> Mapping[Place, Log | None]:
        return {**await logs(shards), (topic, 1): None}

    with monkeypatch.context() as patched:
        patched.setattr(process.source, "logs", one_is_unled)
        await process.loop.look()
        assert recipes(process) == []
        assert sorted(served(process)) == [0, 1]
        process.loop.drop([0, 1])
        await process.claim()
        assert recipes(process) == ["a-server-does-not-answer"]
        assert served(process) == [0]
    await look_later(shop, process)
    assert recipes(process) == []
    assert sorted(served(process)) == [0, 1]
