"""SIGKILL, by the container engine, in the midst of it."""

import asyncio

from tests.e2e.containers import PARTS
from tests.e2e.trial import Trial

MIDST_SECONDS = 0.5


async def test_every_container_is_killed_and_nothing_is_lost(trial: Trial) -> None:
    for name in (*PARTS, "kafka", "postgres"):
        trial.begin()
        await asyncio.sleep(MIDST_SECONDS)
        await trial.kill(trial.stack.parts[name])

    await trial.assert_nothing_was_lost()
