"""What a lifecycle costs each service in Python, and at which stage: played in memory, many at a time, without servers.

Played twice: for its time, and under cProfile for the calls and for how the time is shared out. What stands for
PostgreSQL and Kafka here are lists; what their clients cost is seen by `make bench ONLY=lifecycle` alone.
"""

import cProfile
import json
import pstats
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from deploy.memory import MemoryPaymentService
from schemas.wire import MEDIATORS_KEY
from services.composition import DECIDERS, compose
from shared.kernel.ports import Record
from shared.kernel.stream import handle
from shared.rules import policies
from shared.runtime.batch import Batch
from shared.runtime.intake import Intake
from shared.runtime.loading import load
from shared.runtime.memory import MemoryStore, World
from shared.runtime.outbox import Outbox
from shared.runtime.shard_loop import ShardLoop
from tests.bench.driver import MEDIATORS
from tests.bench.load import given
from tests.bench.sizes import Sizes
from tests.bench.steps import person, steps
from tests.support.commands import Given

STAGES: Mapping[str, Sequence[Callable[..., Any]]] = {
    "decode": [Intake.read],
    "load": [load],
    "handle": [handle],
    "store": [Batch.store, Batch.commit, MemoryStore.commit],
    "publish": [Outbox.publish],
}
PAYMENTS = 3
"""What the buyer pays, what he gets back, what the seller gets."""
PAUSE = timedelta(seconds=1)
"""Between one command and the next."""


@dataclass(frozen=True)
class Share:
    """Of one service, per lifecycle. `stages`: µs of those in STAGES; the rest is the loop itself."""

    inputs: float
    rows: float
    """Events that it stores."""
    calls: float
    us: float
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Profile:
    """Per lifecycle. `json_us`: µs to read and to write again each of its records, and nothing else."""

    shares: Mapping[str, Share]
    records: float
    json_us: float


class _Meter:
    """Of one service: its CPU seconds, and with a profile its calls."""

    def __init__(self, profile: cProfile.Profile | None) -> None:
        self.seconds, self.profile = 0.0, profile

    def __enter__(self) -> Self:
        self._began = time.thread_time()
        if self.profile is not None:
            self.profile.enable()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.profile is not None:
            self.profile.disable()
        self.seconds += time.thread_time() - self._began


class _Metered(World):
    """Each service's turns are metered, once there are meters."""

    meters: Mapping[str, _Meter] | None = None

    async def turn(self, loop: ShardLoop, records: Sequence[Record]) -> None:
        with self.meters[loop.decider.service] if self.meters else nullcontext():
            await super().turn(loop, records)


async def measure(sizes: Sizes) -> Profile:
    """Raises RuntimeError if money has not moved as often as it should."""
    timed = {service: _Meter(None) for service in DECIDERS}
    profiled = {service: _Meter(cProfile.Profile()) for service in DECIDERS}
    await _play(sizes, timed)
    world = await _play(sizes, profiled)
    shares = {}
    for loop in world.loops:
        service = loop.decider.service
        rows = sum(len(shard.events) for shard in world.stores[service].shards.values())
        shares[service] = _share(timed[service], profiled[service], loop.handled, rows, sizes.lives)
    values = [record.value for log in world.bus.logs.values() for record in log if record.value]
    began = time.thread_time()
    for value in values:
        json.dumps(json.loads(value))
    return Profile(shares, len(values) / sizes.lives, (time.thread_time() - began) / sizes.lives * 1e6)


async def _play(sizes: Sizes, meters: Mapping[str, _Meter]) -> World:
    """All lifecycles give their first command, then all their second one …, so many at a time."""
    world = _Metered(policies.load(), sizes.partitions)
    await compose(world)
    world.external_systems.append(MemoryPaymentService(world.bus))
    for name in MEDIATORS:
        wish = {"mediator_id": name, "capacity": 1_000}
        _say(world, given("mediation.register_mediator.v1", MEDIATORS_KEY, "operator", "olga", wish))
    await world.settle()
    world.meters = meters
    for begin in range(0, sizes.lives, sizes.at_once):
        numbers = range(begin, min(begin + sizes.at_once, sizes.lives))
        lives = {f"life-{number}": (number, steps(f"life-{number}", number)) for number in numbers}
        for turn in range(len(steps("", 0))):
            assigned = world.bus.records("mediation.events") if steps("", 0)[turn].role == "mediator" else []
            mediators = {
                (record.key or b"").decode(): json.loads(record.value or b"")["mediator"]["id"]
                for record in assigned
                if dict(record.headers)["ce_type"] == b"mediation.assigned.v1"
            }
            for order_id, (number, life) in lives.items():
                step = life[turn]
                who = mediators[order_id] if step.role == "mediator" else person(number, step.role)
                _say(world, given(f"{step.command}.v1", order_id, step.role, who, step.data))
            await world.settle()
            world.bus.now += PAUSE
    paid = len(world.bus.records("payments.events"))
    if paid != PAYMENTS * sizes.lives:
        raise RuntimeError(f"{sizes.lives} lifecycles have moved money {paid} times, not {PAYMENTS} times each")
    return world


def _say(world: World, command: Given) -> None:
    world.bus.append(command.topic, command.key, command.value, command.headers)


def _share(timed: _Meter, profiled: _Meter, inputs: int, rows: int, lives: int) -> Share:
    """The profile says how the time is shared out, and not how much it is: it makes every call dearer."""
    stats: Any = pstats.Stats(profiled.profile)
    scale = timed.seconds / stats.total_tt / lives * 1e6
    stages = {
        stage: sum(stats.stats.get(_key(function), (0, 0, 0.0, 0.0))[3] for function in functions) * scale
        for stage, functions in STAGES.items()
    }
    return Share(inputs / lives, rows / lives, stats.total_calls / lives, timed.seconds / lives * 1e6, stages)


def _key(function: Callable[..., Any]) -> tuple[str, int, str]:
    """As a profile names it."""
    code = function.__code__
    return code.co_filename, code.co_firstlineno, code.co_name


def report(found: Profile) -> str:
    """A line for each service: per lifecycle."""
    titles = ("inputs", "rows", "calls", "µs", *STAGES, "rest")
    lines = [f"{'a lifecycle':14}" + "".join(f"{title:>9}" for title in titles)]
    rows = {
        name: [share.inputs, share.rows, share.calls, share.us, *stages, share.us - sum(stages)]
        for name, share in found.shares.items()
        for stages in [[*share.stages.values()]]
    }
    for name, row in [*rows.items(), ("all", [sum(column) for column in zip(*rows.values(), strict=True)])]:
        lines.append(f"{name:14}{row[0]:>9.1f}{row[1]:>9.1f}" + "".join(f"{value:>9,.0f}" for value in row[2:]))
    lines.append(
        f"{found.records:.1f} records: to read and write their JSON, and nothing else, takes {found.json_us:,.0f} µs"
    )
    return "\n".join(lines)
