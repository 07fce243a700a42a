"""Waiting for what tells nobody when it comes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


async def until(
    what: str, condition: Callable[[], Awaitable[Found | None]], within: float = 30.0, every: float = 0.05
) -> Found:
    """Asks again and again, and returns the first answer that is not empty. Raises TimeoutError, with what was waited
    for, when there is none within so many seconds."""
    patient_until = time.monotonic() + within
    while not (found := await condition()):
        if time.monotonic() > patient_until:
            raise TimeoutError(f"waited in vain until {what}")
        await asyncio.sleep(every)
    return found


async def until_true(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError."""

    async def holds() -> bool:
        return condition()

    await until("it came about", holds, within=10, every=0.005)
