"""A rule with a bug, on the real stack: its order waits, all others go on, and once it is mended nothing was lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord

from deploy.local.stack import Stack
from shared.runtime.postgres.database import connect
from tests.faults import broken
from tests.faults.market import Market, Order, confirmed
from tests.support.commands import command
from tests.support.topics import header, read_all
from tests.support.waiting import until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
]

PARKED = "parked: ZeroDivisionError: its order waits for a fix, with what follows"
PATIENCE_SECONDS = 120.0
SHIPPED = {"carrier": "Cainiao", "tracking_number": "LP-1"}


@pytest.fixture
def bug(tmp_path: Path) -> Path:
    """As long as this file is there."""
    (tmp_path / "bug").touch()
    return tmp_path / "bug"


@pytest_asyncio.fixture(loop_scope="module")
async def stack(bug: Path) -> AsyncIterator[Stack]:
    """Of one partition: every order is on the shard that has trouble."""
    async with Stack(own_servers=True, partitions=1) as stack:
        settings = {"RECOURSE_PARTITIONS": "1"}
        await stack.start_services(["order", "refund", "timer"], settings)
        order = stack.services["order"]
        await order.stop()
        order.launch(through=["tests.faults.broken"], env={broken.VARIABLE: str(bug)})
        await order.ready()
        yield stack


async def reasons(stack: Stack, count: int) -> list[str]:
    """Why records were set aside, once there are so many, or too many."""

    async def letters() -> list[ConsumerRecord]:
        found = await read_all(stack.bootstrap_servers, ["order.dead-letters"])
        return found if len(found) >= count else []

    found = await until(f"{count} records are set aside", letters, PATIENCE_SECONDS)
    return [header(record, "x-dead-letter-reason") for record in found]


def said_of(order: Order) -> list[str]:
    """By the order service; that somebody repeats himself apart, which some of the market always do."""
    said = [seen.type for seen in order.heard if seen.type.startswith("order.")]
    return [type_ for type_ in said if type_ != "order.repeated"]


@pytest.mark.timeout(300)
async def test_a_bug_stops_one_order_until_it_is_mended_and_no_other(stack: Stack, bug: Path) -> None:
    async with Market(stack.bootstrap_servers) as market:

        async def gives(order: Order, name: str, role: str, **data: object) -> None:
            """Without waiting for an answer."""
            await market.send(command(f"{name}.v1", order.id, role, order.person(role), data))

        async def passes(name: str) -> None:
            lucky = market.order(name, "aliexpress")
            await confirmed(lucky)
            await lucky.ends()

        unlucky = [market.order(f"{broken.UNLUCKY}-{number}", "aliexpress") for number in (1, 2)]
        for order in unlucky:
            await order.place()
            await gives(order, "order.ship", "seller", **SHIPPED)
            await gives(order, "order.confirm_receipt", "buyer")
        await passes("lucky-1")
        assert set(await reasons(stack, 2)) == {PARKED}

        await gives(unlucky[0], "order.resume", "operator")
        told = await reasons(stack, 3)
        assert set(told) == {PARKED}, "the bug is still there, and who asks is told"
        await passes("lucky-2")
        assert [said_of(order) for order in unlucky] == [["order.placed", "order.paid"]] * 2, "they wait"

        await asyncio.to_thread(bug.unlink)
        await gives(unlucky[0], "order.resume", "operator")
        await unlucky[0].ends()
        whole = ["order.placed", "order.paid", "order.shipped", "order.receipt_confirmed", "order.lines_released"]
        assert said_of(unlucky[0])[:5] == whole
        assert sorted(said_of(unlucky[0])[5:]) == ["order.completed", "order.resumed", "order.resumed"]
        await passes("lucky-3")
        assert said_of(unlucky[1]) == ["order.placed", "order.paid"], "nobody asked for it"

        service = stack.services["order"]  # the fix is deployed
        await service.stop()
        await service.start()
        await unlucky[1].ends()
        assert said_of(unlucky[1]) == [*whole, "order.completed"]
        assert set(await reasons(stack, len(told))) == {PARKED}


@pytest.mark.timeout(300)
async def test_what_the_database_refuses_for_one_order_stops_that_order_alone(stack: Stack, bug: Path) -> None:
    """A constraint stands for whatever PostgreSQL will not take."""
    await asyncio.to_thread(bug.unlink)
    database = await connect(stack.database_url, "order", "test")
    await database.execute("ALTER TABLE event ADD CONSTRAINT refused CHECK (order_id <> 'refused')")
    async with Market(stack.bootstrap_servers) as market:
        refused = market.order("refused", "aliexpress")
        placing = asyncio.create_task(refused.place())
        for number in range(3):
            lucky = market.order(f"lucky-{number}", "aliexpress")
            await confirmed(lucky)
            await lucky.ends()
        [reason, *_] = await reasons(stack, 1)
        assert reason.startswith("parked: Unstorable: database: CheckViolationError (23514, event, refused)")
        assert refused.heard == []

        await database.execute("ALTER TABLE event DROP CONSTRAINT refused")
        await market.send(command("order.resume.v1", refused.id, "operator", "olga", {}))
        await placing
        assert said_of(refused)[0] == "order.placed"
    await database.close()
