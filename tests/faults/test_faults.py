"""Money moves while every process in turn is killed; afterwards nothing is lost, doubled or out of order.

The short form is part of `make test`; the full form (`make test-faults`) has more orders, more rounds, and processes
that are frozen while others take over and that thaw with what they knew.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.stack import ServiceProcess, Stack
from deploy.verify.looking import VerifySettings, verify
from schemas.topics import PARTITIONS, SERVICES
from tests.faults import aftermath, checks
from tests.faults.market import PAID, QUICK, SLOW, Market, Traffic, Way
from tests.faults.topics import read_all

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("faults"),
]

FROZEN_SECONDS = 5.0
"""Longer than the lease: the others must take over."""

full = pytest.mark.skipif(not os.environ.get("RECOURSE_TEST_FAULTS"), reason="the full form runs by make test-faults")


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
        environment.delenv("DATABASE_URL", raising=False)
        async with Stack() as stack:
            await stack.start_services(SERVICES)
            yield stack


class Run(Traffic):
    """While a group of orders is under way something falls over."""

    def __init__(self, stack: Stack, market: Market, ways: Sequence[Way], group: int) -> None:
        super().__init__(market, ways, group)
        self.stack = stack
        self.killed: Counter[str] = Counter()

    async def kill(self, name: str, child: Kafka | Postgres | ServiceProcess) -> None:
        """SIGKILL in the midst of it, and a new one at once."""
        self.begin()
        await asyncio.sleep(0.5)
        await child.kill()
        self.killed[name] += 1
        await child.start()

    async def freeze(self, name: str) -> None:
        """SIGSTOP for longer than the lease: the second process takes over, and the first thaws as a zombie."""
        self.begin()
        child = self.stack.services[name]
        child.send(signal.SIGSTOP)
        self.killed[f"{name} (frozen)"] += 1
        await asyncio.sleep(FROZEN_SECONDS)
        self.begin()
        child.send(signal.SIGCONT)
        await asyncio.sleep(0.5)
        child.check()

    async def kill_all(self) -> None:
        for name, service in list(self.stack.services.items()):
            await self.kill(name, service)
        await self.kill("kafka", self.stack.kafka)
        await self.kill("postgres", self.stack.postgres)

    async def end(self) -> None:
        await super().end()
        for service in self.stack.services.values():
            service.check()


async def what_is_left(stack: Stack, market: Market) -> checks.World:
    topics = [topic.name for topic in stack.topics]
    records = [checks.Seen.of(record) for record in await read_all(stack.bootstrap_servers, topics, PARTITIONS)]
    settings = VerifySettings(
        kafka_bootstrap_servers=stack.bootstrap_servers, database_url=stack.database_url, verify_grace_seconds=0
    )
    paid = dict.fromkeys(market.orders, PAID)
    return checks.World(paid, records, await verify(settings), stack.mailbox.messages)


def tell(run: Run, world: checks.World, problems: Sequence[str]) -> None:
    killed = ", ".join(f"{name} {times}" for name, times in run.killed.items())
    mails = Counter(str(mail["Message-ID"]) for mail in world.mails)
    logs = [service.log.read_text(errors="replace") for service in run.stack.services.values()]
    fenced = sum(log.count('"event": "fenced') for log in logs)
    print(
        f"\n{len(run.market.orders)} orders, {run.market.sent} commands ({run.market.said_again} said again)."
        f" Killed: {killed}. Fenced {fenced} times."
        f" {len(world.records)} records, {world.report.counts['repeats']} of them repeats;"
        f" {len(mails)} mails, {mails.total() - len(mails)} handed over again. Lost: {checks.lost(problems)}."
    )


@pytest.mark.timeout(600)
async def test_every_process_is_killed_once(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async with Market(stack.bootstrap_servers) as market:
        await market.open()
        run = Run(stack, market, QUICK, group=5)
        await run.kill_all()
        await run.end()
        world, problems = await aftermath.settled(lambda: what_is_left(stack, market))
    with capsys.disabled():
        tell(run, world, problems)
    assert problems == []


@full
@pytest.mark.timeout(1_800)
async def test_every_process_is_killed_and_frozen_again_and_again(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    await stack.start_services([f"{service}#2" for service in SERVICES])
    async with Market(stack.bootstrap_servers) as market:
        await market.open()
        run = Run(stack, market, SLOW, group=6)
        for _ in range(2):
            await run.kill_all()
            for service in SERVICES:
                await run.freeze(service)
        await run.end()
        world, problems = await aftermath.settled(lambda: what_is_left(stack, market))
    with capsys.disabled():
        tell(run, world, problems)
    assert problems == []
