"""A service that runs. FastStream owns broker, subscriber and lifespan; the shard loop works.

A service's `app.py` is one `Application`; `process.py` runs it, alone or beside others.
"""

import asyncio
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

import asyncpg
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.kafka import KafkaBroker

from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.policies import Policies
from shared.kernel.ports import Fenced, Outage, Place, Unstorable
from shared.rules import policies
from shared.runtime import database_check, topic_check, web
from shared.runtime.health import Health, routes
from shared.runtime.kafka.connection import CLIENT_ERRORS, connection, security
from shared.runtime.kafka.publisher import KafkaPublisher
from shared.runtime.kafka.source import KafkaSource
from shared.runtime.membership import Membership
from shared.runtime.partitions import home_among
from shared.runtime.parts import Parts
from shared.runtime.postgres import database
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore
from shared.runtime.progress import Progress, fresh
from shared.runtime.settings import Settings
from shared.runtime.shard_loop import ShardLoop

log = logging.getLogger(__name__)

CONTRACT = Path(__file__).parents[2] / "schemas" / "asyncapi.json"
POOL_SIZE = 3
HOUSEKEEPING_SECONDS = 1.0
TOLD_AGAIN_AFTER = timedelta(minutes=1)
CUT_OFF_AFTER = timedelta(seconds=15)
"""A broker that comes back from a crash answers sooner, and so does a machine that is merely busy: nobody moves for
that."""
EXIT_UNEXPLAINED = 70
GC_THRESHOLDS = (50_000, 20, 50)
"""A batch makes and drops tens of thousands of objects and no cycles: looked for less often."""


R = TypeVar("R")
S = TypeVar("S", bound=Settings)


def _no_parts(settings: Any, pool: asyncpg.Pool) -> Parts:
    return Parts()


@dataclass(frozen=True)
class Application(Generic[S]):
    """All a service adds to the kit: its name, its decider, which may depend on its settings, and only where it
    needs them settings, parts and migrations of its own."""

    service: str
    decider: Callable[[S], Decider[Any, Any, Any]]
    settings: type[S]
    parts: Callable[[S, asyncpg.Pool], Parts] = _no_parts
    migrations: tuple[Path, ...] = ()
    schema: Callable[[S], Awaitable[str]] | None = None
    """In which of the database its tables are; None: in the one that is called as the service. Raises database.ERRORS.
    """

    pool_size: int = POOL_SIZE
    """Sessions of the database that it has at most, but for its membership's."""
    again: bool = False
    """Whether it begins again when a part says that it is over: where it listens now, perhaps in another schema."""

    async def run(self, settings: S) -> None:
        """Until it is cancelled, or over; gives its shards back first. Raises SystemExit, with a sentence, for what
        only an operator can put right."""
        decider = replace(self.decider(settings), acts_max=settings.acts_max)
        known = policies.load(settings.policies_folder, policies.load())
        for gap in policies.gaps(known, datetime.now(UTC).date()):
            log.warning(gap)
        with web.listen(settings) as listening:
            await self._serve(listening, settings, decider, known)
            while self.again:
                log.info("begins again")
                await self._serve(listening, settings, decider, known)

    async def _serve(
        self, listening: socket.socket, settings: S, decider: Decider[Any, Any, Any], known: Policies
    ) -> None:
        """Until a part says that it is over."""
        start = web.Start()
        async with start.told(listening):
            schema = await _until_reachable("the database", lambda: self._database_ready(settings), start)
            pool = await database.create_pool(settings.database_url, schema, self.pool_size)
            await _until_reachable("Kafka", lambda: topic_check.check(settings, self.service), start)
        parts = self.parts(settings, pool)
        running = _Running(decider, settings, parts, pool, known, schema)
        app = AsgiFastStream(
            running.broker,
            asgi_routes=[*(own := routes(running.health)), ("/asyncapi", contract)],
            lifespan=running.lifespan,
            after_startup=[running.begin],
            on_shutdown=[running.end],
            logger=None,
        )
        whole = app if parts.web is None else web.Beside(app, {"/asyncapi", *(path for path, _ in own)}, parts.web)
        await web.serve(listening, whole, parts.over, **{**parts.web_options, "lifespan": "on"})
        if not parts.over.is_set():
            raise SystemExit("it ended while it began: a server that was there may be away")

    async def _database_ready(self, settings: S) -> str:
        """Name of the schema, which is as this version needs it."""
        url = settings.database_url
        await database_check.check(url)
        with database_check.refusals():
            schema = self.service if self.schema is None else await self.schema(settings)
            await migrate(url, schema, (KERNEL_MIGRATIONS, *self.migrations))
        return schema


@get
async def contract(request: Any) -> AsgiResponse:
    """The whole contract, as it is published."""
    return AsgiResponse(CONTRACT.read_bytes(), 200, {"content-type": "application/vnd.aai.asyncapi+json"})


