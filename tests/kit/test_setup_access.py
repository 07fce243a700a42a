"""On a broker that asks who is there, everybody may do what is declared and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from pydantic import SecretStr

from deploy.local.kafka import Kafka
from deploy.local.processes import free_port
from deploy.local.reaper import Reaper
from deploy.local.stack import Stack
from deploy.setup import access, broker
from deploy.setup.job import SetUpFailed
from deploy.setup.settings import SetupSettings
from schemas.topics import PROCESSES, all_topics
from tests.kit import setup_job
from tests.support.waiting import until

pytestmark = pytest.mark.stack

PREFIX = "guarded."
PARTITIONS = 2
TOPICS = all_topics(PREFIX)
PATIENCE_SECONDS = 20
COORDINATOR_MOVES = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
"""Ask again: who keeps the group has not settled in, or a stalled broker was taken for gone. Consumers do so by
themselves, librdkafka's administrator does not."""
SECRET = "of=the, 'kind' that is \\hard"
PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{{broker}},SASL_PLAINTEXT://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{{controller}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""Two doors: at the first nobody is asked, it is the administrator's; at the second everybody is."""

RIGHTS = """
                       order       dispute     mediation   refund      notification  timer  casefile    gateway  payments    operator
order.commands         read        -           -           -           -             write  read+write  write    -           read+write
timer.commands         read+write  read+write  read+write  read+write  -             read   read+write  -        -           read+write
order.events           read+write  read        -           read        read          -      read        read     -           read
order.dead-letters     read+write  -           -           -           -             -      read        -        -           read
casefile.dead-letters  -           -           -           -           -             -      read+write  -        -           read
payments.commands      -           -           -           read+write  -             -      -           -        read        read
payments.events        -           -           -           read        -             -      read        -        read+write  read
refund.commands        -           -           -           read        -             write  read+write  -        -           read+write
mediation.roster       -           -           read+write  -           -             -      read        -        -           read
people                 -           -           -           -           read          -      -           write    -           read+write
"""


@dataclass
class Guarded:
    kafka: Kafka
    door: str
    passwords: Path
    admin: AdminClient

    @property
    def env(self) -> dict[str, str]:
        return {
            "RECOURSE_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "RECOURSE_TOPIC_PREFIX": PREFIX,
            "RECOURSE_PARTITIONS": str(PARTITIONS),
            "RECOURSE_SETUP_PASSWORDS": str(self.passwords),
        }

    def as_(self, who: str) -> AdminClient:
        return AdminClient(self.librdkafka(who))

    def librdkafka(self, who: str, password: str = "") -> dict[str, Any]:
        return {
            "bootstrap.servers": self.door,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": who,
            "sasl.password": password or f"{who} {SECRET}",
            "log_level": 0,
        }

    def aiokafka(self, who: str) -> dict[str, Any]:
        """As services connect."""
        return {
            "bootstrap_servers": self.door,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": who,
            "sasl_plain_password": f"{who} {SECRET}",
        }

    async def knows(self, there: Iterable[AclBinding] = (), gone: Iterable[AclBinding] = ()) -> None:
        await access.until_known(self.admin, TOPICS, PREFIX, set(there), set(gone))

    async def set_up(self, *arguments: str) -> list[str]:
        """What the job says; the broker knows of it when this returns."""
        ended = await setup_job.run(self.env, *arguments)
        assert ended.status == 0, ended
        return ended.lines


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder, reaper, port = tmp_path_factory.mktemp("guarded"), Reaper(), free_port()
    kafka = Kafka(folder / "kafka", reaper, properties=PROPERTIES.format(guarded=port))
    passwords = folder / "passwords"
    passwords.mkdir()
    for who in access.PRINCIPALS:
        (passwords / f"{who}.password").write_text(f"{who} {SECRET}\n")
    try:
        await kafka.start()
        admin = await broker.connect({"bootstrap.servers": kafka.bootstrap_servers}, PATIENCE_SECONDS)
        yield Guarded(kafka, f"127.0.0.1:{port}", passwords, admin)
    finally:
        await kafka.stop()
        await asyncio.to_thread(reaper.close)


@pytest.fixture(scope="module")
async def first_run(guarded: Guarded) -> list[str]:
    """What the job said when there was nothing; the broker knows it all by now."""
    return await guarded.set_up()


async def test_what_is_declared_is_granted_once(guarded: Guarded, first_run: list[str]) -> None:
    count = len(access.grants(TOPICS, PREFIX))
    assert sum(line.startswith("granted: ") for line in first_run) == count
    assert "granted: User:gateway may WRITE topic guarded.order.commands" in first_run
    assert "granted: User:gateway may READ group gateway…" in first_run
    assert sum(line.startswith("created credential of ") for line in first_run) == len(access.PRINCIPALS)

    again = await guarded.set_up()

    assert f"access: {count} grants as declared" in again
    assert "credential of order: there, its password set again" in again
    assert [line for line in again if line.startswith(("created", "granted"))] == []


