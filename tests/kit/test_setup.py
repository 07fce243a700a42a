"""The set-up job makes what is missing, says what differs, and touches nothing else: topics and databases."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from deploy.local.processes import free_port
from deploy.local.stack import Stack
from deploy.setup import broker, databases, topics
from deploy.setup.job import Drift, Kind, SetUpFailed
from schemas.topics import PROCESSES, Topic, all_topics, durability
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.presence import JOIN, LOOK
from tests.kit import setup_job
from tests.support.waiting import until

pytestmark = pytest.mark.stack

PARTITIONS = 2
WAIT_SECONDS = 10
PASSWORDS: dict[str, str] = {service: f"{service}'s own $ password" for service in PROCESSES}


@pytest.fixture
def prefix() -> str:
    return f"setup-{uuid4().hex[:8]}."


@pytest.fixture
def env(stack: Stack, prefix: str) -> dict[str, str]:
    return {
        "RECOURSE_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_PARTITIONS": str(PARTITIONS),
    }


@pytest.fixture
async def admin(stack: Stack) -> AdminClient:
    return await broker.connect({"bootstrap.servers": stack.bootstrap_servers}, WAIT_SECONDS)


@pytest.fixture
async def names(stack: Stack) -> AsyncIterator[str]:
    """How the names of the test's own roles and databases begin; they are gone afterwards."""
    beginning = f"test_{uuid4().hex[:8]}_"
    yield beginning
    connection = await asyncpg.connect(stack.database_url)
    for name in [beginning + service for service in PROCESSES]:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    for (role,) in await connection.fetch("SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)", beginning):
        await connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    await connection.close()


async def test_everything_is_made_once_and_a_second_run_changes_nothing(
    stack: Stack, env: dict[str, str], prefix: str, names: str, admin: AdminClient
) -> None:
    env |= {
        "RECOURSE_SETUP_DATABASE_ADMIN_URL": stack.database_url,
        "RECOURSE_SETUP_DATABASE_PASSWORD": "the same for all",
        "RECOURSE_SETUP_DATABASE_PREFIX": names,
    }
    declared = [topic.name for topic in all_topics(prefix)]

    first = await setup_job.run(env)
    second = await setup_job.run(env)
    third = await setup_job.run(env, "--check")

    skipped = "access: not looked at, RECOURSE_SETUP_PASSWORDS is not set"
    made = [
        line
        for service in PROCESSES
        for line in (f"created role {names}{service}", f"created database {names}{service}")
    ]
    assert first.lines == [
        *(f"created {name} ({PARTITIONS} partitions)" for name in declared),
        skipped,
        *made,
        f"Set up: 0 as declared, {len(declared) + len(made)} made now, 0 different and left so",
    ]
    kept = f"{len(declared) + len(PROCESSES)} as declared, 0 made now, 0 different and left so"
    assert second.lines == [
        *(f"{name}: as declared" for name in declared),
        skipped,
        *(f"database {names}{service}: as declared, the password of its role set again" for service in PROCESSES),
        f"Set up: {kept}",
    ]
    assert third.lines[len(declared) :] == [
        skipped,
        *(f"database {names}{service}: as declared" for service in PROCESSES),
        f"Checked: {kept}",
    ]
    assert (first.status, second.status, third.status) == (0, 0, 0)
    dead_letters = await config_of(admin, f"{prefix}order.dead-letters")
    assert (dead_letters["message.timestamp.type"], dead_letters["retention.ms"]) == ("LogAppendTime", "-1")
    assert int(dead_letters["max.message.bytes"]) > 3_000_000


async def test_only_the_topics_that_are_missing_are_created(admin: AdminClient, prefix: str) -> None:
    declared = all_topics(prefix, PARTITIONS)
    await topics.set_up(admin, declared[:3])
    findings = await topics.set_up(admin, declared)
    assert [finding.kind for finding in findings] == [Kind.AS_DECLARED] * 3 + [Kind.DONE] * (len(declared) - 3)


