"""Timers ring after their instant, each once, through restarts; and only the near ones are in memory."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timer.commands import CancelTimer, Schedule, TimerCommand, TimerResume
from schemas.timer.events import Elapsed
from schemas.wire import Actor, Role, Service
from services.timer import projection
from services.timer.domain import DECIDER, Commands, Due
from services.timer.projection import MemoryTimerTable, Timers
from shared.kernel import codec
from shared.kernel.decider import Output
from shared.kernel.policies import Policies
from shared.kernel.ports import Outage
from shared.runtime.memory import START, MemoryBus, MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.shard_loop import ShardLoop

PLATFORM = Actor(role="platform", id="order")


class Clockwork:
    """The timer service on one shard, its table and its bus."""

    def __init__(self) -> None:
        self.bus = MemoryBus(1)
        self.table = MemoryTimerTable()
        self.store = MemoryStore()
        self._sent = 0

    async def start(self) -> None:
        """A process that takes the shard over, from the table alone."""
        self.timers = Timers(self.table)
        self.store.projections = [self.timers]
        self.source = MemorySource(self.bus, ["timer.commands"], "timer")
        self.loop = ShardLoop(
            DECIDER,
            Policies({}),
            [self.timers],
            self.store,
            self.source,
            MemoryPublisher(self.bus, "timer"),
            self.bus.clock,
            home_among(1),
            "timer",
        )
        await self.loop.claim([0])

    def send(self, command: TimerCommand) -> None:
        self._sent += 1
        headers = {"ce_id": f"c{self._sent}", "ce_type": command.type, "ce_source": "test"}
        headers["ce_sequence"] = str(self._sent)
        encoded = [(name, text.encode()) for name, text in headers.items()]
        self.bus.append("timer.commands", command.order_id.encode(), command.model_dump_json().encode(), encoded)

    async def arm(self, *timers: tuple[str, float], rang_early: bool = False) -> None:
        """(id, seconds from the start)"""
        for timer_id, seconds in timers:
            self.send(schedule(timer_id, seconds, rang_early=rang_early))
        await self.settle()

    async def cancel(self, *timer_ids: str) -> None:
        for timer_id in timer_ids:
            self.send(CancelTimer(order_id=f"order-{timer_id}", actor=PLATFORM, timer_id=timer_id))
        await self.settle()

    async def settle(self) -> None:
        while True:
            handled, records = self.loop.handled, await self.source.take(0)
            assert await self.loop.step(records)
            while await self.loop.outbox.publish():
                pass
            if not records and self.loop.handled == handled:
                return

    async def wait(self, seconds: float) -> None:
        """Until so many seconds after the start, stepping whenever a timer is due."""
        while (due := self.timers.next_due()) is not None and due <= at(seconds):
            self.bus.now = max(due, self.bus.now)
            await self.settle()
        self.bus.now = at(seconds)
        await self.settle()

    @property
    def rung(self) -> list[str]:
        return [elapsed.timer_id for elapsed in self.bells()]

    def bells(self, service: Service = "order") -> list[Elapsed]:
        """As they lie in the asking service's inbox; repeats count once."""
        records = {codec.header(r.headers, "ce_id"): r for r in self.bus.records(f"{service}.commands")}
        return [Elapsed.model_validate_json(record.value or b"") for record in records.values()]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def schedule(timer_id: str, seconds: float, **more: Any) -> Schedule:
    about: dict[str, Any] = {
        "order_id": f"order-{timer_id}",
        "actor": PLATFORM,
        "name": "some_deadline",
        "deliver_to": "order",
    }
    return Schedule(timer_id=timer_id, due_at=at(seconds), **(about | more))


def refused_schedule(timer_id: str, seconds: float) -> Schedule:
    """For a service that sleeps at no deadline."""
    return schedule(timer_id, seconds, deliver_to="notification")


@pytest.fixture
async def clockwork() -> Clockwork:
    clockwork = Clockwork()
    await clockwork.start()
    return clockwork


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "PAGE", 8)
    monkeypatch.setattr(projection, "FIRE_AT_ONCE_MAX", 3)
    monkeypatch.setattr(projection, "SWEEP_EVERY", 5)


async def test_a_timer_rings_after_its_instant_and_not_at_it(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10))
    await clockwork.wait(10)
    assert clockwork.rung == []
    assert clockwork.timers.next_due() == at(10.001), "the first millisecond at which the deadline has passed"
    await clockwork.wait(10.001)
    [bell] = clockwork.bells()
    assert (bell.timer_id, bell.order_id, bell.name, bell.due_at) == ("a", "order-a", "some_deadline", at(10))
    await clockwork.wait(1_000)
    assert clockwork.rung == ["a"]


