"""What comes in, whoever wrote it, and what goes out."""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.mediation.commands import RegisterMediator
from schemas.order.events import LinesFrozen
from schemas.timer.commands import Schedule
from schemas.timer.events import Elapsed
from schemas.topics import COMMAND_BYTES_MAX, HEADERS_MAX
from schemas.wire import Actor, Message
from services.composition import DECIDERS
from services.dispute.domain import DECIDER as DISPUTE
from services.mediation.domain import DECIDER as MEDIATION
from services.timer.domain import DECIDER as TIMER
from services.timer.domain import Due
from shared.kernel import codec
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.decider import Refusal, RefusedOnArrival, WakeUp
from shared.kernel.envelope import REFUSAL_MESSAGE_MAX, DeadLetter
from shared.kernel.ports import Followed, Input, Record, StoredEvent
from shared.runtime.partitions import home_among, partition_of
from tests.kit.counter_decider import WORDS, Add, Added, Keep, Promise, Told, counter_decider
from tests.kit.stored_events import NOON, stored_event

PARTITIONS = 12
HOME = home_among(PARTITIONS)
GOLDEN = Path(__file__).parents[2] / "schemas" / "golden"
BUYER = Actor(role="buyer", id="b1")
ADD = {"order_id": "order-1", "actor": {"role": "buyer", "id": "b1"}, "amount": 5}
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
Headers = Sequence[tuple[str, bytes | None]]


@pytest.fixture
def decoder(counter_words: None) -> Decoder:
    return Decoder(counter_decider(), HOME)


def binary(type_: str = Add.type, id_: str = "c1", **more: str) -> list[tuple[str, bytes | None]]:
    named = {"ce_id": id_, "ce_type": type_, **{f"ce_{name}": text for name, text in more.items()}}
    return [(name, text.encode()) for name, text in named.items()]


def record(
    value: Any,
    headers: Headers | None = None,
    key: bytes | None = b"order-1",
    topic: str = "order.commands",
    partition: int | None = None,
) -> Record:
    if not isinstance(value, bytes | None):
        value = json.dumps(value).encode()
    if partition is None:
        partition = partition_of(key or b"", PARTITIONS)
    return Record(topic, partition, 7, 1_700_000_000_000, key, value, binary() if headers is None else headers)


def content_type(text: str) -> list[tuple[str, bytes | None]]:
    return [("content-type", text.encode())]


def envelope(data: Any = ADD, **more: Any) -> Record:
    event = {"specversion": "1.0", "id": "c1", "type": Add.type, "source": "x", "data": data, **more}
    return record({name: value for name, value in event.items() if value is not ...}, STRUCTURED)


def read(decoder: Decoder, record: Record) -> Input:
    decoded = decoder.decode(record, NOON)
    assert isinstance(decoded, Decoded)
    return decoded.input


def refused(decoder: Decoder, record: Record) -> Refusal:
    refused = read(decoder, record).payload
    assert isinstance(refused, RefusedOnArrival)
    return refused.refusal


def reason(decoder: Decoder, record: Record) -> str:
    letter = decoder.decode(record, NOON)
    assert isinstance(letter, DeadLetter), letter
    return letter.reason.partition(":")[0]


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_is_read_in_binary_mode(decoder: Decoder) -> None:
    headers = [*binary(correlationid="story"), ("traceparent", b"00-1-2-01")]
    heard = read(decoder, record(ADD, headers))
    assert heard.payload == Add(order_id="order-1", actor=BUYER, amount=5)
    assert (heard.type, heard.stream_id, heard.id, heard.time) == (Add.type, "order-1", "c1", NOON)
    assert (heard.correlation_id, heard.traceparent, heard.own) == ("story", "00-1-2-01", True)


def test_structured_mode_says_the_same(decoder: Decoder) -> None:
    structured = read(decoder, envelope(correlationid="story", traceparent="00-1-2-01"))
    assert structured == read(decoder, record(ADD, [*binary(correlationid="story"), ("traceparent", b"00-1-2-01")]))


def test_data_in_base64_is_what_its_bytes_say(decoder: Decoder) -> None:
    packed = b64encode(json.dumps(ADD).encode()).decode()
    assert read(decoder, envelope(data=..., data_base64=packed)) == read(decoder, envelope())
    assert reason(decoder, envelope(data_base64=packed)) == "no_envelope", "of two contents neither is believed"


OURS, THEIRS, INSIDE = "00-1-2-01", "00-3-4-01", "00-5-6-01"


