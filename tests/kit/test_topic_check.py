"""A service starts on topics as it counts on them, waits for those to come, and refuses those that would mix orders or
tell another clock's time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions

from deploy.local.stack import Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import Topic, all_topics, durability, is_less
from shared.runtime import topic_check
from shared.runtime.problems import Problems
from shared.runtime.settings import Settings
from shared.runtime.topic_check import check
from tests.support.waiting import until_true

PARTITIONS = 2
TWO_OF_THREE = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
pytestmark = pytest.mark.stack


async def taken(stack: Stack, **changed: Topic | None) -> bool:
    """The refund service looks, where one of its topics is another one, or not there."""
    prefix = f"check-{uuid4().hex[:8]}."
    declared = {topic.name: topic for topic in all_topics(partitions=PARTITIONS)} | {
        name.replace("_", "."): topic for name, topic in changed.items()
    }
    topics = [replace(topic, name=prefix + topic.name) for topic in declared.values() if topic is not None]
    await create_topics(stack.bootstrap_servers, topics)
    settings = Settings(kafka_bootstrap_servers=stack.bootstrap_servers, topic_prefix=prefix, partitions=PARTITIONS)
    await check(settings, "refund")
    return True


async def test_topics_as_they_are_declared_are_taken(stack: Stack) -> None:
    assert await taken(stack)


async def test_a_topic_that_is_not_there_is_waited_for(stack: Stack) -> None:
    with pytest.raises(TimeoutError, match=r"topics that do not exist yet: .*refund\.commands$"):
        await taken(stack, refund_commands=None)


@pytest.mark.parametrize("name", ["refund.commands", "refund.events"], ids=["read", "written"])
async def test_another_number_of_partitions_is_refused(stack: Stack, name: str) -> None:
    with pytest.raises(SystemExit, match=rf"topic .*{name} has 3 partitions, not 2: shards would mix"):
        await taken(stack, **{name.replace(".", "_"): Topic(name, 3, {"message.timestamp.type": "LogAppendTime"})})


async def test_a_topic_that_tells_its_writers_clock_is_refused(stack: Stack) -> None:
    theirs = Topic("refund.commands", PARTITIONS, {"message.timestamp.type": "CreateTime"})
    with pytest.raises(SystemExit, match=r"refund\.commands needs message\.timestamp\.type=LogAppendTime"):
        await taken(stack, refund_commands=theirs)


async def test_what_is_none_of_its_business_may_be_anything(stack: Stack) -> None:
    assert await taken(stack, mediation_commands=Topic("mediation.commands", 5))


def test_with_three_copies_what_is_acknowledged_is_on_two() -> None:
    assert durability(1) == durability(2) == {}
    assert durability(3) == durability(5) == TWO_OF_THREE
    assert is_less("1", "2")
    assert is_less(None, "2")
    assert is_less("true", "false")
    assert not is_less("2", "2")
    assert not is_less("3", "2"), "more are as good"


@dataclass
class Running:
    """The refund service looks at its topics again and again."""

    admin: AdminClient
    prefix: str
    problems: Problems

    async def tells(self, *recipes: str) -> bool:
        """Soon, or TimeoutError is raised."""

        def told() -> bool:
            return [one["recipe"].partition("#")[2] for one in self.problems.told()] == [*recipes]

        await until_true(told)
        return told()

    async def set(self, topic: str, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        changed = ConfigResource(ConfigResource.Type.TOPIC, self.prefix + topic, incremental_configs=[entry])
        await answers(self.admin.incremental_alter_configs([changed]))


@pytest.fixture
async def running(stack: Stack) -> AsyncIterator[Running]:
    prefix = f"running-{uuid4().hex[:8]}."
    await create_topics(stack.bootstrap_servers, all_topics(prefix, PARTITIONS))
    settings = Settings(
        kafka_bootstrap_servers=stack.bootstrap_servers,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        topics_look_seconds=0.1,
    )
    problems = Problems()
    admin = await connect({"bootstrap.servers": stack.bootstrap_servers}, seconds=10)
    looking = asyncio.create_task(topic_check.keep_looking(settings, "refund", problems))
    yield Running(admin, prefix, problems)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_partitions_that_are_added_while_it_runs_are_noticed(running: Running) -> None:
    assert await running.tells()
    await answers(running.admin.create_partitions([NewPartitions(running.prefix + "order.events", 3)]))
    assert await running.tells("another-number-of-partitions")
    [told] = running.problems.told()
    assert told["problem"] == f"topic {running.prefix}order.events has 3 partitions, not 2: shards would mix"
    await answers(running.admin.create_partitions([NewPartitions(running.prefix + "mediation.events", 3)]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await running.tells("another-number-of-partitions", "another-number-of-partitions")


async def test_a_setting_that_is_changed_while_it_runs_is_a_problem_until_it_is_put_back(running: Running) -> None:
    await running.set("refund.commands", "message.timestamp.type", "CreateTime")
    assert await running.tells("a-topic-is-not-as-declared")
    await running.set("refund.commands", "message.timestamp.type", "LogAppendTime")
    assert await running.tells()


async def test_topics_that_may_lose_what_they_acknowledged_are_a_problem_and_no_reason_not_to_start(
    running: Running, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_check, "durability", lambda copies: TWO_OF_THREE if copies >= 1 else {})
    assert await running.tells(*["a-topic-is-not-as-declared"] * 7)
    assert {one["problem"].partition(" needs ")[2] for one in running.problems.told()} == {
        "min.insync.replicas=2, it has 1"
    }
    settings = Settings(
        kafka_bootstrap_servers=stack.bootstrap_servers, topic_prefix=running.prefix, partitions=PARTITIONS
    )
    await check(settings, "refund")