async def test_timers_ring_in_the_order_of_their_instants(clockwork: Clockwork) -> None:
    await clockwork.arm(("c", 30), ("a", 10), ("b", 20), ("d", 10.001))
    await clockwork.wait(15)
    assert clockwork.rung == ["a", "d"]
    await clockwork.wait(100)
    assert clockwork.rung == ["a", "d", "b", "c"]


async def test_arming_a_known_timer_moves_it_earlier_or_later(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10), ("b", 20))
    await clockwork.arm(("a", 30), ("b", 5))
    await clockwork.wait(25)
    assert clockwork.rung == ["b"]
    await clockwork.wait(100)
    assert clockwork.rung == ["b", "a"]


async def test_a_timer_that_was_moved_holds_up_none_of_those_behind_its_old_place(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10), ("b", 20))
    await clockwork.arm(("a", 30))
    await clockwork.wait(25)
    assert clockwork.rung == ["b"]


@pytest.mark.parametrize("role", ["buyer", "seller", "mediator", "operator"])
async def test_nobody_but_our_own_services_sets_or_cancels_a_timer(clockwork: Clockwork, role: Role) -> None:
    await clockwork.arm(("a", 10))
    somebody = Actor(role=role, id="somebody")
    clockwork.send(schedule("b", 5, actor=somebody))
    clockwork.send(CancelTimer(order_id="order-a", actor=somebody, timer_id="a"))
    await clockwork.settle()
    refusals = [json.loads(record.value or b"{}") for record in clockwork.bus.records("timer.events")]
    assert [(refusal["refused"], refusal["code"]) for refusal in refusals] == [
        ("timer.schedule.v1", "not_allowed"),
        ("timer.cancel.v1", "not_allowed"),
    ]
    await clockwork.wait(100)
    assert clockwork.rung == ["a"]


async def test_a_timer_that_has_rung_can_be_armed_anew(clockwork: Clockwork) -> None:
    for seconds in (10, 20):
        await clockwork.arm(("a", seconds))
        await clockwork.wait(seconds + 1)
    assert [bell.due_at for bell in clockwork.bells()] == [at(10), at(20)]


async def test_an_instant_that_is_asked_for_again_after_it_has_rung_rings_under_other_ids(clockwork: Clockwork) -> None:
    """A bell that comes twice, after a crash, makes its order ask twice; the second wish may come after the ringing."""
    for seconds in (20, 40):
        await clockwork.arm(("a", 10))
        await clockwork.wait(seconds)
    assert len(clockwork.bells()) == len(clockwork.bus.records("order.commands")) == 2


async def test_a_past_instant_rings_at_once_though_later_ones_have_rung(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 100))
    await clockwork.wait(200)
    await clockwork.arm(("b", 50), ("c", -50))
    await clockwork.wait(200.01)
    assert sorted(clockwork.rung) == ["a", "b", "c"]
    assert {bell.timer_id: bell.due_at for bell in clockwork.bells()}["b"] == at(50), "it says what was asked for"


@pytest.mark.parametrize("ahead", [2, 3_600])
async def test_bells_that_come_early_by_a_clock_that_is_ahead_come_more_and_more_seldom(
    clockwork: Clockwork, ahead: int
) -> None:
    """Whoever hears a bell too early asks again for a second later (R0), which is past on that clock."""
    clockwork.loop.clock = lambda: clockwork.bus.now + timedelta(seconds=ahead)
    await clockwork.arm(("a", ahead), ("b", ahead))
    rung: list[int] = []
    for second in range(200):
        clockwork.bus.now = at(second)
        await clockwork.settle()
        while 2 * len(rung) < len(clockwork.rung) < 1_000:
            assert sorted(clockwork.rung[-2:]) == ["a", "b"]
            rung.append(second)
            await clockwork.arm(*((timer, max(ahead, second + 1)) for timer in ("a", "b")), rang_early=True)
    assert rung == [1, 2, 4, 8, 16, 32, 64, 124, 184]

    clockwork.loop.clock = lambda: clockwork.bus.now  # now it is right
    await clockwork.arm(("c", 250), ("a", 300))
    await clockwork.start()
    await clockwork.wait(250)
    assert "c" not in clockwork.rung
    await clockwork.wait(250.1)
    assert "c" in clockwork.rung, "though what has fired lay further in the future"
    await clockwork.wait(300.1)
    assert clockwork.rung.count("a") == len(rung) + 1


