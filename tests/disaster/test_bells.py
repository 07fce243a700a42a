"""A bell that rang in a time which the timer's database does not remember is not missed by who waits for it."""

import copy

from schemas.topics import written_by
from services.timer.domain import DECIDER
from shared.kernel import codec
from shared.kernel.ports import Record
from shared.runtime.memory import MemoryBus
from tests.kit.test_timers import Clockwork, at
from tests.simulation.repair import replay

BELLS = ("order.commands", 0)


async def put_back(clockwork: Clockwork, *refusing: tuple[str, int], alarms: tuple[str, ...]) -> None:
    """To before these rang, while some place took nothing; replayed, and served again."""
    await clockwork.arm(*((alarm, 10.0) for alarm in alarms))
    backup = copy.deepcopy((clockwork.store.shards, clockwork.table))
    clockwork.bus.bytes_max |= dict.fromkeys(refusing, 0)
    await clockwork.wait(11)
    clockwork.store.shards, clockwork.table = backup
    clockwork.bus.bytes_max.clear()
    await clockwork.start()
    assert not clockwork.loop.shards[0].ready
    [outcome] = await replay(DECIDER, clockwork.store, clockwork.bus, [0])
    assert outcome.unsent == 0
    await clockwork.start()
    clockwork.bus.now = at(20)
    await clockwork.settle()


async def test_what_was_said_to_have_rung_rings_where_it_is_waited_for() -> None:
    clockwork = Clockwork()
    await clockwork.start()
    await put_back(clockwork, BELLS, alarms=("a",))
    assert clockwork.rung == ["a"]
    assert clockwork.bus.records("order.commands") != []


async def test_what_has_rung_there_does_not_ring_again() -> None:
    clockwork = Clockwork()
    await clockwork.start()
    await put_back(clockwork, alarms=("a", "b"))
    assert clockwork.rung == ["a", "b"]
    assert len({codec.numbered(one) for one in said(clockwork.bus)}) == 6


def said(bus: MemoryBus) -> list[Record]:
    return [record for topic in written_by("timer") for record in bus.records(topic)]
