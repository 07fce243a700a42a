"""Collects what a running system has written: its topics, then the ledger, then the pending alarms.

Memory is bounded whatever lies there: one partition of every topic is fetched at a time, observations go to disk,
and one order is checked at a time; so it is the fetch buffers, the cache of that file and the largest single order.
Measured: 150 MiB at 22,000 records, 240 MiB at 900,000, 260 MiB at 2.7 million of 60,000 orders; 75 µs of CPU a record.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import Field

from deploy.verify.check import check
from deploy.verify.checks import people
from deploy.verify.checks.order_history import Snapshot
from deploy.verify.observation import ALARMS, LATER, LEDGER, Observation, Reader
from deploy.verify.report import Report, Violation
from deploy.verify.sorted_facts import SortedFacts
from schemas.topics import all_topics
from shared.kernel.ports import Record
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import connection
from shared.runtime.kafka.reading import LogReader, LogStandsStill
from shared.runtime.settings import Settings

RECORDS_MAX = 2_000
ROWS_MAX = 5_000

ENTRIES = """
SELECT entry_id, order_id, event_type, (extract(epoch FROM booked_at) * 1000)::bigint, currency, side, account,
    amount_minor
FROM ledger_entry FULL JOIN ledger_posting USING (entry_id) ORDER BY entry_id, side
"""
PENDING = """
SELECT timer.timer_id, order_id, due_at FROM timer LEFT JOIN watermark USING (shard)
WHERE (timer.ring_at, timer.timer_id) > (coalesce(watermark.ring_at, 0), coalesce(watermark.timer_id, ''))
"""
GUARDS = """
SELECT relname || '.' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = current_schema()::regnamespace AND tgenabled IN ('O', 'A')
"""
GUARDED = [f"{table}.{name}" for table in ("ledger_entry", "ledger_posting") for name in ("balanced", "unchanged")]
"""Triggers by which the database itself refuses what must not happen to the ledger."""


class VerifySettings(Settings):
    """What any service is told, and where the two databases are that are looked into (default: `database_url`)."""

    verify_refund_url: str | None = Field(default=None, repr=False)
    verify_timer_url: str | None = Field(default=None, repr=False)
    verify_grace_seconds: float = Field(default=30.0, ge=0)
    """So long what follows from a record may be on its way. Clocks of brokers and of this machine must agree so far."""

    @property
    def refund_url(self) -> str:
        return self.verify_refund_url or self.database_url

    @property
    def timer_url(self) -> str:
        return self.verify_timer_url or self.database_url


class CannotVerify(Exception):
    """Something that must be read cannot be; says what, for the person at the terminal."""


async def verify(settings: VerifySettings) -> Report:
    """Raises CannotVerify."""
    internals.install()
    began = time.monotonic()
    report = Report()
    with SortedFacts() as facts:
        try:
            names = [topic.name for topic in all_topics(settings.topic_prefix)]
            async with LogReader(connection(settings), names) as reader:
                topics = Topics(reader, settings.topic_prefix)
                await topics.read_into(facts)
                await _ledger(settings.refund_url, facts, report)
                alarms_at = _now()
                await _alarms(settings.timer_url, facts)
                await topics.read_on("refund.events", facts)
        except (KafkaError, LogStandsStill) as error:
            raise CannotVerify(f"Kafka, {settings.kafka_bootstrap_servers}: {error}") from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise CannotVerify(f"PostgreSQL: {type(error).__name__}: {error}") from error
        grace = int(settings.verify_grace_seconds * 1000)
        erased = people.erased(facts.by_person())
        snapshot = Snapshot(topics.ends_at, alarms_at, grace, topics.begins, erased)
        check(facts.by_order(), facts.by_source(), facts.by_payment(), snapshot, report)
    report.seconds = time.monotonic() - began
    return report


def _now() -> int:
    return time.time_ns() // 1_000_000


class Topics:
    """All logs, from where they begin to where they ended when the reading began."""

    def __init__(self, log: LogReader, prefix: str) -> None:
        self._log, self._prefix = log, prefix
        self.partitions = max(place.partition for place in log.places) + 1
        self._reader = Reader(self.partitions)
        self.ends_at = 0
        self._ends: dict[TopicPartition, int] = {}
        self.begins: dict[tuple[str, int], int] = {}

    async def read_into(self, facts: SortedFacts) -> None:
        self.ends_at = _now()
        self._ends = await self._log.ends(self._log.places)
        starts = await self._log.begins(self._log.places)
        for shard in range(self.partitions):
            places = [place for place in self._log.places if place.partition == shard]
            for place in places:
                if starts[place] > 0:
                    self.begins[self._name(place), shard] = self.ends_at  # or when its first record was appended
            async for records in self._read(places, starts, self._ends):
                for record in records:
                    log = record.topic, record.partition
                    if log in self.begins:
                        self.begins[log] = min(self.begins[log], record.timestamp)
                facts.add(self._reader.observation(record) for record in records)

    async def read_on(self, topic: str, facts: SortedFacts) -> None:
        """What was appended since."""
        places = [place for place in self._log.places if self._name(place) == topic]
        ends = await self._log.ends(places)
        async for records in self._read(places, self._ends, ends):
            found = [self._reader.observation(record) for record in records]
            facts.add(Observation(one.order_id, LATER, one.partition, one.offset, id=one.id) for one in found)

    def _name(self, of: TopicPartition | ConsumerRecord) -> str:
        return str(of.topic[len(self._prefix) :])

    async def _read(
        self, places: Sequence[TopicPartition], starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> AsyncIterator[list[Record]]:
        async for fetched in self._log.to_the_end(places, starts, ends, RECORDS_MAX):
            yield [
                Record(self._name(r), r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in fetched
            ]


@asynccontextmanager
async def _database(dsn: str, schema: str) -> AsyncIterator[Any]:
    """As it stands at one instant, without a limit on how long a statement may take."""
    settings = {"search_path": schema, "application_name": "recourse verify"}
    database = await asyncpg.connect(dsn, timeout=10, server_settings=settings)
    try:
        async with database.transaction(isolation="repeatable_read", readonly=True):
            yield database
    finally:
        await database.close()


async def _ledger(dsn: str, facts: SortedFacts, report: Report) -> None:
    async with _database(dsn, "refund") as database:
        there = {row[0] for row in await database.fetch(GUARDS)}
        gone = "the database does not guard its ledger any more: the trigger {} is gone or switched off"
        report.add(Violation("M3", gone.format(guard)) for guard in GUARDED if guard not in there)
        # The indexes give entries and postings in order: nothing is sorted, nothing is held in memory.
        await database.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_sort = off")
        entry: list[Any] = []
        async for row in database.cursor(ENTRIES, prefetch=ROWS_MAX):
            if entry and entry[0][0] != row[0]:
                facts.add([_entry(entry)])
                entry = []
            entry.append(row)
        facts.add([_entry(entry)] if entry else [])


def _entry(rows: Sequence[Any]) -> Observation:
    entry_id, order_id, event_type, booked_at, currency = rows[0][:5]
    postings = [(side, account, minor) for *_, side, account, minor in rows if side is not None]
    about = next((account.partition(":")[2] for _, account, _ in postings if account.startswith("escrow:")), "")
    return Observation(
        order_id or about,
        LEDGER,
        at=booked_at or 0,
        type=event_type or "postings without an entry",
        id=entry_id,
        data={"currency": currency or "", "postings": postings},
    )


async def _alarms(dsn: str, facts: SortedFacts) -> None:
    async with _database(dsn, "timer") as database:
        async for timer_id, order_id, due_at in database.cursor(PENDING, prefetch=ROWS_MAX):
            facts.add([Observation(order_id, ALARMS, at=due_at, id=timer_id)])
