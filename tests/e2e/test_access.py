"""Who may do what: `docker compose --profile secure up`, tried by those who may not."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from pydantic import SecretStr

from deploy.local.processes import free_port
from deploy.local.stack import REPO
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene, hire_mediators
from deploy.stories.live import LiveStage
from schemas.topics import OUTSIDERS, PROCESSES, Topic, all_topics
from shared.runtime.kafka.connection import connection
from shared.runtime.settings import Settings

TOPICS = {topic.name: topic for topic in all_topics()}
FORBIDDEN = [
    pytest.param(who, topic, id=f"{who} to {topic.name}")
    for who in (*OUTSIDERS, *PROCESSES)
    for topic in TOPICS.values()
    if who not in topic.writers
]


class Secured:
    """The secure profile as a project of its own, on ports and with secrets of its own."""

    def __init__(self, folder: Path) -> None:
        self.secrets, self.kafka_port, self.postgres_port = folder / "secrets", free_port(), free_port()
        self.secrets.mkdir()  # or it would be the engine's
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"recourse-secure-{uuid4().hex[:8]}",
            "COMPOSE_PROFILES": "secure",
            "RECOURSE_SECRETS": str(self.secrets),
            "SECURE_KAFKA_PORT": str(self.kafka_port),
            "SECURE_POSTGRES_PORT": str(self.postgres_port),
            "MAILPIT_PORT": str(free_port()),
            "SECURE_CASEFILE_PORT": str(free_port()),
        }

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", "compose", *arguments], cwd=REPO, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def password(self, who: str) -> str:
        return (self.secrets / who / "recourse_kafka_password").read_text().strip()

    def kafka(self, who: str, password: str | None = None) -> dict[str, Any]:
        """The connection of this principal, in aiokafka's words."""
        return connection(
            Settings(
                kafka_bootstrap_servers=f"localhost:{self.kafka_port}",
                kafka_username=who,
                kafka_password=SecretStr(password or self.password(who)),
                kafka_ca_file=self.secrets / who / "ca.pem",
            )
        )

    def database(self, role: str, database: str) -> str:
        """Its URL from here, with the role of one service and the database of another, perhaps."""
        url = (self.secrets / role / "recourse_database_url").read_text().strip()
        server, _, _ = url.replace("@secure-postgres/", f"@localhost:{self.postgres_port}/").rpartition("/")
        return f"{server}/recourse_{database}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    secured = Secured(tmp_path_factory.mktemp("secured"))
    try:
        secured.compose("up", "-d", "--build", "--wait")
        yield secured
    finally:
        secured.compose("down", "-v")


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    """Stopped, too, if it is not let in."""
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@pytest.fixture(scope="module")
async def producers(secured: Secured) -> AsyncIterator[dict[str, Any]]:
    """One of each principal, all of which the broker knows."""
    made = {who: AIOKafkaProducer(**secured.kafka(who), request_timeout_ms=10_000) for who in (*OUTSIDERS, *PROCESSES)}
    for one in made.values():
        await one.start()
    yield made
    for one in made.values():
        await one.stop()


async def test_the_whole_system_works_behind_it(secured: Secured) -> None:
    """Story 5 goes through every service but the sandbox: a claim, a mediator, an appeal window, money split."""
    run = uuid4().hex[:8]
    bootstrap = f"localhost:{secured.kafka_port}"
    async with LiveStage(bootstrap, security=secured.kafka("gateway")) as stage:
        await hire_mediators(stage, run)
        scene = Scene(stage, f"secure-{run}")
        await STORIES[5].play(scene)
        assert [case.split() for case in scene.cases] == [case.expected for case in scene.cases]


@pytest.mark.parametrize(("who", "topic"), FORBIDDEN)
async def test_nobody_writes_a_topic_that_is_not_his(producers: dict[str, Any], who: str, topic: Topic) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await producers[who].send_and_wait(topic.name, b"{}", key=b"order-1")


@pytest.mark.parametrize("who", ["nobody", "gateway"])
async def test_who_does_not_know_the_password_is_not_let_in(secured: Secured, who: str) -> None:
    options = secured.kafka("gateway", password="guessed") | {"sasl_plain_username": who}
    with pytest.raises(KafkaConnectionError):
        async with started(AIOKafkaProducer(**options)):
            pass


async def test_who_does_not_say_who_he_is_is_not_let_in(secured: Secured) -> None:
    with pytest.raises(KafkaConnectionError):
        async with started(AIOKafkaProducer(bootstrap_servers=f"localhost:{secured.kafka_port}")):
            pass


async def test_dead_letters_are_for_operators_alone(secured: Secured) -> None:
    """They hold what people sent, whole."""

    async def read(who: str) -> Any:
        async with started(AIOKafkaConsumer("order.dead-letters", **secured.kafka(who))) as consumer:
            return consumer.assignment()

    assert len(await read("operator")) == TOPICS["order.dead-letters"].partitions
    with pytest.raises(TopicAuthorizationFailedError):
        await read("gateway")


async def test_nobody_holds_our_readers_up_with_a_transaction(secured: Secured) -> None:
    with pytest.raises(TransactionalIdAuthorizationFailed):
        async with started(AIOKafkaProducer(**secured.kafka("gateway"), transactional_id="gateway-1")):
            pass


@pytest.mark.parametrize("role", PROCESSES)
async def test_a_service_reaches_its_own_database_alone(secured: Secured, role: str) -> None:
    for database in PROCESSES:
        if database == role:
            await (await asyncpg.connect(secured.database(role, database))).close()
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(secured.database(role, database))


@pytest.mark.rule("R0")
async def test_a_forged_bell_gets_in_and_changes_nothing(secured: Secured) -> None:
    """Gateways write the inbox in which our timers ring: what they ring is not believed."""
    order = f"forged-{uuid4().hex[:8]}"
    gateway = secured.kafka("gateway")
    bell = {
        "order_id": order,
        "timer_id": f"order/{order}",
        "name": "processing_ends",
        "due_at": "2020-01-01T00:00:00.000Z",
    }
    async with LiveStage(f"localhost:{secured.kafka_port}", "aliexpress", security=gateway) as stage:
        scene = Scene(stage, order)
        case = await scene.order(lamp=49_00)
        bell |= {"order_id": case.order_id, "timer_id": f"order/{case.order_id}"}
        headers = [("ce_id", b"forged"), ("ce_type", b"timer.elapsed.v1"), ("ce_source", b"recourse/timer/0")]
        await stage.say("order.commands", case.order_id, headers, json.dumps(bell).encode())
        await case.seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1")  # obeyed: it was not cancelled
        assert "order.cancelled" not in {event.type for event in case.seen}
        case.nothing_moved()


async def test_no_password_is_ever_logged(secured: Secured) -> None:
    said = secured.compose("logs", "--no-color")
    passwords = {
        word for file in secured.secrets.rglob("*assword*") if file.is_file() for word in file.read_text().split()
    }
    assert len(passwords) > len(PROCESSES) + len(OUTSIDERS)
    assert not [word for word in passwords if word in said]
