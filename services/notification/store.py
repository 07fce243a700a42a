"""The queue of letters: in PostgreSQL for the service, in memory for the simulated world. Both pass the same tests.

The table is the queue; in memory there are at most `TAKEN_MAX` letters of it, however many wait. A letter that was
taken from the table is left alone until its outcome is committed, so nobody is written to twice while a shard stays
ours; after a crash or an outage of the database a letter may go out again, under the same Message-ID.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg

from schemas.notification import NotificationFailed, NotificationSent, Postponed, Queued
from schemas.wire import Message
from services.notification.domain import Attempted
from services.notification.gateway import TAKEN, Answer, Gateway
from services.notification.letters import Letter, letter
from shared.agenda import Agenda, Written
from shared.decider import Input

log = logging.getLogger(__name__)

TAKEN_MAX = 200
LOOK_SECONDS_MAX = 60.0
RETRY_SECONDS = 1.0
UNWRITABLE = Answer("unwritable")
AT_ONCE = datetime.min.replace(tzinfo=UTC)

QUEUE = """
INSERT INTO delivery (shard, delivery_id, attempts, next_attempt_at, correlation_id, letter)
SELECT shard, delivery_id, 0, next_attempt_at, correlation_id, letter
FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::json[])
    AS queued (shard, delivery_id, next_attempt_at, correlation_id, letter)
"""
POSTPONE = """
UPDATE delivery SET attempts = postponed.attempts, next_attempt_at = postponed.next_attempt_at
FROM unnest($1::int[], $2::text[], $3::int[], $4::timestamptz[])
    AS postponed (shard, delivery_id, attempts, next_attempt_at)
WHERE delivery.shard = postponed.shard AND delivery.delivery_id = postponed.delivery_id
"""
END = """
DELETE FROM delivery USING unnest($1::int[], $2::text[]) AS ended (shard, delivery_id)
WHERE delivery.shard = ended.shard AND delivery.delivery_id = ended.delivery_id
"""
NEXT = """
SELECT next.* FROM unnest($1::int[]) AS mine (shard) CROSS JOIN LATERAL (
    SELECT shard, delivery_id, attempts, next_attempt_at, correlation_id, letter FROM delivery
    WHERE delivery.shard = mine.shard AND delivery_id != ALL ($2::text[])
    ORDER BY next_attempt_at LIMIT $3
) AS next ORDER BY next_attempt_at LIMIT $3
"""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A letter in the queue."""

    shard: int
    attempts: int
    next_attempt_at: datetime
    correlation_id: str
    letter: Queued

    @property
    def id(self) -> str:
        return self.letter.delivery_id

    def outcome(self, answer: Answer, now: datetime) -> Input:
        attempt = self.attempts + 1
        heard = Attempted(self.id, attempt, answer.problem, answer.smtp_status, answer.final)
        order_id, id_ = self.letter.order_id, f"{self.id}/{attempt}"
        return Input(heard, "notification.attempted", order_id, id_, now, self.correlation_id)


def _of(written: Iterable[Written], model: type[M]) -> list[tuple[Written, M]]:
    return [(one, one.message) for one in written if isinstance(one.message, model)]