async def test_jobs_that_run_at_the_same_time_do_not_disturb_each_other(
    stack: Stack, admin: AdminClient, prefix: str, names: str
) -> None:
    declared = all_topics(prefix, PARTITIONS)
    findings = await asyncio.gather(*(topics.set_up(admin, declared) for _ in range(3)))
    made = await asyncio.gather(*(set_up_databases(stack, names) for _ in range(3)))
    assert all(is_well(one) for one in [*findings, *made])
    assert sum(finding.kind is Kind.DONE for one in findings for finding in one) == len(declared)
    assert sum(finding.kind is Kind.DONE for one in made for finding in one) == 2 * len(PROCESSES)


async def test_a_setting_that_differs_is_reported_and_left(
    env: dict[str, str], admin: AdminClient, prefix: str
) -> None:
    name = f"{prefix}order.events"
    await topics.set_up(admin, all_topics(prefix, PARTITIONS))
    await alter(admin, name, "retention.ms", "1000")

    ended, checked = await setup_job.run(env), await setup_job.run(env, "--check")

    assert f"{name}: retention.ms is 1000, declared -1" in ended.lines
    assert (ended.status, checked.status) == (0, 1)
    assert ended.lines[:-1] == checked.lines[:-1]
    assert (await config_of(admin, name))["retention.ms"] == "1000"


async def test_wrong_partitions_and_a_wrong_time_type_fail_the_job(
    env: dict[str, str], admin: AdminClient, prefix: str
) -> None:
    narrow, client_time = f"{prefix}order.events", f"{prefix}order.commands"
    config = {topic.name: topic.config for topic in all_topics(prefix)}
    await topics.set_up(
        admin,
        [
            Topic(narrow, PARTITIONS + 1, config[narrow]),
            Topic(client_time, PARTITIONS, config[client_time] | {"message.timestamp.type": "CreateTime"}),
        ],
    )

    ended = await setup_job.run(env)

    assert ended.status == 1
    assert [line for line in ended.lines if "refuse" in line] == [
        f"{client_time}: message.timestamp.type is CreateTime, declared LogAppendTime; services refuse to start",
        f"{narrow}: partitions is 3, declared 2; services refuse to start",
    ]
    assert f"created {prefix}dispute.events (2 partitions)" in ended.lines
    assert (await config_of(admin, client_time))["message.timestamp.type"] == "CreateTime"


async def test_a_check_makes_nothing(stack: Stack, env: dict[str, str], prefix: str, names: str) -> None:
    env |= {
        "RECOURSE_SETUP_DATABASE_ADMIN_URL": stack.database_url,
        "RECOURSE_SETUP_DATABASE_PASSWORD": "of nobody",
        "RECOURSE_SETUP_DATABASE_PREFIX": names,
    }
    first, second = await setup_job.run(env, "--check"), await setup_job.run(env, "--check")
    assert {f"{prefix}order.commands: missing", f"role {names}order: missing", f"database {names}order: missing"} <= {
        *first.lines
    }
    assert first == second
    assert first.status == 1


async def test_a_server_that_does_not_come_is_waited_for_and_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    ended = await setup_job.run({"RECOURSE_KAFKA_BOOTSTRAP_SERVERS": address}, "--wait", "1")
    assert ended.status == 1
    assert ended.lines[-1].startswith(f"Set-up failed. Kafka at {address} did not answer within 1 s: ")
    assert "Connection refused" in ended.lines[-1]


async def test_sigterm_ends_the_job() -> None:
    job = await setup_job.start({"RECOURSE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"})
    assert job.stdout is not None
    assert (await job.stdout.readline()).startswith(b"waiting for Kafka")
    job.terminate()
    assert (
        await job.wait() == 128 + signal.SIGTERM
    )  # by its own handler: there is no other for a container's first process


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"RECOURSE_KAFKA_PASSWORD": "hush"}, "RECOURSE_KAFKA_USERNAME and RECOURSE_KAFKA_PASSWORD go together"),
        (
            {"RECOURSE_SETUP_DATABASE_ADMIN_URL": "postgresql://u:hush@h/d"},
            "RECOURSE_SETUP_PASSWORDS or RECOURSE_SETUP_DATABASE_PASSWORD",
        ),
        ({"RECOURSE_SETUP_PASSWORDS": "/nowhere"}, "/nowhere/order.password cannot be read: No such file or directory"),
    ],
)
async def test_what_the_environment_lacks_is_said_without_its_secrets(wrong: dict[str, str], said: str) -> None:
    ended = await setup_job.run(wrong)
    output = "\n".join(ended.lines)
    assert (ended.status, said in output, "hush" in output) == (1, True, False), output


