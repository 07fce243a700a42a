"""A topic that takes no records, on the real stack: what is meant for it waits, and everything else goes out, once."""

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from deploy.local.processes import free_port
from deploy.local.stack import Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from shared.runtime.partitions import partition_of
from tests.faults.market import Market
from tests.support.believing import BELIEVING, folder_of
from tests.support.topics import header, how_many, producer, read_all
from tests.support.waiting import until

LETTERS = "order.dead-letters"
PARTITIONS = 3
LARGE = 50_000


class Shop:
    """An order of each partition, whose people say one thing after the other."""

    def __init__(self, stack: Stack, market: Market, admin: AdminClient, health: str) -> None:
        self.stack, self.market, self.admin, self.health = stack, market, admin, health
        names = {partition_of(f"order-{number}".encode(), PARTITIONS): f"order-{number}" for number in range(40)}
        self.orders = [market.order(names[partition], f"{BELIEVING}aliexpress") for partition in range(PARTITIONS)]

    async def everybody(self, name: str, role: str, expected: str, **data: Any) -> None:
        said = await asyncio.gather(*(order.says(name, role, **data) for order in self.orders))
        assert said == [expected] * PARTITIONS

    async def garbage(self, partition: int, size: int) -> None:
        """What a dead letter is written of."""
        async with producer(self.stack.bootstrap_servers) as to:
            await to.send_and_wait("order.commands", b"{" * size, self.orders[partition].id.encode(), partition)

    async def letters(self, count: int) -> list[tuple[int, int]]:
        """(partition, size of the value) of all that were written, once there are so many."""

        async def found() -> list[Any]:
            records = await read_all(self.stack.bootstrap_servers, [LETTERS])
            return records if len(records) >= count else []

        records = await until(f"there are {count} letters", found, within=60)
        return [(record.partition, len(record.value)) for record in records]

    async def problems(self) -> list[dict[str, str]]:
        def ask() -> list[dict[str, str]]:
            try:
                with urllib.request.urlopen(self.health, timeout=5) as answer:
                    told = json.load(answer)
            except urllib.error.HTTPError as unhealthy:
                told = json.load(unhealthy)
            return [problem for problem in told["problems"] if problem["place"].startswith("publishing ")]

        return await asyncio.to_thread(ask)

    async def until_well(self) -> None:
        async def well() -> bool:
            return not await self.problems()

        await until("it is well again", well, within=60)

    async def limit(self, most: int) -> None:
        changed = ConfigEntry("max.message.bytes", str(most), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, LETTERS, incremental_configs=[changed])
        await answers(self.admin.incremental_alter_configs([resource]))

    async def said_twice(self) -> Counter[str]:
        records = await read_all(self.stack.bootstrap_servers, ["order.events", "timer.commands"])
        ids = Counter(f"{record.topic} {header(record, 'ce_id')}" for record in records)
        return Counter({one: times for one, times in ids.items() if times > 1})


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_a_topic_that_takes_no_records_holds_up_nothing_else_and_all_goes_out_once_it_is_back() -> None:
    port = free_port()
    async with Stack(own_servers=True, partitions=PARTITIONS) as stack:
        settings = {"RECOURSE_PARTITIONS": str(PARTITIONS), "RECOURSE_HTTP_PORT": str(port)}
        await stack.start_services(["order"], settings | folder_of(stack.folder / "policies"))
        admin = await connect({"bootstrap.servers": stack.bootstrap_servers}, seconds=10)
        async with Market(stack.bootstrap_servers) as market:
            shop = Shop(stack, market, admin, f"http://127.0.0.1:{port}/health")
            await asyncio.gather(*(order.place() for order in shop.orders))

            await answers(admin.delete_topics([LETTERS]))
            await shop.garbage(0, 10)
            await shop.everybody("order.ship", "seller", "order.shipped", carrier="Cainiao", tracking_number="LP-1")
            [problem] = await until("the problem is told", shop.problems, within=60)
            assert problem["place"] == f"publishing {LETTERS}/0"
            await shop.everybody("order.confirm_receipt", "buyer", "order.receipt_confirmed")
            declared = [topic for topic in stack.topics if topic.name == LETTERS]
            await create_topics(stack.bootstrap_servers, declared)
            assert await shop.letters(1) == [(0, 10)]
            await shop.until_well()

            await shop.limit(1_000)
            await shop.garbage(1, LARGE)
            await shop.garbage(1, 10)
            await shop.garbage(2, 10)
            assert sorted(await shop.letters(2)) == [(0, 10), (2, 10)], (
                "behind the one that is too large waits the other"
            )
            [problem] = await until("the problem is told", shop.problems, within=60)
            assert "MessageSizeTooLarge" in problem["problem"]
            await shop.everybody("order.ship", "seller", "wrong_state", carrier="Cainiao", tracking_number="LP-1")
            await shop.limit(1_000_000)
            assert sorted(await shop.letters(4)) == [(0, 10), (1, 10), (1, LARGE), (2, 10)]
            await shop.until_well()
        assert await how_many(stack.bootstrap_servers, [LETTERS]) == 4
        assert await shop.said_twice() == {}
