"""An order as it was recorded, taken apart so that it can be played again: who acted when, what the world outside did,
and what the services said."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schemas.common import PolicyRef
from schemas.instants import from_ms
from schemas.mediation.commands import AssignMediator
from schemas.order.events import Placed
from schemas.timer.events import Elapsed
from schemas.wire import Command, Event, Message, Rejected, Reply, Resume
from services.casefile.foresight.oracle import DECODERS, JUDGES, ROSTERS, TAKEN
from services.casefile.laboratory.recalled import recalled
from services.casefile.shown.reading import Found
from shared.kernel.codec import Decoded, header
from shared.kernel.ports import Input, Record

TOPICS: Mapping[str, str] = {f"{service}.events": service for service in JUDGES}
FACTS, ROSTER = "payments.events", "mediation.roster"


class CannotPlay(Exception):
    """What is recorded of an order cannot be played again; why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that reached a service, and when."""

    service: str
    input: Input
    place: int = 0
    """Of the first word that answered it, among all that was said of the order; 0: none did."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """An event of a service, and when it was decided."""

    service: str
    event: Event
    id: str
    cause: str
    at: datetime
    lag: timedelta
    """How long after that it lay in its topic, where others heard it."""


@dataclass(frozen=True)
class Recorded:
    """Of one order."""

    order_id: str
    policy: PolicyRef
    currency: str
    until: datetime
    """All that was said by then is here."""
    came: Sequence[Heard]
    """What people said, what the payment service said, and whom the roster gave a seat, in the order in which it came:
    of one instant as it was answered."""
    said: Mapping[str, Sequence[Spoken]]
    """Service -> its events, in their order; no replies."""
    read: Mapping[str, Sequence[tuple[str, datetime]]]
    """Service -> (cause, its time) of all it said, replies too, in their order: so it read what brought that about."""
    refusals: Sequence[Rejected]
    forgotten: Sequence[str]
    """Acts that were refused then, by the names of their commands, or of whose answers nothing says enough."""

    @property
    def acts(self) -> list[Heard]:
        return [one for one in self.came if one.input.own]

    @property
    def by_cause(self) -> dict[tuple[str, str, str], deque[Spoken]]:
        """(service, cause, type) -> those, in their order."""
        found: dict[tuple[str, str, str], deque[Spoken]] = defaultdict(deque)
        for service, ones in self.said.items():
            for one in ones:
                found[service, one.cause, one.event.type].append(one)
        return found


def recorded(found: Found) -> Recorded:
    """Raises CannotPlay."""
    said = {service: [*_said(found.records, topic, service)] for topic, service in TOPICS.items()}
    placed = next((one.event for one in said["order"] if isinstance(one.event, Placed)), None)
    if placed is None:
        raise CannotPlay("Nothing says how it was placed.")
    answers: dict[str, list[Spoken]] = defaultdict(list)
    for ones in said.values():
        for one in ones:
            if one.event.actor is not None and not isinstance(one.event, Reply):
                answers[one.cause].append(one)
    replies = [one.event for ones in said.values() for one in ones if isinstance(one.event, Rejected)]
    refusals = [one for one in replies if one.code != "key_mismatch"]  # of what lay elsewhere nothing is played
    acts = [*_commands(found.commands, answers.keys() | {one.command_id for one in refusals})]
    seats, came = [*_heard(found.records, ROSTER, ROSTERS)], {one.input.id for one in acts}
    known = came | {one.input.id for one in seats}
    again, forgotten = _again({cause: ones for cause, ones in answers.items() if cause not in known})
    forgotten += [one.refused.rpartition(".")[0] for one in refusals if one.command_id not in came]
    return Recorded(
        found.order_id,
        placed.policy,
        placed.currency,
        found.as_of.at,
        _in_order([*acts, *again, *_heard(found.records, FACTS, "refund"), *seats], found.records),
        {service: [one for one in ones if not isinstance(one.event, Reply)] for service, ones in said.items()},
        {service: [(one.cause, one.at) for one in ones] for service, ones in said.items()},
        [one for one in refusals if one.command_id in came],
        forgotten,
    )


def _in_order(came: Sequence[Heard], records: Sequence[Record]) -> list[Heard]:
    """As it came; what came in one instant as it was answered, and by each service in the order in which it lay."""
    places: dict[str, int] = {}
    for place, record in enumerate(records, 1):
        places.setdefault(header(record.headers, "ce_causationid") or "", place)
    latest: dict[str, tuple[datetime, int]] = {}
    ordered = []
    for one in sorted(came, key=lambda one: one.input.time):
        key = one.input.time, places.get(one.input.id, 0)
        if one.input.own:
            key = latest[one.service] = max(key, latest.get(one.service, key))
        ordered.append((key, replace(one, place=key[1])))
    return [one for _, one in sorted(ordered, key=lambda pair: pair[0])]


def _said(records: Sequence[Record], topic: str, service: str) -> Iterator[Spoken]:
    for record in records:
        if record.topic != topic:
            continue
        type_ = header(record.headers, "ce_type") or ""
        model = Message.MODELS.get(type_)
        if model is None or not issubclass(model, Event):
            raise CannotPlay(f"Nobody here knows {type_}, which a newer version said.")
        at = datetime.fromisoformat(header(record.headers, "ce_time") or "")
        id_, cause = header(record.headers, "ce_id") or "", header(record.headers, "ce_causationid") or ""
        yield Spoken(service, model.read(record.value or b""), id_, cause, at, from_ms(record.timestamp) - at)


def _heard(records: Sequence[Record], topic: str, service: str) -> Iterator[Heard]:
    for record in records:
        if record.topic == topic:
            decoded = DECODERS[service].decode(record, from_ms(record.timestamp))
            if isinstance(decoded, Decoded) and isinstance(decoded.input.payload, Message):
                yield Heard(service, decoded.input)


def _commands(commands: Sequence[Record], answered: set[str]) -> Iterator[Heard]:
    """Those that were answered, but for what only lets an order go on."""
    for record in commands:
        service = TAKEN.get(header(record.headers, "ce_type") or "") or record.topic.partition(".")[0]
        if service not in DECODERS or record.topic != f"{service}.commands":
            continue
        here = replace(record, partition=0)  # where a decoder that knows of no partitions looks for it
        decoded = DECODERS[service].decode(here, from_ms(record.timestamp))
        if not isinstance(decoded, Decoded) or decoded.input.id not in answered:
            continue
        if decoded.input.type != Elapsed.type and not isinstance(decoded.input.payload, Resume):
            yield Heard(service, decoded.input)


def _again(answers: Mapping[str, Sequence[Spoken]]) -> tuple[list[Heard], list[str]]:
    """Acts that are not there any more, made again; and the names of those that cannot be."""
    acts, forgotten = [], []
    for cause, ones in answers.items():
        command = recalled([one.event for one in ones])
        if command is None:
            forgotten.append(f"whatever {ones[0].event.type.rpartition('.')[0]} answered")
        else:
            acts.append(Heard(ones[0].service, _as_input(command, cause, ones[0].at)))
    return acts, forgotten


def _as_input(command: Command, id_: str, at: datetime) -> Input:
    rosters = isinstance(command, AssignMediator) and command.actor.role == "platform"
    digest = None if rosters else b"again"
    return Input(command, command.type, command.order_id, id_, at, id_, own=not rosters, digest=digest)
