"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in. On the hot path.

What cannot be read becomes a dead letter, what is readable but wrong becomes a refusal; nothing here raises.
"""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.instants import from_ms, rfc3339
from schemas.timer.events import Elapsed
from schemas.topics import BATCH_BYTES_MAX, COMMAND_BYTES_MAX, HEADERS_MAX, OUTSIDERS_WRITE
from schemas.wire import MEDIATORS_KEY, Actor, Command, Message
from shared.kernel.decider import Decider, Refusal, RefusedOnArrival, WakeUp
from shared.kernel.ports import Headers, Input, Record, StoredEvent

ROSTER = MEDIATORS_KEY.encode()
CLOUDEVENTS = b"application/cloudevents"
STRUCTURED, BATCH = CLOUDEVENTS + b"+json", CLOUDEVENTS + b"-batch+json"
NAME_BYTES_MAX = 255
"""Of a record key, a command id, a type or a correlation id."""
REFUSAL_MESSAGE_MAX = 500
DEAD_LETTER_VALUE_MAX = 2 * 1024 * 1024
DEAD_LETTER_SIZE_MAX = DEAD_LETTER_VALUE_MAX + 512 * 1024
"""A compressed record can be larger than any limit of the broker; a dead letter of more than this is cut."""
OWN_DATA_BYTES_MAX = BATCH_BYTES_MAX - 4 * 1024
"""Of what we say ourselves: with its headers, whose names have limits, it fits one request."""
SEQUENCE_DIGITS_MAX = 18
"""More is nothing that we wrote, and nothing that a table of ours can hold."""

Home = Callable[[bytes], int]
"""Key -> the partition on which Kafka's own clients put it."""

READ = (
    ("id", "ce_id"),
    ("type", "ce_type"),
    ("source", "ce_source"),
    ("correlationid", "ce_correlationid"),
    ("sequence", "ce_sequence"),
)
"""The attributes of a CloudEvent that mean anything to us, and the header each stands in."""
TRACEPARENTS = ("traceparent", "ce_traceparent")
"""The headers that a trace may stand in, in either mode, the first that says something; then the attribute."""


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


