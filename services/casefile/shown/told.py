"""What was said of an order, event by event, and which of it is for whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.catalogue import CONTRACT
from schemas.instants import from_ms, to_ms
from schemas.notification.events import NotificationFailed, NotificationSent
from schemas.topics import OUTSIDERS_WRITE
from schemas.visibility import may_see, seen, told_to
from schemas.wire import Event, Reply
from services.casefile.foresight.oracle import JUDGES
from services.casefile.foresight.remembered import decoder_of
from services.casefile.shown.reading import Asked, Found
from shared.kernel.codec import Decoded, header
from shared.kernel.ports import Record

OUTSIDE = "refund"
"""Which service hears what outsiders say of an order."""


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One event. `at`: when it happened (R0)."""

    at: datetime
    id: str
    cause: str
    """The id of what brought it about, or the name of a deadline."""
    event: Any

    @property
    def dispute_id(self) -> str | None:
        return getattr(self.event, "dispute_id", None)

    @property
    def who(self) -> str:
        """The role of whoever acted; `time`; else the service that reacted."""
        service = str(self.event.type.partition(".")[0])
        if self.event.actor is not None:
            return str(self.event.actor.role)
        return "time" if self.cause.startswith(f"{service}/") else service


def as_it_was(found: Found, at: datetime) -> Found:
    """What had been said by then. Of a roster that is not known from so early on, what is known of it first."""
    roster = _until(found.roster, at) or found.roster[:1]
    return replace(found, records=_until(found.records, at), roster=roster, commands=_until(found.commands, at))


def _until(records: Sequence[Record], at: datetime) -> list[Record]:
    return [record for record in records if record.timestamp <= to_ms(at)]


def told(found: Found) -> list[ToldEvent]:
    """All of it, in order. What a newer version says is passed over."""
    return [*_told(found)]


def _told(found: Found) -> Iterator[ToldEvent]:
    for record in found.records:
        if record.topic in OUTSIDERS_WRITE:
            read = decoder_of(JUDGES[OUTSIDE]).decode(record, from_ms(record.timestamp))
            if isinstance(read, Decoded) and isinstance(read.input.payload, Event):
                yield ToldEvent(read.input.time, read.input.id, read.input.causation_id, read.input.payload)
            continue
        model = CONTRACT.get(header(record.headers, "ce_type") or "")
        if model is not None and issubclass(model, Event) and model.topic == record.topic:
            at = datetime.fromisoformat(header(record.headers, "ce_time") or "")
            id_, cause = (header(record.headers, name) or "" for name in ("ce_id", "ce_causationid"))
            yield ToldEvent(at, id_, cause, model.read(record.value or b""))


def for_him(known: Sequence[ToldEvent], asked: Asked) -> list[ToldEvent]:
    """What of it is for this person: as his role may see it (docs/RULES.md §10); of answers, and of what is said about
    letters, only his own."""
    kept = [known[number] for number in seen([one.event for one in known], asked.role)]
    return [one for one in kept if asked.role == "operator" or _is_his(one.event, asked)]


def would_see(event: Event, asked: Asked) -> bool:
    """The same of a single event that has not happened."""
    return may_see(event, asked.role) and (asked.role == "operator" or _is_his(event, asked))


def _is_his(event: Event, asked: Asked) -> bool:
    """Or not one person's alone. A role may have been another's before: a mediator's."""
    match event:
        case Reply(actor=actor) if actor is not None:
            return actor.id == asked.id
        case NotificationFailed(recipient=recipient):
            return recipient.id == asked.id
        case NotificationSent():
            return asked.id in {one.id for one in told_to(event, asked.role)}
    return True
