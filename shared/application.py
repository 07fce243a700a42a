"""A service as a process. FastStream owns broker, subscriber, lifespan, health and AsyncAPI; the shard loop works.

A service's `app.py` is one `Application`, its `__main__.py` one `run()`.
"""

import asyncio
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, Union
from uuid import uuid4

import asyncpg
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from faststream.asgi import AsgiFastStream
from faststream.kafka import KafkaBroker

from shared import database, logs, policies
from shared.agenda import Agenda
from shared.codec import Decoder
from shared.decider import Decider
from shared.health import Progress, health
from shared.kafka import CLIENT_ERRORS, KafkaPublisher, KafkaSource
from shared.lease import Lease
from shared.ports import Cursor
from shared.postgres import PostgresStore
from shared.settings import Settings
from shared.shard_loop import ShardLoop

log = logging.getLogger(__name__)

POOL_SIZE = 3
HOUSEKEEPING_SECONDS = 1.0
EXIT_UNEXPLAINED = 70
GC_THRESHOLDS = (50_000, 20, 50)
"""A batch makes and drops tens of thousands of objects and no cycles: looked for less often."""


class Companion(Protocol):
    """Something that runs beside the loop in the same process, such as a provider in process."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


S = TypeVar("S", bound=Settings)


def _no_agenda(settings: Any, pool: asyncpg.Pool) -> Agenda:
    return Agenda()


def _no_companions(settings: Any, pool: asyncpg.Pool) -> Sequence[Companion]:
    return ()


@dataclass(frozen=True)
class Application(Generic[S]):
    """All a service adds to the kit: its decider, and only where it needs them settings, an agenda, companions and
    migrations of its own."""

    decider: Decider[Any]
    settings: type[S]
    agenda: Callable[[S, asyncpg.Pool], Agenda] = _no_agenda
    companions: Callable[[S, asyncpg.Pool], Sequence[Companion]] = _no_companions
    migrations: tuple[Path, ...] = ()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; gives its shards back first."""
        settings = self.settings()
        logs.start(self.decider.service, settings.log_level)
        asyncio.run(self._run(settings))

    async def _run(self, settings: S) -> None:
        service = self.decider.service
        book = policies.load(settings.policies_folder)
        await _until_reachable(
            "database",
            lambda: database.migrate(settings.database_url, service, (database.KERNEL_MIGRATIONS, *self.migrations)),
        )
        pool = await database.create_pool(settings.database_url, service, POOL_SIZE)
        agenda = self.agenda(settings, pool)
        broker = KafkaBroker(
            settings.kafka_bootstrap_servers,
            apply_types=False,  # records are decoded by our codec, in one place
            allow_auto_create_topics=False,
            logger=logging.getLogger("shared.faststream"),  # what its consumer stumbles over must be seen
            log_level=logging.DEBUG,
            graceful_timeout=10,
        )
        publisher = KafkaPublisher(settings.kafka_bootstrap_servers, settings.topic_prefix)
        topics = Decoder(service, self.decider.hears, settings.partitions).topics
        source = KafkaSource(
            broker, service, topics, settings.partitions, settings.topic_prefix, settings.batch_records_max
        )
        loop = ShardLoop(
            self.decider,
            book,
            agenda,
            PostgresStore(pool, agenda),
            source,
            publisher,
            lambda: datetime.now(UTC),
            settings.partitions,
            owner=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}",
        )
        source.subscriber(_handler(source, loop))
        lease = Lease(settings.database_url, service, loop, settings.lease_seconds, settings.look_seconds)
        progress = Progress(loop.clock)
        companions = self.companions(settings, pool)
        await _until_reachable("kafka", lambda: _check_topics(settings, topics))

        @asynccontextmanager
        async def lifespan() -> AsyncIterator[None]:
            yield
            await agenda.stop()
            await publisher.stop()
            await pool.close()

        tasks: list[asyncio.Task[None]] = []

        async def begin() -> None:
            source.pause_all()
            for companion in companions:
                await companion.start()
            work = (
                lease.keep(),
                loop.run(),
                loop.keep_publishing(),
                _housekeeping(loop, source, progress),
                _keep_policies(loop, settings.policies_folder),
                _ready(lease, loop),
            )
            tasks.extend(asyncio.create_task(_or_die(one)) for one in work)
            gc.collect()
            gc.freeze()  # what is loaded by now stays: not looked at again by every collection
            gc.set_threshold(*GC_THRESHOLDS)

        async def end() -> None:
            log.info("stopping")
            tasks[0].cancel()
            await lease.leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            source.stop_receiving()
            for companion in companions:
                await companion.stop()

        app = AsgiFastStream(
            broker,
            asgi_routes=[("/health", health(loop, lease, progress))],
            asyncapi_path="/asyncapi",
            lifespan=lifespan,
            after_startup=[begin],
            on_shutdown=[end],
            logger=None,
        )
        web = uvicorn.Config(app, settings.http_host, settings.http_port, log_config=None, access_log=False)
        await uvicorn.Server(web).serve()


