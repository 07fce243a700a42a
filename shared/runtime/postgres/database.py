"""PostgreSQL: one schema per service, the rules of a session, errors told apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from shared.kernel.ports import Outage, Unstorable

TIMEOUT_SECONDS = 30.0
LET_GO_SECONDS = 10.0
"""A machine that lost power, or a process that froze, says nothing more: after so long the server ends its session, and
what it held in mid-transaction is free for others."""
ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a pooled connection that was killed while idle
    OSError,
    TimeoutError,
)
RULES = "SELECT set_config(name, setting, false) FROM unnest($1::text[], $2::text[]) AS rule (name, setting)"


OUTAGES = ("08", "28", "3D", "40", "53", "57", "25P03", "55P03")
"""SQLSTATEs, or their classes, that say nothing of the rows: connection, who may log in, a database that is not there
(while another is put in its place), serialization, resources, shutdown, a session that was idle for too long, a lock
(PostgreSQL, appendix A)."""


@contextmanager
def outage() -> Iterator[None]:
    """Raises Outage where the database did not answer, or could not just now, and Unstorable where it refuses what it
    was given. Both name the kind of error alone: its own words quote rows."""
    try:
        yield
    except asyncpg.PostgresError as error:
        about = filter(None, (error.sqlstate, error.table_name, error.constraint_name))
        told = f"database: {type(error).__name__} ({', '.join(about)})"
        raise (Outage if (error.sqlstate or "").startswith(OUTAGES) else Unstorable)(told) from None
    except ERRORS as error:
        raise Outage(f"database: {type(error).__name__}") from None


async def connect(
    dsn: str, schema: str, purpose: str, *, seconds: float | None = TIMEOUT_SECONDS, **rules: str
) -> asyncpg.Connection:
    """A session of its own; `seconds`: within which the server must answer whatever is asked."""
    connection = await asyncpg.connect(dsn, timeout=5, command_timeout=seconds)
    try:
        await _rule(connection, schema, f"recourse {schema} {purpose}", **rules)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def create_pool(dsn: str, schema: str, size: int) -> asyncpg.Pool:
    async def keep(connection: Any) -> None:
        """What a session was told at its beginning holds for all who use it, so nothing is reset: saves a round trip
        per use."""

    async def begin(connection: Any) -> None:
        await _rule(connection, schema, f"recourse {schema}")

    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=size, command_timeout=TIMEOUT_SECONDS, init=begin, reset=keep
    )


async def _rule(connection: Any, schema: str, name: str, **rules: str) -> None:
    """Said in the session, not when it is opened: a pooler in between hands on no parameters of a start-up."""
    rules = {
        "search_path": schema,
        "application_name": name,
        "idle_in_transaction_session_timeout": f"{LET_GO_SECONDS * 1000:.0f}",
        "tcp_user_timeout": f"{LET_GO_SECONDS * 1000:.0f}",
        "tcp_keepalives_idle": f"{LET_GO_SECONDS / 2:.0f}",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": f"{LET_GO_SECONDS / 2:.0f}",
        **rules,
    }
    await connection.execute(RULES, list(rules), list(rules.values()))


class DatabaseAnswer(NamedTuple):
    """What a database says of itself."""

    time: datetime
    """By its clock."""
    read_only: bool
    """A standby, or told to be."""


async def ask(pool: asyncpg.Pool) -> DatabaseAnswer:
    """Raises one of ERRORS when it does not answer."""
    answer = await pool.fetchrow("SELECT clock_timestamp(), current_setting('transaction_read_only')::bool", timeout=5)
    return DatabaseAnswer(*answer)
