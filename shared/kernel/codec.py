"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in. On the hot path.

What cannot be read becomes a dead letter, what is readable but wrong becomes a refusal; nothing here raises. What one
of our own services wrote is never lost for that: what this version cannot read is an input that raises when it is
handled, and so waits with its order for a version that can.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

import schemas.catalogue  # noqa: F401 - a type that is not in it is of a newer version
from schemas.instants import from_ms, rfc3339, to_ms
from schemas.timer.events import Elapsed
from schemas.topics import BATCH_BYTES_MAX, COMPACTED, HEADERS_MAX, OUTSIDERS_WRITE
from schemas.wire import MEDIATORS_KEY, Actor, Command, Message
from shared.kernel.decider import Decider, Refusal, RefusedOnArrival, WakeUp
from shared.kernel.entries import current_entry
from shared.kernel.envelope import (
    CLOUDEVENTS,
    NAME_BYTES_MAX,
    READ,
    REFUSAL_MESSAGE_MAX,
    STRUCTURED,
    TRACEPARENTS,
    DeadLetter,
    actor_of,
    any_attributes,
    binary_attributes,
    canonical,
    explained,
    form_of,
    is_too_long,
    name_of,
    not_json,
    number_in,
    open_envelope,
    too_long,
    unknown_form,
    unnamed,
)
from shared.kernel.ports import Followed, Headers, Home, Input, Record, StoredEvent

ROSTER = MEDIATORS_KEY.encode()
DEAD_LETTER_VALUE_MAX = 2 * 1024 * 1024
DEAD_LETTER_SIZE_MAX = DEAD_LETTER_VALUE_MAX + 512 * 1024
"""A compressed record can be larger than any limit of the broker; a dead letter of more than this is cut."""
OWN_HEADERS_BYTES_MAX = 4 * 1024
"""Of what we say ourselves: all that is named in them has limits."""
OWN_DATA_BYTES_MAX = BATCH_BYTES_MAX - OWN_HEADERS_BYTES_MAX
"""Likewise: with its headers it fits one request."""
OWN_INPUTS = "own input"
"""As whose topic the dead letter of an own input names where it comes from."""


class Unreadable(Exception):
    """What one of our services wrote and this version cannot read: `code: explanation`."""