class Decoder:
    """Reads the records of one service: the commands of its inbox, the foreign events it subscribes to, and what its
    streams tell each other."""

    def __init__(self, decider: Decider[Any, Any, Any], home: Home) -> None:
        self.inbox, self.home = f"{decider.service}.commands", home
        self.commands = {model.type: model for model in decider.inbox}
        self.heard: dict[tuple[str | None, str], type[Message]] = {
            **{(model.topic, model.type): model for model in decider.subscriptions},
            **{(topic, model.type): model for topic, model in decider.between_streams},
        }
        topics = {topic for topic, _ in self.heard if topic}
        self.topics = sorted(topics | {self.inbox} if self.commands else topics)

    def decode(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        """None: not for this service. Never raises."""
        headers = dict(record.headers)
        own = record.topic == self.inbox
        form = (headers.get("content-type") or b"").partition(b";")[0].strip().lower()
        structured = form == STRUCTURED
        if not own and not structured:
            model = self.heard.get((record.topic, _text(headers.get("ce_type")) or ""))
            if model is None:
                return None
        if len(record.headers) > HEADERS_MAX:
            return DeadLetter(f"too_many_headers: a record has at most {HEADERS_MAX}")
        key, value = _text(record.key), record.value
        if key is None:
            return _unnamed("key", record.key)
        if not value:
            return DeadLetter("no_value: the record is empty")
        if form.startswith(CLOUDEVENTS) and not structured:
            return _unknown_form(form)
        if structured:
            if own and len(value) > COMMAND_BYTES_MAX:
                return DeadLetter(_too_long(value))
            opened = _open_envelope(value)
            if isinstance(opened, DeadLetter):
                return opened
            attributes, value = opened
        else:
            attributes = {name: text for name, header_name in READ if (text := _text(headers.get(header_name)))}
        for name in ("id", "type"):
            if name not in attributes:
                return _unnamed(f"ce_{name}", None if structured else headers.get(f"ce_{name}"))
        for header_name in TRACEPARENTS:
            if trace := _text(headers.get(header_name)):
                attributes["traceparent"] = trace
                break
        if own:
            return self._command(record, key, value, form, attributes, time)
        return self._event(record, key, value, attributes, time)

    def _command(
        self, record: Record, key: str, value: bytes, form: bytes, attributes: dict[str, str], time: datetime
    ) -> Decoded | DeadLetter:
        type_ = attributes["type"]
        home = self.home(key.encode())
        if type_ == Elapsed.type:
            return self._decoded(
                record, WakeUp(), key, attributes, time, own=record.partition == home, digest=_place(record)
            )
        try:
            read, content, actor = self._wish(type_, value)
        except ValueError as error:
            return _not_json(value, error, form)
        if isinstance(read, Command) and read.key != key:
            right = f"`{MEDIATORS_KEY}`" if read.key == MEDIATORS_KEY else "the order_id of its data"
            read = Refusal("key_mismatch", f"the record's key must be {right}")
        if record.partition != home:
            elsewhere = (
                f"the record lies on partition {record.partition}, its key belongs on {home}: "
                "partitions are chosen by murmur2 (of librdkafka: partitioner=murmur2_random)"
            )
            read = Refusal("key_mismatch", elsewhere)
            content += b"|%d" % record.partition  # its answer is not the one it gets where it belongs
        digest = blake2b(type_.encode() + b"|" + content, digest_size=16).digest()
        if isinstance(read, Command):
            return self._decoded(record, read, key, attributes, time, own=True, digest=digest)
        own, refused = read.code != "key_mismatch", RefusedOnArrival(read, actor)
        return self._decoded(record, refused, key, attributes, time, own=own, digest=digest)

    def _wish(self, type_: str, value: bytes) -> tuple[Command | Refusal, bytes, Actor | None]:
        """What is wished, its content, and whose wish it is, as far as that can be read. Raises ValueError: no JSON.

        Same type and content is the same command, however it was spelt; fields left out do not count, so that a field
        added to the contract later does not turn a repeat into a conflict. What is too long is one, whatever it says.
        """
        if len(value) > COMMAND_BYTES_MAX:
            return Refusal("invalid", _too_long(value)), b"too_long", None
        model = self.commands.get(type_)
        refusal = Refusal("invalid", f"{self.inbox} knows no {type_[:100]}")
        try:
            if model is not None:
                wish = model.model_validate_json(value)
                return wish, wish.model_dump_json(exclude_defaults=True).encode(), wish.actor
        except ValidationError as error:
            refusal = Refusal("invalid", _explained(error))
        said = from_json(value)
        return refusal, _canonical(said), _actor_of(said)

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
        record: Record, payload: object, key: str, attributes: dict[str, str], time: datetime, **more: Any
    ) -> Decoded:
        found = Input(
            payload,
            attributes["type"],
            key,
            attributes["id"],
            time,
            attributes.get("correlationid", attributes["id"]),
            traceparent=attributes.get("traceparent"),
            place=_place(record),
            **more,
        )
        sequence = attributes.get("sequence", "")
        written_by_us = sequence.isascii() and sequence.isdigit() and len(sequence) <= SEQUENCE_DIGITS_MAX
        if record.topic in OUTSIDERS_WRITE or not written_by_us:
            return Decoded(found)
        return Decoded(found, attributes.get("source", ""), int(sequence))


def _place(record: Record) -> bytes:
    return b"%d/%d" % (record.partition, record.offset)


def _canonical(said: object) -> bytes:
    """Any JSON in one spelling: what differs in nothing but spaces, escapes, the order of fields or how a number is
    written says the same."""
    return json.dumps(_by_value(said), sort_keys=True, separators=(",", ":")).encode()


def _by_value(said: Any) -> Any:
    match said:
        case dict():
            return {name: _by_value(part) for name, part in said.items()}
        case list():
            return [_by_value(part) for part in said]
        case float() if said.is_integer():
            return int(said)
    return said


def _actor_of(said: object) -> Actor | None:
    """Whose command it was that says what it must not."""
    try:
        return Actor.model_validate(said.get("actor") if isinstance(said, dict) else None)
    except ValidationError:
        return None


def _text(raw: bytes | None) -> str | None:
    """A name from outside: 1 to 255 bytes of UTF-8 without NUL, or None."""
    if not raw or len(raw) > NAME_BYTES_MAX or b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _unnamed(what: str, raw: bytes | None) -> DeadLetter:
    """No name stands where one must."""
    code = f"no_{what}"
    try:
        (raw or b"").decode()
    except UnicodeDecodeError:
        code = "not_utf8"
    whose = " (the order_id)" if what == "key" else ""
    return DeadLetter(f"{code}: a record needs a {what}{whose} of 1 to {NAME_BYTES_MAX} bytes of UTF-8 without NUL")


def _too_long(value: bytes) -> str:
    return f"too_long: {len(value)} bytes, a command has at most {COMMAND_BYTES_MAX}"