async def test_what_is_set_after_a_clock_was_ahead_rings_in_time_behind_what_rang_then(clockwork: Clockwork) -> None:
    clockwork.loop.clock = lambda: clockwork.bus.now + timedelta(hours=1)
    await clockwork.arm(("a", 3_600))
    await clockwork.settle()
    clockwork.bus.now = at(1)
    await clockwork.settle()
    assert clockwork.rung == ["a"]
    clockwork.loop.clock = lambda: clockwork.bus.now  # now it is right
    await clockwork.arm(("b", 3_590))
    await clockwork.wait(3_580)
    await clockwork.start()
    await clockwork.wait(3_590.1)
    assert clockwork.rung == ["a", "b"]


async def test_after_a_bell_in_time_the_pause_is_a_second_again(clockwork: Clockwork) -> None:
    asked = [(0, 10, 10), (10.5, 5, 11.45), (12, 5, 13.95), (15, 100, 100), (100.5, 50, 101.45)]
    for rung, (asked_at, due_at, rings_at) in enumerate(asked):
        await clockwork.wait(asked_at)
        await clockwork.arm(("a", due_at), rang_early=due_at < asked_at)
        await clockwork.wait(rings_at)
        assert len(clockwork.rung) == rung
        await clockwork.wait(rings_at + 0.1)
        assert len(clockwork.rung) == rung + 1


async def test_only_of_those_that_rang_too_early_something_is_remembered(clockwork: Clockwork) -> None:
    """However many ring: a catch-up after an outage takes no memory."""
    await clockwork.arm(*((f"t{number}", 10) for number in range(20)))
    await clockwork.wait(11)
    pauses = clockwork.timers.shards[0].pauses
    assert (len(clockwork.rung), pauses) == (20, {})
    await clockwork.arm(("t1", 10), rang_early=True)
    assert [*pauses] == ["t1"]
    await clockwork.wait(11 + 3 * projection.PAUSE_MAX / 1_000)
    await clockwork.arm(("t2", 10), rang_early=True)
    assert [*pauses] == ["t2"]


async def test_after_a_bell_that_was_too_early_what_is_not_past_yet_rings_at_its_instant(clockwork: Clockwork) -> None:
    await clockwork.wait(10)
    await clockwork.arm(("a", 10.5), rang_early=True)
    await clockwork.wait(10.6)
    assert clockwork.rung == ["a"]


async def test_an_instant_that_comes_back_right_after_its_bell_rings_at_once(clockwork: Clockwork) -> None:
    """Lines that a dispute gives back after protection has ended: what the bell released was not theirs."""
    await clockwork.arm(("a", 10))
    for rung, at_ in enumerate([10.1, 10.2, 10.3, 11]):
        await clockwork.wait(at_)
        assert len(clockwork.rung) == rung + 1
        await clockwork.arm(("a", 10))
    await clockwork.wait(11.01)
    assert len(clockwork.rung) == 5


async def test_alarms_are_rung_by_the_earlier_of_the_brokers_clock_and_ours(clockwork: Clockwork) -> None:
    clockwork.loop.clock = lambda: clockwork.bus.now + timedelta(days=8)
    clockwork.loop.clocks.skew = lambda: timedelta(days=-8)
    await clockwork.arm(("a", 10))
    await clockwork.settle()
    assert clockwork.rung == []
    clockwork.bus.now = at(10.1)
    await clockwork.settle()
    assert clockwork.rung == ["a"]
    clockwork.loop.clock = lambda: clockwork.bus.now
    clockwork.loop.clocks.skew = lambda: timedelta(days=8)  # a broker that is ahead makes nothing due
    await clockwork.arm(("b", 20))
    assert clockwork.rung == ["a"]