@pytest.mark.parametrize(
    ("headers", "traced"),
    [
        ([("traceparent", OURS), ("ce_traceparent", THEIRS)], OURS),
        ([("ce_traceparent", THEIRS), ("traceparent", "\0")], THEIRS),
        ([("ce_traceparent", THEIRS)], THEIRS),
        ([], None),
    ],
)
def test_a_trace_goes_on_however_it_is_given(
    decoder: Decoder, headers: list[tuple[str, str]], traced: str | None
) -> None:
    given = [(name, text.encode()) for name, text in headers]
    assert read(decoder, record(ADD, [*binary(), *given])).traceparent == traced
    inside = envelope(traceparent=INSIDE)
    assert read(decoder, replace(inside, headers=[*STRUCTURED, *given])).traceparent == (traced or INSIDE)


@pytest.mark.parametrize("text", ["application/json", "APPLICATION/JSON; charset=utf-8", "text/plain", ""])
def test_in_binary_mode_what_is_json_is_read_whatever_it_is_called(decoder: Decoder, text: str) -> None:
    assert isinstance(read(decoder, record(ADD, [*binary(), *content_type(text)])).payload, Add)


def test_a_command_that_is_too_long_is_refused_where_its_headers_say_what_it_is(decoder: Decoder) -> None:
    too_long = refused(decoder, record(b" " * (COMMAND_BYTES_MAX + 1)))
    assert (too_long.code, str(COMMAND_BYTES_MAX) in too_long.message) == ("invalid", True)


def test_a_command_without_a_correlation_begins_a_story_of_its_own(decoder: Decoder) -> None:
    assert read(decoder, record(ADD)).correlation_id == "c1"
    assert read(decoder, envelope()).correlation_id == "c1"


@pytest.mark.parametrize(
    ("unreadable", "expected"),
    [
        (record(b"{"), "not_json"),
        (record(b'{"a": 1} and more'), "not_json"),
        (record(b"\xef\xbb\xbf{}"), "not_json"),
        (record(b'{"text": "\\ud800"}'), "not_json"),
        (record(b"[" * 30_000), "not_json"),
        (record(b"1" * 5_000), "not_json"),
        (record(b"{", binary("counter.unheard_of.v1")), "not_json"),
        (record(b"{", STRUCTURED), "not_json"),
        (record(b'{"id": "\\ud800", "type": "t"}', STRUCTURED), "not_json"),
        (record(b"[" * 30_000, STRUCTURED), "not_json"),
        (record([1], STRUCTURED), "no_envelope"),
        (record(ADD, key=None), "no_key"),
        (record(ADD, key=b""), "no_key"),
        (record(ADD, key=b"a\0b"), "no_key"),
        (record(ADD, key=b"k" * 256), "no_key"),
        (record(None), "no_value"),
        (record(b""), "no_value"),
        (record(b" " * (COMMAND_BYTES_MAX + 1), STRUCTURED), "too_long"),
        (record(b'{"text": "\xff"}'), "not_utf8"),
        (record(json.dumps(ADD).encode("utf-16")), "not_utf8"),
        (record(b"\xff", STRUCTURED), "not_utf8"),
        (record(ADD, key=b"\xff"), "not_utf8"),
        (record(ADD, []), "no_ce_id"),
        (record(ADD, [("ce_type", b"t")]), "no_ce_id"),
        (record(ADD, [("ce_id", b"c1")]), "no_ce_type"),
        (record(ADD, [("ce_id", None), ("ce_type", b"t")]), "no_ce_id"),
        (record(ADD, binary(id_="i" * 256)), "no_ce_id"),
        (record(ADD, binary("t" * 256)), "no_ce_type"),
        (record(ADD, [("ce_id", b"\xff"), ("ce_type", b"t")]), "not_utf8"),
        (record(ADD, [("ce_id", b"c1"), ("ce_type", b"\xff")]), "not_utf8"),
        (record(ADD, binary(id_="a\0b")), "no_ce_id"),
        (envelope(id=7), "no_ce_id"),
        (envelope(type=None), "no_ce_type"),
        (envelope(id=""), "no_ce_id"),
        (record([ADD], content_type("application/cloudevents-batch+json")), "batch_mode"),
        (record([ADD], content_type("Application/CloudEvents-Batch+JSON; charset=UTF-8")), "batch_mode"),
        (record(b"\x00\x01", content_type("application/cloudevents+avro")), "unknown_content_type"),
        (record(b"\x00\x01", content_type("application/cloudevents+protobuf")), "unknown_content_type"),
        (record(b"<add/>", [*binary(), *content_type("text/xml")]), "unknown_content_type"),
        (record(b"\x00\xff", [*binary(), *content_type("application/octet-stream")]), "unknown_content_type"),
        (envelope(data=..., data_base64="?"), "not_base64"),
        (envelope(data=..., data_base64="e30"), "not_base64"),
        (envelope(data=..., data_base64=7), "not_base64"),
        (envelope(data=..., data_base64="ew=="), "not_json"),
        (envelope(data=..., data_base64="/w=="), "not_utf8"),
    ],
)
def test_what_cannot_be_answered_is_a_dead_letter_that_says_why(
    decoder: Decoder, unreadable: Record, expected: str
) -> None:
    assert reason(decoder, unreadable) == expected


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (ADD | {"amount": 5.0}, "amount"),
        (ADD | {"amount": "5"}, "amount"),
        (ADD | {"amount": None}, "amount"),
        (ADD | {"amount": True}, "amount"),
        (ADD | {"extra": 1}, "extra"),
        ({"amount": 5}, "order_id"),
        (ADD | {"order_id": "order 1"}, "order_id"),
        (ADD | {"order_id": "order-1\n"}, "order_id"),
        (ADD | {"actor": {"role": "emperor", "id": "x"}}, "actor.role"),
        (ADD | {"actor": {"role": "buyer", "id": "x", "name": "y"}}, "actor.name"),
        ([], ""),
        (b"null", ""),
        ("text", ""),
        (b'{"amount": NaN}', "amount"),
        (b'{"amount": 1e999}', "amount"),
        (b'{"amount": 5, "amount": "5"}', "amount"),
    ],
)
def test_what_is_readable_but_wrong_is_refused_and_the_field_named(decoder: Decoder, data: Any, named: str) -> None:
    wrong = refused(decoder, record(data))
    assert wrong.code == "invalid"
    assert named in wrong.message
    assert len(wrong.message) <= REFUSAL_MESSAGE_MAX


