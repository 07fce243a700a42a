"""PostgreSQL's disk is full while commands go on; a server that stops itself is started again, as by compose."""

import asyncio

from tests.e2e.trial import Trial

FULL = "No space left on device"
OUTAGE = "outage: database"
LONGER_SECONDS = 3
"""The disk stays full for so long after the first service has felt it."""


async def test_a_full_disk_is_waited_out_and_nothing_is_lost(trial: Trial) -> None:
    stack, order = trial.stack, trial.stack.services["order"]
    outages = await order.times_said(OUTAGE)
    async with trial.flowing():
        try:
            await asyncio.to_thread(stack.fill_disk)
            trial.faults["out of disk space"] += 1
            await stack.postgres.until_said(FULL, 1)
            await order.until_said(OUTAGE, outages + 1)
            await asyncio.sleep(LONGER_SECONDS)
        finally:
            await asyncio.to_thread(stack.free_disk)

    await trial.assert_nothing_was_lost()
