"""What is kept of a record, a ledger entry or a pending alarm: as much as anything is proved by, and no e-mail address.

Events are read as any reader of the topics may: by the contract alone. Commands are read by the services' own decoder,
since "the same command" is what that takes for the same.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from schemas.asyncapi import DEAD_LETTERS as DEAD_LETTER_HEADERS
from schemas.catalogue import CONTRACT
from schemas.instants import EPOCH, to_ms
from schemas.mediation.commands import AssignMediator, Seat
from schemas.mediation.events import MediatorRegistered
from schemas.order.events import Placed
from schemas.people import Person
from schemas.timer.events import Elapsed
from schemas.topics import OUTSIDERS_WRITE
from services.composition import DECIDERS
from shared.kernel.codec import Decoder
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Record
from shared.runtime.partitions import home_among

SOURCE = re.compile(r"recourse/(?P<service>[a-z]+)/(?P<shard>\d{1,9})")
ALARMED = ("order", "dispute", "mediation", "refund")
WRITERS = {"payments.commands": ("refund",), "timer.commands": ALARMED}
"""Who writes a topic that is not named after its only writer."""
COMMAND_TOPICS = tuple(f"{service}.commands" for service in (*ALARMED, "timer", "notification"))
BETWEEN_SHARDS = "mediation.roster"
"""Its partitions are those of whom something is told, not of who tells it."""

LEDGER = "the ledger"
ALARMS = "the pending alarms"
LATER = "refund.events, beyond the end that was read"
"""What is no topic has a name like one."""

PLACED = Placed.type
PERSON, ERASED = Person.type, "erased"
BELL, SEAT = Elapsed.type, Seat.type
UNREADABLE = "unreadable"
UNANSWERED = (BELL, UNREADABLE)
DEAD_LETTER = "dead-letter"

FIELDS = frozenset(
    {
        *("status", "currency", "total_minor", "payment", "lines", "final", "actor", "code", "details", "visible_to"),
        *(
            "settlement_id",
            "leg",
            "amount_minor",
            "rest_minor",
            "refund_minor",
            "release_minor",
            "payout_minor",
            "chargeback_minor",
        ),
        *("commission_bps", "commission_minor", "commission_returned_minor"),
        *("held_minor", "disputed_minor", "dispute_id", "buyer_id", "seller_id", "provider_reference", "note"),
        *("claimed_minor", "offer_id", "offers", "received", "terms", "by", "round", "outcome", "cause"),
        *("mediator_id", "question_id", "party_id", "although_unknown"),
        *("payment_key", "payment_id", "asking", "attempt", "attempts_max", "retryable"),
        *("timer_id", "due_at", "received_at", "recipients", "delivery_id", "channel", "problem"),
        *("clock", "to", "ends_at", "parcel_id", "deadlines"),
    }
)
OF_COMMANDS = ("offer_id", "timer_id", "due_at")
"""Of commands there is more in their answers; but of those that are obeyed in silence."""
PEOPLE = ("buyer", "seller", "mediator")
"""Of whom an event may have an address, too: their ids are kept, and of the address a digest."""
ADDRESSES = ("email", "url")
"""By which people are reached: their letters, and the webhooks of their own."""
OF_THE_ROSTER = (MediatorRegistered.type, AssignMediator.type)
"""Whose address is the platform's choice."""


@dataclass(frozen=True, slots=True)
class Observation:
    """`at` is the broker's append time, of a ledger entry when it was booked, of an alarm when it is due; ms."""

    order_id: str
    topic: str
    partition: int = 0
    offset: int = 0
    at: int = 0
    type: str = ""
    id: str = ""
    cause: str = ""
    source: str = ""
    time: str = ""
    """Of what brought the event about, RFC 3339: its `ce_time`."""
    sequence: int | None = None
    """Of what one of our shards says it wrote."""
    digest: bytes = b""
    """Of all that must not differ between two of the same id."""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}" if self.topic not in (LEDGER, ALARMS) else self.topic

    @property
    def trusted(self) -> bool:
        """It lies where outsiders cannot write."""
        return self.topic not in OUTSIDERS_WRITE

    @property
    def of_its_shard(self) -> bool:
        """The shard that writes this partition of this topic wrote it."""
        found = SOURCE.fullmatch(self.source)
        writers = WRITERS.get(self.topic, (self.topic.partition(".")[0],))
        return (
            found is not None
            and self.sequence is not None
            and found["service"] in writers
            and (self.topic == BETWEEN_SHARDS or int(found["shard"]) == self.partition)
        )

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Reader:
    """Makes observations of records; never raises, whatever lies in a topic."""

    def __init__(self, partitions: int) -> None:
        decoders = [Decoder(decider, home_among(partitions)) for decider in DECIDERS.values()]
        self._inboxes = {decoder.inbox: decoder for decoder in decoders if decoder.commands}

    def observation(self, record: Record) -> Observation:
        headers = {name: (raw or b"").decode(errors="replace") for name, raw in record.headers}
        if record.topic.endswith(".dead-letters"):
            return _dead_letter(record, headers)
        if record.topic in self._inboxes:
            return self._command(record, headers)
        if record.topic == Person.topic:
            return _person(record)
        return _event(record, headers)

    def _command(self, record: Record, headers: Mapping[str, str]) -> Observation:
        found = self._inboxes[record.topic].decode(record, EPOCH)
        if found is None or isinstance(found, DeadLetter):
            place = _place(record.topic, record.partition, record.offset)
            return _observation(record, headers, type=UNREADABLE, id=place)
        command = found.input
        said = {name: getattr(command.payload, name, None) for name in OF_COMMANDS}
        return _observation(
            record,
            headers,
            order_id=command.stream_id,
            type=command.type,
            id=command.id,
            digest=command.digest or b"",
            data={name: value for name, value in said.items() if value is not None},
        )


