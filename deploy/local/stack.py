"""The whole system on one machine: Kafka, PostgreSQL, a mailbox and the services."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from deploy.local import folder_lock
from deploy.local.kafka import Kafka
from deploy.local.mailbox import Mailbox
from deploy.local.postgres import Postgres
from deploy.local.processes import Child, LocalStackError
from deploy.local.reaper import Reaper
from deploy.setup.job import SetUpFailed
from deploy.setup.topics import create_topics, partitions_there
from schemas.topics import PARTITIONS, Topic, all_topics

REPO = Path(__file__).parents[2]
LOOK_SECONDS = 0.5


class ServiceProcess(Child):
    """One process, of a service or of several. `start` returns when all of them have said that they hold their
    shards."""

    def __init__(self, names: Sequence[str], log: Path, reaper: Reaper, env: Mapping[str, str]) -> None:
        super().__init__(f"The {' + '.join(names)} service", log, reaper)
        self._services = {name.partition("#")[0] for name in names}
        self._arguments = ["services", *names] if len(names) > 1 else [_module(*self._services)]
        self.env = dict(env)

    async def start(self) -> None:
        self.launch()
        await self.ready()

    def launch(self, through: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """Start it and wait for nothing. `through`: a module that runs the service's, which it gets as an argument."""
        self._spawn([sys.executable, "-m", *through, *self._arguments], cwd=REPO, env={**self.env, **(env or {})})

    async def ready(self) -> None:
        await self._until(self._said_ready)

    def http(self, service: str) -> str:
        """Where it is asked how this service is, http://host:port."""
        return str(next(said["http"] for said in self._said("listening") if said["service"] == service))

    async def _said_ready(self) -> bool:
        return {said["service"] for said in self._said("ready")} == self._services

    def _said(self, event: str) -> Iterator[Mapping[str, Any]]:
        """What it has logged under this name."""
        for line in self._lines():
            if event in line and (entry := _entry(line)).get("event") == event:
                yield entry


