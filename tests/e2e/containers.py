"""The whole system in containers, each described as docker-compose.yml describes it; what is made here is removed here.

Two networks, one with Kafka and one with PostgreSQL, so that a service can be cut off from one and not from the other.
PostgreSQL keeps its data on a small disk of its own, which can be filled.
"""

import asyncio
import re
import subprocess
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import asyncpg
import yaml
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.labels import create_labels
from testcontainers.core.network import Network

from deploy.local.processes import free_port
from deploy.local.stack import REPO
from deploy.verify.collect import VerifySettings
from schemas.topics import PARTITIONS, SERVICES
from tests.support.waiting import until

DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
COMPOSED: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
    DEFAULT.sub(r"\1", (REPO / "docker-compose.yml").read_text(encoding="utf-8"))
)["services"]
"""What `docker compose up` runs where its environment says nothing else."""

PARTS = (*SERVICES, "payments")
DISK = "/var/lib/postgresql"
DISK_MEGABYTES = 400
SMALL_WAL = {"POSTGRES_INITDB_ARGS": "--wal-segsize=1"}, ["-c", "max_wal_size=16MB"]
READY = '"event": "ready"'
READY_SECONDS = 90
STOP_SECONDS = 30
LOOK_SECONDS = 0.25
QUOTED_LINES = 40
ATTEMPTS = 5


class Part:
    """A container and its lives: who is killed or stopped can start again, with the disk and the address it had."""

    def __init__(self, name: str, described: DockerContainer, ready: str, also_on: "Cable | None" = None) -> None:
        self.name = name
        self._described, self._ready, self._also_on = described, ready, also_on
        self._made = False

    @property
    def container(self) -> Any:
        return self._described.get_wrapped_container()

    @property
    def host(self) -> str:
        """Where its published ports are."""
        return self._described.get_container_host_ip()

    @property
    def state(self) -> dict[str, Any]:
        """As the engine sees it."""
        self.container.reload()
        return dict(self.container.attrs)

    def log(self) -> str:
        """Of all its lives."""
        return str(self.container.logs().decode(errors="replace")) if self._made else ""

    def quoted(self) -> str:
        """How its log ends."""
        return "\n".join(self.log().splitlines()[-QUOTED_LINES:])

    async def start(self) -> None:
        """Returns when it has said that it is ready."""
        before = await self.times_said(self._ready) if self._made else 0
        await asyncio.to_thread(self.container.start if self._made else self.make)
        await self.until_said(self._ready, before + 1)

    async def kill(self) -> None:
        await asyncio.to_thread(self.container.kill)

    async def stop(self) -> int:
        """SIGTERM, and patience; returns the exit code."""
        await asyncio.to_thread(self.container.stop, timeout=STOP_SECONDS)
        return int((await asyncio.to_thread(lambda: self.state))["State"]["ExitCode"])

    async def times_said(self, words: str) -> int:
        return (await asyncio.to_thread(self.log)).count(words)

    async def until_said(self, words: str, times: int) -> None:
        """Its log has these words so many times, all its lives together."""
        try:
            await until(f"{self.name} says {words}", lambda: self._has_said(words, times), READY_SECONDS, LOOK_SECONDS)
        except TimeoutError as late:
            late.add_note(f"Its log ends:\n{await asyncio.to_thread(self.quoted)}")
            raise

    def remove(self) -> None:
        self._described.stop()

    def make(self) -> None:
        """Its first life."""
        self._described.start()
        self._made = True
        if self._also_on is not None:
            self._also_on.connect(self)

    async def _has_said(self, words: str, times: int) -> bool:
        return await self.times_said(words) >= times


