"""A service that is stopped, its shards held by whoever repairs it, and the list of what was done to it."""

import importlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg

from schemas.wire import Service
from services.notification.people import People
from services.notification.projection import Deliveries
from services.notification.store import PostgresDeliveryTable, PostgresPeopleTable
from services.refund.projection import Ledger, ReviewQueue
from services.refund.store import PostgresLedgerTable, PostgresReviewTable
from services.timer.projection import Timers
from services.timer.store import PostgresTimerTable
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.policies import Policies
from shared.kernel.ports import Claim, Projection
from shared.rules import policies
from shared.runtime import logs
from shared.runtime.application import Application
from shared.runtime.partitions import home_among
from shared.runtime.postgres import database
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore
from shared.runtime.presence import IS_GONE, PREPARE
from shared.runtime.settings import Settings, read

log = logging.getLogger(__name__)

BURY = f"DELETE FROM member WHERE {IS_GONE}"
LIVING = "SELECT id FROM member ORDER BY id"
NOTE = "INSERT INTO repair (who, reason, command, shard, facts, subject) VALUES ($1, $2, $3, $4, $5, $6)"
LEFT = """
SELECT number, at, command, shard, subject, facts ->> 'why' AS why, reason FROM repair
WHERE subject IS NOT NULL AND looked IS NULL ORDER BY number
"""
ACCEPT = """
WITH gone AS (
    DELETE FROM event WHERE order_id = $1 AND type = 'stream.withheld.v1' RETURNING shard
), looked AS (
    UPDATE repair SET looked = clock_timestamp() WHERE subject = $1 AND looked IS NULL RETURNING shard
)
SELECT shard FROM gone UNION SELECT shard FROM looked
"""


class CannotRepair(Exception):
    """Says why, for the person at the terminal."""


@dataclass(frozen=True)
class Mandate:
    """Who wants it, why, and by which command: as the list keeps it."""

    who: str
    reason: str
    command: str


class StoppedService:
    """All of a service's shards, claimed: whoever starts meanwhile and takes one ends the repair (`Fenced`)."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        decider: Decider[Any, Any, Any],
        pool: asyncpg.Pool,
        tables: Sequence[Any],
        known: Policies,
        told: Mandate,
    ) -> None:
        self.service, self.settings, self.decider, self.pool, self.told = service, settings, decider, pool, told
        self.tables, self.policies = tables, known
        self.home = home_among(settings.partitions)
        self.decoder = Decoder(decider, self.home)
        self.store = PostgresStore(pool, tables)
        self.claims: list[Claim] = []

    async def note(self, shard: int, facts: dict[str, Any], subject: str | None = None) -> None:
        told = self.told
        log.info(
            "repaired", extra={"who": told.who, "command": told.command, "shard": shard, "subject": subject, **facts}
        )
        await self.pool.execute(
            NOTE, told.who, told.reason, told.command, shard, json.dumps(facts, default=str), subject
        )

    async def accept(self, subject: str) -> list[int]:
        """A person has looked: what waits of an order goes on with the next start."""
        return [row[0] for row in await self.pool.fetch(ACCEPT, subject)]


async def left(service: Service) -> list[str]:
    """What of all repairs a person must look at, and nobody has said he did; also while the service runs."""
    connection = await database.connect(read(_app(service).settings, service).database_url, service, "repair")
    try:
        return [
            f"{number}  {at:%Y-%m-%d %H:%M}  {command}  shard {shard}  {subject}: {why}"
            for number, at, command, shard, subject, why, _ in await connection.fetch(LEFT)
        ]
    finally:
        await connection.close()


@asynccontextmanager
async def hold(service: Service, told: Mandate) -> AsyncIterator[StoppedService]:
    """Raises CannotRepair while the service runs."""
    app = _app(service)
    settings = read(app.settings, service)
    logs.start(service, settings)
    await migrate(settings.database_url, service, (KERNEL_MIGRATIONS, *app.migrations))
    pool = await database.create_pool(settings.database_url, service, 3)
    try:
        tables = _tables(service, pool)
        known = policies.load(settings.policies_folder, policies.load())
        held = StoppedService(service, settings, app.decider(settings), pool, tables, known, told)
        await pool.execute(BURY)
        if living := [row[0] for row in await pool.fetch(LIVING)]:
            raise CannotRepair(f"the {service} service runs ({', '.join(living)}): stop it first")
        await pool.execute(PREPARE, settings.partitions)
        shards = range(settings.partitions)
        held.claims = sorted(await held.store.claim(shards, f"repair-{uuid4().hex[:6]}"), key=lambda one: one.shard)
        if missing := sorted({*shards} - {claim.shard for claim in held.claims}):
            raise CannotRepair(f"somebody holds the shards {missing}")
        for table in tables:
            if isinstance(table, Timers):
                for shard in shards:
                    await table.opened(shard)
        try:
            yield held
        finally:
            await held.store.release(held.claims)
    finally:
        await pool.close()


def _app(service: Service) -> Application[Any]:
    app: Application[Any] = importlib.import_module(f"services.{service}.app").APP
    return app


def _tables(service: Service, pool: asyncpg.Pool) -> Sequence[Projection]:
    """What is kept in the very commit of events; nothing of it acts."""
    match service:
        case "refund":
            return [Ledger(PostgresLedgerTable()), ReviewQueue(PostgresReviewTable())]
        case "notification":
            people = PostgresPeopleTable(pool)
            return [People(people), Deliveries(PostgresDeliveryTable(pool), people, (), lambda: datetime.now(UTC))]
        case "timer":
            return [Timers(PostgresTimerTable(pool))]
    return []