class Stack:
    """`async with Stack() as stack:` has a Kafka with all topics, a PostgreSQL and a mailbox.

    The servers named by KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL are used where these are set, embedded ones
    elsewhere; with `own_servers` these are embedded in any case, for who kills them or measures on them. `data` is a
    folder to keep everything in; without it a temporary one is removed at the end. Services that `groups` names
    together share a process; every other has one of its own. Topics that are there keep their `partitions`.
    """

    bootstrap_servers: str
    database_url: str
    folder: Path
    mailbox: Mailbox

    def __init__(
        self,
        data: Path | None = None,
        *,
        own_servers: bool = False,
        topic_prefix: str = "",
        partitions: int = PARTITIONS,
        groups: Sequence[Sequence[str]] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self.services: dict[str, ServiceProcess] = {}
        """Of each service its process, which may be another's, too."""
        self.partitions = partitions
        self._topic_prefix = topic_prefix
        self._groups = groups
        self._data = data
        self._named: Mapping[str, str] = {} if own_servers else os.environ
        self._say = say
        self._reaper: Reaper | None = None
        self._lock: int | None = None
        self._kafka: Kafka | None = None
        self._postgres: Postgres | None = None

    @property
    def kafka(self) -> Kafka:
        """The embedded Kafka, to stop, kill and start."""
        if self._kafka is None:
            raise LocalStackError("This Kafka is not ours to touch: KAFKA_BOOTSTRAP_SERVERS named it.")
        return self._kafka

    @property
    def postgres(self) -> Postgres:
        """The embedded PostgreSQL, to stop, kill and start."""
        if self._postgres is None:
            raise LocalStackError("This PostgreSQL is not ours to touch: DATABASE_URL named it.")
        return self._postgres

    @property
    def embedded(self) -> bool:
        """Whether both servers are ours, and new."""
        return self._kafka is not None and self._postgres is not None and self._data is None

    @property
    def smtp_port(self) -> int:
        return self.mailbox.port

    @property
    def topics(self) -> list[Topic]:
        return all_topics(self._topic_prefix, self.partitions)

    @property
    def processes(self) -> list[ServiceProcess]:
        """Each once."""
        return list(dict.fromkeys(self.services.values()))

    async def start_services(self, names: Iterable[str], env: Mapping[str, str] | None = None) -> None:
        """Start these services side by side; return when all hold their shards."""
        await _all(service.start() for service in self.add_services(names, env))

    async def keep_running(self) -> None:
        """Start again whatever of the services has ended by itself, and say so, until cancelled. Raises LocalStackError
        if it does not come to hold its shards again."""
        while True:
            for process in self.processes:
                try:
                    process.check()
                except LocalStackError as end:
                    self._say(f"{end}\nIt is started again.")
                    await process.start()
            await asyncio.sleep(LOOK_SECONDS)

    def add_services(self, names: Iterable[str], env: Mapping[str, str] | None = None) -> Sequence[ServiceProcess]:
        """Have these services, for whoever starts them in his own way. A second process of the order service is called
        `order#2`; `payments` is the stand-in for the platform's payment service."""
        assert self._reaper is not None
        settings = {
            "RECOURSE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "RECOURSE_DATABASE_URL": self.database_url,
            "RECOURSE_SMTP_HOST": "127.0.0.1",
            "RECOURSE_SMTP_PORT": str(self.smtp_port),
            "RECOURSE_SMTP_SECURITY": "none",
            "RECOURSE_MAIL_FROM": "Recourse <no-reply@recourse.example>",
            "RECOURSE_TOPIC_PREFIX": self._topic_prefix,
            "RECOURSE_PARTITIONS": str(self.partitions),
            "RECOURSE_REFUND_PROVIDER": "sandbox",
            "RECOURSE_HTTP_PORT": "0",  # one that was set for a service cannot be all of theirs
        }
        environment = {**os.environ, **settings, **(env or {})}
        added = []
        for group in self._grouped(names):
            process = ServiceProcess(group, self._log("+".join(group)), self._reaper, environment)
            self.services |= dict.fromkeys(group, process)
            added.append(process)
        return added

    def _grouped(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """Those of them that share a process."""
        ours = {name: number for number, group in enumerate(self._groups) for name in group}
        groups: dict[int | str, list[str]] = {}
        for name in names:
            groups.setdefault(ours.get(name, name), []).append(name)
        return [tuple(group) for group in groups.values()]

    async def __aenter__(self) -> Self:
        if self._data is not None:
            self._data.mkdir(parents=True, exist_ok=True)
            self._lock = await folder_lock.lock(self._data)
        self._reaper = Reaper([] if self._lock is None else [self._lock])
        try:
            await self._open(self._reaper)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything: first who uses, then who is used."""
        assert self._reaper is not None
        try:
            await _all(process.stop() for process in self.processes)
            if hasattr(self, "mailbox"):
                self.mailbox.close()
            servers = [server for server in (self._kafka, self._postgres) if server is not None]
            await _all(server.drop() if self._data is None else server.stop() for server in servers)
        finally:
            await asyncio.to_thread(self._reaper.close)
            if self._lock is not None:
                os.close(self._lock)

    async def _open(self, reaper: Reaper) -> None:
        began = time.monotonic()
        if self._data is None:
            self.folder = Path(tempfile.mkdtemp(prefix="recourse-"))
            reaper.remove_at_end(self.folder)
        else:
            self.folder = self._data
        self.folder.chmod(0o711)  # started by root, PostgreSQL runs as another user, who must pass
        self.mailbox = Mailbox(self.folder / "mail")
        await _all([self._open_kafka(reaper), self._open_postgres(reaper), self.mailbox.open()])
        kafka = "embedded" if self._kafka else "as KAFKA_BOOTSTRAP_SERVERS says"
        postgres = "embedded" if self._postgres else "as DATABASE_URL says"
        self._say(f"Kafka: {kafka}. PostgreSQL: {postgres}. Ready in {time.monotonic() - began:.1f} s.")

    async def _open_kafka(self, reaper: Reaper) -> None:
        self.bootstrap_servers = self._named.get("KAFKA_BOOTSTRAP_SERVERS", "")
        if not self.bootstrap_servers:
            self._kafka = Kafka(self.folder / "kafka", reaper, self._log("kafka"), self._say)
            self.bootstrap_servers = self._kafka.bootstrap_servers
            await self._kafka.start()
        try:
            self.partitions = await partitions_there(self.bootstrap_servers, self.topics) or self.partitions
            for finding in await create_topics(self.bootstrap_servers, self.topics):
                self._say(finding.text)
        except SetUpFailed as error:
            raise LocalStackError(str(error)) from error

    async def _open_postgres(self, reaper: Reaper) -> None:
        self.database_url = self._named.get("DATABASE_URL", "")
        if not self.database_url:
            self._postgres = Postgres(self.folder / "postgres", reaper, self._log("postgres"))
            await self._postgres.start()
            self.database_url = self._postgres.url

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do these side by side. The first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _module(service: str) -> str:
    return f"deploy.{service}" if service == "payments" else f"services.{service}"


def _entry(line: str) -> Mapping[str, Any]:
    """What a line of a service's log reports; empty for another's."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
