"""The case file as a process beside the services: what is said is shown, a command is handed on and its answer told,
and its tables are made anew while it answers."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import REPO, Stack
from deploy.recourse.asking import Client, handed_out
from deploy.recourse.command import handed_over
from deploy.setup.topics import create_topics
from deploy.stories.dialogue import Scene
from deploy.stories.live import LiveStage
from schemas.topics import CASE_FILE, all_topics
from tests.support.waiting import until

PARTITIONS = 2
EDITION = "SELECT number FROM casefile.edition WHERE is_shown"
EDITIONS = "SELECT schema_name::text FROM information_schema.schemata WHERE schema_name LIKE 'casefile\\_%' ORDER BY 1"

T = TypeVar("T")


async def asked(asking: Callable[[], T]) -> T | None:
    """None: it is turned away for now."""
    try:
        return await asyncio.to_thread(asking)
    except SystemExit:
        return None


async def made_anew(stack: Stack) -> asyncio.subprocess.Process:
    env = {**stack.services[CASE_FILE].env, "RECOURSE_LOG_LEVEL": "WARNING"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{CASE_FILE}", "rebuild", cwd=REPO, env=env
    )


def without_times(shown: Any) -> Any:
    return {name: value for name, value in shown.items() if name not in ("as_of", "at")}


@pytest.mark.stack
@pytest.mark.timeout(240)
async def test_it_shows_what_is_said_hands_commands_on_and_is_made_anew_meanwhile(
    stack: Stack, database_url: str
) -> None:
    prefix = f"casefile-{uuid4().hex[:8]}."
    await create_topics(stack.bootstrap_servers, all_topics(prefix, PARTITIONS))
    env = {
        "RECOURSE_DATABASE_URL": database_url,
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_PARTITIONS": str(PARTITIONS),
        "RECOURSE_CASEFILE_SIGNIN": "local",
    }
    names = ("order", "timer", "refund", CASE_FILE)
    database, closed_at_the_end = await asyncpg.connect(database_url), ExitStack()
    try:
        await stack.start_services(names, env)
        url = stack.services[CASE_FILE].http(CASE_FILE)
        async with LiveStage(stack.bootstrap_servers, prefix=prefix) as stage:
            case = await Scene(stage, "seen").order(lamp=10_00)
            other = await Scene(stage, "apart").order(lamp=5_00)

            token = await asyncio.to_thread(handed_out, url, "buyer", case.buyer.id)
            buyer = closed_at_the_end.enter_context(closing(Client(url, token)))
            shown: Any = await until("it is shown", lambda: asked(lambda: buyer.get("orders", case.order_id)))
            assert shown["order"]["status"] == "awaiting_shipment"
            assert await asked(lambda: buyer.get("orders", other.order_id)) is None, "which is not his"

            def cancel() -> Any:
                return handed_over(buyer, case.order_id, "order.cancel", {})

            told: Any = await asked(cancel)
            assert (told["status"], told["is_final"]) == ("answered", True)
            assert [one["type"] for one in told["answers"]] == ["order.cancelled"]
            await case.ends(buyer=10_00, seller=0)

            async def over() -> Any:
                found: Any = await asked(lambda: buyer.get("orders", case.order_id))
                return found if found and found["legs"] and not found["nobody_acts"] else None

            before = await until("its money is seen to have arrived", over)
            making = await made_anew(stack)
            meanwhile = 0
            while making.returncode is None:
                answer: Any = await asked(lambda: buyer.get("orders", case.order_id))
                if await database.fetchval(EDITION) == 1:
                    assert answer is not None, "it answers while its tables are made anew"
                    meanwhile += 1
            assert (making.returncode, meanwhile > 0) == (0, True)
            after = await until("the new tables are shown", over)
            assert without_times(after) == without_times(before)
            assert [one for (one,) in await database.fetch(EDITIONS)] == ["casefile_2"]

            told = await until("it goes on", lambda: asked(cancel))
            assert (told["status"], told["why"]["code"]) == ("refused", "wrong_state")
    finally:
        closed_at_the_end.close()
        await database.close()
        for name in names:
            if name in stack.services:
                await stack.services.pop(name).stop()
