"""A topic is made anew, a database is put back: a real service serves nothing that does not fit, and says so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from confluent_kafka.admin import NewPartitions

from deploy.local.processes import free_port
from deploy.local.stack import ServiceProcess, Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import all_topics
from tests.faults.test_health import ask, told
from tests.support.commands import command
from tests.support.topics import header, producer, read_all
from tests.support.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 60
SHIPPED = {"carrier": "Cainiao", "tracking_number": "LP-1"}


@dataclass
class Shop:
    """The order service alone, with one shard, on topics and a database of its own."""

    stack: Stack
    prefix: str
    database_url: str
    port: int
    given: int = 0

    @property
    def process(self) -> ServiceProcess:
        return self.stack.services["order"]

    async def give(self, commands: int) -> list[str]:
        """Of orders that there are not: each is refused, which is an answer. Their ids."""
        ids = [f"c{number}" for number in range(self.given, self.given + commands)]
        self.given += commands
        async with producer(self.stack.bootstrap_servers) as to:
            for id_ in ids:
                given = command("order.ship.v1", "order-1", "seller", "bruno", SHIPPED, id_)
                await to.send_and_wait(self.prefix + given.topic, given.value, given.key, 0, headers=given.headers)
        return ids

    async def answered(self) -> list[str]:
        records = await read_all(self.stack.bootstrap_servers, [self.prefix + "order.events"])
        return [header(record, "ce_causationid") for record in records]

    async def answers(self, ids: list[str]) -> bool:
        async def all_are() -> bool:
            return set(ids) <= set(await self.answered())

        return await until("the commands are answered", all_are, PATIENCE_SECONDS)

    async def make_anew(self, topic: str) -> None:
        name = self.prefix + topic
        admin = await connect({"bootstrap.servers": self.stack.bootstrap_servers}, seconds=10)
        await answers(admin.delete_topics([name]))

        async def gone() -> bool:
            return name not in admin.list_topics(timeout=5).topics

        await until("the topic is gone", gone, within=20)
        await create_topics(
            self.stack.bootstrap_servers, [one for one in all_topics(self.prefix, partitions=1) if one.name == name]
        )

    async def sql(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def back_up(self) -> None:
        database = urlsplit(self.database_url).path[1:]
        await self.sql(f"CREATE DATABASE {database}_backup TEMPLATE {database}")

    async def put_back(self) -> None:
        database = urlsplit(self.database_url).path[1:]
        await self.sql(f"DROP DATABASE {database} WITH (FORCE)")
        await asyncio.sleep(2)  # who asks meanwhile is told that there is no such database
        await self.sql(f"ALTER DATABASE {database}_backup RENAME TO {database}")


@pytest.fixture
async def shop(stack: Stack, database_url: str) -> AsyncIterator[Shop]:
    prefix, port = f"worlds-{uuid4().hex[:8]}.", free_port()
    await create_topics(stack.bootstrap_servers, all_topics(prefix, partitions=1))
    settings = {
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_PARTITIONS": "1",
        "RECOURSE_DATABASE_URL": database_url,
        "RECOURSE_HTTP_PORT": str(port),
        "RECOURSE_TOPICS_LOOK_SECONDS": "1",
    }
    await stack.start_services(["order"], settings)
    yield Shop(stack, prefix, database_url, port)
    await stack.services.pop("order").stop()


async def test_a_topic_that_is_made_anew_is_not_read_and_its_service_says_so(shop: Shop) -> None:
    before = await shop.give(3)
    assert await shop.answers(before)
    assert (await told(shop.port))["problems"] == []
    await shop.make_anew("order.commands")
    await told(shop.port, "a-topic-was-made-anew")
    await shop.give(9)  # beyond where it stood
    await asyncio.sleep(2)
    assert await shop.answered() == before

    await shop.process.kill()
    shop.process.launch()
    assert "order.commands" in await told_when_up(shop.port, "a-topic-was-made-anew")
    await asyncio.sleep(2)
    assert await shop.answered() == before


async def test_a_topic_that_is_made_anew_while_its_service_is_away_is_not_read(shop: Shop) -> None:
    before = await shop.give(3)
    assert await shop.answers(before)
    await shop.process.stop()
    await shop.make_anew("order.commands")
    await shop.give(9)
    shop.process.launch()
    await told_when_up(shop.port, "a-topic-was-made-anew")
    assert await shop.answered() == before


async def test_a_database_that_was_put_back_says_nothing_and_its_service_says_why(shop: Shop) -> None:
    assert await shop.answers(await shop.give(3))
    await shop.process.stop()
    await shop.back_up()
    await shop.process.start()
    assert await shop.answers(await shop.give(3))
    await shop.process.stop()
    await shop.put_back()
    said = await shop.answered()
    shop.process.launch()
    sentence = await told_when_up(shop.port, "the-database-is-older-than-the-bus")
    assert sentence.endswith("has number 6 of this shard, and the database goes to 3: it is older.")
    await shop.give(3)
    await asyncio.sleep(2)
    assert await shop.answered() == said


async def test_a_database_that_is_put_back_while_its_service_runs_says_nothing(shop: Shop) -> None:
    assert await shop.answers(await shop.give(3))
    await shop.process.stop()
    await shop.back_up()
    await shop.process.start()
    assert await shop.answers(await shop.give(3))
    said = await shop.answered()
    await shop.put_back()
    await told(shop.port, "the-database-is-older-than-the-bus")
    await shop.give(3)
    await asyncio.sleep(2)
    assert await shop.answered() == said


async def test_partitions_that_are_added_are_noticed(shop: Shop) -> None:
    admin = await connect({"bootstrap.servers": shop.stack.bootstrap_servers}, seconds=10)
    await answers(admin.create_partitions([NewPartitions(shop.prefix + "order.commands", 2)]))

    async def noticed() -> str:
        _, text = await asyncio.to_thread(ask, shop.port, "/health")
        return "another-number-of-partitions" if "#another-number-of-partitions" in text else ""

    assert await until("it is noticed", noticed, PATIENCE_SECONDS, every=1)
    assert await shop.answers(await shop.give(1)), "what lies where it belongs is handled"


async def told_when_up(port: int, recipe: str) -> str:
    """In which sentence."""

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await until("the service listens", answers, PATIENCE_SECONDS)
    problems = (await told(port, recipe))["problems"]
    return next(str(one["problem"]) for one in problems if one["recipe"].endswith(f"#{recipe}"))
