"""What is left after a fault, looked at until all is well."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.faults import checks

SETTLING_SECONDS = 240
"""How long the last letter and the last alarm may take after the last order has ended."""


async def settled(look: Callable[[], Awaitable[checks.World]]) -> tuple[checks.World, list[str]]:
    """Looks until all is well, or for so long that it will not be."""
    until = time.monotonic() + SETTLING_SECONDS
    while True:
        world = await look()
        problems = checks.problems(world)
        if not problems or time.monotonic() > until:
            return world, problems
        await asyncio.sleep(2)
