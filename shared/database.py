"""PostgreSQL: one schema per service, migrations that only go forward, errors told apart."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from shared.ports import Outage

log = logging.getLogger(__name__)

KERNEL_MIGRATIONS = Path(__file__).parent / "migrations"
TIMEOUT_SECONDS = 30.0
ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a pooled connection that was killed while idle
    OSError,
    TimeoutError,
)


@contextmanager
def outage() -> Iterator[None]:
    """Whatever the database answers with, its outcome is unknown: an Outage."""
    try:
        yield
    except ERRORS as error:
        raise Outage(f"database: {type(error).__name__}: {error}") from error


async def connect(dsn: str, schema: str, purpose: str) -> asyncpg.Connection:
    settings = {"search_path": schema, "application_name": f"recourse {schema} {purpose}"}
    return await asyncpg.connect(dsn, timeout=5, command_timeout=TIMEOUT_SECONDS, server_settings=settings)


async def create_pool(dsn: str, schema: str, size: int) -> asyncpg.Pool:
    async def keep(connection: Any) -> None:
        """No session state is ever set, so none is reset: saves a round trip per use."""

    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=TIMEOUT_SECONDS,
        server_settings={"search_path": schema, "application_name": f"recourse {schema}"},
        reset=keep,
    )


async def migrate(dsn: str, schema: str, folders: Iterable[Path]) -> list[str]:
    """Brings a schema up to date and returns the names of what was applied.

    Files run once each, in the order of folders and names, one transaction per file. Several processes may race here:
    one goes first. A file that changed after it ran stops the start: what ran cannot be run again.
    """
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"recourse migrations {schema}")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(f'SET search_path = "{schema}"')
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = dict(await connection.fetch("SELECT name, sha256 FROM migration"))
        applied = []
        for file in _files(folders):
            name, sql = f"{file.parent.parent.name}/{file.name}", file.read_text()
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if name not in done:
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute("INSERT INTO migration (name, sha256) VALUES ($1, $2)", name, digest)
                applied.append(name)
            elif done[name] != digest:
                raise RuntimeError(f"migration {name} was changed after it ran in schema {schema}")
        return applied
    finally:
        await connection.close()


def _files(folders: Iterable[Path]) -> Sequence[Path]:
    return [file for folder in folders for file in sorted(folder.glob("*.sql"))]