def test_a_refusal_does_not_repeat_what_was_sent(decoder: Decoder) -> None:
    secret = "anna@example.com"
    assert secret not in refused(decoder, record(ADD | {"amount": secret})).message


def test_a_refusal_stays_short_however_much_is_wrong(decoder: Decoder) -> None:
    many = {f"field-{number}-{'x' * 300}": number for number in range(50)}
    assert len(refused(decoder, record(ADD | many)).message) <= REFUSAL_MESSAGE_MAX


def test_an_unknown_type_is_refused_by_name(decoder: Decoder) -> None:
    wrong = refused(decoder, record(ADD, binary("counter.unheard_of.v1")))
    assert wrong.code == "invalid"
    assert "counter.unheard_of.v1" in wrong.message


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0999-01-01T00:00:00Z"])
def test_an_instant_beyond_the_calendar_is_refused(decoder: Decoder, at: str) -> None:
    data = {"order_id": "order-1", "actor": ADD["actor"], "name": "first", "due_at": at}
    assert refused(decoder, record(data, binary(Promise.type))).code == "invalid"


@pytest.mark.parametrize("at", ["2026-03-02T12:00:00", "2026-03-02", 1_772_452_800, "yesterday"])
def test_an_instant_is_written_out_with_its_zone(decoder: Decoder, at: Any) -> None:
    data = {"order_id": "order-1", "actor": ADD["actor"], "name": "first", "due_at": at}
    assert refused(decoder, record(data, binary(Promise.type))).code == "invalid"


@pytest.mark.rule("R0")
def test_an_instant_is_read_as_it_will_be_written_to_the_millisecond_in_utc(decoder: Decoder) -> None:
    data = {"order_id": "order-1", "actor": ADD["actor"], "name": "first", "due_at": "2026-03-02T13:00:00.000999+01:00"}
    promise = read(decoder, record(data, binary(Promise.type))).payload
    assert isinstance(promise, Promise)
    assert promise.due_at == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_longest_command_is_still_read(decoder: Decoder) -> None:
    padded = json.dumps(ADD).encode().ljust(COMMAND_BYTES_MAX)
    assert isinstance(read(decoder, record(padded)).payload, Add)


# -- keys and partitions -----------------------------------------------------------------------------------------------


def test_a_command_under_another_key_than_its_orders_is_refused_under_that_key(decoder: Decoder) -> None:
    found = read(decoder, record(ADD, key=b"order-2"))
    assert isinstance(found.payload, RefusedOnArrival)
    assert (found.payload.refusal.code, found.stream_id, found.own) == ("key_mismatch", "order-2", False)
    assert found.payload.actor == BUYER


