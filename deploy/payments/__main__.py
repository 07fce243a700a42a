"""`python -m deploy.payments`: the stand-in as a process; Kafka is all it needs.

Its journal is `payments.commands` (kept for four weeks), and what it said is on `payments.events`: at its start, and
after any trouble, it reads both from their beginning and says what is still to be said.
"""

import asyncio
import contextlib
import heapq
import json
import logging
import math
import time
from collections import Counter
from itertools import count
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.payments.provider import Answer, Provider
from deploy.payments.records import answers, written
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentEvent
from shared.kernel.codec import header
from shared.runtime import logs, signals, web
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS, connection
from shared.runtime.kafka.reading import LogReader
from shared.runtime.progress import STALLED_AFTER
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0


class PaymentService:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stepped_at = -math.inf

    async def run(self) -> None:
        while True:
            try:
                await self._serve()
            except CLIENT_ERRORS as error:
                log.warning("starts over: %s: %s", type(error).__name__, error)
                await asyncio.sleep(RESTART_SECONDS)

    async def health(self, scope: Any, receive: Any, send: Any) -> None:
        """Whatever is asked, over HTTP: whether it steps."""
        healthy = time.monotonic() - self._stepped_at < STALLED_AFTER.total_seconds()
        await send({"type": "http.response.start", "status": 200 if healthy else 503})
        await send({"type": "http.response.body", "body": json.dumps({"healthy": healthy}).encode()})

    async def _serve(self) -> None:
        provider, said = Provider(), await self._said()
        to_say: list[tuple[float, int, Answer]] = []
        in_order = count()
        log.info("ready")
        async with self._reader(PaymentCommand.topic) as reader, self._producer() as producer:
            async for calls in reader.follow():
                self._stepped_at = time.monotonic()
                for call in calls:
                    for answer in answers(provider, call):
                        at = call.timestamp / 1000 + answer.after.total_seconds()
                        heapq.heappush(to_say, (at, next(in_order), answer))
                while to_say and to_say[0][0] <= time.time():
                    answer = heapq.heappop(to_say)[2]
                    if said[answer.call_id] > 0:
                        said[answer.call_id] -= 1
                    else:
                        key, value, headers = written(answer)
                        await producer.send_and_wait(self._topic(PaymentEvent.topic), value, key, headers=headers)

    async def _said(self) -> Counter[str]:
        """How many answers each call has had, by its id; also from the sandbox, where that was the provider before."""
        said: Counter[str] = Counter()
        async with self._reader(PaymentEvent.topic) as reader:
            async for answers in reader.to_the_end():
                said.update(header(answer.headers, "ce_causationid") or "" for answer in answers)
        return said

    def _reader(self, topic: str) -> LogReader:
        return LogReader(connection(self._settings), [self._topic(topic)])

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(**connection(self._settings), enable_idempotence=True, acks="all")

    def _topic(self, name: str) -> str:
        return self._settings.topic_prefix + name


async def _serve_both(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    signals.heed()
    service = PaymentService(settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.run())
        await web.serve(web.listen(settings), service.health, interface="asgi3", lifespan="off")


if __name__ == "__main__":
    internals.install()
    settings = Settings()
    logs.start("payments", settings)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve_both(settings))