def _handler(source: KafkaSource, loop: ShardLoop) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """What FastStream calls with each batch. The annotation is for the AsyncAPI document: records come as they are."""

    async def receive(batch: Any) -> None:
        await source.receive(batch)

    decoder = loop.decoder
    receive.__annotations__["batch"] = list[Union[*decoder.commands.values(), *decoder.heard.values()]]  # type: ignore[misc]
    return receive


async def _until_reachable(what: str, attempt: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """A process that starts while a server is away waits for it."""
    while True:
        try:
            await attempt()
        except (*database.ERRORS, *CLIENT_ERRORS) as error:
            log.warning("waiting for %s: %s: %s", what, type(error).__name__, error)
            await asyncio.sleep(0.3)
        else:
            return


async def _check_topics(settings: Settings, topics: Sequence[str]) -> None:
    """Every topic must be there with the partitions we count on, and tell the broker's time (R0)."""
    names = [settings.topic_prefix + topic for topic in topics]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
        missing = [name for name in names if not described.get(name, {}).get("partitions")]
        if missing:
            raise TimeoutError(f"topics that do not exist yet: {', '.join(missing)}")
        for name in names:
            count = len(described[name]["partitions"])
            if count != settings.partitions:
                raise SystemExit(f"topic {name} has {count} partitions, not {settings.partitions}: shards would mix")
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await admin.describe_configs(resources):
            for _, _, _, name, entries in response.resources:
                times = [entry[1] for entry in entries if entry[0] == "message.timestamp.type"]
                if times != ["LogAppendTime"]:
                    raise SystemExit(f"topic {name} needs message.timestamp.type=LogAppendTime, it has {times}")
    finally:
        await admin.close()


async def _or_die(work: Coroutine[Any, Any, None]) -> None:
    """What nobody foresaw ends the process: another one starts from what is stored. Going on would be a guess."""
    try:
        await work
    except Exception:
        log.critical("unexpected error, stopping the process", exc_info=True)
        logging.shutdown()
        os._exit(EXIT_UNEXPLAINED)


async def _housekeeping(loop: ShardLoop, source: KafkaSource, progress: Progress) -> None:
    """Remembers what is published by idle shards, and tells Kafka's lag tools, and whoever asks for our health, where
    we are."""
    while True:
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        offsets = {
            (topic, shard.claim.shard): shard.claim.cursors.get(topic, Cursor()).offset
            for shard in loop.shards.values()
            if shard.ready
            for topic in loop.decoder.topics
        }
        progress.look(offsets, {place: source.end(*place) for place in offsets})
        try:
            await loop.note_published()
            await source.tell_offsets(offsets)
        except Exception as error:  # both are a courtesy: neither may stop what matters
            log.info("housekeeping: %s: %s", type(error).__name__, error)


async def _keep_policies(loop: ShardLoop, folder: Path) -> None:
    """What is published while we run is in force a moment later. A service that hears of a version before it has seen
    the file waits for it, so it does not matter who looks first."""
    while True:
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        try:
            loop.policies = policies.load(folder, loop.policies)
        except (policies.BrokenPolicy, OSError) as error:
            log.error("published, but not in force: %s", error)


async def _ready(lease: Lease, loop: ShardLoop) -> None:
    await lease.complete.wait()
    log.info("ready", extra={"shards": sorted(loop.shards)})
