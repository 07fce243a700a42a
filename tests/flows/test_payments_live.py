"""The quick rows of the same table on the real stack: Kafka, PostgreSQL, and the payment service as a process that is
killed meanwhile; and the sandbox, which knows one row of it (N7)."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from deploy.payments.provider import Provider
from deploy.payments.records import answers
from deploy.setup.topics import create_topics
from deploy.stories.live import LiveStage
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentEvent
from schemas.topics import all_topics
from tests.flows.payments import CAPTURED, SCENARIOS, assert_as_told, ended, refunded
from tests.support.topics import read_all

PARTITIONS = 2
PATIENCE = timedelta(seconds=30)
AFTERWARDS = timedelta(seconds=2)

QUICK = {
    f"order-{number}": scenario
    for number, scenario in enumerate(SCENARIOS)
    if scenario.stages.count("processing") <= 2 and scenario.stages.count("failed") <= 2
}
"""The first two silences take ten seconds each, the first two failures one and six."""


@pytest.mark.stack
@pytest.mark.rule("N7")
@pytest.mark.timeout(240)
async def test_what_becomes_of_a_movement_for_real(stack: Stack, database_url: str) -> None:
    prefix = f"payments-{uuid4().hex[:8]}."
    await create_topics(stack.bootstrap_servers, all_topics(prefix, PARTITIONS))
    env = {
        "RECOURSE_DATABASE_URL": database_url,
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_PARTITIONS": str(PARTITIONS),
    }
    try:
        await stack.start_services(["order", "timer", "refund"], env | {"RECOURSE_REFUND_PROVIDER": "sandbox"})
        async with LiveStage(stack.bootstrap_servers, prefix=prefix) as stage:
            by_sandbox = await refunded(stage, "by-sandbox", "answer")
            await ended(by_sandbox, "refund", within=timedelta())
            await stack.services["refund"].stop()

            await stack.start_services(["refund", "payments"], env | {"RECOURSE_REFUND_PROVIDER": "topic"})
            begun = await asyncio.gather(*(refunded(stage, order_id, one.script) for order_id, one in QUICK.items()))
            await stage.sleep(timedelta(seconds=1))  # some answers are given, others on their way or held back
            await stack.services["payments"].kill()
            await stack.services["payments"].start()
            await asyncio.gather(*(ended(case, "refund", within=PATIENCE) for case in begun))
            await stage.sleep(AFTERWARDS)
    finally:
        for name in ("payments", "refund", "timer", "order"):
            if name in stack.services:
                await stack.services.pop(name).stop()

    provider = Provider()  # its book, made of its journal as it does itself
    for call in await read_all(stack.bootstrap_servers, [prefix + PaymentCommand.topic]):
        answers(provider, call)
    for case in begun:
        assert_as_told(QUICK[case.order_id], case, "refund", provider.moved)
    assert_as_told(SCENARIOS[0], by_sandbox, "refund", provider.moved)
    assert await booked(database_url) == {
        "by-sandbox": CAPTURED,
        **{order_id: CAPTURED * (one.ends == "settled") for order_id, one in QUICK.items()},
    }
    paid = [
        json.loads(record.value) for record in await read_all(stack.bootstrap_servers, [prefix + PaymentEvent.topic])
    ]
    assert (
        Counter(answer["order_id"] for answer in paid)["by-sandbox"] == 2
    )  # its capture and its refund: the next provider repeated neither


async def booked(database_url: str) -> dict[str, int]:
    """What the buyer of each order has, by the refund service's ledger."""
    connection = await asyncpg.connect(database_url)
    try:
        return dict(await connection.fetch("SELECT order_id, refunded_minor FROM refund.ledger_order"))
    finally:
        await connection.close()
