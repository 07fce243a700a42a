"""Before a service starts: is its database what it counts on?"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from shared.runtime.postgres.database import OUTAGES

TIMEOUT_SECONDS = 5.0
REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "the server lets us in by no such role, or not by this password"),
    (asyncpg.InvalidCatalogNameError, "there is no such database on that server"),
    (asyncpg.InsufficientPrivilegeError, "the role may not do in this database what its owner may"),
    (ssl.SSLCertVerificationError, "the server's certificate is signed by nobody we trust, or for another name"),
)
"""What no waiting changes. Not in the library's words: these may quote a part of the password."""
PASSING = (*OUTAGES, "25006")
"""A standby becomes primary."""
POOLED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What a statement that was prepared in another session ends with."""


@contextmanager
def refusals() -> Iterator[None]:
    """Raises SystemExit, with a sentence, for what only an operator can put right. The rest is left as it is."""
    try:
        yield
    except tuple(kind for kind, _ in REFUSALS) as error:
        raise _refused(next(sentence for kind, sentence in REFUSALS if isinstance(error, kind))) from None
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "").startswith(PASSING):
            raise
        raise _refused(f"the database refuses what this version needs ({type(error).__name__})") from error


async def check(dsn: str) -> None:
    """It can be found and entered, keeps every character, and gives us sessions that are ours alone.

    Raises what may still pass, such as OSError; SystemExit, with a sentence, for what only an operator can put right.
    """
    sessions: list[asyncpg.Connection] = []
    try:
        with refusals():
            _look_at(dsn)
            while len(sessions) < 2:
                sessions.append(await asyncpg.connect(dsn, timeout=TIMEOUT_SECONDS, command_timeout=TIMEOUT_SECONDS))
        encoding = await sessions[0].fetchval("SHOW server_encoding")
        if encoding != "UTF8":
            raise _refused(f"the database keeps text as {encoding}, not UTF8: it cannot keep all that people write")
        if not await _are_apart(*sessions):
            raise _refused("a pooler gives every transaction another session: let it pool by session, or go without")
    except ValueError:
        raise _refused(
            "this is no address of PostgreSQL: postgresql://role:password@host:port/database?sslmode=…"
        ) from None
    finally:
        for session in sessions:
            session.terminate()


def _look_at(dsn: str) -> None:
    """A character of the password that means something in an address cuts it in two: what is left of it may well be an
    address, of another host."""
    address = urlsplit(dsn)
    begins = address.netloc.count("@")
    if begins > 1 or "@" in f"{address.path}{address.query}{address.fragment}":
        raise _refused("write each of / # ? @ : % in its password as %2F %23 %3F %40 %3A %25")


async def _are_apart(one: asyncpg.Connection, other: asyncpg.Connection) -> bool:
    """Whether each has a session of its own, and keeps it: also while the other is in a transaction, and after it."""
    ask = "SELECT pg_backend_pid()"
    try:
        ours = {await one.fetchval(ask)}
        async with other.transaction():
            theirs = await other.fetchval(ask)
            if theirs not in ours:  # who has one session for all would wait here
                ours.add(await one.fetchval(ask))
        ours |= {await one.fetchval(ask) for _ in range(3)}
    except POOLED:
        return False
    return ours.isdisjoint({theirs}) and len(ours) == 1


def _refused(sentence: str) -> SystemExit:
    return SystemExit(f"RECOURSE_DATABASE_URL: {sentence}")