class MailQueue(Agenda):
    """In PostgreSQL; one task takes what is due from the table, a page at a time, and has it sent."""

    def __init__(self, pool: asyncpg.Pool, gateway: Gateway, at_once: int = 4) -> None:
        self.pool, self.gateway = pool, gateway
        self._places = asyncio.Semaphore(at_once)
        self._open: dict[int, object] = {}
        """Shard -> a token of this ownership: what was begun under an earlier one counts no more."""
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._answered: defaultdict[int, list[tuple[Delivery, Answer]]] = defaultdict(list)
        self._handed_out: defaultdict[int, set[str]] = defaultdict(set)
        self._look = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def opened(self, shard: int) -> None:
        self._open[shard] = object()
        self._look.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking())

    def closed(self, shard: int) -> None:
        self._open.pop(shard, None)
        self._answered.pop(shard, None)
        self._handed_out.pop(shard, None)

    async def write(self, transaction: Any, written: Sequence[Written]) -> None:
        queued = [
            (one.shard, letter.delivery_id, one.time, one.correlation_id, letter.model_dump_json())
            for one, letter in _of(written, Queued)
        ]
        postponed = [
            (one.shard, event.delivery_id, event.attempts, event.next_attempt_at)
            for one, event in _of(written, Postponed)
        ]
        ended = [
            (one.shard, event.delivery_id)
            for model in (NotificationSent, NotificationFailed)
            for one, event in _of(written, model)
            if event.channel == "email"
        ]
        for statement, rows in ((QUEUE, queued), (POSTPONE, postponed), (END, ended)):
            if rows:
                await transaction.execute(statement, *map(list, zip(*rows, strict=True)))

    def committed(self, written: Sequence[Written]) -> None:
        for one in written:
            match one.message:
                case Queued():
                    self._look.set()
                case Postponed() | NotificationSent() | NotificationFailed():
                    self._handed_out[one.shard].discard(one.message.delivery_id)
                    self._look.set()

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        answered = self._answered.pop(shard, [])
        self._handed_out[shard].update(delivery.id for delivery, _ in answered)
        return [delivery.outcome(answer, now) for delivery, answer in answered]

    def next_due(self) -> datetime | None:
        return AT_ONCE if any(self._answered.values()) else None

    async def stop(self) -> None:
        tasks = [*self._sending.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.gateway.close()

    async def _keep_looking(self) -> None:
        while True:
            self._look.clear()
            try:
                wait = await self._take()
            except Exception as error:  # an outage, most likely; nothing may end the sending for good
                log.warning("the queue of letters cannot be read", extra={"error": type(error).__name__})
                wait = RETRY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._look.wait()

    async def _take(self) -> float:
        """Starts what is due; returns the seconds after which to look again, if nothing happens before."""
        taken = [*self._sending, *(delivery.id for some in self._answered.values() for delivery, _ in some)]
        room = TAKEN_MAX - len(taken)
        if room < TAKEN_MAX // 2 or not self._open:
            return LOOK_SECONDS_MAX  # whatever ends makes us look
        handed_out = [id_ for some in self._handed_out.values() for id_ in some]
        open_before = dict(self._open)
        rows = await self.pool.fetch(NEXT, list(open_before), taken + handed_out, room)
        now = datetime.now(UTC)
        for shard, _, attempts, next_attempt_at, correlation_id, text in rows:
            if next_attempt_at > now:
                return min(float((next_attempt_at - now).total_seconds()), LOOK_SECONDS_MAX)
            delivery = Delivery(shard, attempts, next_attempt_at, correlation_id, Queued.read(text))
            self._begin(delivery, open_before[shard])
        return 0 if len(rows) == room else LOOK_SECONDS_MAX

    def _begin(self, delivery: Delivery, ownership: object) -> None:
        task = asyncio.create_task(self._send(delivery, ownership))
        self._sending[delivery.id] = task
        task.add_done_callback(lambda _: self._sent(delivery.id))

    def _sent(self, delivery_id: str) -> None:
        del self._sending[delivery_id]
        self._look.set()

    async def _send(self, delivery: Delivery, ownership: object) -> None:
        async with self._places:
            if self._open.get(delivery.shard) is not ownership:
                return
            answer = await self._answer(delivery.letter)
        if self._open.get(delivery.shard) is ownership:
            self._answered[delivery.shard].append((delivery, answer))

    async def _answer(self, queued: Queued) -> Answer:
        try:
            return await self.gateway.send(queued.delivery_id, queued.email, letter(queued), queued.event_at)
        except Exception as bug:
            # Only its kind is logged: its words may hold an address. Later attempts may meet a mended template.
            log.error("a letter cannot be written", extra={"template": queued.template, "error": type(bug).__name__})
            return UNWRITABLE


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter as its recipient holds it."""

    queued: Queued
    letter: Letter


class MailList(Agenda):
    """In memory and in virtual time: what is due is written and taken at once, into `taken`."""

    def __init__(self, answer: Callable[[Queued], Answer] = lambda queued: TAKEN) -> None:
        self.answer = answer
        self.taken: list[Taken] = []
        self._kept: dict[tuple[int, str], Delivery] = {}
        self._open: set[int] = set()
        self._handed_out: set[tuple[int, str]] = set()

    async def opened(self, shard: int) -> None:
        self._open.add(shard)

    def closed(self, shard: int) -> None:
        self._open.discard(shard)
        self._handed_out = {key for key in self._handed_out if key[0] != shard}

    async def write(self, transaction: Any, written: Sequence[Written]) -> None:
        for one in written:
            match one.message:
                case Queued() as queued:
                    delivery = Delivery(one.shard, 0, one.time, one.correlation_id, queued)
                    self._kept[one.shard, queued.delivery_id] = delivery
                case Postponed(delivery_id=id_, attempts=attempts, next_attempt_at=at):
                    delivery = self._kept[one.shard, id_]
                    self._kept[one.shard, id_] = replace(delivery, attempts=attempts, next_attempt_at=at)
                case NotificationSent() | NotificationFailed():
                    self._kept.pop((one.shard, one.message.delivery_id), None)

    def committed(self, written: Sequence[Written]) -> None:
        for one in written:
            if isinstance(one.message, Postponed | NotificationSent | NotificationFailed):
                self._handed_out.discard((one.shard, one.message.delivery_id))

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        ready = [one for one in self._waiting() if one.shard == shard and one.next_attempt_at <= now]
        self._handed_out |= {(one.shard, one.id) for one in ready}
        return [one.outcome(self._deliver(one.letter), now) for one in ready]

    def next_due(self) -> datetime | None:
        return min((one.next_attempt_at for one in self._waiting()), default=None)

    def _waiting(self) -> list[Delivery]:
        return [one for key, one in self._kept.items() if one.shard in self._open and key not in self._handed_out]

    def _deliver(self, queued: Queued) -> Answer:
        answer = self.answer(queued)
        if answer.problem is None:
            self.taken.append(Taken(queued, letter(queued)))
        return answer
