"""Orders whose deliveries a queue keeps."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.wire import Message
from services.notification.domain import DECIDER
from services.notification.states import Known, Pending, State
from shared.kernel.agenda import Agenda, Written
from shared.kernel.decider import Decider, Input, Stream, handle
from tests.domain.notification_samples import SAMPLES, placed
from tests.domain.table import POLICIES


class Shop:
    """Orders on one shard, and their queue: decides, commits and asks what is due, as the shard loop does."""

    def __init__(
        self, queue: Agenda, write: Callable[[Sequence[Written]], Any], decider: Decider[State] = DECIDER
    ) -> None:
        self.queue, self._write, self._decider = queue, write, decider
        self.streams: dict[str, Stream[Any]] = {}
        self.now = datetime.now(UTC) - timedelta(minutes=5)
        self.said: list[Message] = []
        self._position = 0

    async def hear(self, record: Input, shard: int = 0) -> list[Message]:
        stream = self.streams.setdefault(record.order_id, Stream(record.order_id))
        written = []
        for said in handle(self._decider, stream, record, POLICIES):
            self._position += 1
            place = (shard, self._position, record.order_id, said.id, said.correlation_id, record.time)
            written.append(Written(*place, said.message))
        await self._write(written)
        self.queue.committed(written)
        messages = [one.message for one in written]
        self.said += messages
        return messages

    async def event(self, name: str, order_id: str = "order-1", shard: int = 0) -> list[Message]:
        self.now += timedelta(seconds=1)
        event = (placed() if name == "order.placed" else SAMPLES[name]).model_copy(update={"order_id": order_id})
        return await self.hear(Input(event, event.type, order_id, f"{name}-{self.now}", self.now, "story"), shard)

    async def order(self, order_id: str = "order-1", shard: int = 0) -> list[Message]:
        return await self.event("order.placed", order_id, shard)

    def pending(self, order_id: str) -> Mapping[str, Pending]:
        state = self.streams[order_id].state
        assert isinstance(state, Known)
        return state.pending

    async def outcomes(self, count: int, shard: int = 0, at: datetime | None = None) -> list[Input]:
        """What comes due, once that many have; a queue may need a moment."""
        due: list[Input] = []
        async with asyncio.timeout(10):
            while len(due) < count:
                due += self.queue.due(at or datetime.now(UTC), shard)
                await asyncio.sleep(0.01)
        return due

    async def nothing_due(self, shard: int = 0) -> bool:
        await asyncio.sleep(0.1)
        return not self.queue.due(datetime.now(UTC), shard)

    async def settle(self, count: int) -> None:
        for outcome in await self.outcomes(count):
            await self.hear(outcome)