def _observation(record: Record, headers: Mapping[str, str], **known: Any) -> Observation:
    sequence = headers.get("ce_sequence", "")
    source = headers.get("ce_source", "")
    ours = SOURCE.fullmatch(source) and sequence.isascii() and sequence.isdigit() and len(sequence) <= 18
    key = (record.key or b"").decode(errors="replace")
    type_ = headers.get("ce_type", "")
    about = {
        "order_id": headers.get("ce_subject", key) if type_ == SEAT else key,  # what a case said belongs to its order
        "type": type_,
        "id": headers.get("ce_id", ""),
        "cause": headers.get("ce_causationid", ""),
        "source": source,
        "time": headers.get("ce_time", ""),
        "sequence": int(sequence) if ours else None,
    }
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return Observation(**{**dict(zip(("topic", "partition", "offset", "at"), place, strict=True)), **about, **known})


def _event(record: Record, headers: Mapping[str, str]) -> Observation:
    value = record.value or b""
    names = ("ce_id", "ce_type", "ce_causationid")
    all_of_it = "|".join(headers.get(name, "") for name in names).encode() + b"|" + (record.key or b"") + b"|" + value
    digest = blake2b(all_of_it, digest_size=8).digest()
    model = CONTRACT.get(headers.get("ce_type", ""))
    if model is None:
        return _observation(record, headers, digest=digest)  # a newer service's
    try:
        model.read(value)
    except ValidationError:
        return _observation(record, headers, digest=digest, type=UNREADABLE)
    content = from_json(value)
    data = {name: said for name, said in content.items() if name in FIELDS}
    data |= {name: content[name].get("id") for name in PEOPLE if isinstance(content.get(name), dict)}
    if record.topic == "refund.events" and "reason" in content:  # elsewhere people's own words
        data["reason"] = content["reason"]
    reaches = any(b'"%s"' % name.encode() in value for name in ADDRESSES)
    if reaches and record.topic not in OUTSIDERS_WRITE and model.type not in OF_THE_ROSTER:
        data["addresses"] = sorted({digest_of(address).hex() for address in _addresses(content)})
    return _observation(record, headers, digest=digest, data=data)


def _person(record: Record) -> Observation:
    """What the platform says of somebody, under his id."""
    if not record.value:
        return _observation(record, {}, type=ERASED)
    try:
        person = Person.read(record.value)
    except ValidationError:
        return _observation(record, {}, type=UNREADABLE)
    addresses = [*([person.email] if person.email else []), *(one.url for one in person.webhooks)]
    data = {"addresses": [digest_of(one).hex() for one in addresses]} if addresses else {}
    return _observation(record, {}, type=PERSON, data=data)


def digest_of(address: str) -> bytes:
    return blake2b(address.casefold().encode(), digest_size=16).digest()


def _addresses(content: Any) -> Iterator[str]:
    """At every depth, but for the mediator's."""
    match content:
        case dict():
            for name, part in content.items():
                if name in ADDRESSES and isinstance(part, str):
                    yield part
                elif name != "mediator":
                    yield from _addresses(part)
        case list():
            for part in content:
                yield from _addresses(part)


def _dead_letter(record: Record, headers: Mapping[str, str]) -> Observation:
    place = [headers.get(f"kafka_dlt-original-{name}", "") for name in ("topic", "partition", "offset")]
    letter = {
        "ce_source": headers.get("x-dead-letter-source", ""),
        "ce_sequence": headers.get("x-dead-letter-sequence", ""),
    }
    id_ = _place(*place)
    digest = blake2b(f"{id_}|".encode() + (record.value or b""), digest_size=8).digest()
    reason = headers.get("x-dead-letter-reason", "").partition(":")[0]
    added = len(record.headers) - len(DEAD_LETTER_HEADERS)
    repeats = place[0] == Person.topic and bool(record.key or record.value or added)
    data = {"reason": reason, "repeats_people": repeats}
    return _observation(record, letter, type=DEAD_LETTER, id=id_, digest=digest, data=data)


def milliseconds(instant: object) -> int | None:
    """Of an instant as it is written; None: it is none."""
    try:
        return to_ms(datetime.fromisoformat(str(instant)))
    except (ValueError, TypeError):  # no instant, or one without a zone
        return None


def _place(topic: str, partition: object, offset: object) -> str:
    return f"{topic}/{partition}@{offset}"