async def test_a_cancelled_timer_does_not_ring_and_cancelling_what_is_gone_is_no_error(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10), ("b", 10))
    await clockwork.cancel("a", "a", "unheard-of")
    await clockwork.wait(100)
    assert clockwork.rung == ["b"]
    await clockwork.cancel("b")
    await clockwork.start()
    await clockwork.wait(200)
    assert clockwork.rung == ["b"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_of_commands_in_one_batch_the_last_one_counts(clockwork: Clockwork, restarted: bool) -> None:
    cancel = CancelTimer(order_id="order-a", actor=PLATFORM, timer_id="a")
    clockwork.send(cancel)
    clockwork.send(schedule("a", 10))
    clockwork.send(schedule("b", 10))
    clockwork.send(cancel.model_copy(update={"order_id": "order-b", "timer_id": "b"}))
    await clockwork.settle()
    if restarted:
        await clockwork.start()
    await clockwork.wait(20)
    assert clockwork.rung == ["a"]


async def test_a_past_instant_is_not_taken_for_rung_after_a_restart(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 100))
    await clockwork.wait(200)
    clockwork.send(schedule("b", 50))
    await clockwork.loop.step(await clockwork.source.take(0))
    await clockwork.start()
    await clockwork.wait(201)
    assert clockwork.rung == ["a", "b"]


@pytest.mark.usefixtures("small_pages")
async def test_only_the_near_timers_are_in_memory_however_many_are_pending(clockwork: Clockwork) -> None:
    timers = [(f"t{number:03}", 100.0 + number * 7 % 200) for number in range(200)]
    for begin in range(0, 200, 20):
        await clockwork.arm(*timers[begin : begin + 20])
    shard = clockwork.timers.shards[0]
    held = 0
    for seconds in range(100, 400, 5):
        await clockwork.wait(seconds)
        held = max(held, len(shard.near), len(shard.heap))
    assert held <= 5 * projection.PAGE
    assert clockwork.rung == [timer_id for timer_id, _ in sorted(timers, key=lambda timer: timer[1])]
    assert len(clockwork.table.timers[0]) < 20, "what has rung is swept"


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("change", ["cancel", "move"])
async def test_the_far_timers_ring_though_all_the_near_ones_went_away(clockwork: Clockwork, change: str) -> None:
    near = [f"n{number}" for number in range(8)]
    far = [f"f{number}" for number in range(8)]
    await clockwork.arm(*((name, 10) for name in near))
    await clockwork.arm(*((name, 20) for name in far))
    await clockwork.start()
    await clockwork.wait(0)
    if change == "cancel":
        await clockwork.cancel(*near)
    else:
        await clockwork.arm(*((name, 30) for name in near))
    await clockwork.wait(100)
    assert clockwork.rung == far + (near if change == "move" else [])


