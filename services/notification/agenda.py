"""Letters and webhooks under way: from a table for the service, in memory, letters alone, for the simulated world. Both
pass the same tests.

The table is the queue; in memory there are at most `TAKEN_MAX` of each channel, however many wait. A delivery that was
taken from the table is left alone until its outcome is committed, so nobody is told twice while a shard stays ours;
after a crash or an outage of the database it may go out again, under the same Message-ID or webhook-id.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from schemas.instants import from_ms
from schemas.notification.events import NotificationFailed, NotificationSent, Postponed, Queued, WebhookQueued
from services.notification.domain import Attempted
from services.notification.gateway import TAKEN, Answer, Gateway
from services.notification.letters import Letter, letter
from services.notification.webhooks import WebhookGateway
from shared.kernel.ports import Input, StoredEvent

log = logging.getLogger(__name__)

TAKEN_MAX = 200
LOOK_SECONDS_MAX = 60.0
RETRY_SECONDS = 1.0
UNWRITABLE = Answer("unwritable")
AT_ONCE = datetime.min.replace(tzinfo=UTC)

Channel = Literal["email", "webhook"]
Q = TypeVar("Q", bound=Queued | WebhookQueued)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits in the queue."""

    shard: int
    channel: Channel
    attempts: int
    next_attempt_at: datetime
    correlation_id: str
    queued: Queued | WebhookQueued

    @property
    def id(self) -> str:
        return self.queued.delivery_id

    def outcome(self, answer: Answer, now: datetime) -> Input:
        attempt = self.attempts + 1
        heard = Attempted(self.id, attempt, answer.problem, answer.smtp_status, answer.final, answer.http_status)
        order_id, id_ = self.queued.order_id, f"{self.id}/{attempt}"
        return Input(heard, "notification.attempted", order_id, id_, now, self.correlation_id)


@dataclass(slots=True)
class Change:
    """What one commit does to the queue: what is new, what is tried later, what is over (each with its shard)."""

    queued: list[Delivery] = field(default_factory=list)
    postponed: list[tuple[int, Postponed]] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)


class Table(Protocol):
    """The durable side; its writes are part of the commit that `transaction` belongs to."""

    async def next(self, channel: Channel, shards: Sequence[int], but: Sequence[str], limit: int) -> list[Delivery]:
        """The earliest first, due or not; `but`: ids of those that are left out."""

    async def write(self, transaction: Any, change: Change) -> None: ...


def _new(one: StoredEvent, queued: Queued | WebhookQueued) -> Delivery:
    channel: Channel = "email" if isinstance(queued, Queued) else "webhook"
    return Delivery(one.shard, channel, 0, from_ms(one.time), one.correlation_id or "", queued)


class Line(Generic[Q]):
    """The deliveries of one channel that are under way. It has places of its own, so that the trouble of one server is
    not another channel's."""

    def __init__(
        self,
        channel: Channel,
        send: Callable[[Q], Awaitable[Answer]],
        close: Callable[[], Awaitable[None]],
        at_once: int,
    ) -> None:
        self.channel, self.close = channel, close
        self.places = asyncio.Semaphore(at_once)
        self.sending: dict[str, asyncio.Task[None]] = {}
        self._send = send

    async def answer(self, queued: Any) -> Answer:
        try:
            return await self._send(queued)
        except Exception as bug:
            # Only its kind is logged: its words may hold an address. Later attempts may meet a mended template.
            log.error("a delivery cannot be made", extra={"template": queued.template, "error": type(bug).__name__})
            return UNWRITABLE


def mail_line(gateway: Gateway, at_once: int = 4) -> Line[Queued]:
    async def send(queued: Queued) -> Answer:
        return await gateway.send(queued.delivery_id, queued.email, letter(queued), queued.event_at)

    return Line("email", send, gateway.close, at_once)


def webhook_line(gateway: WebhookGateway, at_once: int = 4) -> Line[WebhookQueued]:
    async def send(queued: WebhookQueued) -> Answer:
        return await gateway.send(queued, datetime.now(UTC))

    return Line("webhook", send, gateway.close, at_once)


