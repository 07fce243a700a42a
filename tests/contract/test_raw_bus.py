"""Dead letters are read where they lie, and go back byte for byte."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import Topic
from services.casefile.front.sending import KafkaSender
from services.casefile.operating.redriving import KafkaRawBus, as_it_came
from shared.kernel import codec
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Outage, Record
from tests.support.topics import read_all

pytestmark = pytest.mark.stack

ORIGINAL = Record(
    *("order.commands", 2, 41, 1_772_442_000_000, b"o\xff1", b"\x00\xff{"),
    [("ce_type", b"order.ship.v1"), ("x-own", b"\xff"), ("x-dead-letter-reason", b"of somebody else")],
)
LETTERS = "order.dead-letters"


def set_aside(original: Record, number: int) -> Record:
    key, headers, value = codec.dead_letter(original, DeadLetter("no_ce_id: none"), "recourse/order/2", number)
    return Record(LETTERS, 2, -1, -1, key, value, headers)


@pytest.fixture
async def bus(stack: Stack) -> AsyncIterator[KafkaRawBus]:
    prefix = f"raw-{uuid4().hex[:8]}."
    await create_topics(stack.bootstrap_servers, [Topic(prefix + name, 3) for name in ("order.commands", LETTERS)])
    connection = {"bootstrap_servers": stack.bootstrap_servers}
    sender = KafkaSender(connection, prefix)
    yield KafkaRawBus(sender, connection, prefix)
    await sender.stop()


async def test_what_was_set_aside_is_found_and_goes_back_as_it_came(bus: KafkaRawBus, stack: Stack) -> None:
    for number in range(3):
        await bus.write(set_aside(ORIGINAL, number))
    found = await bus.read([(LETTERS, 2, 1), (LETTERS, 2, 7), (LETTERS, 0, 0)])
    assert [*found] == [(LETTERS, 2, 1)], "what is not there is left out"
    original = as_it_came(found[LETTERS, 2, 1])
    assert original is not None
    await bus.write(original)
    (back,) = await read_all(stack.bootstrap_servers, [f"{bus.prefix}order.commands"])
    assert (back.partition, back.key, back.value) == (2, ORIGINAL.key, ORIGINAL.value)
    assert list(back.headers) == list(ORIGINAL.headers)


async def test_what_is_no_dead_letter_of_ours_does_not_go_anywhere() -> None:
    letter = set_aside(ORIGINAL, 1)
    cut = Record(LETTERS, 2, 0, 0, b"o1", b"", [("x-dead-letter-cut-from", b"9"), *letter.headers[-7:]])
    for record in (ORIGINAL, cut, Record(LETTERS, 2, 0, 0, b"o1", b"", letter.headers[:-1])):
        assert as_it_came(record) is None


async def test_a_bus_that_is_away_is_an_outage() -> None:
    connection = {"bootstrap_servers": "127.0.0.1:9"}
    bus = KafkaRawBus(KafkaSender(connection, ""), connection, "")
    with pytest.raises(Outage):
        await bus.read([(LETTERS, 0, 0)])
    with pytest.raises(Outage):
        await bus.write(ORIGINAL)
