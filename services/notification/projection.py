"""Letters and webhooks under way: what waits in the table is sent once it is due, and what came of it is an own input.

The table is the queue; in memory there are at most `TAKEN_MAX` of each channel, however many wait. A delivery that was
taken from the table is left alone until its outcome is committed, so nobody is told twice while a shard stays ours;
after a crash or an outage of the database it may go out again, under the same Message-ID or webhook-id.

Nothing here sleeps or polls. `next_due` says when there is something to do again, and whoever keeps the time asks `due`
then: the shard loop by a real clock, a world in memory by its own.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from typing import Any, Generic, Literal, Protocol, TypeVar

from schemas.instants import from_ms
from schemas.notification.events import (
    Hastened,
    LookedUp,
    LookupQueued,
    NotificationFailed,
    NotificationSent,
    Postponed,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.notification.shapes import Problem, RecipientRole
from services.notification.domain import ATTEMPTED, Attempted
from services.notification.people import AddressedWebhook, PeopleTable, addressed, endpoint_ids
from services.notification.states import AnyQueued
from shared.kernel.ports import Clock, Input, StoredEvent

log = logging.getLogger(__name__)

TAKEN_MAX = 200
AFTER_OUTAGE = timedelta(seconds=1)
AT_ONCE = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)

QueueName = Literal["email", "webhook/buyer", "webhook/seller", "webhook/mediator", "lookup", "own_webhook"]
"""What waits for servers of its own. A role has one endpoint at a time, so the trouble of one is not another's. Of
people's own, which are as many as people like, one webhook at a time goes to each."""
OWN_QUEUES: tuple[QueueName, ...] = ("lookup", "own_webhook")
Q = TypeVar("Q", bound=Queued | WebhookQueued | AddressedWebhook)


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of handing over one delivery. `final`: the server will never take it."""

    problem: Problem | None = None
    smtp_status: int | None = None
    final: bool = False
    http_status: int | None = None
    endpoint_ids: tuple[str, ...] = ()
    """Of a look-up: the recipient's own."""


TAKEN = SendResult()
UNREACHABLE = SendResult("unreachable")
UNWRITABLE = SendResult("unwritable")
NO_ADDRESS = SendResult("no_address")
"""Nobody has said anything of him yet."""
NOT_WRITTEN_TO = SendResult("no_address", final=True)
"""He is erased, or wants none."""


def webhooks_about(role: RecipientRole) -> QueueName:
    match role:
        case "buyer":
            return "webhook/buyer"
        case "seller":
            return "webhook/seller"
        case "mediator":
            return "webhook/mediator"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits in a queue."""

    shard: int
    attempts: int
    next_attempt_at: datetime
    correlation_id: str
    queued: AnyQueued

    @property
    def id(self) -> str:
        return self.queued.delivery_id

    @property
    def queue(self) -> QueueName:
        match self.queued:
            case Queued():
                return "email"
            case LookupQueued():
                return "lookup"
            case WebhookQueued(endpoint_id=None):
                return webhooks_about(self.queued.recipient.role)
            case WebhookQueued():
                return "own_webhook"

    @property
    def endpoint(self) -> str:
        """Which of all people's own it goes to; empty: none of them."""
        queued = self.queued
        if isinstance(queued, WebhookQueued) and queued.endpoint_id is not None:
            return f"{queued.recipient.id}/{queued.endpoint_id}"
        return ""

    def outcome(self, result: SendResult, now: datetime) -> Input:
        attempt = self.attempts + 1
        status = result.smtp_status, result.final, result.http_status
        attempted = Attempted(self.id, attempt, result.problem, *status, result.endpoint_ids)
        order_id, id_ = self.queued.order_id, f"{self.id}/{attempt}"
        return Input(attempted, ATTEMPTED, order_id, id_, now, self.correlation_id)


@dataclass(slots=True)
class DeliveryChange:
    """What one commit does to the queue: what is new, what is tried later or sooner, what is over (each with its
    shard). What is
    held is left alone: what came of its last attempt waits with its parked order."""

    queued: list[Delivery] = field(default_factory=list)
    postponed: list[tuple[int, Postponed]] = field(default_factory=list)
    hastened: list[tuple[int, str, datetime]] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)
    held: list[tuple[int, str]] = field(default_factory=list)


class DeliveryTable(Protocol):
    """The durable side; its writes are part of the commit that `transaction` belongs to."""

    async def next(
        self, queues: Sequence[QueueName], shards: Sequence[int], but: Sequence[str], limit: int, busy: Collection[str]
    ) -> list[Delivery]:
        """The earliest first, due or not, without those that are held; left out are these ids (`but`), and all to these
        endpoints of people's own."""
        ...

    async def write(self, transaction: Any, change: DeliveryChange) -> None: ...


