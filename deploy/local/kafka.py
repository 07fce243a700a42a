"""A real Apache Kafka: one node, broker and controller in one process.

`python -m deploy.local.kafka TOOL ARGS…` runs one of Kafka's console tools (see `kafka-tool`).
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.kafka_home import TOOLS, KafkaHome, open_home
from deploy.local.processes import Child, LocalStackError, kept_port
from deploy.local.reaper import Reaper

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

# The clock of every decision is the broker's (rule R0), and a topic nobody declared is a mistake.
log.message.timestamp.type=LogAppendTime
auto.create.topics.enable=false

# One node, few threads, small logs to recover.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.max.timeout.ms=60000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


class Kafka(Child):
    """One broker in `folder`, on private ports. `start` after `stop` or `kill` finds the same ports and data.

    `properties` are further lines of its server.properties and win over ours; {broker} and {controller} are the ports.
    """

    def __init__(
        self,
        folder: Path,
        reaper: Reaper,
        log: Path | None = None,
        say: Callable[[str], None] = print,
        properties: str = "",
    ) -> None:
        super().__init__("Kafka", log or folder / "kafka.log", reaper)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._data = folder / "data"
        self._properties = folder / "server.properties"
        self._template = _PROPERTIES + properties
        self._say = say
        self._port = kept_port(folder / "port")
        self._controller_port = kept_port(folder / "controller-port")
        self._recorded: tuple[KafkaHome, Path] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        home = await open_home(self._say)
        self._properties.write_text(
            self._template.format(broker=self._port, controller=self._controller_port, data=self._data)
        )
        if not self._data.exists():
            await self._format(home)
        jvm = ["-Xms256m", "-Xmx512m"]
        if not home.archive.exists():
            self._recorded = home, self._folder / "classes"
            jvm += home.recording(self._recorded[1])
        self._spawn(home.argv("kafka.Kafka", str(self._properties), jvm=jvm), cwd=self._folder)
        await self._until(self._listens)

    async def stop(self, seconds: float = 30) -> None:
        """A clean end; the first one of all takes 3 to 6 s more and leaves the class archive for later starts."""
        if self._recorded is not None:
            self._say("Keeping Kafka's classes for quicker starts, once ...")
        await super().stop(seconds)
        if self._recorded is not None:
            home, classes = self._recorded
            if classes.exists():
                await asyncio.to_thread(home.keep, classes, home.archive)
            self._recorded = None

    async def drop(self) -> None:
        """At once, but for the first of all: only a clean end leaves the class archive."""
        await (self.stop() if self._recorded is not None else super().drop())

    async def _format(self, home: KafkaHome) -> None:
        if not home.formatted.exists():
            made = self._folder / "formatted"
            properties = self._folder / "format.properties"
            properties.write_text(_PROPERTIES.format(broker=1, controller=2, data=made))
            # Brokers told apart by their addresses may share an id.
            arguments = ["format", "--cluster-id", "cmVjb3Vyc2UtbG9jYWwtMQ", "--config", str(properties)]
            self._spawn(home.argv("kafka.tools.StorageTool", *arguments), cwd=self._folder)
            await self._until_success("Formatting the data folder")
            await asyncio.to_thread(home.keep, made, home.formatted)
        copy = self._folder / "data.partial"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home.formatted, copy)
        copy.rename(self._data)

    async def _listens(self) -> bool:
        # The broker opens its port when it is registered and ready to serve, not before.
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


async def tool(name: str, *args: str) -> tuple[list[str], dict[str, str]]:
    """argv and environment of one of Kafka's console tools (see `TOOLS`)."""
    if name not in TOOLS:
        raise LocalStackError(f"No tool {name!r}; there are {', '.join(TOOLS)}.")
    home = await open_home()
    return home.argv(TOOLS[name], *args, jvm=["-Xmx256m"]), dict(os.environ)


if __name__ == "__main__":
    try:
        argv, env = asyncio.run(tool(*sys.argv[1:] or ["(none given)"]))
    except LocalStackError as error:
        sys.exit(str(error))
    os.execve(argv[0], argv, env)
