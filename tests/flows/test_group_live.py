"""All services in one process, on the real servers: a quarrel comes to its money through a kill, and each service is
asked, and gives back, by itself."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from urllib.request import urlopen

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.processes import LocalStackError
from deploy.local.stack import ServiceProcess, Stack
from deploy.stories.claims import before_a_mediator, decision, disputed, stands
from deploy.stories.dialogue import Scene, hire_mediators
from deploy.stories.live import LiveStage
from deploy.verify.collect import VerifySettings, verify
from schemas.topics import SERVICES
from tests.support.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

PARTITIONS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True, partitions=PARTITIONS, groups=[SERVICES]) as stack:
        await stack.start_services(SERVICES)
        yield stack


def group(stack: Stack) -> ServiceProcess:
    (process,) = stack.processes
    return process


def ask(address: str) -> str:
    with urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


async def test_each_is_asked_at_an_address_of_its_own(stack: Stack) -> None:
    addresses = {name: group(stack).http(name) for name in SERVICES}
    assert len(set(addresses.values())) == len(SERVICES)
    for name, address in addresses.items():
        told = json.loads(await asyncio.to_thread(ask, f"{address}/health"))
        assert (told["healthy"], told["shards"]) == (True, [*range(PARTITIONS)])
        figures = await asyncio.to_thread(ask, f"{address}/metrics")
        assert f'recourse_healthy{{service="{name}"}} 1' in figures
        assert json.loads(await asyncio.to_thread(ask, f"{address}/alive")) == {"alive": True}


async def test_a_quarrel_comes_to_its_money_though_all_are_killed_in_its_midst(stack: Stack) -> None:
    async with LiveStage(stack.bootstrap_servers) as stage:
        await hire_mediators(stage, "group")
        case = await Scene(stage, "group").disputable_order(drone=250_00)
        await disputed(case, 250_00)
        mediator = await before_a_mediator(case)

        await group(stack).kill()
        deciding = asyncio.create_task(
            mediator.says("mediation.decide", **decision(100_00, "Neither side can show it.", rule="shared-risk"))
        )
        await group(stack).start()

        await deciding
        await case.hears("dispute.decided", refund_minor=100_00, release_minor=150_00)
        await stands(case)
        await case.ends(buyer=100_00, seller=150_00)
    report = await verify(
        VerifySettings(kafka_bootstrap_servers=stack.bootstrap_servers, database_url=stack.database_url)
    )
    assert report.holds, [*report.problems()]


async def test_one_that_ended_is_started_again(stack: Stack) -> None:
    keeping = asyncio.create_task(stack.keep_running())
    killed = group(stack).pid
    await group(stack).kill()

    async def runs_anew() -> bool:
        try:
            return group(stack).pid != killed
        except LocalStackError:  # not yet
            return False

    try:
        await until("it is started again", runs_anew)
        await group(stack).ready()
        assert group(stack).pid != killed
    finally:
        keeping.cancel()


async def test_asked_to_end_all_of_them_give_everything_back(stack: Stack) -> None:
    await group(stack).ready()
    group(stack).send(signal.SIGTERM)
    assert await group(stack).ended(60) == 0
    connection = await asyncpg.connect(stack.database_url)
    try:
        for name in SERVICES:
            assert await connection.fetchval(f'SELECT count(*) FROM "{name}".shard WHERE owner IS NOT NULL') == 0
            assert await connection.fetchval(f'SELECT count(*) FROM "{name}".shard') == PARTITIONS
            assert await connection.fetchval(f'SELECT count(*) FROM "{name}".member') == 0
    finally:
        await connection.close()