class Cable:
    """A network that can be cut at one container; mended, the container has the address it had, as with a real one."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._addresses: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            # Only on a subnet that was asked for may an address be asked for: this is one that the engine found free.
            self.network = Network().create()
            subnet = self._there.attrs["IPAM"]["Config"][0]["Subnet"]
            self.network.remove()
            self.network = Network(docker_network_kw={"ipam": IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])})
            try:
                self.network.create()
                break
            except APIError:  # somebody was faster
                if attempt + 1 == ATTEMPTS:
                    raise

    @property
    def _there(self) -> Any:
        return self._engine.networks.get(self.network.name)

    def connect(self, part: Part) -> None:
        self._there.connect(part.container)

    def cut(self, part: Part) -> None:
        self._addresses[part.name] = part.state["NetworkSettings"]["Networks"][self.network.name]["IPAddress"]
        self._there.disconnect(part.container)

    def mend(self, part: Part) -> None:
        self._there.connect(part.container, ipv4_address=self._addresses.pop(part.name))


class Containers:
    """`async with Containers(folder) as stack:` has everything running; `folder` is for the policies."""

    kafka: Part
    postgres: Part

    def __init__(self, folder: Path) -> None:
        self.services: dict[str, Part] = {}
        self.policies = folder / "policies"
        self._engine: Any = DockerClient().client
        self._undo = ExitStack()
        self._undo.callback(self._engine.close)

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._undo.close)

    @property
    def bootstrap_servers(self) -> str:
        return f"{self._host}:{self._kafka_port}"

    def database_url(self, service: str) -> str:
        """As seen from here."""
        url = str(COMPOSED[service]["environment"]["RECOURSE_DATABASE_URL"])
        return url.replace("@postgres/", f"@{self._host}:{self._postgres_port}/")

    def system(self, grace_seconds: float) -> VerifySettings:
        """Where the verifier finds everything."""
        return VerifySettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            verify_refund_url=self.database_url("refund"),
            verify_timer_url=self.database_url("timer"),
            verify_grace_seconds=grace_seconds,
        )

    @property
    def parts(self) -> dict[str, Part]:
        """All that has been started."""
        servers = {name: part for name in ("kafka", "postgres") if (part := getattr(self, name, None)) is not None}
        return {**self.services, **servers}

    async def start_services(self, names: Iterable[str]) -> None:
        """Side by side. A second container of the order service is called `order#2`."""
        added = {name: self._service(name) for name in names}
        self.services |= added
        await _all(part.start() for part in added.values())

    async def dismiss(self, name: str) -> None:
        """It is stopped gently, and is no more part of the stack."""
        await self.services.pop(name).stop()

    async def shards(self, service: str) -> Counter[str]:
        """How many shards each container of the service holds."""
        connection = await asyncpg.connect(self.database_url(service))
        try:
            owners = [
                row[0] for row in await connection.fetch(f"""SELECT coalesce(owner, '') FROM "{service}".shard""")
            ]
        finally:
            await connection.close()
        containers = {name: part.container.short_id for name, part in self.services.items()}
        return Counter(
            name for owner in owners for name, short_id in containers.items() if owner.startswith(f"{short_id}-")
        )

    async def until_shared(self, service: str, *among: str) -> None:
        """The shards of the service are held by these containers, a fair share each."""
        share, rest = divmod(PARTITIONS, len(among))
        assert not rest, "a fair share is a whole number here"

        async def shared() -> bool:
            return await self.shards(service) == Counter(dict.fromkeys(among, share))

        await until(f"each of {', '.join(among)} has {share} shards", shared, READY_SECONDS, LOOK_SECONDS)

    async def until_well(self) -> None:
        """Every service says of itself that it makes progress, as its container's health check asks it."""
        for part in (self.services[name] for name in SERVICES):

            async def well(part: Part = part) -> bool:
                check = await asyncio.to_thread(part.container.exec_run, ["python", "-m", "deploy.health"])
                return bool(check.exit_code == 0)

            await until(f"{part.name} is well", well, READY_SECONDS, LOOK_SECONDS)

    def fill_disk(self) -> None:
        """PostgreSQL finds no more room for its tables, nor for its log when the part at hand is used up."""
        self._disk_holder.container.exec_run(["sh", "-c", f"cat /dev/zero > {DISK}/filler"])
        write = """psql -U recourse postgres -c "SELECT pg_logical_emit_message(true, '', repeat('x', 1000000))" """
        self.postgres.container.exec_run(["sh", "-c", f"while {write}; do :; done"])

    def free_disk(self) -> None:
        self._disk_holder.container.exec_run(["rm", f"{DISK}/filler"])

    # -- how it is made ------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self.policies.mkdir()
        self.policies.chmod(0o755)  # the services are another user
        await asyncio.to_thread(self._build)
        self.to_kafka, self.to_postgres = await asyncio.to_thread(self._cable), await asyncio.to_thread(self._cable)
        await asyncio.to_thread(self._make_disk)
        self._host = self._disk_holder.host
        self._kafka_port, self._postgres_port = free_port(), free_port()
        self.kafka, self.postgres = self._kafka(), self._postgres()
        await _all([self.kafka.start(), self.postgres.start()])
        await asyncio.to_thread(self._set_up)
        await self.start_services(PARTS)

    def _build(self) -> None:
        self._image = f"recourse:e2e-{uuid4().hex[:12]}"
        command = ["docker", "build", "-f", "deploy/Dockerfile", "-t", self._image, "."]
        built = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        self._undo.callback(self._engine.images.remove, self._image)

    def _cable(self) -> Cable:
        cable = Cable(self._engine)
        self._undo.callback(cable.network.remove)
        return cable

    def _make_disk(self) -> None:
        """It lasts as long as somebody holds it, whatever becomes of PostgreSQL."""
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={DISK_MEGABYTES}m"}
        labels = create_labels("", None)
        self._disk = self._engine.volumes.create(driver="local", driver_opts=options, labels=labels)
        self._undo.callback(self._disk.remove)
        holder = self._described("postgres", self.to_postgres).with_command(["sleep", "infinity"])
        holder.with_volume_mapping(self._disk.name, DISK, "rw")
        self._disk_holder = self._part("disk", holder, ready="")
        self._disk_holder.make()

    def _kafka(self) -> Part:
        kafka = self._described("kafka", self.to_kafka).with_network_aliases("kafka")
        kafka.with_bind_ports(9092, self._kafka_port)
        kafka.with_env("KAFKA_ADVERTISED_LISTENERS", f"INSIDE://kafka:19092,OUTSIDE://{self.bootstrap_servers}")
        return self._part("kafka", kafka, ready="Kafka Server started")

    def _postgres(self) -> Part:
        environment, options = SMALL_WAL
        postgres = self._described("postgres", self.to_postgres).with_network_aliases("postgres")
        postgres.with_bind_ports(5432, self._postgres_port)
        postgres.with_envs(**environment).with_command(["postgres", *options])
        postgres.with_volume_mapping(self._disk.name, DISK, "rw")
        return self._part("postgres", postgres, ready="database system is ready to accept connections")

    def _service(self, name: str) -> Part:
        service = name.partition("#")[0]
        described = self._described(service, self.to_kafka).with_volume_mapping(self.policies, "/policies", "ro")
        return self._part(name, described, READY, also_on=self.to_postgres)

    def _set_up(self) -> None:
        job = Part("setup", self._described("setup", self.to_kafka), ready="", also_on=self.to_postgres)
        try:
            job.make()
            assert job.container.wait()["StatusCode"] == 0, job.log()
        finally:
            job.remove()

    def _described(self, name: str, cable: Cable) -> DockerContainer:
        """As docker-compose.yml does it, without what is tied to names and ports of one machine."""
        composed = COMPOSED[name]
        image = self._image if composed["image"] == "recourse" else composed["image"]
        environment = {
            variable: str(value)
            for variable, value in composed["environment"].items()
            if not variable.startswith("RECOURSE_SMTP_")
        }
        container = DockerContainer(image, command=composed.get("command"), env=environment, network=cable.network)
        for folder in composed.get("tmpfs", ()):
            container.with_tmpfs_mount(folder)
        same = {option: composed[option] for option in ("read_only", "cap_drop", "security_opt") if option in composed}
        # Health is asked for when it matters: a check of each container every few seconds is a load of its own.
        return container.with_kwargs(
            restart_policy={"Name": composed.get("restart", "no")}, healthcheck={"test": ["NONE"]}, **same
        )

    def _part(self, name: str, described: DockerContainer, ready: str, also_on: Cable | None = None) -> Part:
        self._undo.callback(described.stop)
        return Part(name, described, ready, also_on)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Side by side, each to its end: nothing is still being made when a failure is raised."""
    for failure in await asyncio.gather(*works, return_exceptions=True):
        if failure is not None:
            raise failure
