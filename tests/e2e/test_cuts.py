"""One of two order containers is cut off from one server and still reaches the other."""

import asyncio

import pytest

from tests.e2e.containers import READY_SECONDS, Part
from tests.e2e.trial import Trial
from tests.support.waiting import until

LEAVES = "the broker does not answer: leaving the shards to others"
RETURNS = "the broker answers again"
FENCED = "fenced: another process owns these shards now"
GIVEN_UP = "outage: database: TimeoutError"


@pytest.fixture
async def second(trial: Trial) -> Part:
    """Holds half of the shards."""
    await trial.stack.start_services(["order#2"])
    await trial.stack.until_shared("order", "order", "order#2")
    return trial.stack.services["order#2"]


async def test_who_is_cut_off_from_kafka_leaves_his_shards_to_the_other(trial: Trial, second: Part) -> None:
    stack, cut_off = trial.stack, second
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


async def test_who_is_cut_off_from_postgres_is_replaced_and_does_nothing_when_he_returns(
    trial: Trial, second: Part
) -> None:
    stack, zombie = trial.stack, second

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
        await until("the zombie finds its work void", came_to_nothing, READY_SECONDS)
        await stack.until_shared("order", "order", "order#2")

    await trial.assert_nothing_was_lost()
