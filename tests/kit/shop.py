"""Orders whose deliveries a queue keeps, and a clock that stands until it is moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from schemas.notification.events import NotificationSent
from schemas.notification.shapes import ToldRecipient
from schemas.wire import Message
from services.notification.domain import DECIDER, Attempted
from services.notification.people import MemoryPeopleTable
from services.notification.projection import Channel, Deliveries, DeliveryTable
from services.notification.states import Known, PendingDelivery, State
from shared.kernel.decider import Decider
from shared.kernel.ports import Input, StoredEvent
from shared.kernel.stream import Stream, handle
from tests.domain.notification_samples import SAMPLES, placed
from tests.domain.table import POLICIES
from tests.kit.stored_events import NOON, stored_event


@dataclass
class Rows:
    """The durable side of a queue, which outlives it; with a pool it is in PostgreSQL."""

    table: DeliveryTable
    pool: asyncpg.Pool | None = None

    async def commit(self, queue: Deliveries, events: Sequence[StoredEvent]) -> None:
        if self.pool is None:
            await queue.apply(None, [], events)
            return
        async with self.pool.acquire() as connection, connection.transaction():
            await queue.apply(connection, [], events)


class Shop:
    """Orders, and their queue: decides, commits and asks what is due, as the shard loop does."""

    def __init__(self, rows: Rows, *channels: Channel[Any], decider: Decider[State, Any, Any] = DECIDER) -> None:
        self.now = NOON
        self.rows, self.decider, self.people = rows, decider, MemoryPeopleTable()
        self.queue = Deliveries(rows.table, self.people, channels, lambda: self.now)
        self.streams: dict[str, Stream[Any]] = {}
        self.said: list[Message] = []
        self._position = 0

    async def hear(self, found: Input, shard: int = 0) -> list[Message]:
        stream = self.streams.setdefault(found.stream_id, Stream(found.stream_id))
        stored = []
        for said in handle(self.decider, stream, found, POLICIES, {}):
            self._position += 1
            stored.append(stored_event(said.message, shard=shard, position=self._position, at=found.time))
        await self.rows.commit(self.queue, stored)
        self.queue.committed(stored)
        messages = [said for said in (one.message for one in stored) if isinstance(said, Message)]
        self.said += messages
        return messages

    async def event(self, name: str, order_id: str = "order-1", shard: int = 0) -> list[Message]:
        event = (placed() if name == "order.placed" else SAMPLES[name]).model_copy(update={"order_id": order_id})
        id_ = f"{name}-{order_id}-{self.now}"
        return await self.hear(Input(event, event.type, order_id, id_, self.now, "story"), shard)

    async def order(self, order_id: str = "order-1", shard: int = 0) -> list[Message]:
        return await self.event("order.placed", order_id, shard)

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    async def outcomes(self, shard: int = 0) -> list[Input]:
        """What has come of all that is due by now."""
        await self.queue.settled()
        return list(self.queue.due(self.now, shard))

    async def settle(self, shard: int = 0) -> None:
        """Until nothing more comes of what is due by now."""
        while outcomes := await self.outcomes(shard):
            for outcome in outcomes:
                await self.hear(outcome, shard)

    def pending(self, order_id: str = "order-1") -> Mapping[str, PendingDelivery]:
        state = self.streams[order_id].state
        assert isinstance(state, Known)
        return state.pending

    async def attempts(self) -> list[Attempted]:
        """Likewise, as the decider hears of them."""
        return [heard for heard in (one.payload for one in await self.outcomes()) if isinstance(heard, Attempted)]

    def told(self) -> list[ToldRecipient]:
        """Whoever was said to be told, in that order."""
        return [one for sent in self.of(NotificationSent) for one in sent.recipients]

    def of(self, model: type[Any]) -> list[Any]:
        """All that was said of one kind."""
        return [one for one in self.said if isinstance(one, model)]
