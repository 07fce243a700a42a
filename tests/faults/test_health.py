"""A service whose work does not get on says so on /health, and why, though all of it that can be asked answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import pytest
import pytest_asyncio

from deploy.local.processes import free_port
from deploy.local.stack import Stack
from tests.support.topics import producer

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

PATIENCE_SECONDS = 60


@pytest_asyncio.fixture
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True) as stack:
        yield stack


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as unwell:
        return unwell.code, unwell.read().decode()
    except OSError:  # it is not there yet, or ends just now
        return 503, json.dumps({"problems": [{"recipe": "it is not there yet"}]})


async def told(port: int, *recipes: str) -> dict[str, Any]:
    """What /health says once its problems are of all these recipes; of none: once it has none."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            status, text = await asyncio.to_thread(ask, port, "/health")
            said: dict[str, Any] = json.loads(text)
            assert status == (503 if said["problems"] else 200)
            known = {problem["recipe"].partition("#")[2] for problem in said["problems"]}
            if known.issuperset(recipes) and bool(known) == bool(recipes):
                return said
            await asyncio.sleep(0.5)


async def test_it_tells_of_a_database_that_is_away_and_of_a_transaction_that_is_left_open(stack: Stack) -> None:
    port = free_port()
    await stack.postgres.stop()
    starting = asyncio.create_task(stack.start_services(["order"], {"RECOURSE_HTTP_PORT": str(port)}))
    [problem] = (await told(port, "a-server-does-not-answer"))["problems"]
    assert problem["problem"] == "It starts, and waits for the database."
    assert (await asyncio.to_thread(ask, port, "/alive"))[0] == 200
    await stack.postgres.start()
    await starting
    assert abs((await told(port))["clock_skew_seconds"]["database"]) < 5
    async with producer(stack.bootstrap_servers, transactional_id=f"gateway-{uuid4().hex[:8]}") as gateway:
        await gateway.begin_transaction()
        await gateway.send_and_wait("order.commands", b"{}", b"order-1", partition=3)
        await stack.postgres.stop()
        said = await told(port, "an-open-transaction", "a-server-does-not-answer")
        assert "work order.commands/3 transaction" in {problem["place"] for problem in said["problems"]}
        assert (await asyncio.to_thread(ask, port, "/alive"))[0] == 200
        assert 'recourse_healthy{service="order"} 0' in (await asyncio.to_thread(ask, port, "/metrics"))[1]
        await gateway.abort_transaction()
    await stack.postgres.start()
    assert (await told(port))["seconds_behind"] == 0
