"""The sandbox provider on a real Kafka and PostgreSQL: answers where the platform's payment service would (N7)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.payments.commands import PayBack, PaymentCommand, QueryPayment
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.topics import all_topics
from schemas.wire import Actor
from services import refund
from services.refund.gateway import Sandbox
from shared.kernel.codec import header
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.settings import Settings
from tests.support import topics
from tests.support.commands import headers

pytestmark = [pytest.mark.stack, pytest.mark.rule("N7")]

PARTITIONS, PARTITION = 2, 1
ABOUT: dict[str, Any] = {"order_id": "order-1", "actor": Actor(role="platform", id="refund")}
PAY = PayBack(payment_key="s1/refund", payment_id="pay-1", currency="EUR", amount_minor=700, **ABOUT)
ASK = QueryPayment(payment_key="s1/refund", **ABOUT)
ASK_ANOTHER = QueryPayment(payment_key="s2/refund", **ABOUT)


@pytest.fixture
async def settings(stack: Stack, database_url: str) -> Settings:
    prefix = f"sandbox-{uuid4().hex[:8]}."
    payments = [topic for topic in all_topics(prefix, PARTITIONS) if topic.name.startswith(f"{prefix}payments.")]
    await create_topics(stack.bootstrap_servers, payments)
    await migrate(database_url, "refund", [KERNEL_MIGRATIONS, Path(refund.__path__[0]) / "migrations"])
    return Settings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        database_url=database_url,
        topic_prefix=prefix,
        partitions=PARTITIONS,
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(settings.database_url, "refund", 2)
    running = asyncio.create_task(Sandbox(settings, pool).run())
    yield pool
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await pool.close()


async def test_commands_are_answered_once_in_effect_also_by_the_next_process(settings: Settings) -> None:
    async with running(settings):
        await send(settings, [("c1", PAY), ("c2", ASK), ("c3", ASK_ANOTHER)])
        paid, told, unknown = await answers(settings, 3)

    assert header(paid.headers, "ce_type") == PaymentSettled.type
    settled = PaymentSettled.model_validate_json(paid.value)
    assert (settled.order_id, settled.payment_key) == ("order-1", "s1/refund")
    assert (settled.currency, settled.amount_minor) == ("EUR", 700)
    assert (paid.partition, paid.key) == (PARTITION, b"order-1")
    assert header(paid.headers, "ce_causationid") == "c1"
    assert header(paid.headers, "ce_correlationid") == "the-first-command"
    assert (told.value, header(told.headers, "ce_causationid")) == (paid.value, "c2")
    assert header(unknown.headers, "ce_type") == PaymentFailed.type
    assert PaymentFailed.model_validate_json(unknown.value).code == "unknown_key"

    async with running(settings) as pool:  # what was acknowledged does not come again; what is repeated is known
        await send(settings, [("c1", PAY), ("c4", ASK)])
        *_, repeated, told_again = await answers(settings, 5)
        assert await pool.fetchval("SELECT count(*) FROM sandbox_payment") == 1

    assert repeated.value == told_again.value == paid.value
    assert header(repeated.headers, "ce_id") == header(paid.headers, "ce_id")
    assert header(told_again.headers, "ce_id") != header(paid.headers, "ce_id")


async def test_what_is_no_payment_command_holds_up_nothing(settings: Settings) -> None:
    async with running(settings):
        await send_raw(settings, [("x1", "payment.unheard_of.v1", b"{}"), ("x2", PAY.type, b"not json")])
        await send(settings, [("c5", ASK)])
        (told,) = await answers(settings, 1)

    assert header(told.headers, "ce_causationid") == "c5"
    assert await count(settings) == 1


async def send(settings: Settings, commands: list[tuple[str, PaymentCommand]]) -> None:
    await send_raw(settings, [(id_, command.type, command.model_dump_json().encode()) for id_, command in commands])


async def send_raw(settings: Settings, records: list[tuple[str, str, bytes]]) -> None:
    topic = f"{settings.topic_prefix}payments.commands"
    async with topics.producer(settings.kafka_bootstrap_servers) as to:
        for id_, type_, value in records:
            about = headers(type_, id_, correlationid="the-first-command")
            await to.send_and_wait(topic, value, b"order-1", partition=PARTITION, headers=about)


async def answers(settings: Settings, number: int) -> list[ConsumerRecord]:
    """The first so many on payments.events."""
    return await topics.first(settings.kafka_bootstrap_servers, f"{settings.topic_prefix}payments.events", number)


async def count(settings: Settings) -> int:
    """How many answers there are."""
    return await topics.how_many(settings.kafka_bootstrap_servers, [f"{settings.topic_prefix}payments.events"])
