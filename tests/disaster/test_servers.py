"""What was lost is put right, on real servers, while money moves: nobody is paid twice, nothing is stranded, and what
needs a person stands in a list. The full form runs by `make test-disaster`; `make test` has the first of them.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from schemas.topics import SERVICES
from tests.disaster.backup import Backup
from tests.disaster.losses import in_front_of_what_it_lacks, lose_all, lose_tails, make_anew
from tests.disaster.town import NOTICED_SECONDS, Operator, Town
from tests.faults import aftermath, checks
from tests.faults.market import SLOW, Traffic
from tests.support.topics import how_many
from tests.support.waiting import until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
]
FULL = bool(os.environ.get("RECOURSE_TEST_DISASTER"))
full = pytest.mark.skipif(not FULL, reason="the full form: make test-disaster")

GROUP = 9 if FULL else 5
"""So many orders at a time, each going the next of its ways: of nine ways all come in either form."""


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True) as stack:
        await stack.start_services(SERVICES)
        yield stack


class Rehearsal:
    """Orders before, in the midst of it and after; then everything is looked at."""

    def __init__(self, stack: Stack, town: Town) -> None:
        self.stack, self.town = stack, town
        self.operator = Operator(stack)
        self.traffic = Traffic(town, SLOW, GROUP)

    async def some_orders(self, seconds: float) -> None:
        self.traffic.begin()
        await asyncio.sleep(seconds)

    async def said(self, service: str) -> int:
        return await how_many(self.stack.bootstrap_servers, [f"{service}.events"])

    async def says_more(self, service: str, than: int) -> None:
        """What no backup of before knows."""

        async def more() -> bool:
            return await self.said(service) > than

        await until(f"{service} has said more", more, NOTICED_SECONDS, every=1)

    async def ends(self, say: pytest.CaptureFixture[str], but: str = "nothing") -> None:
        """`but`: what the verifier says though it is not so."""
        self.traffic.begin()
        await self.traffic.end()
        for service in self.stack.services.values():
            service.check()
        world, problems = await aftermath.settled(
            lambda: aftermath.what_is_left(aftermath.system(self.stack), self.town, self.stack.mailbox.messages),
            lambda world: [one for one in checks.problems(world) if but not in one],
        )
        with say.disabled():
            told = "\n".join(self.operator.told)
            print(f"\n{told}\n{aftermath.figures(self.town, world, problems)} Left for a person: {self.operator.left}")
        assert problems == []


@asynccontextmanager
async def rehearsal_of(stack: Stack) -> AsyncIterator[Rehearsal]:
    town = Town(stack.bootstrap_servers)
    async with town:
        await town.open()
        yield Rehearsal(stack, town)


@pytest.mark.timeout(900)
async def test_a_replica_is_promoted_that_lacks_the_last_commits(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """All databases at once, while all services run."""
    async with rehearsal_of(stack) as rehearsal:
        await rehearsal.some_orders(5)
        replica = Backup(stack.database_url, SERVICES)
        await replica.make()
        known = await rehearsal.said("order")
        await rehearsal.some_orders(3)
        await rehearsal.says_more("order", known)
        await replica.put_back()
        await rehearsal.some_orders(1)  # who has nothing to commit has nothing to notice
        await rehearsal.operator.sees_trouble(["order"], "the-database-is-older-than-the-bus")
        await rehearsal.operator.stops()
        for service in SERVICES:
            await rehearsal.operator.repairs("replay", service)
        await rehearsal.operator.starts()
        await rehearsal.ends(capsys)
        assert rehearsal.operator.left == []


@full
@pytest.mark.timeout(900)
async def test_a_database_is_restored_from_a_backup(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one service, that stood still meanwhile."""
    async with rehearsal_of(stack) as rehearsal:
        operator = rehearsal.operator
        await rehearsal.some_orders(5)
        backup = Backup(stack.database_url, ["refund"])
        await backup.make()
        known = await rehearsal.said("refund")
        await rehearsal.some_orders(15)
        await rehearsal.says_more("refund", known)
        await operator.stops(["refund"])
        await backup.put_back()
        await operator.starts(["refund"], ready=False)
        await operator.sees_trouble(["refund"], "the-database-is-older-than-the-bus")
        await operator.stops(["refund"])
        await operator.repairs("replay", "refund")
        await operator.starts(["refund"])
        await rehearsal.ends(capsys)
        assert operator.left == []


