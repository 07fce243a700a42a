"""Time that jumps is time all the same."""

import asyncio
from itertools import count

import pytest

from tests.simulation.virtual_time import Deadlock, Livelock, run


def test_two_months_pass_at_once() -> None:
    async def wait() -> float:
        await asyncio.sleep(60 * 86_400)
        return asyncio.get_running_loop().time()

    assert run(wait()) == 60 * 86_400


def test_who_sleeps_until_an_instant_never_wakes_before_it() -> None:
    async def wait() -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1e7 + 1 / 3)
        until = loop.time() + 1e-7
        await asyncio.sleep(until - loop.time())
        return loop.time() >= until

    assert run(wait())


def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    async def wait() -> list[int]:
        woken: list[int] = []

        async def sleeper(number: int, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(number)

        await asyncio.gather(sleeper(1, 3), sleeper(2, 0), sleeper(3, 2), sleeper(4, 3))
        return woken

    assert run(wait()) == [2, 3, 1, 4]


def test_a_timeout_is_over_when_its_time_is() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(wait()) == 3


def test_waiting_for_ever_is_a_deadlock() -> None:
    with pytest.raises(Deadlock):
        run(asyncio.Event().wait())


def test_never_letting_time_pass_is_a_livelock() -> None:
    async def spin() -> None:
        for _ in count():
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        run(spin())
