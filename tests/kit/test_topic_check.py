"""A service starts on topics as it counts on them, waits for those to come, and refuses those that would mix orders or
tell another clock's time."""

from dataclasses import replace
from uuid import uuid4

import pytest

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import Topic, all_topics
from shared.runtime.settings import Settings
from shared.runtime.topic_check import check

PARTITIONS = 2
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
