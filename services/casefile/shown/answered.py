"""What became of a command: whether it was answered, and whether that is the last word."""

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.dispute.events import OpenRefused
from schemas.instants import EPOCH, from_ms
from schemas.wire import Command, Rejected, Repeated
from services.casefile.foresight.acts import PENDING
from services.casefile.foresight.remembered import decoder_of
from services.casefile.shown.looking import Look
from services.casefile.shown.papers import shown
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.shapes import CommandShown, Why
from services.casefile.shown.told import ToldEvent
from services.casefile.shown.words import Locale, why
from services.composition import DECIDERS
from shared.kernel.codec import Decoded, header
from shared.kernel.decider import Refusal, RefusedOnArrival
from shared.kernel.policies import Policies
from shared.kernel.ports import Record

INBOXES = {f"{name}.commands": decider for name, decider in DECIDERS.items()}
PLACE = ("topic", "partition", "offset")


def show_command(found: Found, command_id: str, asked: Asked, locale: Locale = "en") -> CommandShown | None:
    """`command_id`: its `ce_id`, which is each actor's own (R77). None: no command of his is known by it."""
    look = Look(found, Policies({}), asked, EPOCH, None, locale)
    if not look.whose.may_look(asked):
        return None
    sent = [*_sent(found, command_id, asked)]
    answers = [*_answers(look, command_id)]
    reason = _set_aside(found, command_id, sent)
    if not (sent or answers or reason):
        return None
    first = [one for one in answers if not isinstance(one.event, Repeated)]
    refused = next((one.event for one in first if isinstance(one.event, Rejected | OpenRefused)), None)
    is_open = all(one.event.type in PENDING for one in first) and not (first == [] and answers)
    status: Any = "pending" if is_open else "answered"
    because: Why | None = None
    if refused is not None:
        status, because = "refused", why(Refusal(refused.code, refused.message, refused.details), locale)
    elif is_open and not first and reason is not None:
        status, because = "dead_letter", Why(code=reason.partition(":")[0], message=reason)
    return CommandShown(
        order_id=found.order_id,
        command_id=command_id,
        type=_type(sent, answers),
        status=status,
        is_final=status != "pending",
        answers=[shown(look, one) for one in answers],
        why=because,
        as_of=found.as_of,
    )


def _sent(found: Found, command_id: str, asked: Asked) -> Iterator[tuple[Record, str]]:
    """(record, type) of each time it came from him."""
    for record in found.commands:
        if (decider := INBOXES.get(record.topic)) is not None:
            read = decoder_of(decider).decode(record, from_ms(record.timestamp))
            if isinstance(read, Decoded) and read.input.id == command_id and _is_his(read.input.payload, asked):
                yield record, read.input.type
            elif not isinstance(read, Decoded) and header(record.headers, "ce_id") == command_id:
                yield record, header(record.headers, "ce_type") or ""


def _is_his(payload: object, asked: Asked) -> bool:
    actor = payload.actor if isinstance(payload, Command | RefusedOnArrival) else None
    return asked.role == "operator" or (actor is not None and (actor.role, actor.id) == (asked.role, asked.id))


def _answers(look: Look, command_id: str) -> Iterator[ToldEvent]:
    """What was said to it, and at last by others to what it asked for."""
    disputes = set()
    for one in look.seen:
        actor, names = one.event.actor, getattr(one.event, "command_id", None) == command_id
        if actor is None:
            if names and one.dispute_id in disputes:
                yield one
        elif (names or one.cause == command_id) and _may_know(look.asked, actor):
            disputes.add(one.dispute_id)
            yield one


def _may_know(asked: Asked, actor: Any) -> bool:
    return asked.role == "operator" or (actor.role, actor.id) == (asked.role, asked.id)


def _set_aside(found: Found, command_id: str, sent: Sequence[tuple[Record, str]]) -> str | None:
    """Why it became a dead letter; None: it did not. It is known again by its id or by where it lay."""
    lay = {(record.topic, str(record.partition), str(record.offset)) for record, _ in sent}
    for letter in found.dead_letters:
        place = tuple(header(letter.headers, f"kafka_dlt-original-{part}") for part in PLACE)
        if header(letter.headers, "ce_id") == command_id or place in lay:
            return header(letter.headers, "x-dead-letter-reason") or "unreadable"
    return None


def _type(sent: Sequence[tuple[Record, str]], answers: Sequence[ToldEvent]) -> str | None:
    said = [type_ for _, type_ in sent] + [getattr(one.event, "refused", "") for one in answers]
    return next((type_.rpartition(".")[0] for type_ in said if type_), None)
