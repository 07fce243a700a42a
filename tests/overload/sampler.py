"""What is looked at while the services work: their memory, what they say of themselves, how far behind they are."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpcore
import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from deploy.local.stack import Stack
from schemas.payments.commands import PaymentCommand
from schemas.topics import PARTITIONS, SERVICES, consumer_group
from tests.support.topics import reader

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
SANDBOX = "refund-sandbox"
"""The group of who answers for the bank, in the refund service's process."""


@dataclass
class Phase:
    """What was seen in one part of the run."""

    memory: Counter[str] = field(default_factory=Counter)
    """The most of each process, bytes."""
    behind: Counter[str] = field(default_factory=Counter)
    """The most `seconds_behind` of each service."""
    unpublished: Counter[str] = field(default_factory=Counter)
    unhealthy: Counter[str] = field(default_factory=Counter)
    """Looks at which it said so itself."""
    silent: Counter[str] = field(default_factory=Counter)
    """Looks at which it said nothing."""
    looks: int = 0


class Sampler:
    """`async with Sampler(stack, ports):` looks at every process each second; what it sees goes into `phase`."""

    def __init__(self, stack: Stack, ports: Mapping[str, int]) -> None:
        self.stack, self.ports = stack, ports
        self.phase = Phase()
        self._web = httpcore.AsyncConnectionPool(max_keepalive_connections=0)  # uvicorn lets go of idle ones
        self._admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
        self._topics = reader(stack.bootstrap_servers)
        self._opened = AsyncExitStack()
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._admin.start()
        await self._opened.enter_async_context(self._topics)
        self._looking = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._opened.aclose()
        await self._admin.close()
        await self._web.aclose()

    def check(self) -> None:
        """Raises if a service has ended, or did not answer."""
        for service in self.stack.services.values():
            service.check()
        if self._looking is not None and self._looking.done():
            self._looking.result()

    async def _keep_looking(self) -> None:
        while True:
            began = time.monotonic()
            await self._look()
            await asyncio.sleep(max(LOOK_SECONDS - (time.monotonic() - began), 0.1))

    async def _look(self) -> None:
        phase = self.phase
        for name, child in {**self.stack.services, "kafka": self.stack.kafka, "postgres": self.stack.postgres}.items():
            phase.memory[name] = max(phase.memory[name], _memory(child.pid))
        said = {service: await self.health(service) for service in SERVICES}
        for service, health in said.items():
            if health is None:
                phase.silent[service] += 1
                continue
            phase.behind[service] = max(phase.behind[service], health["seconds_behind"])
            phase.unpublished[service] = max(phase.unpublished[service], health["unpublished"])
            phase.unhealthy[service] += not health["healthy"]
        phase.looks += 1

    async def health(self, service: str) -> dict[str, Any] | None:
        url = f"http://127.0.0.1:{self.ports[service]}/health"
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), ANSWER_SECONDS)
        try:
            answer = await self._web.request("GET", url, extensions={"timeout": timeouts})
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            return None
        return dict(json.loads(answer.content))

    async def handled(self) -> int:
        """Inputs of all services, since they started."""
        said = [await self.health(service) for service in SERVICES]
        return sum(health["handled"] for health in said if health)

    async def seconds_behind(self) -> float:
        """Of the service that says the most."""
        said = [await self.health(service) for service in SERVICES]
        return max((health["seconds_behind"] for health in said if health), default=0.0)

    async def lag(self) -> int | None:
        """Records that are not handled, and events that are not published; None while somebody has not said how far
        he is. 0 means that nothing is on its way: what they had handled when asked led to nothing that lies in a topic
        afterwards."""
        try:
            groups = [await self._admin.list_consumer_group_offsets(consumer_group(service)) for service in SERVICES]
        except GroupCoordinatorNotAvailableError:  # the first to ask: it is being set up
            return None
        if not all(groups):
            return None
        read = {(group, place): said.offset for group, all_ in enumerate(groups) for place, said in all_.items()}
        bank = await self._admin.list_consumer_group_offsets(SANDBOX)
        for partition in range(PARTITIONS):
            place = TopicPartition(PaymentCommand.topic, partition)
            read[len(groups), place] = bank[place].offset if place in bank else 0
        said = [await self.health(service) for service in SERVICES]
        if None in said:
            return None
        ends = await self._topics.ends({place for _, place in read})
        unhandled = sum(ends[place] - offset for (_, place), offset in read.items())
        return int(unhandled + sum(health["unpublished"] for health in said if health))


def _memory(pid: int) -> int:
    """Of a process with all its children; what they share is counted once where the system tells how much it is."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    if len(family) == 1:
        return int(parent.memory_info().rss)
    total = 0
    for process in family:
        with suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            total += getattr(full, "pss", full.rss)
    return total
