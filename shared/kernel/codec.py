"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in. On the hot path.

What cannot be read becomes a dead letter, what is readable but wrong becomes a refusal; nothing here raises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from aiokafka.partitioner import murmur2
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.timer.events import Elapsed
from schemas.topics import COMMAND_BYTES_MAX, HEADERS_MAX, OUTSIDERS_WRITE
from schemas.wire import Command, Event, Message, Service, rfc3339
from shared.kernel.decider import Bell, Input, Refusal, Said
from shared.kernel.ports import Record

STRUCTURED = b"application/cloudevents+json"
NAME_BYTES_MAX = 255
"""Of a record key, a command id, a type or a correlation id."""
REFUSAL_MESSAGE_MAX = 500
DEAD_LETTER_VALUE_MAX = 2 * 1024 * 1024
DEAD_LETTER_SIZE_MAX = DEAD_LETTER_VALUE_MAX + 512 * 1024
"""A compressed record can be larger than any limit of the broker; a dead letter of more than this is cut."""
SEQUENCE_DIGITS_MAX = 18
"""More is nothing that we wrote, and nothing that a table of ours can hold."""

Headers = list[tuple[str, bytes | None]]

READ = (
    ("id", "ce_id"),
    ("type", "ce_type"),
    ("source", "ce_source"),
    ("correlationid", "ce_correlationid"),
    ("sequence", "ce_sequence"),
    ("traceparent", "traceparent"),
)
"""The attributes of a CloudEvent that mean anything to us, and the header each stands in."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record cannot even be refused: `code: explanation`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    input: Input
    source: str | None = None
    sequence: int | None = None
    """Both set only where repeats are known by them: on topics that outsiders cannot write."""


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's own clients put this key (murmur2, as the Java client's)."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class Decoder:
    """Reads the records of one service: the commands of its inbox and the foreign events it hears."""

    def __init__(self, service: Service, hears: Iterable[type[Event]], partitions: int) -> None:
        self.inbox = f"{service}.commands"
        self.partitions = partitions
        self.commands: dict[str, type[Command]] = {
            name: model
            for name, model in Message.MODELS.items()
            if issubclass(model, Command) and model.topic == self.inbox
        }
        self.heard = {(model.topic, model.type): model for model in hears}
        self.topics = sorted({topic for topic, _ in self.heard if topic} | ({self.inbox} if self.commands else set()))

    def decode(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        """None: not for this service. Never raises."""
        headers = dict(record.headers)
        own = record.topic == self.inbox
        structured = (headers.get("content-type") or b"").strip().lower().startswith(STRUCTURED)
        if not own and not structured:
            model = self.heard.get((record.topic, _text(headers.get("ce_type")) or ""))
            if model is None:
                return None
        if len(record.headers) > HEADERS_MAX:
            return DeadLetter(f"too_many_headers: a record has at most {HEADERS_MAX}")
        key, value = _text(record.key), record.value
        if key is None:
            return DeadLetter("no_key: a record needs a key of 1 to 255 bytes of UTF-8: the order id")
        if not value:
            return DeadLetter("no_value: the record is empty")
        if own and len(value) > COMMAND_BYTES_MAX:
            return DeadLetter(f"too_long: {len(value)} bytes, a command has at most {COMMAND_BYTES_MAX}")
        if structured:
            opened = _open_envelope(value)
            if isinstance(opened, DeadLetter):
                return opened
            attributes, value = opened
        else:
            attributes = {name: text for name, header_name in READ if (text := _text(headers.get(header_name)))}
        if "id" not in attributes or "type" not in attributes:
            return DeadLetter("no_id_or_type: ce_id and ce_type must be given, 1 to 255 bytes of UTF-8 each")
        if own:
            return self._command(record, key, value, attributes, time)
        return self._event(record, key, value, attributes, time)

    def _command(
        self, record: Record, key: str, value: bytes, attributes: dict[str, str], time: datetime
    ) -> Decoded | DeadLetter:
        type_ = attributes["type"]
        home = partition_of(key.encode(), self.partitions)
        if type_ == Elapsed.type:
            return self._decoded(
                record, Bell(), key, attributes, time, own=record.partition == home, digest=_place(record)
            )
        heard: Command | Refusal
        model = self.commands.get(type_)
        try:
            if model is None:
                from_json(value)
                heard = Refusal("invalid", f"{record.topic} knows no {type_[:100]}")
            else:
                heard = model.model_validate_json(value)
        except ValidationError as error:
            if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
                return DeadLetter(f"not_json: {error.errors(include_input=False)[0]['msg']}")
            heard = Refusal("invalid", _explained(error))
        except ValueError as error:
            return DeadLetter(f"not_json: {error}")
        # Same type and data is the same command, however it was spelt; fields left out do not count, so that a
        # field added to the contract later does not turn a repeat into a conflict.
        actor = None
        if isinstance(heard, Command):
            content, actor = heard.model_dump_json(exclude_defaults=True).encode(), heard.actor
            if heard.key != key:
                heard = Refusal("key_mismatch", "the record's key is not the key that its data asks for")
        else:
            content = value
        if record.partition != home:
            elsewhere = f"the record lies on partition {record.partition}, its key belongs on {home} (murmur2)"
            heard = Refusal("key_mismatch", elsewhere)
        digest = blake2b(type_.encode() + b"|" + content, digest_size=16).digest()
        own = not (isinstance(heard, Refusal) and heard.code == "key_mismatch")
        return self._decoded(record, heard, key, attributes, time, own=own, digest=digest, actor=actor)

    def _event(
        self, record: Record, key: str, value: bytes, attributes: dict[str, str], time: datetime
    ) -> Decoded | DeadLetter | None:
        model = self.heard.get((record.topic, attributes["type"]))
        if model is None:
            return None
        try:
            event = model.read(value)
        except ValidationError as error:
            return DeadLetter(f"unreadable_event: {_explained(error)}")
        digest = None
        if record.topic in OUTSIDERS_WRITE:
            digest = _place(record)
        return self._decoded(record, event, key, attributes, time, digest=digest)

    @staticmethod
    def _decoded(
        record: Record, heard: Any, key: str, attributes: dict[str, str], time: datetime, **more: Any
    ) -> Decoded:
        heard_input = Input(
            heard,
            attributes["type"],
            key,
            attributes["id"],
            time,
            attributes.get("correlationid", attributes["id"]),
            traceparent=attributes.get("traceparent"),
            **more,
        )
        sequence = attributes.get("sequence", "")
        written_by_us = sequence.isascii() and sequence.isdigit() and len(sequence) <= SEQUENCE_DIGITS_MAX
        if record.topic in OUTSIDERS_WRITE or not written_by_us:
            return Decoded(heard_input)
        return Decoded(heard_input, attributes.get("source", ""), int(sequence))


def _place(record: Record) -> bytes:
    return b"%d" % record.offset


def _text(raw: bytes | None) -> str | None:
    """A name from outside: 1 to 255 bytes of UTF-8 without NUL, or None."""
    if not raw or len(raw) > NAME_BYTES_MAX or b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _open_envelope(value: bytes) -> tuple[dict[str, str], bytes] | DeadLetter:
    """Structured mode: the attributes and the JSON of `data`."""
    try:
        envelope = from_json(value)
    except ValueError as error:
        return DeadLetter(f"not_json: {error}")
    if not isinstance(envelope, dict):
        return DeadLetter("no_envelope: a structured CloudEvent is a JSON object")
    attributes = {
        name: text
        for name, text in envelope.items()
        if isinstance(text, str) and name != "data" and _text(text.encode()) is not None
    }
    try:
        return attributes, to_json(envelope.get("data"))
    except ValueError as error:
        return DeadLetter(f"not_json: {error}")


def _explained(error: ValidationError) -> str:
    """`lines.0.amount_minor: Input should be a valid integer`: what to mend, without repeating what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"] for one in first[:3]]
    if len(first) > len(shown):
        shown.append(f"and {len(first) - len(shown)} more")
    return "; ".join(shown)[:REFUSAL_MESSAGE_MAX]


