"""Whole topics are read without a group: each record once, to where the topic ends or on and on."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import Topic
from shared.runtime.kafka import reading
from shared.runtime.kafka.reading import LogReader, LogStandsStill
from tests.support.topics import first, producer, read_all, reader

pytestmark = pytest.mark.stack

PARTITIONS = 3


@pytest.fixture
async def topic(stack: Stack) -> str:
    name = f"read-{uuid4().hex[:8]}"
    await create_topics(stack.bootstrap_servers, [Topic(name, PARTITIONS)])
    return name


async def write(stack: Stack, topic: str, *numbers: int) -> None:
    async with producer(stack.bootstrap_servers) as to:
        for number in numbers:
            await to.send(topic, str(number).encode(), partition=number % PARTITIONS)


def numbers(records: list[Any]) -> list[int]:
    return [int(record.value) for record in records]


async def test_all_that_lies_there_is_read_in_order_and_nothing_that_comes_meanwhile(stack: Stack, topic: str) -> None:
    await write(stack, topic, *range(30))
    found: list[int] = []
    async with reader(stack.bootstrap_servers, topic) as log:
        assert [place.partition for place in log.places] == list(range(PARTITIONS))
        async for records in log.to_the_end(records_max=4):
            assert len(records) <= 4
            if records and not found:  # something may be yielded that is nothing
                await write(stack, topic, *range(30, 60))
            found += numbers(records)
        assert sorted(found) == list(range(30))
        for partition in range(PARTITIONS):
            assert [number for number in found if number % PARTITIONS == partition] == list(range(partition, 30, 3))
        ends = await log.ends(log.places)
        rest = [record async for records in log.to_the_end(starts=dict.fromkeys(log.places, 10)) for record in records]
        assert sorted(numbers(rest)) == list(range(30, 60))
        assert set(ends.values()) == {20}


async def test_a_place_can_be_read_alone(stack: Stack, topic: str) -> None:
    await write(stack, topic, *range(9))
    place = TopicPartition(topic, 1)
    async with reader(stack.bootstrap_servers, topic) as log:
        for _ in range(2):
            found = [record async for records in log.to_the_end([place], ends={place: 2}) for record in records]
            assert numbers(found) == [1, 4]


async def test_who_follows_hears_what_comes_and_is_not_held_up_by_silence(stack: Stack, topic: str) -> None:
    await write(stack, topic, 0, 3)
    found: list[int] = []
    silent = 0
    async with asyncio.timeout(20), reader(stack.bootstrap_servers, topic) as log:
        async for records in log.follow({TopicPartition(topic, 0): 1}):
            found += numbers(records)
            silent += not records
            if silent == 3:
                await write(stack, topic, 6)
            if 6 in found:
                break
    assert found == [3, 6]
    assert numbers(await first(stack.bootstrap_servers, topic, 2)) == [0, 3]


async def test_what_was_said_in_a_transaction_that_was_aborted_is_left_out(stack: Stack, topic: str) -> None:
    async with producer(stack.bootstrap_servers, transactional_id=topic) as to:
        for value, kept in ((b"1", True), (b"2", False)):
            await to.begin_transaction()
            await to.send_and_wait(topic, value, partition=0)
            await (to.commit_transaction() if kept else to.abort_transaction())
    assert numbers(await read_all(stack.bootstrap_servers, [topic])) == [1]


async def test_a_log_that_does_not_go_on_is_given_up(stack: Stack, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(stack, topic, 0)
    monkeypatch.setattr(reading, "STANDSTILL_SECONDS", 0.2)
    place = TopicPartition(topic, 0)
    async with LogReader({"bootstrap_servers": stack.bootstrap_servers}, [topic]) as log:
        with pytest.raises(LogStandsStill, match=f"{topic}/0 does not go on to its end 2"):
            assert [records async for records in log.to_the_end([place], ends={place: 2})] == []
