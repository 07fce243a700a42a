"""An event loop whose clock jumps: when nothing is ready it is the next timer's instant, at once.

Everything asyncio offers works in it (`sleep`, `timeout`, locks, events), nothing real does (no sockets, no threads, no
signals). The same coroutines do the same in every run: what is ready runs in the order in which it became so.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from math import ceil
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TICK = 2.0**-20
"""Virtual time moves by whole ticks of about a microsecond, which floats add without an error: who sleeps until an
instant wakes at it or after it, never a hair before."""
STEPS_AT_ONCE_MAX = 20_000
"""More rounds than this at one instant are two tasks that wake each other for ever."""


class Deadlock(AssertionError):
    """Nothing is ready, no timer runs: whoever waits would wait for ever."""


class Livelock(AssertionError):
    """Something is always ready, so time never passes."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` is in virtual seconds from 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._steps = 0
        self._selector = self
        self._clock_resolution = TICK / 2

    def time(self) -> float:
        return self._now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(ceil(when / TICK) * TICK, callback, *args, context=context)

    def select(self, timeout: float | None) -> Sequence[Any]:
        """What asyncio does between two rounds: it waits for the world, no longer than for its next timer."""
        self._steps += 1
        if timeout is None:
            raise Deadlock("nothing is ready and no timer runs")
        if timeout > 0:
            timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
            self._now, self._steps = max(self._now, timers[0].when()), 0
        if self._steps > STEPS_AT_ONCE_MAX:
            raise Livelock(f"still something ready after {self._steps} rounds at {self._now}")
        return ()

    def _process_events(self, events: Sequence[Any]) -> None:
        """There never are any."""

    def _write_to_self(self) -> None:
        """Nobody outside has to be heard."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end in virtual time; whatever it leaves behind is cancelled."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop._steps = 0
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.close()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
