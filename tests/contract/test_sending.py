"""How the case file hands a command to the bus, in memory and on Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.example import example
from schemas.mediation.commands import AskQuestion, RetireMediator
from schemas.topics import PARTITIONS, Topic
from services.casefile.front.sending import KafkaSender
from services.casefile.front.uttering import Sender, on_the_wire
from shared.kernel.ports import Outage, Record
from shared.rules import policies
from shared.runtime.memory import World
from shared.runtime.partitions import partition_of
from tests.support.casefile import MemorySender
from tests.support.topics import read_all

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TOPIC = "mediation.commands"


def question(order_id: str) -> AskQuestion:
    return AskQuestion.model_validate_json(json.dumps({**example(AskQuestion), "order_id": order_id}))


@dataclass
class Way:
    sender: Sender
    read: Callable[[], Awaitable[Sequence[Record]]]


@pytest.fixture
async def way(real: Stack | None) -> AsyncIterator[Way]:
    if real is None:
        world = World(policies.load(), PARTITIONS)

        async def lying() -> Sequence[Record]:
            return world.bus.records(TOPIC)

        yield Way(MemorySender(world), lying)
        return
    prefix = f"sending-{uuid4().hex[:8]}."
    await create_topics(real.bootstrap_servers, [Topic(prefix + TOPIC, PARTITIONS)])
    sender = KafkaSender({"bootstrap_servers": real.bootstrap_servers}, prefix)

    async def read() -> Sequence[Record]:
        found = await read_all(real.bootstrap_servers, [prefix + TOPIC])
        return [Record(TOPIC, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in found]

    yield Way(sender, read)
    await sender.stop()


async def test_a_command_lies_where_its_order_does_as_any_gateways(way: Way) -> None:
    orders = [f"o-{number}" for number in range(20)]
    await asyncio.gather(*(way.sender.send(question(one), f"ask/{one}", {"traceparent": TRACE}) for one in orders))
    lying = {(record.key or b"").decode(): record for record in await way.read()}
    assert lying.keys() == {*orders}
    for order_id, record in lying.items():
        assert record.partition == partition_of(order_id.encode(), PARTITIONS)
        assert record.value == on_the_wire(question(order_id))
        assert {name: (value or b"").decode() for name, value in record.headers} == {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": f"ask/{order_id}",
            "ce_type": "mediation.ask.v1",
            "ce_source": "recourse/casefile",
            "traceparent": TRACE,
        }


async def test_the_roster_has_a_key_of_its_own(way: Way) -> None:
    retire = RetireMediator.model_validate_json(json.dumps(example(RetireMediator)))
    await way.sender.send(retire, "retire", {})
    (record,) = await way.read()
    assert record.key == b"mediators"


async def test_a_trace_that_is_nobodys_does_not_go_along(way: Way) -> None:
    await way.sender.send(
        question("o-1"), "ask", {"traceparent": TRACE, "tracestate": "x" * 10_000, "cookie": "secret"}
    )
    (record,) = await way.read()
    assert {name for name, _ in record.headers if not name.startswith("ce_")} == {"content-type", "traceparent"}


@pytest.mark.stack
async def test_a_topic_that_is_not_there_is_an_outage_and_then_it_goes_on(stack: Stack) -> None:
    prefix = f"sending-{uuid4().hex[:8]}."
    sender = KafkaSender({"bootstrap_servers": stack.bootstrap_servers}, prefix)
    with pytest.raises(Outage):
        await sender.send(question("o-1"), "ask", {})
    await create_topics(stack.bootstrap_servers, [Topic(prefix + TOPIC, PARTITIONS)])
    await sender.send(question("o-1"), "ask", {})
    (record,) = await read_all(stack.bootstrap_servers, [prefix + TOPIC])
    assert record.key == b"o-1"
    await sender.stop()


async def test_where_nobody_answers_is_an_outage() -> None:
    sender = KafkaSender({"bootstrap_servers": "127.0.0.1:1"}, "")
    with pytest.raises(Outage):
        await sender.send(question("o-1"), "ask", {})
    await sender.stop()