def test_a_command_on_another_partition_than_its_keys_is_refused_and_its_time_does_not_count(decoder: Decoder) -> None:
    right = partition_of(b"order-1", PARTITIONS)
    found = read(decoder, record(ADD, partition=(right + 1) % PARTITIONS))
    assert isinstance(found.payload, RefusedOnArrival)
    assert (found.payload.refusal.code, found.own) == ("key_mismatch", False)


def test_whoever_sent_it_elsewhere_is_told_how_to_send_it_right(decoder: Decoder) -> None:
    elsewhere = (partition_of(b"order-1", PARTITIONS) + 1) % PARTITIONS
    assert "partitioner=murmur2_random" in refused(decoder, record(ADD, partition=elsewhere)).message
    assert "order_id" in refused(decoder, record(ADD, key=b"order-2")).message


def test_a_command_said_on_two_partitions_is_two(decoder: Decoder) -> None:
    """Each has an answer of its own, so neither may take the other's id."""
    places = [record(wish, partition=number) for wish in (ADD, {}) for number in range(3)]
    assert len({digest(decoder, place) for place in places}) == len(places)


def test_two_records_of_one_id_and_place_number_on_two_partitions_are_two(decoder: Decoder) -> None:
    bells = [read(decoder, record(b"{}", binary(Elapsed.type), partition=number)) for number in range(3)]
    assert len({one.digest for one in bells}) == len(bells)


def test_a_wrong_partition_is_said_before_a_wrong_content(decoder: Decoder) -> None:
    right = partition_of(b"order-1", PARTITIONS)
    assert refused(decoder, record({}, partition=(right + 1) % PARTITIONS)).code == "key_mismatch"


def test_the_roster_of_mediators_has_a_key_of_its_own() -> None:
    mediation = Decoder(MEDIATION, HOME)
    data = {"order_id": "mediators", "actor": {"role": "operator", "id": "o"}, "mediator_id": "m1"}
    headers = binary(RegisterMediator.type)
    commands = [record(data, headers, key=key, topic="mediation.commands") for key in (b"mediators", b"order-1")]
    assert isinstance(read(mediation, commands[0]).payload, RegisterMediator)
    assert refused(mediation, commands[1]).code == "key_mismatch"


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # of org.apache.kafka.common.utils.UtilsTest
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_lie_where_kafkas_own_clients_put_them(key: bytes, hashed: int) -> None:
    assert partition_of(key, PARTITIONS) == (hashed & 0x7FFFFFFF) % PARTITIONS


@given(st.binary(min_size=1, max_size=300), st.integers(1, 50))
def test_keys_lie_where_aiokafka_puts_them(key: bytes, partitions: int) -> None:
    every = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)


# -- one command, however it is spelt ----------------------------------------------------------------------------------


def digest(decoder: Decoder, record: Record) -> bytes:
    digest = read(decoder, record).digest
    assert digest is not None
    return digest


def test_the_same_command_spelt_differently_is_the_same(decoder: Decoder) -> None:
    turned = dict(reversed(ADD.items()))
    spellings = [
        record(ADD),
        record(json.dumps(ADD, indent=2).encode()),
        record(turned),
        record(json.dumps(ADD).replace("order-1", "\\u006frder-1").encode()),
        envelope(),
        envelope(turned),
    ]
    assert len({digest(decoder, spelling) for spelling in spellings}) == 1


WRONG = ADD | {"amount": "fünf"}