class Channel(Generic[Q]):
    """A server by which people are reached: the mail server, an endpoint. It has queues and places of its own, so that
    the trouble of one is not another channel's."""

    def __init__(
        self,
        queues: tuple[QueueName, ...],
        send: Callable[[Q, datetime], Awaitable[SendResult]],
        close: Callable[[], Awaitable[None]],
        at_once: int,
    ) -> None:
        self.queues, self.close = queues, close
        self.places = asyncio.Semaphore(at_once)
        self.sending: dict[str, asyncio.Task[None]] = {}
        self.full = False
        """More may be due than was taken. Room is made when outcomes are handed out."""
        self.busy: set[str] = set()
        """People's own endpoints that are spoken to: one that is slow delays what goes to it alone."""
        self._send = send

    async def send(self, queued: Any, now: datetime) -> SendResult:
        try:
            return await self._send(queued, now)
        except Exception as bug:
            # Only its kind is logged: its words may hold an address. Later attempts may meet a mended template.
            log.error("a delivery cannot be made", extra={"template": queued.template, "error": type(bug).__name__})
            return UNWRITABLE


class Deliveries:
    """Takes what is due from the table, a page at a time, and has it sent."""

    def __init__(
        self, table: DeliveryTable, people: PeopleTable, channels: Sequence[Channel[Any]], clock: Clock
    ) -> None:
        self.table, self.people, self.channels, self.clock = table, people, channels, clock
        self._open: dict[int, object] = {}
        """Shard -> a token of this ownership: what was begun under an earlier one counts no more."""
        self._tried: defaultdict[int, list[tuple[Delivery, SendResult]]] = defaultdict(list)
        self._handed_out: defaultdict[int, set[str]] = defaultdict(set)
        """Ids of those whose outcome is being decided."""
        self._next_look: datetime | None = None
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False

    async def opened(self, shard: int) -> None:
        self._open[shard] = object()
        self._look()

    def closed(self, shard: int) -> None:
        self._open.pop(shard, None)
        self._tried.pop(shard, None)
        self._handed_out.pop(shard, None)
        self._look()  # what was kept for it made room

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        change = DeliveryChange()
        for shard, found in inputs:
            if found.waits and isinstance(found.payload, Attempted):
                change.held.append((shard, found.payload.delivery_id))
        for event in events:
            match event.message:
                case Queued() | WebhookQueued() | LookupQueued() as queued:
                    not_before = queued.not_before if isinstance(queued, Queued) else None
                    at, story = not_before or from_ms(event.time), event.correlation_id or ""
                    change.queued.append(Delivery(event.shard, queued.attempts, at, story, queued))
                case Hastened() as hastened:
                    change.hastened.append((event.shard, hastened.delivery_id, hastened.next_attempt_at))
                case Postponed() as postponed:
                    change.postponed.append((event.shard, postponed))
                case message:
                    # of what only the topic tells, or was taken before, there is no row
                    change.ended += ((event.shard, delivery_id) for delivery_id in _ended(message))
        await self.table.write(transaction, change)

    def committed(self, events: Sequence[StoredEvent]) -> None:
        for event in events:
            match event.message:
                case Queued() | WebhookQueued() | LookupQueued() | Hastened():
                    self._look()
                case Postponed(delivery_id=delivery_id):
                    self._handed_out[event.shard].discard(delivery_id)
                    self._look()
                case message:
                    self._handed_out[event.shard].difference_update(_ended(message))

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        self._look_if_due(now)
        tried = self._tried.pop(shard, [])
        if tried:
            self._handed_out[shard].update(delivery.id for delivery, _ in tried)
            if any(channel.full for channel in self.channels):
                self._look()
        return [delivery.outcome(result, now) for delivery, result in tried]

    def next_due(self) -> datetime | None:
        return AT_ONCE if any(self._tried.values()) else self._next_look

    async def settled(self) -> None:
        """For whoever moves the clock himself: returns once all that is due by it was tried."""
        self._look_if_due(self.clock())
        while under_way := self._under_way():
            await asyncio.wait(under_way)

    async def stop(self) -> None:
        self._open.clear()  # so that nothing is begun any more
        under_way = self._under_way()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._looking = None
        for channel in self.channels:
            await channel.close()

    def _under_way(self) -> list[asyncio.Task[None]]:
        sending = [task for channel in self.channels for task in channel.sending.values()]
        return sending if self._looking is None else [*sending, self._looking]

    def _look_if_due(self, now: datetime) -> None:
        if self._next_look is not None and self._next_look <= now:
            self._look()

    def _look(self) -> None:
        self._next_look = None  # until we know better
        self._look_again = True
        if self._looking is None and self._open:
            self._looking = asyncio.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while self._look_again:
            self._look_again = False
            looks = [await self._look_for(channel) for channel in self.channels]
            self._next_look = min((at for at in looks if at is not None), default=None)
        self._looking = None

    async def _look_for(self, channel: Channel[Any]) -> datetime | None:
        """When to look again, if nothing happens before."""
        try:
            return await self._begin_due(channel)
        except Exception as error:  # an outage, most likely; nothing may end the sending for good
            log.warning("the queue of deliveries cannot be read", extra={"error": type(error).__name__})
            return self.clock() + AFTER_OUTAGE

    async def _begin_due(self, channel: Channel[Any]) -> datetime | None:
        tried = [delivery for some in self._tried.values() for delivery, _ in some]
        taken = [*channel.sending, *(delivery.id for delivery in tried if delivery.queue in channel.queues)]
        room = TAKEN_MAX - len(taken)
        channel.full = room < TAKEN_MAX // 2
        if channel.full or not self._open:
            return None
        handed_out = [id_ for some in self._handed_out.values() for id_ in some]
        open_before = dict(self._open)
        busy = frozenset(channel.busy)
        waiting = await self.table.next(channel.queues, list(open_before), taken + handed_out, room, busy)
        now = self.clock()
        for delivery in waiting:
            if delivery.next_attempt_at > now:
                return delivery.next_attempt_at
            if delivery.endpoint in channel.busy:
                self._look_again = True  # behind it may be others, to whom nobody speaks yet
                continue
            self._begin(channel, delivery, open_before[delivery.shard])
        channel.full = len(waiting) == room
        return None

    def _begin(self, channel: Channel[Any], delivery: Delivery, ownership: object) -> None:
        def ended(_: object) -> None:
            del channel.sending[delivery.id]
            channel.busy.discard(delivery.endpoint)
            if delivery.endpoint or not self._owned(delivery, ownership):
                # What goes to the same endpoint, or it itself, may wait in the table and was left alone meanwhile.
                self._look()

        task = asyncio.create_task(self._send(channel, delivery, ownership))
        channel.sending[delivery.id] = task
        if delivery.endpoint:
            channel.busy.add(delivery.endpoint)
        task.add_done_callback(ended)

    async def _send(self, channel: Channel[Any], delivery: Delivery, ownership: object) -> None:
        async with channel.places:
            if not self._owned(delivery, ownership):
                return
            result = await self._hand_over(channel, delivery.queued)
        if self._owned(delivery, ownership):
            self._tried[delivery.shard].append((delivery, result))

    async def _hand_over(self, channel: Channel[Any], queued: AnyQueued) -> SendResult:
        if isinstance(queued, WebhookQueued) and queued.endpoint_id is None:
            return await channel.send(queued, self.clock())  # the platform's, which is nobody of `people`
        try:
            person = await self.people.find(queued.recipient.id)
        except Exception as error:  # an outage, most likely
            log.warning("nobody can be looked up", extra={"error": type(error).__name__})
            return UNREACHABLE
        told = endpoint_ids(person) if isinstance(queued, LookupQueued) else addressed(queued, person)
        if not told:
            return NO_ADDRESS if person is None else NOT_WRITTEN_TO
        return SendResult(endpoint_ids=told) if isinstance(told, tuple) else await channel.send(told, self.clock())

    def _owned(self, delivery: Delivery, ownership: object) -> bool:
        return self._open.get(delivery.shard) is ownership


