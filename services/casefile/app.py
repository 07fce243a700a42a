"""Wiring."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from services.casefile.domain import DECIDER
from services.casefile.editions import Make, WatchShown, next_one, shown
from services.casefile.projection import KeptRecords
from services.casefile.store import PostgresCaseTables, PostgresRowTables
from shared.kernel.ports import Projection
from shared.runtime.application import Application
from shared.runtime.parts import Parts
from shared.runtime.settings import Settings

MIGRATIONS = (Path(__file__).parent / "migrations",)


class CaseFileSettings(Settings):
    """Reads more at a time than who decides: nobody waits for the answer of a single record."""

    batch_records_max: int = 2_000


class _Edition:
    """Which tables a process works on; known once the database answers."""

    def __init__(self, choose: Callable[[CaseFileSettings], Awaitable[str]]) -> None:
        self.choose = choose
        self.name = ""

    async def schema(self, settings: CaseFileSettings) -> str:
        self.name = await self.choose(settings)
        return self.name


def _projections() -> list[Projection]:
    return [KeptRecords(PostgresRowTables())]


def following() -> Application[CaseFileSettings]:
    """Follows the topics into the edition that is shown, and shows it."""
    edition = _Edition(shown)

    def parts(settings: CaseFileSettings, pool: asyncpg.Pool) -> Parts:
        tables, over = PostgresCaseTables(pool, settings.partitions), asyncio.Event()
        watch = WatchShown(pool, edition.name, over)
        return Parts(_projections(), background=[watch], fresh=tables.fresh, over=over)

    return Application(lambda _: DECIDER, CaseFileSettings, parts, MIGRATIONS, edition.schema, again=True)


def making() -> Application[CaseFileSettings]:
    """Makes another edition from the topics, while the one that is shown answers; then ends."""
    edition = _Edition(next_one)

    def parts(settings: CaseFileSettings, pool: asyncpg.Pool) -> Parts:
        tables, over = PostgresCaseTables(pool, settings.partitions), asyncio.Event()
        make = Make(settings, edition.name, tables, over)
        return Parts(_projections(), background=[make], fresh=tables.fresh, over=over)

    return Application(lambda _: DECIDER, CaseFileSettings, parts, MIGRATIONS, edition.schema)
