"""What the case file keeps of its own, in PostgreSQL: what operators did by it, and notes on cases. It outlives every
edition of the tables, for it follows from no topic."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import asyncpg

from services.casefile.operating.stuck import SetAside
from shared.runtime.postgres.database import outage

NOTES_MAX = 500
"""Of one case; then it is full."""
AUDITED = """
INSERT INTO casefile.audit (operator, what, why, order_id, about) VALUES ($1, $2, $3, $4, $5::json) RETURNING number
"""
AUDIT = """
SELECT number, at, operator, what, why, order_id, about::text FROM casefile.audit
WHERE ($1::text IS NULL OR order_id = $1) AND ($2::bigint IS NULL OR number < $2) ORDER BY number DESC LIMIT $3
"""
DEALT_WITH = """
INSERT INTO casefile.dealt_with (topic, partition, "offset", how, audit) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""
NOTE = """
INSERT INTO casefile.note (order_id, dispute_id, role, person, text)
SELECT $1, $2, $3, $4, $5
WHERE (SELECT count(*) FROM casefile.note WHERE (order_id, dispute_id) = ($1, $2)) < $6
RETURNING number, at, role, person, text
"""
NOTES = """
SELECT number, at, role, person, text FROM casefile.note WHERE (order_id, dispute_id) = ($1, $2) ORDER BY number
"""


class Audited(NamedTuple):
    """What an operator did by the case file, and why."""

    number: int
    at: datetime
    operator: str
    what: str
    why: str
    order_id: str | None
    about: Mapping[str, Any]


class Note(NamedTuple):
    """On a case, for operators and mediators."""

    number: int
    at: datetime
    role: str
    person: str
    text: str


class OwnTables(Protocol):
    """Raises Outage."""

    async def audited(self, operator: str, what: str, why: str, order_id: str | None, about: Mapping[str, Any]) -> int:
        """Its number, once it is kept."""
        ...

    async def audit(self, order_id: str | None, before: int | None, limit: int) -> Sequence[Audited]:
        """The newest first."""
        ...

    async def deal_with(self, letter: SetAside, how: str, audit: int) -> None:
        """`redriven` or `dismissed`; what somebody has dealt with before stays as it was."""
        ...

    async def note(self, order_id: str, dispute_id: str, role: str, person: str, text: str) -> Note | None:
        """None: there are NOTES_MAX of them."""
        ...

    async def notes(self, order_id: str, dispute_id: str) -> Sequence[Note]: ...


class PostgresOwnTables:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def audited(self, operator: str, what: str, why: str, order_id: str | None, about: Mapping[str, Any]) -> int:
        with outage():
            number: int = await self.pool.fetchval(AUDITED, operator, what, why, order_id, json.dumps(dict(about)))
        return number

    async def audit(self, order_id: str | None, before: int | None, limit: int) -> Sequence[Audited]:
        with outage():
            found = await self.pool.fetch(AUDIT, order_id, before, limit)
        return [Audited(**{**row, "about": json.loads(row["about"])}) for row in found]

    async def deal_with(self, letter: SetAside, how: str, audit: int) -> None:
        with outage():
            await self.pool.execute(DEALT_WITH, letter.topic, letter.partition, letter.offset, how, audit)

    async def note(self, order_id: str, dispute_id: str, role: str, person: str, text: str) -> Note | None:
        with outage():
            row = await self.pool.fetchrow(NOTE, order_id, dispute_id, role, person, text, NOTES_MAX)
        return None if row is None else Note(*row)

    async def notes(self, order_id: str, dispute_id: str) -> Sequence[Note]:
        with outage():
            return [Note(*row) for row in await self.pool.fetch(NOTES, order_id, dispute_id)]
