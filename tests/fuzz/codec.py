"""What the codec does with any bytes at all: one function, for a fuzzer to call and for the tests to try.

An input is parts with `PART` between them: what a record is made of. Its first two bytes say where the record lies and
how large it is blown up; then come the key, the value, and names and values of headers by turns. A part that is
`NOTHING` is null.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, cast, get_args

from deploy.publish import models
from schemas.topics import (
    BATCH_BYTES_MAX,
    COMMAND_BYTES_MAX,
    COMPACTED,
    DEAD_LETTER_BYTES_MAX,
    OUTSIDERS_WRITE,
    PARTITIONS,
)
from schemas.wire import Code, Command, Message, Rejected, Service
from services.composition import DECIDERS
from shared.kernel import codec
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.decider import Decider, RefusedOnArrival
from shared.kernel.envelope import BATCH, NAME_BYTES_MAX, READ, STRUCTURED, TRACEPARENTS, DeadLetter
from shared.kernel.ports import Claim, Record
from shared.kernel.stream import Answers, Stream, handle
from shared.rules import policies
from shared.runtime.batch import Batch, Shard
from shared.runtime.partitions import home_among, partition_of
from tests.faults.hostile_table import ROWS

PART = b"\x1d\x1e"
NOTHING = b"\x1a"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOURCE = "recourse/fuzz/0"
POLICIES = policies.load()
GOLDEN = Path(__file__).parents[2] / "schemas" / "golden"
DAYS = ("0001-01-01", "1969-12-31", "1970-01-01", "2026-02-29", "9998-12-31", "9999-01-01", "9999-12-31")
BLOWN_UP_BYTES = 4 * 1024 * 1024
SEED_BYTES_MAX = 8 * 1024

DECODERS: dict[str, Decoder] = {
    service: Decoder(decider, home_among(PARTITIONS)) for service, decider in DECIDERS.items()
}
PLACES = [(service, topic) for service, decoder in DECODERS.items() for topic in decoder.topics]
"""Whose record it is, and on which topic it lies."""
JSON_VALUES: list[Any] = [
    *(None, True, 0, 1, -1, 1.0, 10**12, 10**12 + 1, 2**63, 10**100, "", " ", "x", "1", "A-1001", "mediators", [], {}),
    *("\0", "\ud800", "\u202egnp.exe", "\u200b", "\ufeff", "a\r\nBcc: all", "x" * 64, "x" * 65, "x" * 256, "x" * 4_001),
    *(f"{day}T{time}" for day in DAYS for time in ("00:00:00Z", "00:00:00+14:00", "23:59:59.9999999-14:00")),
    *(["A-1001"] * 200, "@1e400@", "@NaN@", "@-0@", f"@{'9' * 5_000}@", f"@{'[' * 250}{']' * 250}@"),
]
"""Between @ stands a piece of JSON text."""
HEADER_VALUES = [
    *(NOTHING, b"", b"x" * 255, b"x" * 256, b"\xff", b"\0", b"9" * 40, b"-1", "\u200b".encode(), b"\xed\xa0\x80"),
    *(b"ce_id", b"ce_type", b"content-type", b"ce_correlationid", b"ce_sequence", b"traceparent", b"reply_to"),
    *(
        STRUCTURED,
        BATCH,
        b"text/xml",
        b"timer.elapsed.v1",
        b"order.place.v1",
        b"dispute.open.v1",
        b"order.placed.v1",
    ),
]
REASONS = {
    "too_many_headers",
    "no_key",
    "no_value",
    "too_long",
    "no_ce_id",
    "no_ce_type",
    "not_json",
    "not_utf8",
    "not_base64",
    "no_envelope",
    "batch_mode",
    "unknown_content_type",
    "unreadable_event",
    "unreadable_entry",
    "key_mismatch",  # of an entry: there is nobody to refuse it to
    "unreadable_command",
    "unreadable_own_input",
    "unknown_type",
}


def fuzz(data: bytes) -> None:
    """Raises for whatever the codec should not do: that is a finding."""
    service, record = record_of(data)
    decoder, decider = DECODERS[service], DECIDERS[cast(Service, service)]
    decoded = decoder.decode(record, NOON)
    assert decoder.decode(record, NOON) == decoded, "the same bytes, read twice"
    letter = DeadLetter("whatever: it is")
    match decoded:
        case None:
            assert record.topic != decoder.inbox, "nothing in an inbox is passed over"
        case DeadLetter():
            assert decoded.reason.partition(":")[0] in REASONS
            letter = decoded
        case Decoded():
            _assert_named(decoded)
            match decoded.input.payload:
                case DeadLetter(reason=reason):
                    assert reason.partition(":")[0] in REASONS
                    assert record.topic not in OUTSIDERS_WRITE, "what outsiders write stops no order"
                case RefusedOnArrival(refusal=refusal):
                    assert refusal.code in ("invalid", "key_mismatch")
                    _assert_one_refusal_however_spelt(decoder, record, decoded)
                case Command() as command:
                    _assert_one_command_however_spelt(decoder, record, decoded, command)
            if record.topic in OUTSIDERS_WRITE:
                assert decoded.sequence is None, "no high-water mark by what an outsider says"
                _assert_answered(decider, decoded)
    _assert_fits(record, letter)


def _assert_named(decoded: Decoded) -> None:
    about = decoded.input
    for name in (about.id, about.type, about.stream_id, about.correlation_id):
        assert 0 < len(name.encode()) <= NAME_BYTES_MAX
        assert "\0" not in name


def _assert_one_command_however_spelt(decoder: Decoder, record: Record, decoded: Decoded, command: Command) -> None:
    about = decoded.input
    envelope = {"id": about.id, "type": about.type, "data": json.loads(command.model_dump_json())}
    structured = replace(
        record,
        value=json.dumps(envelope).encode(),
        headers=[("content-type", STRUCTURED)],
    )
    again = decoder.decode(structured, NOON)
    assert isinstance(again, Decoded)
    assert (again.input.payload, again.input.digest) == (command, about.digest)


def _assert_one_refusal_however_spelt(decoder: Decoder, record: Record, decoded: Decoded) -> None:
    if dict(record.headers).get("content-type") or len(record.value or b"") > COMMAND_BYTES_MAX // 8:
        return  # an envelope, or so long that spaces make it too long
    said = json.loads(record.value or b"")
    turned = dict(reversed(said.items())) if isinstance(said, dict) else said
    again = decoder.decode(replace(record, value=json.dumps(turned, indent=1).encode()), NOON)
    assert isinstance(again, Decoded)
    assert again.input.digest == decoded.input.digest


def _assert_answered(decider: Decider[Any, Any, Any], decoded: Decoded) -> None:
    """About an order nobody has heard of: an answer to whatever asks for one, and nothing that cannot go out."""
    stream: Stream[Any] = Stream(decoded.input.stream_id)
    answers: Answers = {}
    said = handle(decider, stream, decoded.input, POLICIES, answers)
    if isinstance(decoded.input.payload, Command | RefusedOnArrival):
        assert said, "every command has an answer"
        if not decider.is_stateless:
            again = handle(decider, stream, decoded.input, POLICIES, answers)
            assert [type(one.message) for one in again] == [decider.repeated], "and a repeat is told that it had it"
    for one in said:
        if isinstance(one.message, Rejected):
            assert one.message.code in get_args(Code)
    shard = Shard(Claim(0, 1, 0, 0, 0))
    batch = Batch(decider.service, home_among(PARTITIONS))
    batch.store(shard, decoded.input, said)
    for event in batch.events:
        _, value, headers = codec.published(event, decider.service)
        assert codec.size_of(headers) + len(value or b"") <= BATCH_BYTES_MAX
        assert Message.MODELS[event.type].read(value or b"") == event.message


def _assert_fits(record: Record, letter: DeadLetter) -> None:
    """Whole if it can be, cut if it must be: the dead letter fits its topic, and is stored as it is sent."""
    key, headers, value = codec.dead_letter(record, letter, SOURCE, 1)
    written = sum(len(name.encode()) + len(raw or b"") + 10 for name, raw in headers)
    assert len(key or b"") + len(value or b"") + written < DEAD_LETTER_BYTES_MAX
    assert codec.unpack_headers(codec.pack_headers(headers)) == headers
    if record.topic in COMPACTED:
        assert (key, value, len(headers)) == (None, None, 7), "of what can be erased nothing is repeated"
    elif codec.header(headers, "x-dead-letter-cut-from") is None:
        assert (key, value, headers[: len(record.headers)]) == (record.key, record.value, list(record.headers))


# -- bytes and records -------------------------------------------------------------------------------------------------


def record_of(data: bytes) -> tuple[str, Record]:
    """Whatever the bytes are."""
    choices = data[:2].ljust(2, b"\0")
    service, topic = PLACES[choices[0] % len(PLACES)]
    parts = [None if part == NOTHING else part for part in data[2:].split(PART)]
    if (blown_up := choices[1] - 0xF0) in range(len(parts)):
        part = parts[blown_up] or b"x"
        parts[blown_up] = part * (BLOWN_UP_BYTES // len(part) + 1)
    key, value, *about = [*parts, None][: max(2, len(parts))]
    names = [(name or b"").decode("utf-8", "replace") for name in about[::2]]
    home = partition_of(key or b"", PARTITIONS)
    partition = (home + (choices[1] & 1)) % PARTITIONS
    headers = list(zip(names, about[1::2], strict=False))
    return service, Record(topic, partition, 7, 1_772_452_800_000, key, value, headers)


def bytes_of(
    place: tuple[str, str], key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
) -> bytes:
    """The input that makes this record, on the partition where its key belongs."""
    parts = [key, value, *(part for name, raw in headers for part in (name.encode(), raw))]
    joined = PART.join(NOTHING if part is None else part for part in parts)
    return bytes([PLACES.index(place), 0]) + joined


def golden() -> Iterator[bytes]:
    """A good record of every type that a service reads."""
    for model in models():
        for service, topic in PLACES:
            decoder = DECODERS[service]
            heard = model.type in decoder.commands or (topic, model.type) in decoder.heard or topic in decoder.entries
            if topic == model.topic and heard:
                value = (GOLDEN / f"{model.type}.json").read_bytes()
                sample = model.read(value)
                headers = [("ce_id", b"c1"), ("ce_type", model.type.encode()), ("ce_source", SOURCE.encode())]
                yield bytes_of((service, topic), sample.key.encode(), value, headers)


def hostile() -> Iterator[bytes]:
    """What the tables send to real services, but for what is large."""
    for row in ROWS.values():
        sent = row.twist(row.inbox.good("o1", "c1"))
        reader = next(place for place in PLACES if place[1] == sent.topic)
        made = bytes_of(reader, sent.key, sent.value, sent.headers)
        if len(made) <= SEED_BYTES_MAX:
            yield made


@cache
def seeds() -> Sequence[bytes]:
    """What a search begins with."""
    return sorted({*golden(), *hostile()})


def mutated(data: bytes, random: Random) -> bytes:
    """One thing in it changed, but still JSON where it was; as a fuzzer of bytes alone hardly finds it."""
    parts = data[2:].split(PART)
    if len(parts) == 1 or random.random() < 0.3:
        parts[random.randrange(len(parts))] = random.choice(HEADER_VALUES)
    else:
        with suppress(ValueError, RecursionError):
            parts[1] = json.dumps(_changed(json.loads(parts[1]), random)).replace('"@', "").replace('@"', "").encode()
    return data[:2] + PART.join(parts)


def _changed(tree: Any, random: Random) -> Any:
    """Somewhere inside a field is left out, moved to another name, or holds something else."""
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.2:
        return random.choice(JSON_VALUES)
    if isinstance(tree, list):
        place = random.randrange(len(tree))
        return [*tree[:place], _changed(tree[place], random), *tree[place + random.randrange(2) :]]
    name = random.choice(sorted(tree))
    rest = {other: value for other, value in tree.items() if other != name}
    match random.randrange(6):
        case 0:
            return rest
        case 1:
            return rest | {random.choice(sorted(tree)): tree[name]}
        case _:
            return rest | {name: _changed(tree[name], random)}


def words() -> set[bytes]:
    """What a record may be made of, for whoever makes records at random."""
    fields = {name for model in models() for name in json.loads((GOLDEN / f"{model.type}.json").read_bytes())}
    headers = [*(name for _, name in READ), *TRACEPARENTS]
    return {word.encode() for word in {*fields, *headers, *Message.MODELS, "content-type"}} | {
        STRUCTURED,
        PART,
    }