def _ended(message: object) -> Sequence[str]:
    """The deliveries that leave the queue by it."""
    match message:
        case Taken(told=told):
            return [told.delivery_id]
        case NotificationFailed(delivery_id=delivery_id) | LookedUp(delivery_id=delivery_id):
            return [delivery_id]
        case NotificationSent(recipients=recipients):
            return [one.delivery_id for one in recipients]
    return []


class MemoryDeliveryTable:
    """The simulated durable side."""

    def __init__(self) -> None:
        self.deliveries: dict[tuple[int, str], Delivery] = {}

    async def next(
        self, queues: Sequence[QueueName], shards: Sequence[int], but: Sequence[str], limit: int, busy: Collection[str]
    ) -> list[Delivery]:
        left_out = set(but)
        waiting = [
            one
            for one in self.deliveries.values()
            if one.queue in queues and one.shard in shards and one.id not in left_out and one.next_attempt_at < NEVER
            if one.endpoint not in busy
        ]
        return nsmallest(limit, waiting, key=lambda one: one.next_attempt_at)

    async def write(self, transaction: Any, change: DeliveryChange) -> None:
        self.deliveries |= {(one.shard, one.id): one for one in change.queued}
        for place in change.held:
            self.deliveries[place] = replace(self.deliveries[place], next_attempt_at=NEVER)
        for shard, postponed in change.postponed:
            delivery = self.deliveries[shard, postponed.delivery_id]
            self.deliveries[shard, postponed.delivery_id] = replace(
                delivery, attempts=postponed.attempts, next_attempt_at=postponed.next_attempt_at
            )
        for shard, delivery_id, at in change.hastened:
            delivery = self.deliveries[shard, delivery_id]
            self.deliveries[shard, delivery_id] = replace(delivery, next_attempt_at=at)
        for shard, delivery_id in change.ended:
            self.deliveries.pop((shard, delivery_id), None)