class _Running:
    """The parts of a running service, wired, and what runs in it side by side."""

    def __init__(
        self,
        decider: Decider[Any, Any, Any],
        settings: Settings,
        parts: Parts,
        pool: asyncpg.Pool,
        known: Policies,
        schema: str,
    ) -> None:
        self.settings = settings
        self.folder, self.parts, self.pool = settings.policies_folder, parts, pool
        self.broker = KafkaBroker(
            settings.kafka_bootstrap_servers,
            security=security(settings),
            apply_types=False,  # records are decoded by our codec, in one place
            allow_auto_create_topics=False,
            logger=logging.getLogger("shared.faststream"),  # what its consumer stumbles over must be seen
            log_level=logging.DEBUG,
            graceful_timeout=10,
        )
        home = home_among(settings.partitions)
        self.publisher = KafkaPublisher(connection(settings), decider.service, settings.topic_prefix)
        self.source = KafkaSource(
            self.broker,
            connection(settings),
            decider.service,
            Decoder(decider, home).topics,
            settings.partitions,
            settings.topic_prefix,
            settings.batch_records_max,
        )
        self.loop = ShardLoop(
            decider,
            known,
            parts.inputs,
            PostgresStore(pool, parts.projections),
            self.source,
            self.publisher,
            lambda: datetime.now(UTC),
            home,
            owner=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}",
        )
        self.source.subscriber(self._receive)
        self.membership = Membership(
            settings.database_url,
            schema,
            self.loop,
            settings.partitions,
            settings.lease_seconds,
            settings.look_seconds,
        )
        self.progress = Progress(self.loop.clock)
        self.health = Health(self.loop, self.membership, self.progress, lambda: database.ask(self.pool), parts.overdue)
        self.loop.clocks.skew = self.publisher.skew
        self.tasks: list[asyncio.Task[None]] = []

    async def _receive(self, batch: Any) -> None:
        """What FastStream calls with each batch: records as they came."""
        await self.source.receive(batch)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        yield
        for source in self.parts.inputs:
            await source.stop()
        await self.publisher.stop()
        await self.pool.close()

    async def begin(self) -> None:
        self.source.pause_all()
        work = (
            self.membership.keep(),
            self.loop.run(),
            self.loop.outbox.keep_publishing(),
            self._housekeeping(),
            self._keep_in_reach(),
            self._keep_comparing(),
            topic_check.keep_looking(self.settings, self.loop.decider.service, self.loop.problems),
            self.health.keep_looking(),
            _keep_policies(self.loop, self.folder),
            self._ready(),
            *(background.run() for background in self.parts.background),
        )
        self.tasks.extend(asyncio.create_task(_or_die(one)) for one in work)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: not looked at again by every collection
        gc.set_threshold(*GC_THRESHOLDS)

    async def end(self) -> None:
        log.info("stopping")
        self.tasks[0].cancel()
        await self.membership.leave()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.source.stop_receiving()

    async def _housekeeping(self) -> None:
        """Remembers what is published by idle shards, and tells Kafka's lag tools where we are: also who has not moved,
        now and then, or Kafka would forget it."""
        told, told_at = dict[Place, int](), self.loop.clock()
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            offsets = {
                (topic, number): cursor.offset
                for number, cursors in self.loop.cursors().items()
                for topic, cursor in cursors.items()
            }
            try:
                await self.loop.outbox.note_published()
                if offsets != told or self.loop.clock() - told_at > TOLD_AGAIN_AFTER:
                    await self.source.tell_offsets(offsets)
                    told, told_at = offsets, self.loop.clock()
            except Exception as error:  # both are a courtesy: neither may stop what matters
                log.info("housekeeping: %s: %s", type(error).__name__, error)

    async def _keep_in_reach(self) -> None:
        """Asks the broker how far there is to read. Who is cut off from it leaves the shards to others."""
        heard_at = self.loop.clock()
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            asked_at = self.loop.clock()
            try:
                reach = await self.source.reach(list(self.loop.cursors()), anew=self.parts.fresh is not None)
                self.progress.look(reach, self.loop.cursors())
                if self.parts.fresh is not None:
                    await self.parts.fresh(fresh(reach, self.loop.cursors(), asked_at))
            except Outage as error:
                log.info("it is not noted up to when all is handled: %s", error)
            except CLIENT_ERRORS as error:
                log.info("the broker does not say how far there is to read: %s: %s", type(error).__name__, error)
                if self.loop.clock() - heard_at > CUT_OFF_AFTER:
                    self.membership.reached.clear()
            else:
                heard_at = self.loop.clock()
                self.membership.reached.set()

    async def _keep_comparing(self) -> None:
        """Whether database and logs still belong together."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await self.loop.look()
            except (Outage, Unstorable, Fenced) as error:  # whoever only looks is refused while tables are put back
                log.info("not compared with the logs: %s: %s", type(error).__name__, error)

    async def _ready(self) -> None:
        await self.membership.complete.wait()
        log.info("ready", extra={"shards": sorted(self.loop.shards)})


async def _keep_policies(loop: ShardLoop, folder: Path) -> None:
    """What is published while we run is in force a moment later. An order that is heard of before the file of its
    policy is seen waits for it, so it does not matter who looks first."""
    while True:
        await asyncio.sleep(HOUSEKEEPING_SECONDS)
        try:
            loop.policies = policies.load(folder, loop.policies)
        except (policies.BrokenPolicy, OSError) as error:
            log.error("published, but not in force: %s", error)


async def _until_reachable(what: str, attempt: Callable[[], Coroutine[Any, Any, R]], start: web.Start) -> R:
    """A process that starts while a server is away waits for it."""
    start.waits_for = what
    while True:
        try:
            return await attempt()
        except (*database.ERRORS, *CLIENT_ERRORS) as error:
            log.warning("waiting for %s: %s: %s", what, type(error).__name__, error)
            await asyncio.sleep(0.3)


async def _or_die(work: Coroutine[Any, Any, None]) -> None:
    """What nobody foresaw ends the process: another one starts from what is stored. Going on would be a guess. So does
    work that is cancelled by what it waits for, and not by us: nobody would notice that it is done no more."""
    try:
        await work
    except (Exception, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        log.critical("unexpected error, stopping the process", exc_info=True)
        logging.shutdown()
        os._exit(EXIT_UNEXPLAINED)