class DeliveryQueue:
    """One task takes what is due from the table, a page at a time, and has it sent."""

    def __init__(self, table: Table, *lines: Line[Any]) -> None:
        self.table, self.lines = table, lines
        self._open: dict[int, object] = {}
        """Shard -> a token of this ownership: what was begun under an earlier one counts no more."""
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

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        change = Change()
        for one in events:
            match one.message:
                case Queued() | WebhookQueued() as queued:
                    change.queued.append(_new(one, queued))
                case Postponed() as postponed:
                    change.postponed.append((one.shard, postponed))
                case NotificationSent() | NotificationFailed() as ended if ended.channel != "topic":
                    change.ended.append((one.shard, ended.delivery_id))
        await self.table.write(transaction, change)

    def committed(self, events: Sequence[StoredEvent]) -> None:
        for one in events:
            match one.message:
                case Queued() | WebhookQueued():
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
        sending = [task for line in self.lines for task in line.sending.values()]
        tasks = [*sending, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in self.lines:
            await line.close()

    async def _keep_looking(self) -> None:
        while True:
            self._look.clear()
            try:
                wait = min([await self._take(line) for line in self.lines])
            except Exception as error:  # an outage, most likely; nothing may end the sending for good
                log.warning("the queue of deliveries cannot be read", extra={"error": type(error).__name__})
                wait = RETRY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._look.wait()

    async def _take(self, line: Line[Any]) -> float:
        """Starts what is due; returns the seconds after which to look again, if nothing happens before."""
        answered = [delivery for some in self._answered.values() for delivery, _ in some]
        taken = [*line.sending, *(delivery.id for delivery in answered if delivery.channel == line.channel)]
        room = TAKEN_MAX - len(taken)
        if room < TAKEN_MAX // 2 or not self._open:
            return LOOK_SECONDS_MAX  # whatever ends makes us look
        handed_out = [id_ for some in self._handed_out.values() for id_ in some]
        open_before = dict(self._open)
        waiting = await self.table.next(line.channel, list(open_before), taken + handed_out, room)
        now = datetime.now(UTC)
        for delivery in waiting:
            if delivery.next_attempt_at > now:
                return min((delivery.next_attempt_at - now).total_seconds(), LOOK_SECONDS_MAX)
            self._begin(line, delivery, open_before[delivery.shard])
        return 0 if len(waiting) == room else LOOK_SECONDS_MAX

    def _begin(self, line: Line[Any], delivery: Delivery, ownership: object) -> None:
        task = asyncio.create_task(self._send(line, delivery, ownership))
        line.sending[delivery.id] = task
        task.add_done_callback(lambda _: self._sent(line, delivery.id))

    def _sent(self, line: Line[Any], delivery_id: str) -> None:
        del line.sending[delivery_id]
        self._look.set()

    async def _send(self, line: Line[Any], delivery: Delivery, ownership: object) -> None:
        async with line.places:
            if self._open.get(delivery.shard) is not ownership:
                return
            answer = await line.answer(delivery.queued)
        if self._open.get(delivery.shard) is ownership:
            self._answered[delivery.shard].append((delivery, answer))


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter as its recipient holds it."""

    queued: Queued
    letter: Letter


class MailList:
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

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        for one in events:
            match one.message:
                case Queued() as queued:
                    self._kept[one.shard, queued.delivery_id] = _new(one, queued)
                case Postponed(delivery_id=id_, attempts=attempts, next_attempt_at=at):
                    delivery = self._kept[one.shard, id_]
                    self._kept[one.shard, id_] = replace(delivery, attempts=attempts, next_attempt_at=at)
                case NotificationSent() | NotificationFailed():
                    self._kept.pop((one.shard, one.message.delivery_id), None)

    def committed(self, events: Sequence[StoredEvent]) -> None:
        for one in events:
            if isinstance(one.message, Postponed | NotificationSent | NotificationFailed):
                self._handed_out.discard((one.shard, one.message.delivery_id))

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        ready = [one for one in self._waiting() if one.shard == shard and one.next_attempt_at <= now]
        self._handed_out |= {(one.shard, one.id) for one in ready}
        return [one.outcome(self._deliver(one.queued), now) for one in ready]

    def next_due(self) -> datetime | None:
        return min((one.next_attempt_at for one in self._waiting()), default=None)

    def _waiting(self) -> list[Delivery]:
        return [one for key, one in self._kept.items() if one.shard in self._open and key not in self._handed_out]

    async def stop(self) -> None:
        """Nothing was started."""

    def _deliver(self, queued: Any) -> Answer:
        answer = self.answer(queued)
        if answer.problem is None:
            self.taken.append(Taken(queued, letter(queued)))
        return answer