async def test_passwords_are_never_told(first_run: list[str]) -> None:
    assert SECRET not in "\n".join(first_run)


@pytest.mark.usefixtures("first_run")
async def test_everybody_has_the_rights_of_the_table_and_no_more(guarded: Guarded) -> None:
    [header, *rows] = [line.split() for line in RIGHTS.strip().splitlines()]
    assert set(header) == set(access.PRINCIPALS)
    told = {row[0]: dict(zip(header, row[1:], strict=True)) for row in rows}
    found = {who: await rights(guarded, who) for who in header}
    assert {topic: {who: held.get(topic, "-") for who, held in found.items()} for topic in told} == told


@pytest.mark.usefixtures("first_run")
async def test_an_outsider_cannot_write_facts_and_their_owner_can(guarded: Guarded) -> None:
    assert await written(guarded, "order", "order.events") is None
    assert await written(guarded, "gateway", "order.commands") is None
    for who in ("gateway", "operator", "payments", "dispute"):
        assert await written(guarded, who, "order.events") == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.usefixtures("first_run")
async def test_a_service_does_what_it_does_with_its_rights(guarded: Guarded) -> None:
    inbox = TopicPartition(f"{PREFIX}order.commands", 0)
    async with AIOKafkaProducer(**guarded.aiokafka("timer"), enable_idempotence=True, acks="all") as timer:
        await timer.send_and_wait(inbox.topic, b"ring", partition=0)
    async with AIOKafkaConsumer(
        **guarded.aiokafka("order"), group_id=f"{PREFIX}recourse-order", auto_offset_reset="earliest"
    ) as order:
        order.assign([inbox])
        await asyncio.wait_for(order.getone(), PATIENCE_SECONDS)
        await order.commit({inbox: 1})
        assert await order.committed(inbox) == 1


@pytest.mark.usefixtures("first_run")
async def test_operators_see_how_far_everybody_is_and_cannot_rewind_it(guarded: Guarded) -> None:
    group, operator = f"{PREFIX}recourse-order", guarded.as_("operator")
    assert await committed(guarded.as_("order"), group, 5) is None
    listed = await asyncio.wrap_future(operator.list_consumer_groups())
    assert group in {one.group_id for one in listed.valid}
    [seen] = operator.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    assert [place.offset for place in (await asyncio.wrap_future(seen)).topic_partitions] == [5]
    for who in ("operator", "gateway", "dispute"):
        assert await committed(guarded.as_(who), group, 0) == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert await committed(operator, "console-consumer-7", 0) is None
    assert await committed(guarded.as_("gateway"), "gateway-of-the-shop", 0, topic="order.events") is None


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("who", ["gateway", "order"])
async def test_nobody_can_begin_a_transaction(guarded: Guarded, who: str) -> None:
    producer = Producer(guarded.librdkafka(who) | {"transactional.id": who})
    with pytest.raises(KafkaException) as refused:
        await asyncio.to_thread(producer.init_transactions, PATIENCE_SECONDS)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


@pytest.mark.usefixtures("first_run")
async def test_what_others_granted_is_reported_and_taken_back_only_when_asked(guarded: Guarded) -> None:
    anybody = [
        grant("User:stranger", AclOperation.WRITE, ResourceType.TOPIC, f"{PREFIX}order.events"),
        grant("User:stranger", AclOperation.READ, ResourceType.TOPIC, PREFIX, ResourcePatternType.PREFIXED),
        grant("User:stranger", AclOperation.READ, ResourceType.GROUP, f"{PREFIX}recourse-order"),
        grant("User:*", AclOperation.WRITE, ResourceType.TRANSACTIONAL_ID, "*"),
    ]
    elsewhere = grant("User:stranger", AclOperation.WRITE, ResourceType.TOPIC, "not-ours")
    await done(guarded.admin.create_acls([*anybody, elsewhere]).values())
    await guarded.knows(there=anybody)
    undeclared = [
        "User:stranger may WRITE topic guarded.order.events: not declared",
        "User:stranger may READ topic guarded.…: not declared",
        "User:stranger may READ group guarded.recourse-order: not declared",
        "User:* may WRITE transactional id *: not declared",
    ]

    reported, checked = await guarded.set_up(), await setup_job.run(guarded.env, "--check", "--prune-access")
    assert sorted(line for line in reported if "not declared" in line) == sorted(undeclared)
    assert sorted(line for line in checked.lines if "not declared" in line) == sorted(undeclared)
    assert checked.status == 1

    pruned, afterwards = await guarded.set_up("--prune-access"), await guarded.set_up()
    assert sum(line.startswith("taken back: ") for line in pruned) == len(undeclared)
    assert [line for line in afterwards if "not declared" in line] == []
    left = await asyncio.wrap_future(guarded.admin.describe_acls(access.exactly(elsewhere)))
    assert left == [elsewhere]


