"""Stories on the real stack: commands produced to Kafka, events read from Kafka, nothing else."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.stories.dialogue import PlayedOrder, StoryFailed
from deploy.stories.seen import EVENT_TOPICS, Seen
from schemas.policy import Policy
from shared.rules import policies
from shared.runtime.kafka.reading import LogReader

PATIENCE = timedelta(seconds=30)
"""How much longer than its deadline an answer may take on a busy machine before the story is given up."""


class LiveStage:
    """`async with LiveStage(bootstrap_servers) as stage:` follows all event topics."""

    slack = timedelta(seconds=3)

    def __init__(
        self,
        bootstrap_servers: str,
        policy: str = "demo",
        prefix: str = "",
        policies_folder: Path | None = None,
        security: Mapping[str, Any] | None = None,
        payments_follow_scripts: bool = False,
    ) -> None:
        """`security`: in aiokafka's words, where the broker asks who is there."""
        self.payments_follow_scripts = payments_follow_scripts
        self.rules = _newest(policy, policies_folder)
        self.seen = 0
        self._prefix = prefix
        self._policies_folder = policies_folder
        self._cases: dict[str, PlayedOrder] = {}
        self._heard = asyncio.Condition()
        connection = {"bootstrap_servers": bootstrap_servers, **(security or {})}
        self._producer = AIOKafkaProducer(**connection, enable_idempotence=True, acks="all")
        self._reader = LogReader(connection, [prefix + topic for topic in EVENT_TOPICS])
        self._opened = AsyncExitStack()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "LiveStage":
        await self._opened.enter_async_context(self._producer)
        await self._opened.enter_async_context(self._reader)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._opened.aclose()

    def follow(self, case: PlayedOrder) -> None:
        self._cases[case.order_id] = case

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes | None) -> None:
        await self._producer.send_and_wait(self._prefix + topic, value, key=key.encode(), headers=list(headers))

    async def until(self, condition: Callable[[], bool], case: PlayedOrder, within: timedelta) -> bool:
        try:
            async with asyncio.timeout((within + PATIENCE).total_seconds()), self._heard:
                await self._heard.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())

    async def publish(self, file: str, content: bytes) -> None:
        if self._policies_folder is None:
            raise StoryFailed(f"{file}: nobody said where these services look for their policies")
        draft = self._policies_folder / f"{file}.draft"
        draft.write_bytes(content)
        draft.rename(self._policies_folder / file)  # whole, or not there

    async def _listen(self) -> None:
        """Repeats (after a crash of a service) are told apart by id, as any reader should."""
        known: set[str] = set()
        async for records in self._reader.follow():
            for record in records:
                seen = Seen.of(record)
                case = self._cases.get(record.key.decode())
                if seen.id not in known:
                    self.seen += 1
                    known.add(seen.id)
                    if case is not None:
                        case.seen.append(seen)
            if records:
                async with self._heard:
                    self._heard.notify_all()


def _newest(name: str, folder: Path | None) -> Policy:
    newest = policies.load(folder or policies.PUBLISHED, policies.load()).newest(name)
    if newest is None:
        raise SystemExit(f"There is no policy {name}.")
    return newest[1]
