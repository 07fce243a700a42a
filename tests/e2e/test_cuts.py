"""One of two order containers is cut off from one server and still reaches the other."""

import asyncio

from tests.e2e.containers import until
from tests.e2e.trial import Trial

LEAVES = "the broker does not answer: leaving the shards to others"
RETURNS = "the broker answers again"
FENCED = "fenced: another process owns these shards now"
GIVEN_UP = "outage: database: TimeoutError"


async def test_who_is_cut_off_from_kafka_leaves_his_shards_to_the_other(trial: Trial) -> None:
    stack = trial.stack
    await stack.start_services(["order#2"])
    await stack.until_shared("order", "order", "order#2")
    cut_off = stack.services["order#2"]
    async with trial.flowing():
        await asyncio.to_thread(stack.to_kafka.cut, cut_off)
        trial.faults["cut off from Kafka"] += 1
        await stack.until_shared("order", "order")
        trial.begin()
        await trial.unhurried.end()
        await asyncio.to_thread(stack.to_kafka.mend, cut_off)
        await stack.until_shared("order", "order", "order#2")
        trial.begin()

    assert await cut_off.times_said(LEAVES) > 0
    assert await cut_off.times_said(RETURNS) > 0
    await trial.assert_nothing_was_lost()


async def test_who_is_cut_off_from_postgres_is_replaced_and_does_nothing_when_he_returns(trial: Trial) -> None:
    stack = trial.stack
    await stack.start_services(["order#2"])
    await stack.until_shared("order", "order", "order#2")
    zombie = stack.services["order#2"]

    async def came_to_nothing() -> bool:
        """What it had in hand when it was cut off met a newer epoch, or it was given up when no answer came."""
        return await zombie.times_said(FENCED) + await zombie.times_said(GIVEN_UP) > 0

    async with trial.flowing():
        await asyncio.to_thread(stack.to_postgres.cut, zombie)
        trial.faults["cut off from PostgreSQL"] += 1
        await stack.until_shared("order", "order")
        trial.begin()
        await trial.unhurried.end()
        await asyncio.to_thread(stack.to_postgres.mend, zombie)
        await until("the zombie finds its work void", came_to_nothing)
        await stack.until_shared("order", "order", "order#2")

    await trial.assert_nothing_was_lost()