async def test_an_address_with_a_password_that_is_not_quoted_is_not_told() -> None:
    with pytest.raises(SetUpFailed, match="is not an address of a PostgreSQL server") as failed:
        await databases.set_up("postgresql://admin:hush/hush@localhost/postgres", PASSWORDS, "nobody_", WAIT_SECONDS)
    assert "hush" not in str(failed.value)


async def test_a_role_reaches_its_own_database_and_no_other(stack: Stack, names: str) -> None:
    assert is_well(await set_up_databases(stack, names))
    for service, database in zip(PROCESSES, [*PROCESSES[1:], PROCESSES[0]], strict=True):
        connection = await connected(stack, names, service, service)
        await connection.execute("CREATE SCHEMA its_own")
        await connection.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await connected(stack, names, service, database)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(stack, names, "order", "order", "a guess")


async def test_a_new_password_counts_from_the_next_run_on(stack: Stack, names: str) -> None:
    await set_up_databases(stack, names)
    findings = await set_up_databases(stack, names, PASSWORDS | {"order": "another"})
    assert {finding.kind for finding in findings} == {Kind.AS_DECLARED}
    await (await connected(stack, names, "order", "order", "another")).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connected(stack, names, "order", "order")


async def test_a_database_that_was_opened_is_closed_and_what_else_differs_is_reported(stack: Stack, names: str) -> None:
    order, refund = f"{names}order", f"{names}refund"
    await set_up_databases(stack, names)
    await run_as_admin(
        stack,
        f"GRANT CONNECT ON DATABASE {order} TO PUBLIC",
        f"GRANT CONNECT ON DATABASE {order} TO {refund}",
        f"ALTER DATABASE {refund} OWNER TO {order}",
    )

    checked, ended = await set_up_databases(stack, names, check=True), await set_up_databases(stack, names)

    differing = [
        f"database {order}: {refund} may connect, declared its owner alone",
        f"database {refund}: owner is {order}, declared {refund}",
        f"database {refund}: {order} may connect, declared its owner alone",
    ]
    assert differing_in(checked) == [
        f"database {order}: everybody may connect, declared its owner alone",
        *differing[1:],
    ]
    assert differing_in(ended) == differing
    assert Drift(Kind.DONE, f"database {order}: closed to everybody but its owner") in ended