@dataclass(slots=True)
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
        self.entries = {str(model.topic): model for model in decider.entries}
        self.follows = frozenset(decider.follows)
        topics = {topic for topic, _ in self.heard if topic} | self.entries.keys() | self.follows
        self.topics = sorted(topics | {self.inbox} if self.commands else topics)
        self.own_inputs = {name: TypeAdapter(kind) for name, kind in decider.own_inputs.items()}

    def decode(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        """None: not for this service. Never raises."""
        if record.topic == OWN_INPUTS:
            return self._own_input(record, time)
        if record.topic in self.follows:
            return self._followed(record, time)
        if record.topic in self.entries:
            return self._entry(record, time)
        found = self._decode(record, time)
        return self.kept(record, found, time) if isinstance(found, DeadLetter) else found

    def kept(self, record: Record, letter: DeadLetter, time: datetime) -> Decoded | DeadLetter:
        """What one of our own services wrote is not lost for being unreadable: its order waits, if it says which.
        Operators write to the timer service's inbox, too; what is numbered there is a service's."""
        key, attributes = name_of(record.key), any_attributes(record)
        numbered = number_in(attributes.get("sequence", "")) is not None
        ours = record.topic not in OUTSIDERS_WRITE and (record.topic != self.inbox or numbered)
        if key is None or not ours:
            return letter
        place = f"{record.topic}/{record.partition}/{record.offset}"
        attributes = {"id": place, "type": "unreadable"} | attributes
        return self._decoded(record, letter, key, attributes, time)

    def _entry(self, record: Record, time: datetime) -> Decoded | DeadLetter:
        """Of no order: its stream is one of its own, by a name that no order has."""
        model = self.entries[record.topic]
        found = current_entry(record, model, self.home)
        if isinstance(found, DeadLetter):
            return found
        place = f"{record.topic}/{record.partition}/{record.offset}"
        stream_id, attributes = f"{record.topic}/{found.key}", {"id": place, "type": model.type}
        return self._decoded(record, found, stream_id, attributes, time)

    def _followed(self, record: Record, time: datetime) -> Decoded:
        """Of no order, as what it says is not looked into: should it not be kept, it waits alone."""
        place = f"{record.topic}/{record.partition}/{record.offset}"
        found = Input(Followed(record), "followed", place, place, time, place)
        said = None if record.topic in OUTSIDERS_WRITE else numbered(record)
        return Decoded(found, *(said or (None, None)))

    def _own_input(self, record: Record, time: datetime) -> Decoded:
        headers = {name: (raw or b"").decode() for name, raw in record.headers}
        payload: object
        try:
            payload = self.own_inputs[headers["ce_type"]].validate_json(record.value or b"")
        except (KeyError, ValidationError) as error:
            payload = DeadLetter(f"unreadable_own_input: {type(error).__name__}")
        attributes = {name: headers[header_name] for name, header_name in READ if header_name in headers}
        found = self._decoded(record, payload, (record.key or b"").decode(), attributes, time).input
        return Decoded(replace(found, place=b""))

    def _decode(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        headers = dict(record.headers)
        own = record.topic == self.inbox
        form = form_of(headers)
        structured = form == STRUCTURED
        if not own and not structured and self._passes_over(record.topic, name_of(headers.get("ce_type")) or ""):
            return None
        if len(record.headers) > HEADERS_MAX:
            return DeadLetter(f"too_many_headers: a record has at most {HEADERS_MAX}")
        key, value = name_of(record.key), record.value
        if key is None:
            return unnamed("key", record.key)
        if not value:
            return DeadLetter("no_value: the record is empty")
        if form.startswith(CLOUDEVENTS) and not structured:
            return unknown_form(form)
        if structured:
            if own and is_too_long(value):
                return DeadLetter(too_long(value))
            opened = open_envelope(value)
            if isinstance(opened, DeadLetter):
                return opened
            attributes, value = opened
        else:
            attributes = binary_attributes(headers)
        for name in ("id", "type"):
            if name not in attributes:
                return unnamed(f"ce_{name}", None if structured else headers.get(f"ce_{name}"))
        for header_name in TRACEPARENTS:
            if trace := name_of(headers.get(header_name)):
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
            return not_json(value, error, form)
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
        if isinstance(read, Refusal) and read.code == "invalid" and record.topic not in OUTSIDERS_WRITE:
            letter = self.kept(record, DeadLetter(f"unreadable_command: {read.message}"), time)
            if isinstance(letter, Decoded):
                return letter
        if isinstance(read, Command):
            return self._decoded(record, read, key, attributes, time, own=True, digest=digest)
        own, refused = read.code != "key_mismatch", RefusedOnArrival(read, actor)
        return self._decoded(record, refused, key, attributes, time, own=own, digest=digest)

    def _wish(self, type_: str, value: bytes) -> tuple[Command | Refusal, bytes, Actor | None]:
        """What is wished, its content, and whose wish it is, as far as that can be read. Raises ValueError: no JSON.

        Same type and content is the same command, however it was spelt; fields left out do not count, so that a field
        added to the contract later does not turn a repeat into a conflict. What is too long is one, whatever it says.
        """
        if is_too_long(value):
            return Refusal("invalid", too_long(value)), b"too_long", None
        model = self.commands.get(type_)
        refusal = Refusal("invalid", f"{self.inbox} knows no {type_[:100]}")
        try:
            if model is not None:
                wish = model.model_validate_json(value)
                return wish, wish.model_dump_json(exclude_defaults=True).encode(), wish.actor
        except ValidationError as error:
            refusal = Refusal("invalid", explained(error))
        said = from_json(value)
        return refusal, canonical(said), actor_of(said)

    def _passes_over(self, topic: str, type_: str) -> bool:
        """Whether it is known and not for us. A type that nobody knows here is one of a newer version's, unless
        anybody may have made it up."""
        known = type_ in Message.MODELS or not type_ or topic in OUTSIDERS_WRITE
        return known and (topic, type_) not in self.heard

    def _event(
        self, record: Record, key: str, value: bytes, attributes: dict[str, str], time: datetime
    ) -> Decoded | DeadLetter | None:
        model = self.heard.get((record.topic, attributes["type"]))
        if model is None:
            return None if self._passes_over(record.topic, attributes["type"]) else _unknown(attributes["type"])
        try:
            event = model.read(value)
        except ValidationError as error:
            return DeadLetter(f"unreadable_event: {explained(error)}")
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
            causation_id=attributes.get("causationid", ""),
            traceparent=attributes.get("traceparent"),
            place=_place(record),
            **more,
        )
        sequence = number_in(attributes.get("sequence", ""))
        if record.topic in OUTSIDERS_WRITE or sequence is None:
            return Decoded(found)
        return Decoded(found, attributes.get("source", ""), sequence)


def _unknown(type_: str) -> DeadLetter:
    return DeadLetter(f"unknown_type: {type_[:100]} is of a newer version than this one")


def own_input(found: Input, shard: int) -> Record:
    """As it is kept with its parked order, and told of in a dead letter."""
    headers = [
        ("ce_id", found.id.encode()),
        ("ce_type", found.type.encode()),
        ("ce_correlationid", found.correlation_id.encode()),
    ]
    return Record(OWN_INPUTS, shard, -1, to_ms(found.time), found.stream_id.encode(), to_json(found.payload), headers)


def _place(record: Record) -> bytes:
    return b"%d/%d" % (record.partition, record.offset)


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
    large the headers are left out, and the value is cut; the size said is of what was read of it. Of what lies on a
    compacted topic nothing is repeated: there it can be erased (R74), among dead letters it could not."""
    key, value, kept = (None, None, ()) if record.topic in COMPACTED else (record.key, record.value, record.headers)
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
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    sequence = number_in(headers.get(f"{prefix}sequence", ""))
    return None if sequence is None else (headers.get(f"{prefix}source", ""), sequence)


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