@pytest.mark.usefixtures("first_run")
async def test_a_grant_that_was_lost_is_reported_by_a_check_and_granted_again(guarded: Guarded) -> None:
    lost = grant("User:refund", AclOperation.READ, ResourceType.TOPIC, f"{PREFIX}order.events")
    await done(guarded.admin.delete_acls([access.exactly(lost)]).values())
    await guarded.knows(gone=[lost])
    checked = await setup_job.run(guarded.env, "--check")
    assert "User:refund may READ topic guarded.order.events: declared, not granted" in checked.lines
    assert checked.status == 1
    assert "granted: User:refund may READ topic guarded.order.events" in await guarded.set_up()


@pytest.mark.usefixtures("first_run")
async def test_a_new_password_counts_from_the_next_run_on(guarded: Guarded) -> None:
    file = guarded.passwords / "payments.password"
    old = file.read_text()
    file.write_text("another")
    await guarded.set_up()
    await broker.connect(guarded.librdkafka("payments", "another"), PATIENCE_SECONDS)
    with pytest.raises(SetUpFailed, match="SASL authentication error"):
        await broker.connect(guarded.librdkafka("payments"), 1)
    file.write_text(old)
    await guarded.set_up()


async def test_a_broker_that_asks_nobody_is_told_apart(stack: Stack, guarded: Guarded) -> None:
    if not stack.embedded:
        pytest.skip("only on the embedded Kafka, of which it is known that it asks nobody who he is")
    servers = {"RECOURSE_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "RECOURSE_TOPIC_PREFIX": "asked-nobody."}
    ended = await setup_job.run(guarded.env | servers)
    assert ended.status == 1
    assert ended.lines[-1].startswith("Set-up failed. Kafka, ")
    assert ended.lines[-1].endswith("No Authorizer is configured.")


def test_an_administrator_with_a_name_gives_his_password_over_tls_alone() -> None:
    settings = SetupSettings(
        kafka_bootstrap_servers="kafka:9092",
        kafka_username="admin",
        kafka_password=SecretStr("hush"),
        kafka_ca_file=Path("/ca.pem"),
        kafka_mechanism="PLAIN",
    )
    assert settings.kafka_options() == {
        "bootstrap.servers": "kafka:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "admin",
        "sasl.password": "hush",
        "ssl.ca.location": "/ca.pem",
    }
    assert "hush" not in repr(settings)


async def rights(guarded: Guarded, who: str) -> dict[str, str]:
    """What the broker lets somebody do with each topic: `read`, `write`, `read+write`."""
    client = guarded.as_(who)
    names = TopicCollection([topic.name for topic in TOPICS])
    answers = client.describe_topics(names, include_authorized_operations=True)
    found = {}
    for name, answer in answers.items():
        try:
            allowed = {operation.name for operation in (await asyncio.wrap_future(answer)).authorized_operations}
        except KafkaException as refused:
            if refused.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue
            raise
        assert allowed <= {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}
        assert ("DESCRIBE_CONFIGS" in allowed) == (who in {*PROCESSES, "operator"})
        found[name.removeprefix(PREFIX)] = "+".join(sorted(allowed & {"READ", "WRITE"})).lower()
    return found


async def written(guarded: Guarded, who: str, topic: str) -> int | None:
    """The error that the broker answers to a record, if it does."""
    producer = Producer(guarded.librdkafka(who))
    told: list[KafkaError | None] = []
    producer.produce(PREFIX + topic, b"x", partition=0, on_delivery=lambda error, _: told.append(error))
    assert await asyncio.to_thread(producer.flush, PATIENCE_SECONDS) == 0
    [error] = told
    return error.code() if error else None


async def committed(client: AdminClient, group: str, offset: int, topic: str = "order.commands") -> int | None:
    """The error that the broker answers to a group's new offset, if it does."""
    places = ConsumerGroupTopicPartitions(group, [Place(PREFIX + topic, 0, offset)])

    async def answer() -> tuple[int | None] | None:
        error = await _answered(client, places)
        return None if error in COORDINATOR_MOVES else (error,)

    [error] = await until("the group's coordinator has settled in", answer, PATIENCE_SECONDS)
    return error


async def _answered(client: AdminClient, places: ConsumerGroupTopicPartitions) -> int | None:
    [answer] = client.alter_consumer_group_offsets([places]).values()
    try:
        [place] = (await asyncio.wrap_future(answer)).topic_partitions
    except KafkaException as refused:  # already by who would know where the group is kept
        return int(refused.args[0].code())
    return place.error.code() if place.error else None


def grant(
    who: str,
    operation: AclOperation,
    kind: ResourceType,
    name: str,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, who, "*", operation, AclPermissionType.ALLOW)


async def done(futures: Iterable["Future[Any]"]) -> None:
    for future in futures:
        await asyncio.wrap_future(future)