def test_what_is_refused_is_known_again_however_it_is_spelt(decoder: Decoder) -> None:
    turned = dict(reversed(WRONG.items())) | {"actor": dict(reversed(BUYER.model_dump().items()))}
    text = json.dumps(WRONG)
    spellings = [
        record(WRONG),
        record(text.encode(), [*binary(), ("content-type", b"application/json")]),
        record(json.dumps(WRONG, indent=2).encode()),
        record(json.dumps(WRONG, ensure_ascii=False).encode()),
        record(turned),
        record(text.replace("order-1", "\\u006frder-1").encode()),
        record(text.replace('{"order_id"', '{"order_id": "another", "order_id"', 1).encode()),
        envelope(WRONG),
        envelope(turned),
        envelope(data=..., data_base64=b64encode(text.encode()).decode()),
    ]
    assert {refused(decoder, spelling).code for spelling in spellings} == {"invalid"}
    assert len({digest(decoder, spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    "spellings",
    [
        [b'{"x": 1}', b'{"x": 1.0}', b'{"x": 10e-1}'],
        [b'{"x": 0}', b'{"x": -0}', b'{"x": -0.0}'],
        [b'{"x": 1e20}', b'{"x": 100000000000000000000}'],
        [b'{"x": [1, {"a": 1, "b": null}]}', b'{ "x" : [1.0,{"b":null,"a":1}]}'],
        [b'{"x": "/"}', rb'{"x": "\/"}', rb'{"x": "\u002f"}', rb'{"x": "\u002F"}'],
    ],
)
def test_a_value_is_what_it_means(decoder: Decoder, spellings: list[bytes]) -> None:
    assert len({digest(decoder, record(spelling)) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    "others",
    [
        [b'{"x": 1}', b'{"x": "1"}', b'{"x": true}', b'{"x": 1.5}', b'{"x": null}', b"{}", b'{"x": [1]}', b'{"X": 1}'],
        [b"9007199254740993", b"9007199254740992"],
        [b'{"x": [1, 2]}', b'{"x": [2, 1]}', b'{"x": [1, [2]]}'],
        [b"null", b'""', b"[]", b"{}", b"0", b"false"],
        [b"NaN", b"1e999", b"-1e999"],
    ],
)
def test_another_meaning_is_another_command(decoder: Decoder, others: list[bytes]) -> None:
    assert len({digest(decoder, record(other)) for other in others}) == len(others)


def test_what_is_too_long_is_one_command_however_long(decoder: Decoder) -> None:
    digests = {digest(decoder, record(b" " * (COMMAND_BYTES_MAX + more))) for more in (1, 2)}
    assert len(digests) == 1


@pytest.mark.parametrize("wrong", [WRONG, ADD | {"nonsense": 1}, {"actor": ADD["actor"]}])
def test_a_refusal_says_whose_command_it_was_where_that_could_be_read(decoder: Decoder, wrong: Any) -> None:
    found = read(decoder, record(wrong)).payload
    assert isinstance(found, RefusedOnArrival)
    assert found.actor == BUYER


@pytest.mark.parametrize("actor", [..., None, 7, {}, {"role": "emperor", "id": "x"}, {"role": "buyer", "id": "x\ty"}])
def test_who_is_nobody_is_not_believed(decoder: Decoder, actor: Any) -> None:
    data = {name: value for name, value in (ADD | {"actor": actor}).items() if value is not ...}
    found = read(decoder, record(data)).payload
    assert isinstance(found, RefusedOnArrival)
    assert found.actor is None


def test_a_default_spelt_out_is_the_same_as_one_left_out(decoder: Decoder) -> None:
    data = {"order_id": "order-1", "actor": ADD["actor"], "name": "first", "due_at": "2026-03-02T12:00:00.0004+00:00"}
    zoned = data | {"due_at": "2026-03-02T13:00:00+01:00", "subject": "it"}
    first, second = (digest(decoder, record(one, binary(Promise.type))) for one in (data, zoned))
    assert first == second


def test_a_field_that_is_added_to_the_contract_makes_no_repeat_another_command(decoder: Decoder) -> None:
    class AddOfLater(Add):
        note: str = ""

    before = digest(decoder, record(ADD))
    decoder.commands[Add.type] = AddOfLater
    assert digest(decoder, record(ADD)) == before


@pytest.mark.parametrize(
    "other",
    [
        record(ADD | {"amount": 6}),
        record(ADD | {"actor": {"role": "buyer", "id": "b2"}}),
        record(ADD | {"amount": "5"}),
        record(ADD, binary("counter.unheard_of.v1")),
    ],
)
def test_another_content_is_another_command(decoder: Decoder, other: Record) -> None:
    assert digest(decoder, record(ADD)) != digest(decoder, other)


def test_the_type_is_part_of_the_content(decoder: Decoder) -> None:
    wrong = {"nothing": "known"}
    first, second = (digest(decoder, record(wrong, binary(model.type))) for model in (Add, Keep))
    assert first != second


# -- events and bells --------------------------------------------------------------------------------------------------


def tell(data: Any, **headers: str) -> Record:
    return record(data, binary(Told.type, **headers), topic="dispute.events")


def test_another_services_event_is_read_and_what_it_does_not_know_ignored(decoder: Decoder) -> None:
    decoded = decoder.decode(tell({"order_id": "order-1", "news": 1}, source="recourse/dispute/3", sequence="9"), NOON)
    assert isinstance(decoded, Decoded)
    assert decoded.input.payload == Told(order_id="order-1")
    assert (decoded.input.own, decoded.input.digest) == (False, None)
    assert (decoded.source, decoded.sequence) == ("recourse/dispute/3", 9)


def test_an_event_that_nobody_listens_to_is_not_even_looked_into(decoder: Decoder) -> None:
    assert decoder.decode(record(b"{", binary(Added.type), topic="dispute.events"), NOON) is None
    assert decoder.decode(record(b"{", [], topic="dispute.events", key=None), NOON) is None
    elsewhere = record({"id": "c1", "type": Added.type, "data": {}}, STRUCTURED, topic="dispute.events")
    assert decoder.decode(elsewhere, NOON) is None


def kept(decoder: Decoder, record: Record) -> str:
    """Why an input that raises when it is handled cannot be read."""
    payload = read(decoder, record).payload
    assert isinstance(payload, DeadLetter)
    return payload.reason.partition(":")[0]


@pytest.mark.parametrize(
    "data", [b"{", {"order_id": 7}, {"order_id": "order-1", "due_at": "9999-12-31T23:59:59-23:59"}]
)
def test_an_event_of_ours_that_we_cannot_read_is_kept_for_a_version_that_can(decoder: Decoder, data: Any) -> None:
    unread = decoder.decode(tell(data, source="recourse/dispute/3", sequence="9"), NOON)
    assert isinstance(unread, Decoded)
    assert kept(decoder, tell(data)) == "unreadable_event"
    assert (unread.input.stream_id, unread.source, unread.sequence) == ("order-1", "recourse/dispute/3", 9)


UNHEARD_OF = [("ce_id", b"e1"), ("ce_type", b"dispute.unheard_of.v1")]


@pytest.mark.parametrize(
    ("value", "headers", "why"),
    [
        (b"{}", UNHEARD_OF, "unknown_type"),
        (b"{", UNHEARD_OF, "unknown_type"),
        ({"id": "e1", "type": "dispute.unheard_of.v1", "data": {}}, STRUCTURED, "unknown_type"),
        ({"id": "e1", "type": Told.type, "data": {"order_id": 7}}, STRUCTURED, "unreadable_event"),
        (b"[]", STRUCTURED, "no_envelope"),
        (b"", [("ce_type", Told.type.encode())], "no_value"),
    ],
)
def test_whatever_of_ours_a_newer_version_may_have_written_is_kept(
    decoder: Decoder, value: Any, headers: Any, why: str
) -> None:
    assert kept(decoder, record(value, headers, topic="dispute.events")) == why


def test_where_outsiders_write_what_nobody_knows_is_passed_over_and_what_nobody_can_read_a_dead_letter() -> None:
    refund = Decoder(DECIDERS["refund"], home_among(PARTITIONS))
    assert refund.decode(record(b"{", UNHEARD_OF, topic="payments.events"), NOON) is None
    failed = [("ce_id", b"e1"), ("ce_type", b"payment.failed.v1")]
    assert reason(refund, record(b"{", failed, topic="payments.events")) == "unreadable_event"


def test_without_a_key_nobody_knows_whose_it_is(decoder: Decoder) -> None:
    assert reason(decoder, record(b"{}", UNHEARD_OF, topic="dispute.events", key=None)) == "no_key"


@pytest.mark.parametrize("data", [{"order_id": "order-1"}, {}])
def test_a_command_of_a_newer_service_is_kept_and_what_an_operator_wrote_is_refused(data: Any) -> None:
    timer = Decoder(TIMER, home_among(PARTITIONS))
    for type_ in ("timer.schedule.v1", "timer.unheard_of.v1"):
        headers = [("ce_id", b"c1"), ("ce_type", type_.encode())]
        numbered = [*headers, ("ce_source", b"recourse/order/1"), ("ce_sequence", b"4")]
        assert kept(timer, record(data, numbered, topic="timer.commands")) == "unreadable_command"
        assert refused(timer, record(data, headers, topic="timer.commands")).code == "invalid"


def test_an_own_input_is_kept_as_json_and_read_again() -> None:
    timer = Decoder(TIMER, home_among(PARTITIONS))
    due = Due("order/order-1" * 20, "processing_ends", NOON, "order")
    given = Input(due, "timer.due", "order-1", "x" * 300, NOON, "story")
    assert read(timer, codec.own_input(given, 3)) == given
    assert (
        kept(Decoder(DECIDERS["refund"], home_among(PARTITIONS)), codec.own_input(given, 3)) == "unreadable_own_input"
    )


@pytest.mark.parametrize("sequence", ["", "-1", "1.0", "x", "\N{SUPERSCRIPT TWO}", "9" * 200])
def test_a_sequence_that_is_none_marks_nothing(decoder: Decoder, sequence: str) -> None:
    decoded = decoder.decode(tell({"order_id": "order-1"}, source="s", sequence=sequence), NOON)
    assert isinstance(decoded, Decoded)
    assert decoded.sequence is None


def test_a_sequence_on_a_topic_that_outsiders_write_marks_nothing(decoder: Decoder) -> None:
    decoded = decoder.decode(record(ADD, binary(source="recourse/order/0", sequence="9")), NOON)
    assert isinstance(decoded, Decoded)
    assert (decoded.source, decoded.sequence) == (None, None)


def test_a_bell_is_one_whatever_it_says_and_counts_only_on_its_partition(decoder: Decoder) -> None:
    right = partition_of(b"order-1", PARTITIONS)
    for value in (b"{}", b"not json", json.dumps(ADD).encode()):
        lying = record(value, binary(Elapsed.type))
        heard = read(decoder, lying)
        assert (heard.payload, heard.own, heard.digest) == (WakeUp(), True, b"%d/7" % right)
    assert not read(decoder, record(b"{}", binary(Elapsed.type), partition=(right + 1) % PARTITIONS)).own


def test_what_is_followed_is_taken_as_it_lies(counter_words: None) -> None:
    following = Decoder(
        replace(counter_decider(), follows=("dispute.events", "payments.events", "order.commands")), HOME
    )
    written = [
        record(b"{", [("ce_id", None)], topic="dispute.events", key=None),
        record(None, [], topic="order.commands"),
    ]
    for lying in (*written, tell({"order_id": "order-1"}), record(ADD, binary(id_="c" * 999))):
        found = following.decode(lying, NOON)
        assert isinstance(found, Decoded)
        place = f"{lying.topic}/{lying.partition}/{lying.offset}"
        assert (found.input.payload, found.input.id, found.input.stream_id) == (Followed(lying), place, place)
        assert (found.input.own, found.input.digest, found.source) == (False, None, None)


def test_what_is_followed_marks_its_place_but_where_outsiders_write(counter_words: None) -> None:
    following = Decoder(replace(counter_decider(), follows=("dispute.events", "payments.events")), HOME)
    numbers = binary(Told.type, source="recourse/dispute/3", sequence="9")
    ours, theirs = (
        following.decode(record(b"{", numbers, topic=topic), NOON) for topic in ("dispute.events", "payments.events")
    )
    assert isinstance(ours, Decoded)
    assert isinstance(theirs, Decoded)
    assert (ours.source, ours.sequence) == ("recourse/dispute/3", 9)
    assert (theirs.source, theirs.sequence) == (None, None)


# -- whatever comes ----------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["ce_id", "ce_type", "ce_source", "ce_sequence", "ce_correlationid", "content-type", "traceparent"]
)
RAW = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from([b"c1", b"application/cloudevents+json", Elapsed.type.encode(), *map(str.encode, WORDS)]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {}, optional={"id": JSON | st.just("c1"), "type": JSON | st.just(Add.type), "data": JSON, "sequence": JSON}
)
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    ENVELOPES.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({name: JSON | st.just(value) for name, value in ADD.items()}).map(
        lambda value: json.dumps(value).encode()
    ),
)


@given(
    topic=st.sampled_from(["order.commands", "dispute.events"]),
    key=st.one_of(st.none(), st.binary(max_size=30), st.just(b"order-1")),
    value=VALUES,
    headers=st.lists(st.tuples(NAMES | st.text(max_size=5), RAW), max_size=6),
)
def test_whatever_comes_is_read_refused_put_aside_or_passed_over(
    topic: str, key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    decoder = ANY_DECODER
    came = Record(topic, 3, 0, 0, key, value, headers)
    decoded = decoder.decode(came, NOON)
    letter = decoded if isinstance(decoded, DeadLetter) else DeadLetter("whatever: it is")
    kept_key, packed, kept = codec.dead_letter(came, letter, "recourse/order/3", 1)
    assert (kept_key, kept) == (key, value)
    assert codec.unpack_headers(codec.pack_headers(packed))[: len(headers)] == list(headers)
    if isinstance(decoded, Decoded):
        assert 0 < len(decoded.input.id) <= 255
        assert "\0" not in decoded.input.id + decoded.input.stream_id + decoded.input.correlation_id


ANY_DECODER = Decoder(counter_decider(), HOME)


# -- what goes out -----------------------------------------------------------------------------------------------------


def forty_second(message: Message, topic: str, correlation_id: str, traceparent: str | None = None) -> StoredEvent:
    """That shard 3 published, caused at noon."""
    return stored_event(
        message,
        data=message.model_dump_json().encode(),
        position=50,
        sequence=42,
        topic=topic,
        shard=3,
        correlation_id=correlation_id,
        traceparent=traceparent,
    )


def test_an_event_goes_out_with_exactly_these_headers() -> None:
    event = Added(order_id="order-1", actor=BUYER, amount=5, total=5)
    stored = forty_second(event, "order.events", correlation_id="story \N{SNOWMAN}", traceparent="00-1-2-01")
    key, data, headers = codec.published(stored, "order")
    assert key == b"order-1"
    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"event-50"),
        ("ce_type", b"counter.added.v1"),
        ("ce_source", b"recourse/order/3"),
        ("ce_time", b"2026-03-02T12:00:00.000Z"),
        ("ce_subject", b"order-1"),
        ("ce_correlationid", "story \N{SNOWMAN}".encode()),
        ("ce_causationid", b"cause"),
        ("ce_dataschema", b"urn:recourse:counter.added.v1"),
        ("ce_sequence", b"42"),
        ("content-type", b"application/json"),
        ("traceparent", b"00-1-2-01"),
    ]
    assert json.loads(data or b"") == {
        "order_id": "order-1",
        "actor": {"role": "buyer", "id": "b1"},
        "amount": 5,
        "total": 5,
        "note": "",
    }


