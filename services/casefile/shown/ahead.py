"""What has not happened: what follows if nobody acts (N4), and what a command would come to (N1)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from schemas.catalogue import CONTRACT
from schemas.mediation.commands import Decide
from schemas.visibility import view
from schemas.wire import Actor, Command, Rejected
from services.casefile.foresight.acts import FINAL_NO, refusal
from services.casefile.foresight.oracle import TAKEN, Foreseen
from services.casefile.shown.booked import ends, moved
from services.casefile.shown.looking import Look
from services.casefile.shown.shapes import Ahead, EndShown, Option, OutcomeShown
from services.casefile.shown.told import would_see
from services.casefile.shown.words import event_line, why
from shared.kernel.decider import Refusal
from shared.kernel.envelope import explained

HALVES = (("nothing", 0), ("half", 1), ("all", 2))
"""(how much of the claim goes to the buyer, in halves)"""
NO_REASON_YET = "-"


def nobody_acts(look: Look) -> list[Ahead]:
    return ahead(look, look.silence.foreseen)


def end(look: Look) -> EndShown:
    """If nobody acts."""
    return _end(look, look.silence.foreseen, look.silence.private)


def ahead(look: Look, foreseen: Iterable[Foreseen]) -> list[Ahead]:
    """What the viewer would see of it."""
    return [_line(look, one) for one in foreseen if would_see(one.event, look.asked)]


def _line(look: Look, one: Foreseen) -> Ahead:
    shown, more = view(one.event, look.asked.role), moved(one.event)
    type_ = shown.type.rpartition(".")[0]
    return Ahead(
        at=one.at,
        event=type_,
        text=event_line(type_, shown.data, look.currency, look.locale),
        buyer_minor=more.get("buyer", 0),
        seller_minor=more.get("seller", 0),
        data=shown.data,
    )


def _end(look: Look, *foreseen: Sequence[Foreseen]) -> EndShown:
    past = [(one.at, one.event) for one in look.told]
    kept = [(one.at, one.event) for one in look.outlook.private]
    return ends([*past, *kept, *((one.at, one.event) for half in foreseen for one in half)])


def outcome(look: Look, command: Command) -> OutcomeShown:
    """If it came at the instant that is looked at, and nobody acted then."""
    tried = look.outlook.fork()
    at_once = tried.say(command)
    then = tried.nobody_acts()
    answer = next((one.event for one in at_once if isinstance(one.event, Rejected)), at_once[0].event)
    return OutcomeShown(
        answer=answer.type.rpartition(".")[0],
        refused=next((why(said, look.locale) for said in _refusals(at_once)), None),
        at_once=ahead(look, at_once),
        nobody_acts=ahead(look, then),
        ends=_end(look, at_once, then, tried.private),
    )


def _refusals(said: Iterable[Foreseen]) -> Iterator[Refusal]:
    for one in said:
        event: Any = one.event
        if isinstance(event, Rejected) or event.type == FINAL_NO:
            yield Refusal(event.code, event.message, event.details)


def options(look: Look, dispute_id: str) -> list[Option]:
    """Each way in which whoever has the case may decide it now: nothing, half or all of the claim for the buyer, and
    with the goods sent back first where that can be asked for."""
    mediator, claimed_minor = look.row(dispute_id).mediator, look.row(dispute_id).claimed_minor
    if mediator is None or look.asked.role not in ("mediator", "operator"):
        return []
    if look.asked.role == "mediator" and look.asked.id != mediator:
        return []
    found: dict[tuple[int, bool], Option] = {}
    for with_return in (False, True):
        for name, halves in HALVES:
            minor = claimed_minor * halves // 2
            said = {
                "dispute_id": dispute_id,
                "refund_minor": minor,
                "return_required": with_return,
                "rationale": NO_REASON_YET,
                "rules": [],
                "evidence_ids": [],
            }
            command = _said(Decide, look, Actor(role="mediator", id=mediator), said)
            if (minor, with_return) in found or command is None:
                continue
            if refusal(look.outlook, command, look.outlook.now) is None:
                named = f"{name}_with_return" if with_return else name
                type_ = Decide.type.rpartition(".")[0]
                option = Option(name=named, type=type_, data=said, outcome=outcome(look, command))
                found[minor, with_return] = option
    return [*found.values()]


def _said(model: type[Command], look: Look, actor: Actor, data: Mapping[str, Any]) -> Command | None:
    """None: nobody can say that."""
    try:
        return worded(model, look.found.order_id, actor, data)
    except ValidationError:
        return None


def worded(model: type[Command], order_id: str, actor: Actor, data: Mapping[str, Any]) -> Command:
    """As it would come from the bus. Raises ValueError."""
    return model.model_validate_json(to_json({**data, "order_id": order_id, "actor": actor.model_dump()}))


def asked_for(look: Look, type_: str, data: Mapping[str, Any]) -> Command:
    """`type_` with its version or without. Raises ValueError, in a sentence, for what cannot be said at all."""
    model = CONTRACT.get(type_) or CONTRACT.get(f"{type_}.v1")
    if model is None or not issubclass(model, Command) or model.type not in TAKEN:
        raise ValueError(f"There is no command {type_[:64]} about an order.")
    try:
        return worded(model, look.found.order_id, Actor(role=look.asked.role, id=look.asked.id), data)
    except ValidationError as error:
        raise ValueError(f"{model.type.rpartition('.')[0]} cannot be said so: {explained(error)}") from None
    except (ValueError, TypeError):
        raise ValueError("The data is no JSON object.") from None
