"""What is appended in the future, by the broker's clock alone, moves nothing."""

from datetime import timedelta

import pytest

from shared.kernel.ports import DISBELIEVED
from shared.runtime.clocks import AHEAD_MAX
from shared.runtime.memory import START
from tests.kit.counter_decider import Missed, Told
from tests.kit.test_shard_loop import Process, Shop, add, promise

YEARS = timedelta(days=3650)


class Clocks:
    """A shop whose broker's clock is its own."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.now = START

    async def process(self) -> Process:
        process = await self.shop.process()
        process.loop.clock = process.loop.clocks.clock = lambda: self.now
        return process

    def ahead(self, by: timedelta, order_id: str = "order-1", id_: str = "far") -> None:
        """One append at which the broker's clock is wrong."""
        self.shop.bus.now = self.now + by
        self.shop.send(add(100, order_id), id_)
        self.shop.bus.now = self.now


async def test_a_record_from_the_future_waits_with_its_log_and_others_go_on() -> None:
    clocks = Clocks()
    shop, process = clocks.shop, await clocks.process()
    shop.send(promise(START + timedelta(days=1)), "c1")
    clocks.ahead(YEARS)
    shop.send(add(1), "c2")
    for number in range(3):
        await process.settle()
        shop.tell(Told(order_id="order-1"), number + 1)
    await process.settle()
    assert shop.total() == 0
    assert [row.type for row in shop.rows()].count(Missed.type) == 0
    assert process.loop.shards[0].claim.cursors["dispute.events"].offset == 3, "that log says what time it is"
    [told] = process.loop.problems.told()
    assert told["place"] == "clock order.commands/0"
    assert "2036-02-28" in told["problem"]
    assert process.loop.next_due() == START + YEARS - AHEAD_MAX

    clocks.now = START + YEARS - AHEAD_MAX
    await process.settle()  # looks at the clock …
    await process.settle()  # … and reads
    assert shop.total() == 101
    assert [row.type for row in shop.rows()].count(Missed.type) == 1
    assert process.loop.problems.told() == []
    assert process.loop.next_due() is None


@pytest.mark.parametrize(("by", "total"), [(AHEAD_MAX, 100), (AHEAD_MAX + timedelta(milliseconds=1), 0)])
async def test_clocks_may_be_a_little_apart(by: timedelta, total: int) -> None:
    clocks = Clocks()
    process = await clocks.process()
    clocks.ahead(by)
    await process.settle()
    assert clocks.shop.total() == total


async def test_an_operator_who_does_not_believe_an_append_time_has_it_taken_for_now() -> None:
    clocks = Clocks()
    shop, process = clocks.shop, await clocks.process()
    shop.send(promise(START + timedelta(days=1)), "c1")
    clocks.ahead(YEARS)
    shop.send(add(1), "c2")
    clocks.ahead(YEARS, id_="further")
    await process.settle()

    shop.stores["order"].shards[0].claim.marks["order.commands", DISBELIEVED] = 2
    clocks.now += timedelta(hours=1)
    next_owner = await clocks.process()
    await next_owner.settle()
    assert shop.total() == 101
    assert [row.type for row in shop.rows()].count(Missed.type) == 0
    assert len(next_owner.loop.problems.told()) == 1, "of the one behind it nothing was said"
    assert [row.time for row in shop.rows()] == sorted(row.time for row in shop.rows())


async def test_a_log_that_was_read_into_the_future_comes_back_when_an_operator_says_so() -> None:
    """Its time of inputs is there, and would not go back by itself."""
    clocks = Clocks()
    shop, process = clocks.shop, await clocks.process()
    clocks.ahead(timedelta(minutes=4))
    clocks.now += timedelta(seconds=1)
    await process.settle()
    clocks.now -= timedelta(minutes=2)  # it was ours that was wrong
    shop.bus.now = clocks.now
    shop.send(add(1), "c1")
    process = await clocks.process()
    await process.settle()
    assert shop.total() == 100, "6 minutes ahead of what we know now"
    shop.stores["order"].shards[0].claim.marks["order.commands", DISBELIEVED] = 2
    await (await clocks.process()).settle()
    assert shop.total() == 101


async def test_whoever_loses_the_shard_has_no_problem_with_its_clock() -> None:
    clocks = Clocks()
    process = await clocks.process()
    clocks.ahead(YEARS)
    await process.settle()
    assert len(process.loop.problems.told()) == 1
    process.loop.drop([0])
    assert process.loop.problems.told() == []