async def test_databases_keep_every_character_whatever_the_server_makes_of_its_own(stack: Stack, names: str) -> None:
    spoilt = f"{names}order"
    await run_as_admin(
        stack,
        f"CREATE DATABASE {spoilt} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        "ALTER DATABASE template1 RENAME TO template_of_old",
        "CREATE DATABASE template1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )
    try:
        findings = await set_up_databases(stack, names)
    finally:
        await run_as_admin(
            stack, "DROP DATABASE template1 WITH (FORCE)", "ALTER DATABASE template_of_old RENAME TO template1"
        )
    said = f"database {spoilt}: encoding is LATIN1, declared UTF8; services refuse to start"
    assert [finding.text for finding in findings if finding.kind is Kind.FATAL] == [said]
    connection = await connected(stack, names, "refund", "refund")
    assert await connection.fetchval("SELECT '\N{SNOWMAN}'") == "\N{SNOWMAN}"
    await connection.close()


async def test_an_administrator_needs_no_more_than_to_create_roles_and_databases(stack: Stack, names: str) -> None:
    await run_as_admin(stack, f"CREATE ROLE {names}admin LOGIN CREATEROLE CREATEDB PASSWORD 'modest'")
    url = address(stack, f"{names}admin", "modest", "postgres")
    first = await databases.set_up(url, PASSWORDS, names, WAIT_SECONDS)
    again = await databases.set_up(url, PASSWORDS, names, WAIT_SECONDS)
    assert is_well(first)
    assert {finding.kind for finding in again} == {Kind.AS_DECLARED}
    await (await connected(stack, names, "order", "order")).close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connected(stack, names, "order", "refund")


async def test_a_service_lives_as_its_own_role_on_its_own_database(stack: Stack, prefix: str, names: str) -> None:
    await topics.create_topics(stack.bootstrap_servers, all_topics(prefix, PARTITIONS))
    await set_up_databases(stack, names)
    env = {
        "RECOURSE_DATABASE_URL": address(stack, f"{names}order", PASSWORDS["order"], f"{names}order"),
        "RECOURSE_TOPIC_PREFIX": prefix,
        "RECOURSE_PARTITIONS": str(PARTITIONS),
    }
    try:
        await stack.start_services(["order"], env)
        connection = await connected(stack, names, "order", "order")
        assert await connection.fetchval('SELECT count(*) FROM "order".shard WHERE owner IS NOT NULL') == PARTITIONS
        await connection.close()
    finally:
        await stack.services.pop("order").stop()


async def test_a_member_of_its_own_role_sees_that_another_has_died(stack: Stack, names: str) -> None:
    await set_up_databases(stack, names)
    url = address(stack, f"{names}order", PASSWORDS["order"], f"{names}order")
    await migrate(url, "order", [KERNEL_MIGRATIONS])
    one, other = [await asyncpg.connect(url, server_settings={"search_path": "order"}) for _ in range(2)]
    never = 3600.0
    await one.execute(JOIN, "one")
    await one.fetch(LOOK, "one", never)
    assert {row[0] for row in await other.fetch(LOOK, "other", never)} == {"one", "other"}
    await one.close()

    async def alone() -> bool:
        return {row[0] for row in await other.fetch(LOOK, "other", never)} == {"other"}

    await until("nobody is seen but itself", alone, WAIT_SECONDS)
    assert await alone()
    await other.close()


async def set_up_databases(
    stack: Stack, names: str, passwords: dict[str, str] = PASSWORDS, *, check: bool = False
) -> list[Drift]:
    return await databases.set_up(stack.database_url, passwords, names, WAIT_SECONDS, check=check)


def is_well(findings: Sequence[Drift]) -> bool:
    return not differing_in(findings)


def differing_in(findings: Sequence[Drift]) -> list[str]:
    return [finding.text for finding in findings if finding.kind in (Kind.DRIFT, Kind.FATAL)]


async def run_as_admin(stack: Stack, *statements: str) -> None:
    connection = await asyncpg.connect(stack.database_url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_where_there_are_copies_enough_a_topic_is_made_to_lose_nothing(
    stack: Stack, admin: AdminClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This broker is alone, so here one copy counts as many."""
    monkeypatch.setattr(topics, "durability", lambda copies: durability(copies + 2))
    declared = [Topic(f"{prefix}order.events", 1, {"retention.ms": "-1"})]
    await topics.set_up(admin, declared)
    found = await config_of(admin, declared[0].name)
    assert (found["min.insync.replicas"], found["unclean.leader.election.enable"]) == ("2", "false")
    [again] = await topics.set_up(admin, declared, check=True)
    assert again.kind is Kind.AS_DECLARED
    await alter(admin, declared[0].name, "min.insync.replicas", "1")
    assert await topics.set_up(admin, declared) == [
        Drift(Kind.DRIFT, f"{declared[0].name}: min.insync.replicas is 1, declared 2")
    ]
    await alter(admin, declared[0].name, "min.insync.replicas", "3")
    [better] = await topics.set_up(admin, declared, check=True)
    assert better.kind is Kind.AS_DECLARED


def address(stack: Stack, role: str, password: str, database: str) -> str:
    server = urlsplit(stack.database_url)
    place = f"{role}:{quote(password, safe='')}@{server.hostname}:{server.port or 5432}"
    return server._replace(netloc=place, path=f"/{database}").geturl()


async def connected(stack: Stack, names: str, service: str, database: str, password: str | None = None) -> Any:
    return await asyncpg.connect(address(stack, names + service, password or PASSWORDS[service], names + database))


async def config_of(admin: AdminClient, topic: str) -> dict[str, str]:
    [answer] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in (await asyncio.wrap_future(answer)).items()}


async def alter(admin: AdminClient, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    [answer] = admin.incremental_alter_configs([resource]).values()
    await asyncio.wrap_future(answer)

    async def known() -> bool:
        return (await topics._configs(admin, [topic]))[topic][name] == value

    await until("the broker has heard of it from the controller", known, within=10)
