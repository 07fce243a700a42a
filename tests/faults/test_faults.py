"""Money moves while every process in turn is killed, or frozen while another takes over, to thaw with what it knew;
afterwards nothing is lost, doubled or out of order. Runs by `make test-faults`; `make test` has test_crashes.
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
from schemas.topics import SERVICES
from tests.faults import aftermath, checks
from tests.faults.market import SLOW, Market, Traffic, Way

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
]

FROZEN_SECONDS = 5.0
"""Longer than the lease: the others must take over."""

full = pytest.mark.skipif(not os.environ.get("RECOURSE_TEST_FAULTS"), reason="the full form runs by make test-faults")


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True) as stack:
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
        await self.still_holds(name)

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
        await self.still_holds(name)

    async def still_holds(self, after: str) -> None:
        """Each fault is looked at for itself: what the next one mends was broken all the same."""
        assert await aftermath.meanwhile(self.stack) == [], f"after {after} was gone"

    async def kill_all(self) -> None:
        for name, service in list(self.stack.services.items()):
            await self.kill(name, service)
        await self.kill("kafka", self.stack.kafka)
        await self.kill("postgres", self.stack.postgres)

    async def end(self) -> None:
        await super().end()
        for service in self.stack.services.values():
            service.check()


def tell(run: Run, world: checks.World, problems: Sequence[str]) -> None:
    killed = ", ".join(f"{name} {times}" for name, times in run.killed.items())
    logs = [service.log.read_text(errors="replace") for service in run.stack.services.values()]
    fenced = sum(log.count('"event": "fenced') for log in logs)
    figures = aftermath.figures(run.market, world, problems)
    print(f"\nKilled: {killed}. Fenced {fenced} times. {figures}")


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
        world, problems = await aftermath.settled(
            lambda: aftermath.what_is_left(aftermath.system(stack), market, stack.mailbox.messages)
        )
    with capsys.disabled():
        tell(run, world, problems)
    assert problems == []
