"""Who plays lifecycles with the services: gateways that know Kafka and nothing else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas.wire import MEDIATORS_KEY
from shared.runtime.kafka.reading import LogReader
from tests.bench.load import given
from tests.bench.steps import Step, person, steps
from tests.support.commands import Given
from tests.support.topics import header, producer, reader

HEARD = ("order.events", "dispute.events", "mediation.events", "refund.events")
MEDIATORS = tuple(f"mediator-{number}" for number in range(8))
PATIENCE_SECONDS = 300.0


@dataclass(eq=False)
class _Conversation:
    """About one order: what must be said before the next command. `refused` ends it."""

    said: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: set[str] = field(default_factory=set)
    mediator: str = ""
    refused: str = ""

    def hear(self, record: ConsumerRecord) -> None:
        type_, cause = header(record, "ce_type"), header(record, "ce_causationid")
        if type_ == "mediation.assigned.v1":
            self.mediator = json.loads(record.value)["mediator"]["id"]
        if cause in self.wanted and ".rejected." in type_:
            self.refused = (record.value or b"").decode()
        self.wanted -= {type_, cause}
        if self.refused or not self.wanted:
            self.said.set()


@dataclass
class Waits:
    """Seconds: from each command until the next one may be given, from the last one until all the money has moved."""

    answers: list[float] = field(default_factory=list)
    endings: list[float] = field(default_factory=list)


class Driver:
    def __init__(self, to: AIOKafkaProducer, heard: LogReader) -> None:
        self.to, self.heard = to, heard
        self.waits = Waits()
        self._conversations: dict[bytes, _Conversation] = {}

    async def listen(self, starts: Mapping[TopicPartition, int]) -> None:
        """For ever: what is said is told to whom it concerns."""
        async for records in self.heard.follow(starts):
            for record in records:
                if (conversation := self._conversations.get(record.key or b"")) is not None:
                    conversation.hear(record)

    async def hire(self) -> None:
        conversation = self._conversations[MEDIATORS_KEY.encode()] = _Conversation()
        for mediator in MEDIATORS:
            wish = {"mediator_id": mediator, "capacity": 1_000}
            command = given("mediation.register_mediator.v1", MEDIATORS_KEY, "operator", "olga", wish)
            conversation.wanted.add(command.id)
            await self._send(command)
        await asyncio.wait_for(conversation.said.wait(), PATIENCE_SECONDS)

    async def play(self, name: str, lives: int, at_once: int) -> None:
        """So many lifecycles, so many at a time. Raises RuntimeError for a command that is refused, TimeoutError."""
        self.waits, numbers = Waits(), iter(range(lives))
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            for _ in range(min(at_once, lives)):
                group.create_task(self._one_by_one(name, numbers))

    async def paced(self, name: str, rate: float, seconds: float) -> int:
        """Lifecycles begin one after the other, whatever became of those before, so that about `rate` commands a second
        are given; how many there were. Raises as above."""
        self.waits, every = Waits(), len(steps("", 0)) / rate
        lives, began = max(1, round(seconds / every)), time.perf_counter()
        async with asyncio.timeout(seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            for number in range(lives):
                await asyncio.sleep(began + number * every - time.perf_counter())
                group.create_task(self._live(f"{name}-{number}", number))
        return lives

    async def _one_by_one(self, name: str, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._live(f"{name}-{number}", number)

    async def _live(self, order_id: str, number: int) -> None:
        conversation = self._conversations[order_id.encode()] = _Conversation()
        life: Sequence[Step] = steps(order_id, number)
        for step in life:
            who = conversation.mediator if step.role == "mediator" else person(number, step.role)
            command = given(f"{step.command}.v1", order_id, step.role, who, step.data)
            conversation.wanted = {command.id, *step.until}
            conversation.said.clear()
            began = time.perf_counter()
            await self._send(command)
            await conversation.said.wait()
            if conversation.refused:
                raise RuntimeError(f"{order_id}: {step.command} is refused: {conversation.refused}")
            (self.waits.answers if step is not life[-1] else self.waits.endings).append(time.perf_counter() - began)
        del self._conversations[order_id.encode()]

    async def _send(self, command: Given) -> None:
        await self.to.send(command.topic, command.value, key=command.key, headers=command.headers)


@asynccontextmanager
async def driver(bootstrap_servers: str) -> AsyncIterator[Driver]:
    async with producer(bootstrap_servers) as to, reader(bootstrap_servers, *HEARD) as heard:
        driving = Driver(to, heard)
        listening = asyncio.create_task(driving.listen(await heard.ends(heard.places)))
        try:
            yield driving
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
