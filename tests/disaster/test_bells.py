"""A timer's database that is put back: what was set since it reads again, and what has rung since rings again."""

import copy

from schemas.timer.commands import CancelTimer
from services.timer.domain import DECIDER
from tests.kit.test_timers import PLATFORM, Clockwork, at
from tests.simulation.repair import replay


async def test_alarms_of_a_time_that_is_forgotten_stand_again_after_a_replay_but_those_that_were_cancelled() -> None:
    """Only what the timer service says of itself shows that its database is older: that an alarm was cancelled."""
    clockwork = Clockwork()
    await clockwork.start()
    await clockwork.arm(("a", 10), ("b", 30))
    backup = copy.deepcopy((clockwork.store.shards, clockwork.table))
    await clockwork.wait(11)
    await clockwork.arm(("c", 20), ("d", 21), ("a", 22), rang_early=True)  # in a replay no clock says what is past
    await clockwork.cancel("b", "d")

    clockwork.store.shards, clockwork.table = backup
    await clockwork.start()
    assert not clockwork.loop.shards[0].ready
    [outcome] = await replay(DECIDER, clockwork.store, clockwork.bus, [0])
    assert (outcome.decided, outcome.taken, outcome.unsent, outcome.missing) == (2, 1, 0, [])

    before = clockwork.bells()
    await clockwork.start()
    await clockwork.wait(40)
    assert [bell.timer_id for bell in before] == ["a"]
    assert clockwork.rung[1:] == ["c", "a"]


async def test_a_bell_that_was_said_to_have_rung_and_went_out_nowhere_rings_after_a_replay() -> None:
    clockwork = Clockwork()
    await clockwork.start()
    await clockwork.arm(("a", 10))
    backup = copy.deepcopy((clockwork.store.shards, clockwork.table))
    clockwork.bus.bytes_max["order.commands", 0] = 0
    clockwork.bus.now = at(11)
    await clockwork.loop.step([])
    clockwork.send(CancelTimer(order_id="order-b", actor=PLATFORM, timer_id="b"))
    await clockwork.loop.step(await clockwork.source.take(0))
    await clockwork.loop.outbox.publish()
    assert (clockwork.rung, len(clockwork.bus.records("timer.events"))) == ([], 1)

    clockwork.bus.bytes_max.clear()
    clockwork.store.shards, clockwork.table = backup
    [outcome] = await replay(DECIDER, clockwork.store, clockwork.bus, [0])
    assert outcome.missing == [1]
    await clockwork.start()
    await clockwork.settle()
    assert clockwork.rung == ["a"]
