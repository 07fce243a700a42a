"""What lies on `people` is kept by the shard of its key, decides nothing, and is repeated nowhere (R74)."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.people import Person
from schemas.topics import COMMAND_BYTES_MAX
from services.notification.domain import DECIDER
from services.notification.people import MemoryPeopleTable, People
from shared.kernel.codec import Decoded, Decoder, header
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Input, Record, StoredEvent
from shared.runtime.memory import World
from shared.runtime.partitions import home_among, partition_of
from tests.domain.table import POLICIES
from tests.kit.stored_events import NOON

pytestmark = pytest.mark.rule("R74")

PARTITIONS = 3
ADDRESS = "bea@example.org"
BEA: dict[str, Any] = {"person_id": "bea", "email": ADDRESS, "locale": "de", "time_zone": "Europe/Berlin"}
HOOK = {"endpoint_id": "shelf", "url": "https://bea.example.org/hooks"}


def record(key: bytes | None, value: bytes | None, partition: int | None = None, *headers: tuple[str, bytes]) -> Record:
    place = partition_of(key or b"", PARTITIONS) if partition is None else partition
    return Record("people", place, 17, 0, key, value, headers)


def decoded(one: Record) -> Decoded | DeadLetter | None:
    return Decoder(DECIDER, home_among(PARTITIONS)).decode(one, NOON)


def test_notification_alone_reads_people() -> None:
    assert "people" in Decoder(DECIDER, home_among(PARTITIONS)).topics


@pytest.mark.parametrize("headers", [(), (("content-type", b"text/plain"), ("ce_type", b"\xff"))])
def test_a_person_is_read_whatever_the_headers_say(headers: Sequence[tuple[str, bytes]]) -> None:
    found = decoded(record(b"bea", json.dumps(BEA).encode(), None, *headers))

    assert isinstance(found, Decoded)
    assert found.input.payload == Person(**BEA)
    assert found.input.stream_id == "people/bea", "which no order can be called"
    assert found.source is None


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_erases(value: bytes | None) -> None:
    found = decoded(record(b"bea", value))

    assert isinstance(found, Decoded)
    assert found.input.payload == Person(person_id="bea")


def said(**changed: Any) -> bytes:
    return json.dumps(BEA | changed).encode()


UNREADABLE = {
    "no key": (record(None, said()), "no_key"),
    "a key of nobody": (record(b"\xff", said(), 0), "not_utf8"),
    "another partition": (record(b"bea", said(), (partition_of(b"bea", PARTITIONS) + 1) % PARTITIONS), "key_mismatch"),
    "erased elsewhere": (record(b"bea", None, (partition_of(b"bea", PARTITIONS) + 1) % PARTITIONS), "key_mismatch"),
    "the key of somebody else": (record(b"bea", said(person_id="sam")), "key_mismatch"),
    "no JSON": (record(b"bea", ADDRESS.encode()), "not_json"),
    "no UTF-8": (record(b"bea", b'{"person_id": "\xff' + ADDRESS.encode()), "not_json"),
    "no object": (record(b"bea", json.dumps([ADDRESS]).encode()), "unreadable_entry"),
    "no address": (record(b"bea", said(email=["bea", ADDRESS])), "unreadable_entry"),
    "a field that is an address": (record(b"bea", json.dumps({ADDRESS: BEA}).encode()), "unreadable_entry"),
    "a field of an address": (record(b"bea", said(locale={ADDRESS: ADDRESS})), "unreadable_entry"),
    "a webhook in the open": (
        record(b"bea", said(webhooks=[HOOK | {"url": "http://bea.example.org"}])),
        "unreadable_entry",
    ),
    "a webhook with a secret": (record(b"bea", said(webhooks=[HOOK | {"bea": ADDRESS}])), "unreadable_entry"),
    "six webhooks": (
        record(b"bea", said(webhooks=[HOOK | {"endpoint_id": f"e{number}"} for number in range(6)])),
        "unreadable_entry",
    ),
    "one endpoint twice": (record(b"bea", said(webhooks=[HOOK, HOOK])), "unreadable_entry"),
    "erased, who is nobody": (record("bëa".encode(), None), "unreadable_entry"),
    "too long": (record(b"bea", said(locale="x" * COMMAND_BYTES_MAX)), "too_long"),
}


@pytest.mark.parametrize(("one", "code"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told_by_a_code_and_never_repeated(one: Record, code: str) -> None:
    letter = decoded(one)

    assert isinstance(letter, DeadLetter)
    assert letter.reason.partition(":")[0] == code
    assert "bea" not in letter.reason
    assert "example" not in letter.reason


def test_which_fields_are_wrong_is_said() -> None:
    letter = decoded(record(b"bea", said(email=1, time_zone=2, phone="+49 …", webhooks=[HOOK, HOOK])))

    assert letter == DeadLetter("unreadable_entry: email, time_zone, webhooks, a field that nobody knows")


class Notification:
    """The service alone, with its table of people."""

    def __init__(self) -> None:
        self.world, self.table = World(POLICIES, PARTITIONS), MemoryPeopleTable()

    async def start(self, *projections: Any) -> "Notification":
        await self.world.add(DECIDER, projections or [People(self.table)])
        return self

    async def say(self, key: str, value: bytes | None, partition: int | None = None) -> None:
        self.world.bus.append("people", key.encode(), value, [("note", ADDRESS.encode())], partition)
        await self.world.settle()

    def letters(self) -> list[Record]:
        return self.world.bus.records("notification.dead-letters")


def reason(letter: Record) -> str:
    return (header(letter.headers, "x-dead-letter-reason") or "").partition(":")[0]


def anything_about(address: str, records: Sequence[Record]) -> list[Record]:
    return [one for one in records if address in f"{one.key!r} {one.value!r} {one.headers!r}"]


async def test_the_newest_of_a_person_is_kept_and_nothing_is_said_of_it() -> None:
    it = await Notification().start()
    for key in ("bea", "sam", "mia"):  # on several partitions
        await it.say(key, said(person_id=key))
    await it.say("bea", said(email="bea@example.net", locale=None))

    assert it.table.people["bea"] == Person(**BEA | {"email": "bea@example.net", "locale": None})
    assert it.table.people.keys() == {"bea", "sam", "mia"}
    assert not it.letters()
    assert all(not shard.streams for shard in it.world.loops[0].shards.values()), "nor is it a stream"
    assert all(not shard.events for shard in it.world.stores["notification"].shards.values())


async def test_of_one_batch_the_last_word_counts() -> None:
    it = await Notification().start()
    for value in (said(), None, said(email="bea@example.net"), None):
        it.world.bus.append("people", b"bea", value)
    await it.world.settle()

    assert it.table.people == {"bea": Person(person_id="bea")}


async def test_a_bad_record_stops_nothing_and_its_dead_letter_says_where_it_lay_and_why_alone() -> None:
    it = await Notification().start()
    await it.say("bea", said())
    await it.say("bea", ADDRESS.encode())
    await it.say(ADDRESS, said(), partition=1 - partition_of(ADDRESS.encode(), PARTITIONS) % 2)
    await it.say("bea", said(locale="fr"))

    assert it.table.people == {"bea": Person(**BEA | {"locale": "fr"})}
    assert sorted(map(reason, it.letters())) == ["key_mismatch", "not_json"]
    assert {(one.key, one.value) for one in it.letters()} == {(None, None)}
    assert {header(one.headers, "kafka_dlt-original-topic") for one in it.letters()} == {"people"}
    assert not anything_about(ADDRESS, it.letters())


async def test_what_compaction_took_is_not_missed() -> None:
    """Whoever reads from the beginning after it, or was away meanwhile, goes on beyond the gap."""
    before = await Notification().start()
    await before.say("bea", said())
    for number in range(20):
        before.world.bus.append("people", b"bea", said(locale=f"l{number}"))
    before.world.bus.append("people", b"sam", said(person_id="sam"))
    before.world.bus.append("people", b"mia", None)
    before.world.bus.compact("people")
    await before.world.settle()
    after = Notification()
    after.world.bus = before.world.bus
    await after.start()
    await after.world.settle()
    await after.say("max", said(person_id="max"))

    assert sorted(one.key or b"" for one in before.world.bus.records("people")) == [b"bea", b"max", b"mia", b"sam"]
    assert before.table.people["bea"].locale == after.table.people["bea"].locale == "l19"
    assert after.table.people.keys() == {"bea", "sam", "mia", "max"}
    assert not after.world.loops[0].problems.told()


class Stumbles(People):
    """A bug: the first time it is asked to keep somebody."""

    stumbled = False

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        if not self.stumbled and any(isinstance(found.payload, Person) for _, found in inputs):
            self.stumbled = len(inputs) == 1
            raise ValueError(ADDRESS)
        await super().apply(transaction, inputs, events)


async def test_a_bug_about_one_person_stops_him_alone_and_is_told_without_his_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Notification()
    await it.start(Stumbles(it.table))
    await it.say("bea", said())
    await it.say("bea", None)
    await it.say("sam", said(person_id="sam"))

    assert it.table.people.keys() == {"sam"}
    assert [reason(one) for one in it.letters()] == ["parked"]
    assert not anything_about(ADDRESS, it.letters())

    for shard in list(it.world.loops[0].shards):  # a new process tries it again
        await it.world.loops[0].release([shard])
        await it.world.loops[0].claim([shard])
    await it.world.settle()

    assert it.table.people["bea"] == Person(person_id="bea")
    parked = [one for shard in it.world.stores["notification"].shards.values() for one in shard.parked.values()]
    assert parked == []