def test_what_goes_out_can_be_read_by_the_service_it_is_for() -> None:
    schedule = Schedule(
        order_id="order-1", actor=BUYER, timer_id="order/order-1", name="n", due_at=NOON, deliver_to="order"
    )
    key, data, headers = codec.published(forty_second(schedule, "timer.commands", correlation_id="story"), "order")
    decoded = Decoder(TIMER, HOME).decode(record(data, headers, key, topic="timer.commands"), NOON)
    assert isinstance(decoded, Decoded)
    assert (decoded.input.payload, decoded.input.correlation_id) == (schedule, "story")
    assert (decoded.source, decoded.sequence) == ("recourse/order/3", 42)


@pytest.mark.parametrize(("count", "read"), [(HEADERS_MAX, True), (HEADERS_MAX + 1, False)])
def test_a_record_has_only_so_many_headers(decoder: Decoder, count: int, read: bool) -> None:
    headers = [*binary(), *((f"x-{number}", b"x") for number in range(count - len(binary())))]
    flood = record(ADD, headers)
    decoded = decoder.decode(flood, NOON)
    if read:
        assert isinstance(decoded, Decoded)
        return
    assert isinstance(decoded, DeadLetter)
    assert decoded.reason.startswith("too_many_headers")
    key, kept, value = codec.dead_letter(flood, decoded, "recourse/order/0", 1)
    assert (key, value) == (flood.key, flood.value)
    assert {name for name, _ in kept}.isdisjoint(name for name, _ in headers), "in the dead letter they are left out"
    assert codec.header(kept, "x-dead-letter-cut-from") is not None