@full
@pytest.mark.timeout(900)
async def test_the_timers_database_is_put_back_and_nobody_has_to_repair_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it runs: what was set since is read again, and what has rung since rings again."""
    async with rehearsal_of(stack) as rehearsal:
        await rehearsal.some_orders(5)
        backup = Backup(stack.database_url, ["timer"])
        await backup.make()
        known = await rehearsal.said("order")
        await rehearsal.some_orders(8)
        await rehearsal.says_more("order", known)
        await backup.put_back()
        await rehearsal.ends(capsys)
        assert rehearsal.operator.left == []


@full
@pytest.mark.timeout(900)
async def test_an_inbox_is_made_anew(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async with rehearsal_of(stack) as rehearsal:
        operator = rehearsal.operator
        await rehearsal.some_orders(15)
        await make_anew(stack, "order.commands")
        await operator.sees_trouble(["order"], "a-topic-was-made-anew")
        await operator.stops(["order", "timer"])
        await operator.repairs("republish", "timer")
        await operator.repairs("restart-topic", "order", "order.commands")
        await operator.starts(["order", "timer"])
        await rehearsal.ends(capsys)
        assert all("order.commands/" in one for one in operator.left), "who lost a command must know of it"
        assert operator.left


@full
@pytest.mark.timeout(900)
async def test_a_topic_of_events_is_made_anew(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    readers = ("dispute", "refund", "notification")
    async with rehearsal_of(stack) as rehearsal:
        operator = rehearsal.operator
        await rehearsal.some_orders(15)
        await make_anew(stack, "order.events")
        await operator.sees_trouble(readers, "a-topic-was-made-anew")
        await operator.sees_trouble(["order"], "the-bus-lost-what-we-said")  # for a moment it says the former, too
        await operator.stops(["order", *readers])
        await in_front_of_what_it_lacks(stack, "order.events")
        assert "which must lie before it" in await operator.cannot_repair("republish", "order")
        await make_anew(stack, "order.events")
        await operator.repairs("republish", "order")
        for reader in readers:
            await operator.repairs("restart-topic", reader, "order.events")
        await operator.starts(["order", *readers])
        await rehearsal.ends(capsys)
        assert operator.left == []


@full
@pytest.mark.timeout(900)
async def test_logs_lose_their_tails(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async with rehearsal_of(stack) as rehearsal:
        operator = rehearsal.operator
        await rehearsal.some_orders(15)
        await operator.stops()
        assert await lose_tails(stack, "order.events", batches=2)
        await operator.starts(ready=False)
        await operator.sees_trouble(["order"], "the-bus-lost-what-we-said")
        await operator.stops()
        for service in SERVICES:
            await operator.repairs("republish", service)
        await operator.starts()
        await rehearsal.ends(capsys)
        assert operator.left == []


@full
@pytest.mark.timeout(900)
async def test_all_of_kafka_is_lost(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async with rehearsal_of(stack) as rehearsal:
        operator = rehearsal.operator
        await rehearsal.some_orders(15)
        await lose_all(stack)
        await operator.sees_trouble(["order"], "a-topic-was-made-anew")
        await operator.stops()
        for service in SERVICES:
            await operator.repairs("republish", service)
        await operator.starts()
        await rehearsal.ends(capsys, but="was on its way")  # by append times, which are new
        assert operator.left
        assert all("/" in one for one in operator.left), "each log of which something may lie unread"
