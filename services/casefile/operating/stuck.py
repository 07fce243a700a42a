"""What does not go on by itself: how it is known from the topics, and what is said of it to whoever can free it."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from schemas.instants import from_ms
from schemas.mediation.events import (
    CaseEvent,
    MediationAssigned,
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    MediationOpened,
    MediationOverdue,
)
from schemas.notification.events import NotificationFailed, NotificationResent, NotificationSent
from services.casefile.shown.shapes import Stuck
from shared.kernel.codec import header, numbered
from shared.kernel.ports import Record

DEAD_LETTERS = ".dead-letters"
EVENTS = ".events"
SET_ASIDE = 7
"""So many headers behind those of the original say of a dead letter where it lay and why it is here (codec.py)."""
PARKED = "parked"
READ_OF_MEDIATION = (
    MediationOpened,
    MediationAssigned,
    MediationOverdue,
    MediationDecided,
    MediationDefaulted,
    MediationCancelled,
    MediationOfferAccepted,
)
READ_OF_NOTIFICATION = (NotificationFailed, NotificationSent, NotificationResent)
READ = {model.type: model for model in (*READ_OF_MEDIATION, *READ_OF_NOTIFICATION)}


class SetAside(NamedTuple):
    """A dead letter, by where it lies; its value stays there."""

    topic: str
    partition: int
    offset: int
    at: datetime
    order_id: str
    code: str
    reason: str
    original_topic: str
    original_place: str
    id: str | None
    type: str | None
    is_cut: bool


class ParkedOrder(NamedTuple):
    """An order that waits in a service since a word of one of its shards."""

    service: str
    order_id: str
    source: str
    sequence: int
    since: datetime
    reason: str


class Undelivered(NamedTuple):
    """Somebody was not told, and nobody tries any more (R80)."""

    order_id: str
    delivery_id: str
    since: datetime
    problem: str
    channel: str
    recipient: str
    template: str
    endpoint_id: str | None


class EmptySeat(NamedTuple):
    """A case that no mediator has (R48)."""

    order_id: str
    dispute_id: str
    since: datetime
    round: int
    is_overdue: bool
    mediator_id: str | None


@dataclass
class Standstills:
    """What some records begin and end. Of one key the last word counts; None: it is over."""

    set_aside: list[SetAside] = field(default_factory=list)
    parked: dict[tuple[str, str], ParkedOrder] = field(default_factory=dict)
    spoke: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """(service, order, source) -> the number of the last word of it."""
    undelivered: dict[tuple[str, str], Undelivered | None] = field(default_factory=dict)
    seats: dict[tuple[str, str], EmptySeat | None] = field(default_factory=dict)


def standstills(records: Iterable[Record]) -> Standstills:
    """Of each topic in its order; what cannot be read is passed over."""
    found = Standstills()
    for record in records:
        if record.topic.endswith(DEAD_LETTERS):
            _set_aside(found, record)
        elif record.topic.endswith(EVENTS):
            _spoke(found, record)
    return found


def _set_aside(found: Standstills, record: Record) -> None:
    said = {name: (raw or b"").decode(errors="replace") for name, raw in record.headers[-SET_ASIDE:]}
    before = record.headers[:-SET_ASIDE]
    reason = _text(said.get("x-dead-letter-reason", ""))
    code = reason.partition(":")[0][:64]
    at = from_ms(record.timestamp)
    order_id = _text(record.key.decode(errors="replace")) if record.key else ""
    found.set_aside.append(
        SetAside(
            record.topic,
            record.partition,
            record.offset,
            at,
            order_id,
            code,
            reason,
            said.get("kafka_dlt-original-topic", ""),
            f"{said.get('kafka_dlt-original-partition', '')}/{said.get('kafka_dlt-original-offset', '')}",
            _named(header(before, "ce_id")),
            _named(header(before, "ce_type")),
            any(name == "x-dead-letter-cut-from" for name, _ in before),
        )
    )
    numbers = numbered(record)
    if code == PARKED and order_id and numbers is not None:
        service, (source, sequence) = record.topic.removesuffix(DEAD_LETTERS), numbers
        begun = found.parked.get((service, order_id))
        since = begun.since if begun else at
        found.parked[service, order_id] = ParkedOrder(service, order_id, source, sequence, since, reason)


def _spoke(found: Standstills, record: Record) -> None:
    service, order_id = record.topic.removesuffix(EVENTS), _text((record.key or b"").decode(errors="replace"))
    numbers = numbered(record)
    if numbers is not None:
        source, sequence = numbers
        place = (service, order_id, source)
        found.spoke[place] = max(sequence, found.spoke.get(place, 0))
    model = READ.get(header(record.headers, "ce_type") or "")
    if model is None or model.topic != record.topic:
        return
    try:
        event: Any = model.read(record.value or b"")
    except ValidationError:
        return
    at = from_ms(record.timestamp)
    match event:
        case NotificationFailed():
            found.undelivered[order_id, event.delivery_id] = Undelivered(
                order_id,
                event.delivery_id,
                at,
                event.problem,
                event.channel,
                f"{event.recipient.role}:{event.recipient.id}",
                event.template,
                event.endpoint_id,
            )
        case NotificationSent():
            told = ((order_id, one.delivery_id) for one in event.recipients)
            found.undelivered |= dict.fromkeys(told, None)
        case NotificationResent():
            found.undelivered |= dict.fromkeys(((order_id, one) for one in event.delivery_ids), None)
        case MediationOpened(mediator=None):
            seat = EmptySeat(order_id, event.dispute_id, at, event.round, False, None)
            found.seats[order_id, event.dispute_id] = seat
        case MediationOverdue():
            seat = EmptySeat(order_id, event.dispute_id, at, event.round, True, event.mediator_id)
            found.seats[order_id, event.dispute_id] = seat
        case CaseEvent():
            found.seats[order_id, event.dispute_id] = None


class StuckRow(NamedTuple):
    """As the tables have it."""

    kind: str
    order_id: str | None
    since: datetime
    key: str
    reason: str
    about: Mapping[str, Any]


AS_BOOKED = ("settled_again", "wrong_reference", "unasked", "bank_chargeback", "moved_too_much")
"""Reasons for which a person looks at money of which nothing is left to be moved."""


def stuck_shown(row: StuckRow) -> Stuck:
    """With what frees it, as a command and from a terminal."""
    act = _act(row)
    return Stuck(
        kind=row.kind,
        order_id=row.order_id,
        about=dict(row.about),
        since=row.since,
        reason=row.reason,
        whose_turn="provider" if row.kind == "overdue_leg" else "operator",
        sentence=_sentence(row),
        act=act,
        command_line=_command_line(row, act),
    )


def _sentence(row: StuckRow) -> str:
    about = row.about
    match row.kind:
        case "parked":
            return f"{about['service']} could not handle a record of this order; all that follows for it waits there."
        case "manual_review":
            return f"Money of this order waits for a person: {row.reason.replace('_', ' ')}."
        case "overdue_leg":
            return f"The {about['leg']} was promised for {about['due_by']} and is not done; it goes on being tried."
        case "on_hold":
            return f"No money of this order is sent: {about['said']}"
        case "empty_seat":
            return "A case waits for a mediator, and nobody has room."
        case "overdue_mediation":
            who = about["mediator_id"] or "nobody"
            return f"The mediator's time ran out, and {who} had the case; another one is looked for."
        case "undelivered":
            return f"{about['recipient']} was not told ({about['template']}, {about['channel']}): {row.reason}."
        case "dead_letter":
            return f"{about['count']} records cannot be handled as they are: {about['example']}"
        case "overdue_alarm":
            return "A clock has run out and nothing was said of it: the timer or the service is behind."
        case _:
            return row.reason


def _act(row: StuckRow) -> Mapping[str, Any] | None:
    """As little as it must say; None: no command does, or an operator has to find out first which."""
    about = row.about
    match row.kind:
        case "parked":
            return {"type": f"{about['service']}.resume.v1", "data": {}}
        case "manual_review":
            named = {"settlement_id": about["settlement_id"], "leg": about["leg"]}
            if row.reason in AS_BOOKED:
                return {"type": "refund.acknowledge.v1", "data": named}
            return {"type": "refund.retry.v1", "data": named}
        case "on_hold":
            return {"type": "refund.unhold.v1", "data": {}}
        case "empty_seat" | "overdue_mediation":
            return {"type": "mediation.assign.v1", "data": {"dispute_id": about["dispute_id"]}}
        case "undelivered":
            return {"type": "notification.resend.v1", "data": {"delivery_id": about["delivery_id"]}}
        case _:
            return None


def _command_line(row: StuckRow, act: Mapping[str, Any] | None) -> str | None:
    if row.kind == "dead_letter":
        return shlex.join(["recourse", "redrive", "--topic", row.about["topic"], "--reason", row.about["code"]])
    if act is None or row.order_id is None:
        return None
    return shlex.join(["recourse", "send", act["type"], to_json(act["data"]).decode(), "--order", row.order_id])


def _text(said: str) -> str:
    """As the database takes it."""
    return said.replace("\x00", "\ufffd")[:1_000]


def _named(said: str | None) -> str | None:
    return None if said is None else _text(said)[:255]
