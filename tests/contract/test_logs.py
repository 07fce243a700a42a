"""What a source must say of its logs, in memory and on Kafka: which topics they are, where they begin and end, and what
was said last there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from faststream.kafka import KafkaBroker

from deploy.local.stack import Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import Topic, written_by
from shared.kernel.ports import GLANCED_MAX, Headers, Log, Source
from shared.runtime.kafka.source import KafkaSource
from shared.runtime.memory import MemoryBus, MemorySource
from tests.support.topics import producer as outsider
from tests.support.waiting import until

READ = ("dispute.events", "mediation.commands")
TOPICS = sorted({*READ, *written_by("mediation")})
OURS = "recourse/mediation/1"


@dataclass
class Bench:
    source: Source
    append: Callable[[str, Headers], Awaitable[None]]
    make_anew: Callable[..., Awaitable[None]]
    """A topic; with so many partitions."""
    end_life: Callable[[str, int], Awaitable[None]]
    """Of the records before this offset."""

    async def say(self, topic: str, sequence: int, source: str = OURS) -> None:
        await self.append(topic, [("ce_source", source.encode()), ("ce_sequence", str(sequence).encode())])

    async def log(self, topic: str) -> Log:
        found = (await self.source.logs([1]))[topic, 1]
        assert found is not None
        return found

    async def said(self, **known: int) -> dict[str, int]:
        told = {(name.replace("_", ".", 1).replace("_", "-"), 1): number for name, number in known.items()}
        logs = {place: log for place, log in (await self.source.logs([1])).items() if log is not None}
        found = await self.source.said({1: OURS}, told, logs)
        return {topic: sequence for (topic, _), sequence in found.items()}


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    if real is None:
        yield in_memory()
        return
    prefix = f"logs-{uuid4().hex[:8]}."
    servers = {"bootstrap_servers": real.bootstrap_servers}
    await create_topics(real.bootstrap_servers, [Topic(prefix + name, 2) for name in TOPICS])
    admin = await connect({"bootstrap.servers": real.bootstrap_servers}, seconds=10)
    broker = KafkaBroker(real.bootstrap_servers, apply_types=False, logger=None)
    source = KafkaSource(broker, servers, "mediation", READ, 2, prefix, batch_max=500)

    async def receive(batch: Any) -> None:
        await source.receive(batch)

    source.subscriber(receive)
    async with outsider(real.bootstrap_servers) as to:

        async def append(topic: str, headers: Headers) -> None:
            batch = to.create_batch()
            batch.append(timestamp=1, key=b"key", value=b"{}", headers=list(headers))
            await (await to.send_batch(batch, prefix + topic, partition=1))

        async def end_life(topic: str, begin: int) -> None:
            await answers(admin.delete_records([TopicPartition(prefix + topic, 1, begin)]))

        await broker.start()
        source.pause_all()
        yield Bench(source, append, lambda topic, *of: made_anew(admin, real, prefix + topic, *of), end_life)
        source.stop_receiving()
        await broker.stop()


def in_memory() -> Bench:
    bus = MemoryBus(2)

    async def append(topic: str, headers: Headers) -> None:
        bus.append(topic, b"key", b"{}", headers, 1)

    async def make_anew(topic: str) -> None:
        bus.make_anew(topic)

    async def end_life(topic: str, begin: int) -> None:
        bus.end_life(topic, 1, begin)

    return Bench(MemorySource(bus, READ, "mediation"), append, make_anew, end_life)


async def made_anew(admin: AdminClient, stack: Stack, topic: str, partitions: int = 2) -> None:
    await answers(admin.delete_topics([topic]))

    async def gone() -> bool:
        return topic not in admin.list_topics(timeout=5).topics

    await until("the topic is gone", gone, within=10)
    await create_topics(stack.bootstrap_servers, [Topic(topic, partitions)])


async def test_a_log_begins_and_ends_somewhere_in_a_topic_that_has_an_id(bench: Bench) -> None:
    before = {place: log for place, log in (await bench.source.logs([0, 1])).items() if log is not None}
    assert before.keys() == {(topic, shard) for topic in TOPICS for shard in (0, 1)}
    assert {(log.begin, log.end) for log in before.values()} == {(0, 0)}
    assert len({log.topic_id for log in before.values()}) == len(TOPICS)
    for number in range(3):
        await bench.say("mediation.commands", number)
    assert (await bench.log("mediation.commands")) == Log(before["mediation.commands", 1].topic_id, 0, 3)
    await bench.end_life("mediation.commands", 2)
    assert (await bench.log("mediation.commands")) == Log(before["mediation.commands", 1].topic_id, 2, 3)
    assert (await bench.log("dispute.events")) == before["dispute.events", 1]


async def test_a_topic_that_is_made_anew_is_another_one(bench: Bench) -> None:
    await bench.say("mediation.events", 1)
    before = await bench.log("mediation.events")
    await bench.make_anew("mediation.events")
    now = await bench.log("mediation.events")
    assert (now.begin, now.end) == (0, 0)
    assert now.topic_id != before.topic_id


async def test_whoever_reads_on_behind_the_end_is_given_the_log_from_where_it_begins(bench: Bench) -> None:
    """So nobody may read on who has not looked where the log ends."""
    for number in range(3):
        await bench.say("mediation.commands", number)
    await bench.end_life("mediation.commands", 1)
    bench.source.resume(1, {"mediation.commands": 7})
    taken: list[int] = []

    async def given() -> bool:
        taken.extend(record.offset for record in await bench.source.take(0.1))
        return len(taken) >= 2

    await until("the log is given", given, within=10)
    assert taken == [1, 2]


async def test_what_a_shard_said_last_is_found_among_what_others_say(bench: Bench) -> None:
    assert await bench.said() == {}
    for number in (3, 5):
        await bench.say("timer.commands", number)
    for number in range(20):
        await bench.say("timer.commands", 1_000 + number, "recourse/dispute/1")
        await bench.say("mediation.events", 10 + number)
    await bench.append("timer.commands", [("ce_source", OURS.encode()), ("ce_sequence", b"many")])
    assert await bench.said() == {"timer.commands": 5, "mediation.events": 29}
    await bench.end_life("mediation.events", 20)
    assert await bench.said() == {"timer.commands": 5}


async def test_repeats_that_came_late_do_not_hide_what_is_known_to_be_there(bench: Bench) -> None:
    for number in (1, 2, 3, 4, 1, 2):
        await bench.say("mediation.events", number)
    assert await bench.said(mediation_events=4) == {"mediation.events": 4}
    assert await bench.said(mediation_events=9) == {"mediation.events": 4}


async def test_where_nothing_is_known_to_be_it_is_not_looked_for_long(bench: Bench) -> None:
    await bench.say("timer.commands", 1)
    for number in range(GLANCED_MAX):
        await bench.say("timer.commands", number, "recourse/dispute/1")
    assert await bench.said() == {}
    assert await bench.said(timer_commands=1) == {"timer.commands": 1}


async def test_a_dead_letter_has_our_number_behind_what_is_kept_of_the_original(bench: Bench) -> None:
    forged = [("ce_source", OURS.encode()), ("ce_sequence", b"99"), ("x-dead-letter-source", OURS.encode())]
    ours = [("x-dead-letter-source", OURS.encode()), ("x-dead-letter-sequence", b"6")]
    await bench.append("mediation.dead-letters", [*forged, ("x-dead-letter-sequence", b"98"), *ours])
    assert await bench.said() == {"mediation.dead-letters": 6}


async def test_where_outsiders_write_nobody_is_believed(bench: Bench) -> None:
    await bench.say("mediation.commands", 10**12)
    assert await bench.said() == {}


@pytest.mark.parametrize("real", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)
async def test_a_partition_that_is_not_there_is_left_out(bench: Bench) -> None:
    """As of a topic that some client's first word has made anew, with as many as the broker makes by itself."""
    await bench.make_anew("mediation.commands", 1)
    logs = await bench.source.logs([0, 1])
    assert ("mediation.commands", 0) in logs
    assert ("mediation.commands", 1) not in logs
    assert ("mediation.events", 1) in logs
