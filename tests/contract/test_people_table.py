"""What the table of people must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from schemas.people import OwnWebhook, Person
from services import notification
from services.notification.people import MemoryPeopleTable, PeopleTable
from services.notification.store import PostgresPeopleTable
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import migrate

pytestmark = pytest.mark.rule("R74")

BEA = Person(person_id="bea", email="bea@example.org", locale="de", time_zone="Europe/Berlin")
SAM = Person(
    person_id="auth0|sam",
    email="sam@example.org",
    webhooks=(
        OwnWebhook(endpoint_id="b", url="https://sam.example.org/hooks?of=sam"),
        OwnWebhook(endpoint_id="a", url="https://sam.example.net"),
    ),
)


@dataclass
class Registry:
    table: PeopleTable
    pool: asyncpg.Pool | None = None

    async def write(self, *people: Person) -> None:
        if self.pool is None:
            await self.table.write(None, people)
            return
        async with self.pool.acquire() as connection, connection.transaction():
            await self.table.write(connection, people)


@pytest.fixture
async def registry(real: Stack | None) -> AsyncIterator[Registry]:
    if real is None:
        yield Registry(MemoryPeopleTable())
        return
    schema = f"notification_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [Path(notification.__path__[0]) / "migrations"])
    pool = await create_pool(real.database_url, schema, 1)
    yield Registry(PostgresPeopleTable(pool), pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


async def test_who_was_never_told_of_is_not_known(registry: Registry) -> None:
    await registry.write(BEA)

    assert await registry.table.find("sam") is None


async def test_people_are_found_by_their_ids(registry: Registry) -> None:
    await registry.write(BEA, SAM)

    assert await registry.table.find("bea") == BEA
    assert await registry.table.find("auth0|sam") == SAM


async def test_what_is_said_anew_stands_instead(registry: Registry) -> None:
    await registry.write(BEA, SAM)
    moved = Person(person_id="bea", email="bea@example.net")
    await registry.write(moved)

    assert await registry.table.find("bea") == moved
    assert await registry.table.find("auth0|sam") == SAM


async def test_of_who_is_erased_his_id_alone_is_left(registry: Registry) -> None:
    await registry.write(BEA, SAM)
    await registry.write(Person(person_id="bea"), Person(person_id="auth0|sam"))

    assert await registry.table.find("bea") == Person(person_id="bea", email=None, locale=None, time_zone=None)
    assert await registry.table.find("auth0|sam") == Person(person_id="auth0|sam", webhooks=())


async def test_webhooks_that_are_said_anew_stand_instead(registry: Registry) -> None:
    await registry.write(SAM)
    fewer = SAM.model_copy(update={"webhooks": SAM.webhooks[1:]})
    await registry.write(fewer)

    assert await registry.table.find("auth0|sam") == fewer