def test_a_dead_letter_is_the_original_whole_and_says_where_it_lay_and_why() -> None:
    original = record(b"\xff", [("ce_id", b"\x80"), ("twice", b"1"), ("twice", None)], key=b"\xfe", partition=3)
    key, headers, value = codec.dead_letter(original, DeadLetter("not_json: line 1"), "recourse/order/3", 42)
    assert (key, value) == (b"\xfe", b"\xff")
    assert headers == [
        *original.headers,
        ("kafka_dlt-original-topic", b"order.commands"),
        ("kafka_dlt-original-partition", b"3"),
        ("kafka_dlt-original-offset", b"7"),
        ("kafka_dlt-original-timestamp", b"1700000000000"),
        ("x-dead-letter-reason", b"not_json: line 1"),
        ("x-dead-letter-source", b"recourse/order/3"),
        ("x-dead-letter-sequence", b"42"),
    ]


def test_a_newer_services_field_deep_in_an_event_is_ignored() -> None:
    """Else a field added to a shape would stop every process that is not yet the newest."""
    data = json.loads((GOLDEN / "order.lines_frozen.v1.json").read_text())
    data["lines"][0]["added_later"] = True
    headers: Headers = binary(LinesFrozen.type)
    frozen = record(json.dumps(data).encode(), headers, data["order_id"].encode(), topic="order.events")

    decoded = Decoder(DISPUTE, HOME).decode(frozen, NOON)

    assert isinstance(decoded, Decoded)


@pytest.mark.parametrize("digits", [b"", b"x", b"-1", "٣".encode(), b"9" * 19, b"9" * 5_000])
def test_a_number_that_we_did_not_write_is_none(digits: bytes) -> None:
    """Also for whoever looks through logs where outsiders write: more digits than Python turns into a number, too."""
    lies = record(ADD, [("ce_source", b"recourse/order/1"), ("ce_sequence", digits)])
    assert codec.numbered(lies) is None
