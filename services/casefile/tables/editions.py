"""Editions of the tables: one is shown and followed; another may be made beside it from the topics, then be shown."""

import asyncio
import logging
from pathlib import Path

import asyncpg

from services.casefile.tables.store import PostgresCaseTables
from shared.kernel.ports import Outage
from shared.runtime.postgres.database import connect, outage
from shared.runtime.postgres.migrate import migrate
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

OWN = "casefile"
"""The schema of what follows from no topic, and stays whatever is made anew."""
FIRST = "INSERT INTO edition (number, is_shown) VALUES (1, true) ON CONFLICT DO NOTHING"
SHOWN = "SELECT number FROM edition WHERE is_shown"
UNSHOWN = "SELECT max(number) FROM edition WHERE number > (SELECT number FROM edition WHERE is_shown)"
NEXT = "INSERT INTO edition (number, is_shown) SELECT max(number) + 1, false FROM edition RETURNING number"
SHOW = "UPDATE edition SET is_shown = (number = $1) WHERE is_shown OR number = $1"
FOLLOWED_BY = "SELECT count(*) FROM member"
LOOK_SECONDS = 1.0
AS_GOOD_AS_NOW_SECONDS = 5.0
LET_GO_SECONDS = 60.0


def schema_of(number: int) -> str:
    return f"{OWN}_{number}"


async def shown(settings: Settings) -> str:
    """Schema of the edition that is shown; the first one, where there is none yet."""
    await migrate(settings.database_url, OWN, (Path(__file__).parents[1] / "own",))
    connection = await connect(settings.database_url, OWN, "edition")
    try:
        await connection.execute(FIRST)
        return schema_of(await connection.fetchval(SHOWN))
    finally:
        await connection.close()


async def next_one(settings: Settings) -> str:
    """Schema of the edition that is being made; whoever comes second helps."""
    await shown(settings)
    connection = await connect(settings.database_url, OWN, "edition")
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE edition")
            number = await connection.fetchval(UNSHOWN) or await connection.fetchval(NEXT)
        return schema_of(number)
    finally:
        await connection.close()


class WatchShown:
    """Notices that another edition is shown now: then the process is to begin again, in that one."""

    def __init__(self, pool: asyncpg.Pool, schema: str, over: asyncio.Event) -> None:
        self.pool, self.schema, self.over = pool, schema, over

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                with outage():
                    number = await self.pool.fetchval(SHOWN.replace("edition", f"{OWN}.edition"))
                if number is not None and schema_of(number) != self.schema:
                    self.over.set()
                    return
            except Outage as error:
                log.info("which edition is shown is not known: %s", error)


class Make:
    """Waits until the edition that this process makes has everything; shows it, waits until nobody follows the one
    before any more, drops that, and ends the process."""

    def __init__(self, settings: Settings, schema: str, tables: PostgresCaseTables, over: asyncio.Event) -> None:
        self.settings, self.schema, self.tables, self.over = settings, schema, tables, over

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                as_of = await self.tables.as_of()
                log.info("made so far", extra={"records": sum(as_of.records.values())})
                if as_of.behind_seconds < AS_GOOD_AS_NOW_SECONDS:
                    with outage():
                        await self._show()
                    self.over.set()
                    return
            except Outage as error:
                log.info("goes on when the database answers: %s", error)

    async def _show(self) -> None:
        before = await shown(self.settings)
        if before == self.schema:
            return  # who helped was quicker
        connection = await connect(self.settings.database_url, OWN, "edition", seconds=None)
        try:
            await connection.execute(SHOW, int(self.schema.rpartition("_")[2]))
            log.info("shown from now on", extra={"schema": self.schema})
            followed = FOLLOWED_BY.replace("member", f'"{before}".member')
            async with asyncio.timeout(LET_GO_SECONDS):
                while await connection.fetchval(followed):  # noqa: ASYNC110 - of other processes
                    await asyncio.sleep(LOOK_SECONDS)
            await connection.execute(f'DROP SCHEMA "{before}" CASCADE')
        finally:
            await connection.close()