def encode(said: Said, record: Input, source: str, sequence: int) -> tuple[Headers, bytes]:
    """(headers, data) of one message."""
    message = said.message
    type_ = message.type.encode()
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", said.id.encode()),
        ("ce_type", type_),
        ("ce_source", source.encode()),
        ("ce_time", rfc3339(record.time).encode()),
        ("ce_subject", message.order_id.encode()),
        ("ce_correlationid", said.correlation_id.encode()),
        ("ce_causationid", said.causation_id.encode()),
        ("ce_dataschema", b"urn:recourse:" + type_),
        ("ce_sequence", b"%d" % sequence),
        ("content-type", b"application/json"),
    ]
    if record.traceparent:
        headers.append(("traceparent", record.traceparent.encode()))
    return headers, message.model_dump_json().encode()


def dead_letter(
    record: Record, letter: DeadLetter, source: str, sequence: int
) -> tuple[bytes | None, Headers, bytes | None]:
    """(key, headers, value) of a dead letter: the original whole, and where it lay and why it is here. Of what is too
    large the headers are left out, and the value is cut; the size said is of what was read of it."""
    key, value, kept = record.key, record.value, record.headers
    size = len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(raw or b"") + 10 for name, raw in kept)
    if size > DEAD_LETTER_SIZE_MAX or len(kept) > HEADERS_MAX:
        key, value = key and key[:NAME_BYTES_MAX], value and value[:DEAD_LETTER_VALUE_MAX]
        kept = [("x-dead-letter-cut-from", str(size).encode())]
    headers: Headers = [
        *kept,
        ("kafka_dlt-original-topic", record.topic.encode()),
        ("kafka_dlt-original-partition", str(record.partition).encode()),
        ("kafka_dlt-original-offset", str(record.offset).encode()),
        ("kafka_dlt-original-timestamp", str(record.timestamp).encode()),
        ("x-dead-letter-reason", letter.reason[:REFUSAL_MESSAGE_MAX].encode(errors="replace")),
        ("x-dead-letter-source", source.encode()),
        ("x-dead-letter-sequence", str(sequence).encode()),
    ]
    return key, headers, value


def size_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Bytes on the wire, about."""
    return sum(len(name) + len(raw or b"") + 4 for name, raw in headers)


def pack_headers(headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """As stored: latin-1 gives every byte back exactly."""
    return to_json([(name, value if value is None else value.decode("latin-1")) for name, value in headers])


def unpack_headers(packed: bytes) -> Headers:
    return [(name, value if value is None else value.encode("latin-1")) for name, value in from_json(packed)]


def header(headers: Sequence[tuple[str, bytes | None]], name: str) -> str | None:
    found = next((value for known, value in headers if known == name), None)
    return None if found is None else found.decode(errors="replace")