def _unknown_form(form: bytes) -> DeadLetter:
    if form == BATCH:
        return DeadLetter("batch_mode: a record is one event: send each of a batch by itself")
    return DeadLetter(f"unknown_content_type: of CloudEvents in structured mode {STRUCTURED.decode()} alone is read")


def _not_json(value: bytes, error: ValueError, form: bytes = b"") -> DeadLetter:
    if form and b"json" not in form:
        return DeadLetter("unknown_content_type: what is no JSON is not read")
    try:
        value.decode()
    except UnicodeDecodeError as bad:
        return DeadLetter(f"not_utf8: the value from its byte {bad.start} on; JSON is UTF-8")
    return DeadLetter(f"not_json: {error}")


def _open_envelope(value: bytes) -> tuple[dict[str, str], bytes] | DeadLetter:
    """Structured mode: the attributes and the JSON of `data`, or the bytes of `data_base64`."""
    try:
        envelope = from_json(value)
    except ValueError as error:
        return _not_json(value, error)
    if not isinstance(envelope, dict):
        return DeadLetter("no_envelope: a structured CloudEvent is a JSON object")
    data, packed = envelope.pop("data", None), envelope.pop("data_base64", None)
    if data is not None and packed is not None:
        return DeadLetter("no_envelope: a CloudEvent has data or data_base64, not both")
    attributes = {
        name: text for name, text in envelope.items() if isinstance(text, str) and _text(text.encode()) is not None
    }
    if packed is None:
        return attributes, to_json(data)
    try:
        return attributes, b64decode(packed, validate=True)
    except (TypeError, ValueError):
        return DeadLetter("not_base64: data_base64 is no text of base64")


def _explained(error: ValidationError) -> str:
    """`lines.0.amount_minor: Input should be a valid integer`: what to mend, without repeating what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"] for one in first[:3]]
    if len(first) > len(shown):
        shown.append(f"and {len(first) - len(shown)} more")
    return "; ".join(shown)[:REFUSAL_MESSAGE_MAX]


def source_of(service: str, shard: int) -> str:
    return f"recourse/{service}/{shard}"


def record_key(event: StoredEvent) -> bytes | None:
    """The order, but for what is said to the roster of mediators and for dead letters, which keep theirs."""
    return event.key if event.key is not None or event.stream_id is None else event.stream_id.encode()


def published(event: StoredEvent, service: str) -> tuple[bytes | None, bytes | None, Headers]:
    """(key, value, headers) of the record that a stored event becomes: CloudEvents in binary mode."""
    key = record_key(event)
    if event.headers is not None:
        return key, event.data, event.headers
    type_ = event.type.encode()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", _bytes(event.id)),
        ("ce_type", type_),
        ("ce_source", source_of(service, event.shard).encode()),
        ("ce_time", rfc3339(from_ms(event.time)).encode()),
        ("ce_subject", _bytes(event.stream_id) if key == ROSTER else key),
        ("ce_correlationid", _bytes(event.correlation_id)),
        ("ce_causationid", _bytes(event.causation_id)),
        ("ce_dataschema", b"urn:recourse:" + type_),
        ("ce_sequence", b"%d" % (event.sequence or 0)),
        ("content-type", b"application/json"),
    ]
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    return key, event.data, headers


def _bytes(text: str | None) -> bytes:
    return (text or "").encode()


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
    headers = [
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


def numbered(record: Record) -> tuple[str, int] | None:
    """(source, sequence) of what one of our shards wrote. Of a dead letter the last headers of the name are ours: what
    is kept of the original stands before them."""
    prefix = "x-dead-letter-" if record.topic.endswith(".dead-letters") else "ce_"
    headers = {name: value or b"" for name, value in record.headers}
    source, sequence = headers.get(f"{prefix}source", b""), headers.get(f"{prefix}sequence", b"")
    return (source.decode(errors="replace"), int(sequence)) if sequence.isdigit() else None


def size_of(headers: Headers) -> int:
    """Bytes on the wire, about."""
    return sum(len(name) + len(raw or b"") + 4 for name, raw in headers)


def pack_headers(headers: Headers) -> bytes:
    """As stored: latin-1 gives every byte back exactly."""
    return to_json([(name, value if value is None else value.decode("latin-1")) for name, value in headers])


def unpack_headers(packed: bytes) -> list[tuple[str, bytes | None]]:
    return [(name, value if value is None else value.encode("latin-1")) for name, value in from_json(packed)]


def header(headers: Headers, name: str) -> str | None:
    found = next((value for known, value in headers if known == name), None)
    return None if found is None else found.decode(errors="replace")
