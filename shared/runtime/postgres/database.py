"""PostgreSQL: one schema per service, errors told apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from shared.kernel.ports import Outage

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