@pytest.mark.usefixtures("small_pages")
async def test_after_a_restart_nothing_is_lost_and_nothing_rings_twice(clockwork: Clockwork) -> None:
    timers = [(f"t{number:02}", 10.0 + number // 4) for number in range(60)]
    await clockwork.arm(*timers)
    for seconds in range(10, 30):
        await clockwork.wait(seconds)
        await clockwork.start()
    assert clockwork.rung == [name for name, _ in timers]


async def test_a_schedule_is_obeyed_in_silence_and_a_refused_one_arms_nothing(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10))
    clockwork.send(refused_schedule("b", 10))
    await clockwork.settle()
    [refusal] = clockwork.bus.records("timer.events")
    assert codec.header(refusal.headers, "ce_causationid") == "c2"
    assert len(clockwork.store.shards[0].events) == 1
    await clockwork.wait(20)
    assert clockwork.rung == ["a"]


async def test_under_one_id_what_is_refused_arms_nothing_and_what_is_obeyed_does(clockwork: Clockwork) -> None:
    wishes = [schedule("a", 10), refused_schedule("b", 10), schedule("c", 10)]
    for wish in wishes:
        headers = [("ce_id", b"the same"), ("ce_type", wish.type.encode())]
        clockwork.bus.append("timer.commands", wish.order_id.encode(), wish.model_dump_json().encode(), headers)
    await clockwork.settle()
    await clockwork.wait(20)
    assert clockwork.rung == ["a", "c"]


async def test_a_bell_belongs_to_the_story_of_its_schedule(clockwork: Clockwork) -> None:
    wish = schedule("a", 10)
    headers = [("ce_id", b"c1"), ("ce_type", wish.type.encode()), ("ce_correlationid", b"story")]
    clockwork.bus.append("timer.commands", b"order-a", wish.model_dump_json().encode(), headers)
    await clockwork.settle()
    await clockwork.start()
    await clockwork.wait(20)
    [bell] = clockwork.bus.records("order.commands")
    assert (bell.key, codec.header(bell.headers, "ce_correlationid")) == (b"order-a", "story")


class Doubtful(MemoryStore):
    """Loses the answer of every second commit, and every third one before it happened."""

    commits = 0

    async def commit(self, commit: object) -> None:
        self.commits += 1
        if self.commits % 3 == 0:
            raise Outage("before")
        await super().commit(commit)  # type: ignore[arg-type]
        if self.commits % 2 == 0:
            raise Outage("after")


async def test_a_schedule_that_waits_with_its_order_is_armed_once_the_bug_is_mended(clockwork: Clockwork) -> None:
    def broken(state: None, command: Commands, *more: Any) -> Sequence[Output]:
        if command.timer_id == "a":
            raise RuntimeError("a bug")
        return DECIDER.decide(state, command, *more)

    clockwork.loop.decider = replace(DECIDER, decide=broken)
    await clockwork.arm(("a", 10), ("b", 10))
    await clockwork.wait(15)
    assert clockwork.rung == ["b"]
    await clockwork.start()
    await clockwork.settle()
    await clockwork.wait(16)
    assert clockwork.rung == ["b", "a"]


@pytest.mark.parametrize("raises", [Due, CancelTimer])
async def test_a_timer_whose_order_is_parked_rings_once_the_bug_is_mended(
    clockwork: Clockwork, raises: type[Any]
) -> None:
    def broken(handle: Any) -> Any:
        def handles(state: None, heard: Any, *more: Any) -> Sequence[Output]:
            if isinstance(heard, raises) and heard.timer_id in ("a", "of a"):
                raise RuntimeError("a bug")
            said: Sequence[Output] = handle(state, heard, *more)
            return said

        return handles

    await clockwork.arm(("a", 10), ("b", 10), ("c", 20), ("d", 30), ("e", 40))
    clockwork.loop.decider = replace(DECIDER, decide=broken(DECIDER.decide), react=broken(DECIDER.react))
    clockwork.send(CancelTimer(order_id="order-a", actor=PLATFORM, timer_id="of a"))
    await clockwork.settle()
    await clockwork.wait(25)
    await clockwork.cancel("e")
    await clockwork.wait(35)
    assert clockwork.rung == ["b", "c", "d"]

    await clockwork.start()
    await clockwork.settle()

    assert clockwork.rung == ["b", "c", "d", "a"]


async def test_a_bell_that_could_not_be_rung_is_told_of_and_rings_when_an_operator_says_so(
    clockwork: Clockwork,
) -> None:
    def broken(state: None, due: Due, *more: Any) -> Sequence[Output]:
        if due.timer_id == "a":
            raise RuntimeError("a bug")
        return DECIDER.react(state, due, *more)

    await clockwork.arm(("a", 10), ("b", 10), ("c", 20))
    clockwork.loop.decider = replace(DECIDER, react=broken)
    await clockwork.wait(15)
    await clockwork.start()
    clockwork.loop.decider = replace(DECIDER, react=broken)
    await clockwork.wait(25)
    assert clockwork.rung == ["b", "c"]
    letters = clockwork.bus.records("timer.dead-letters")
    letter = letters[0]
    numbers = {codec.header(one.headers, "x-dead-letter-sequence") for one in letters}
    assert len(numbers) == 1, "said once, if published twice"
    assert (letter.key, json.loads(letter.value or b"")["timer_id"]) == (b"order-a", "a")

    clockwork.loop.decider = DECIDER
    wish = TimerResume(order_id="order-a", actor=Actor(role="operator", id="olga"))
    for id_ in (b"wish", b"again"):
        headers = [("ce_id", id_), ("ce_type", wish.type.encode())]
        clockwork.bus.append("timer.commands", b"order-a", wish.model_dump_json().encode(), headers)
        await clockwork.settle()
    assert clockwork.rung == ["b", "c", "a"]
    types = [codec.header(one.headers, "ce_type") for one in clockwork.bus.records("timer.events")]
    assert types[-2:] == ["timer.resumed.v1", "timer.rejected.v1"], "and nothing waits any more"
    await clockwork.start()
    await clockwork.wait(100)
    assert clockwork.rung == ["b", "c", "a"]


@pytest.mark.usefixtures("small_pages")
async def test_doubtful_commits_lose_and_double_no_bell() -> None:
    clockwork = Clockwork()
    clockwork.store = Doubtful()
    await clockwork.start()
    timers = [(f"t{number:02}", 10.0 + number % 9) for number in range(40)]
    for timer_id, seconds in timers:
        clockwork.send(schedule(timer_id, seconds, order_id="o"))
    for _ in range(200):
        if not clockwork.loop.shards:
            await clockwork.loop.claim([0])
        await clockwork.loop.step(await clockwork.source.take(0))
        await clockwork.loop.outbox.publish()
        clockwork.bus.now += timedelta(seconds=0.2)
    assert sorted(clockwork.rung) == sorted(name for name, _ in timers)
    due = dict(timers)
    assert [due[name] for name in clockwork.rung] == sorted(due.values())


@pytest.mark.usefixtures("small_pages")
async def test_whatever_became_due_while_nobody_was_there_rings_in_order(clockwork: Clockwork) -> None:
    await clockwork.arm(*((f"t{number:02}", 10.0 + number) for number in range(50)))
    clockwork.bus.now = at(10_000)
    await clockwork.start()
    await clockwork.settle()
    assert clockwork.rung == [f"t{number:02}" for number in range(50)]
    assert clockwork.timers.next_due() is None


async def test_a_bell_goes_out_though_the_timers_own_topic_takes_nothing(clockwork: Clockwork) -> None:
    await clockwork.arm(("a", 10))
    clockwork.bus.bytes_max["timer.events", 0] = 0
    for command in (CancelTimer(order_id="order-b", actor=PLATFORM, timer_id="b"), refused_schedule("c", 10)):
        clockwork.send(command)
    await clockwork.loop.step(await clockwork.source.take(0))
    clockwork.bus.now = at(11)
    await clockwork.loop.step([])
    while await clockwork.loop.outbox.publish():
        pass
    assert clockwork.rung == ["a"]
    assert clockwork.bus.records("timer.events") == []


async def test_a_database_that_was_put_back_loses_no_alarm_and_rings_again(clockwork: Clockwork) -> None:
    """What was set since it reads again, and a bell that comes twice wakes twice, and does nothing else."""
    await clockwork.arm(("a", 10), ("b", 20))
    backup = copy.deepcopy((clockwork.store.shards, clockwork.table))
    await clockwork.arm(("c", 11), ("d", 30), ("b", 40))
    await clockwork.wait(12)
    assert clockwork.rung == ["a", "c"]

    clockwork.store.shards, clockwork.table = backup
    await clockwork.start()
    assert clockwork.loop.problems.told() == []
    await clockwork.wait(35)
    assert clockwork.rung[2:] == ["a", "c", "d"]
    await clockwork.wait(50)
    assert clockwork.rung[5:] == ["b"]


async def test_what_was_armed_in_silence_since_is_armed_again_when_the_database_is_put_back_under_it(
    clockwork: Clockwork,
) -> None:
    """No event shows it. Else what lies in memory alone would be gone with the process."""
    await clockwork.arm(("a", 10))
    shards, table = copy.deepcopy((clockwork.store.shards, clockwork.table))
    await clockwork.arm(("b", 20))
    clockwork.store.shards, clockwork.table.timers = shards, table.timers
    clockwork.send(schedule("c", 30))
    assert not await clockwork.loop.step(await clockwork.source.take(0))
    await clockwork.start()
    await clockwork.wait(40)
    assert clockwork.rung == ["a", "b", "c"]


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["arm", "cancel", "wait", "restart", "arm"]), st.integers(0, 11), st.integers(-5, 40)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
async def test_whatever_is_armed_moved_and_cancelled_rings_as_a_simple_list_would(steps: Sequence[Step]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "PAGE", 4)
        patch.setattr(projection, "FIRE_AT_ONCE_MAX", 3)
        patch.setattr(projection, "SWEEP_EVERY", 2)
        clockwork = Clockwork()
        await clockwork.start()
        now, pending, expected = 0, dict[str, int](), list[tuple[str, int]]()
        for kind, number, seconds in [*steps, ("wait", 0, 1_000)]:
            name = f"t{number}"
            match kind:
                case "arm":
                    pending[name] = now + seconds
                    await clockwork.arm((name, now + seconds))
                case "cancel":
                    pending.pop(name, None)
                    await clockwork.cancel(name)
                case "restart":
                    await clockwork.start()
            now += max(seconds, 1) if kind == "wait" else 1
            await clockwork.wait(now - 0.5)  # all instants are whole seconds: nobody is in doubt whether one has passed
            due = [one for one in pending.items() if one[1] < now - 0.5]
            expected += due
            for rung, _ in due:
                del pending[rung]
        bells = [(bell.timer_id, round((bell.due_at - START).total_seconds())) for bell in clockwork.bells()]
        assert sorted(bells) == sorted(expected)
