"""What is observed of a world keeps its order though logs begin anew; alarms are overdue only where they could ring."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.timer.commands import CancelTimer, Schedule
from schemas.wire import Actor
from shared.kernel.ports import Record
from shared.runtime.memory import START
from tests.simulation import disasters, virtual_time
from tests.simulation.coverage import Visited
from tests.simulation.observed import ALARMS_LATE, Observed, alarms_observed
from tests.simulation.plan import Fault, Kind, Plan
from tests.simulation.world import World

CALM = Plan(1, 1, 86_400.0, 0, 1, 0, (), (), ())


def test_what_lies_in_a_log_that_began_anew_comes_behind_what_lay_there_before() -> None:
    offsets = [0, 1, 2, 0, 1, 1, 5]  # made anew; then it lost its tail; then it has a hole
    heard = [Record("order.events", 0, offset, 1, b"o1", b"{}") for offset in offsets]
    other = Record("order.events", 1, 0, 1, b"o2", b"{}")
    world: Any = SimpleNamespace(bus=SimpleNamespace(partitions=2, heard=[*heard[:4], other, *heard[4:]]))
    observed = Observed(world).records()
    assert [one.offset for one in observed if one.partition == 0] == [0, 1, 2, 3, 4, 5, 9]
    assert [one.offset for one in observed if one.partition == 1] == [0]


def test_who_comes_back_may_be_late_for_a_while_and_no_longer() -> None:
    async def story() -> None:
        world = world_with_an_alarm(after=100)
        await asyncio.sleep(50)
        world.groups["timer"].stop()  # for good
        await asyncio.sleep(3600)
        assert not overdue(world), "something is wrong"
        world.heal()
        assert not overdue(world), "nobody had a moment to ring it"
        await asyncio.sleep(ALARMS_LATE)
        assert overdue(world)

    virtual_time.run(story())


@pytest.mark.parametrize("kind", ["log lost its tail", "topic made anew"])
def test_who_was_stopped_by_an_operator_may_be_late_when_he_has_done_his_work(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disasters, "COMES_AFTER", (2 * ALARMS_LATE, 2 * ALARMS_LATE))

    async def story() -> None:
        world = world_with_an_alarm(after=100)
        world.heal()
        await asyncio.sleep(95)
        world.disasters.begin(Fault(kind, "timer", 0, 0, 1), world.groups["timer"])
        assert world.disasters.now is not None
        assert world.disasters.now.task is not None
        await world.disasters.now.task
        assert pending(world), "nobody could ring it meanwhile"
        assert not overdue(world), "nor since"
        await asyncio.sleep(ALARMS_LATE)
        assert not pending(world)
        assert not overdue(world)

    virtual_time.run(story())


def test_who_hesitates_as_all_goes_well_again_may_be_late_until_he_has_gone_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hesitation = 10 * ALARMS_LATE

    async def story() -> None:
        world = world_with_an_alarm(100, hesitation)
        monkeypatch.setattr(world, "hesitation", lambda: hesitation if 50 < world.now() < 110 else 0)
        await asyncio.sleep(110)
        world.heal()
        await asyncio.sleep(ALARMS_LATE)
        assert pending(world), "he hesitates"
        assert not overdue(world)
        await asyncio.sleep(hesitation)
        assert not pending(world)
        assert not overdue(world)

    virtual_time.run(story())


def world_with_an_alarm(after: float, hesitation: float = 0) -> World:
    """So many seconds after its beginning; nothing else happens in it."""
    world = World(replace(CALM, hesitation=hesitation), Visited())
    due_at = START + timedelta(seconds=after)
    alarm = Schedule(
        order_id="o1",
        actor=Actor(role="platform", id="order"),
        timer_id="order/o1",
        name="payment_window",
        due_at=due_at,
        deliver_to="order",
    )
    other = CancelTimer(order_id="o1", actor=alarm.actor, timer_id="dispute/o1")  # of which the timer says something
    for wish in (alarm, other):
        headers = [("ce_id", wish.timer_id.encode()), ("ce_type", wish.type.encode())]
        world.bus.append("timer.commands", b"o1", wish.model_dump_json().encode(), headers)
    return world


def pending(world: World) -> bool:
    return bool([*alarms_observed(world.groups["timer"].table)])


def overdue(world: World) -> list[str]:
    return [sentence for sentence in world.observed.verified().problems() if "has not rung" in sentence]
