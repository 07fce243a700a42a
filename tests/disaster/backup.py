"""A backup of the databases of services as they stood at one instant, and putting it back beside whatever goes on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import asyncpg

TABLES = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = $1 AND table_type = 'BASE TABLE' AND table_name NOT IN ('migration', 'member') ORDER BY table_name
"""


class Backup:
    """Rows by schema and table, as COPY writes them."""

    def __init__(self, url: str, schemas: Sequence[str]) -> None:
        self.url, self.schemas = url, schemas
        self._rows: dict[tuple[str, str], bytes] = {}

    async def make(self) -> None:
        async with _session(self.url) as database, database.transaction(isolation="repeatable_read", readonly=True):
            for schema in self.schemas:
                for (table,) in await database.fetch(TABLES, schema):
                    rows = BytesIO()
                    await database.copy_from_table(table, schema_name=schema, output=rows, format="binary")
                    self._rows[schema, table] = rows.getvalue()

    async def put_back(self) -> None:
        """All at once: who looks sees the rows of now or those of then. Members stay: they are who runs now."""
        async with _session(self.url) as database, database.transaction():
            await database.execute("SET LOCAL session_replication_role = replica")  # the ledger forbids it, rightly
            names = [f'"{schema}"."{table}"' for schema, table in self._rows]
            await database.execute(f"TRUNCATE {', '.join(names)} CASCADE")
            for (schema, table), rows in self._rows.items():
                await database.copy_to_table(table, schema_name=schema, source=BytesIO(rows), format="binary")


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
