"""What two plays of one case came to: the recorded one and the same again, or that and one under another policy."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from schemas.instants import EPOCH
from schemas.visibility import without_addresses
from schemas.wire import Event
from services.casefile.laboratory.laboratory_shapes import AnsweredOtherwise, CaseDiffers, Difference, EndedAs
from services.casefile.laboratory.recorded import Recorded, Spoken
from services.casefile.laboratory.rehearsing import Rehearsed

GIVEN = ("offer_id", "settlement_id", "dispute_id", "question_id", "parcel_id")
ALIKE = timedelta(seconds=1)


def difference(case: Recorded, played: Rehearsed) -> str | None:
    """What came out otherwise than it was recorded; None: nothing. What is foreseen of an open case is not compared."""
    said: dict[str, list[Spoken]] = defaultdict(list)
    for one in played.said:
        said[one.service].append(one)
    for service, ones in case.said.items():
        for then, now in zip(ones, said[service], strict=False):
            if then.at != now.at or not _alike(then.event, now.event):
                return f"{_type(then.event)} of {then.at:%Y-%m-%d %H:%M:%S} comes out otherwise."
        left = ones[len(said[service]) :] or [one for one in said[service][len(ones) :] if one.at <= case.until]
        if left:
            return f"{_type(left[0].event)} of {left[0].at:%Y-%m-%d %H:%M:%S} is there once too often or not at all."
    refusals, again = (Counter((one.command_id, one.code) for one in all_) for all_ in (case.refusals, played.refusals))
    if refusals != again:
        ((command_id, code), _) = next(iter(((refusals - again) or (again - refusals)).items()))
        return f"The command {command_id} is refused as {code} once too often or not at all."
    return None


def _alike(then: Event, now: Event) -> bool:
    """All that was said, but for how people are reached: no rule asks, and who is erased is erased here, too (R74). An
    older version did not say what it did not know."""
    if then == now:
        return True
    if type(then) is not type(now):
        return False
    said = then.model_dump(mode="json", include=then.model_fields_set)
    again = now.model_dump(mode="json", include=then.model_fields_set)
    return bool(without_addresses(said) == without_addresses(again))


def ended(said: Sequence[Spoken]) -> EndedAs:
    outcome: dict[str, str] = {}
    buyer = seller = commission = 0
    ends_at = EPOCH
    for one in said:
        event: Any = one.event
        match event.type:
            case "order.lines_released.v1":
                commission += event.commission_minor
            case "order.settled.v1":
                commission += event.commission_minor - event.commission_returned_minor
            case "dispute.closed.v1":
                outcome[event.dispute_id] = event.outcome
            case "dispute.open_refused.v1" if event.visible_to is None:
                outcome[event.dispute_id] = "refused"
            case "refund.overdue.v1":
                continue  # said again and again, and nothing happens
        if one.service == "order" and getattr(event, "status", None):
            outcome["order"] = f"cancelled ({event.cause})" if event.type == "order.cancelled.v1" else event.status
        if one.service == "refund":
            to_buyer, to_seller = _moved(event)
            buyer, seller = buyer + to_buyer, seller + to_seller
        ends_at = max(ends_at, one.at)
    return EndedAs(
        outcome=outcome, buyer_minor=buyer, seller_minor=seller, commission_minor=commission, ends_at=ends_at
    )


def _moved(event: Any) -> tuple[int, int]:
    """(to the buyer, to the seller), by the refund service's word; what came back is below 0."""
    match event.type:
        case "refund.settled.v1":
            return event.refund_minor, 0
        case "refund.paid_out.v1" | "refund.charged_back.v1" | "refund.moved_in_part.v1" | "refund.moved_too_much.v1":
            minor: int = event.amount_minor
        case "refund.reversed.v1" | "refund.excess_returned.v1":
            minor = -event.amount_minor
        case _:
            return 0, 0
    match event.leg:
        case "refund":
            return minor, 0
        case "payout":
            return 0, minor
        case "chargeback":
            return 0, -minor
    return 0, 0


def types_of(said: Sequence[Spoken]) -> Counter[str]:
    return Counter(_type(one.event) for one in said)


def _type(event: Event) -> str:
    return event.type.rpartition(".")[0]


def refused(case: Recorded, there: Rehearsed, here: Rehearsed) -> list[AnsweredOtherwise]:
    """Acts that are refused there and obeyed here."""
    refusals, obeyed = _refusals(there), _refusals(here).keys()
    found = []
    for act in case.acts:
        command: Any = act.input.payload
        refusal = refusals.get(act.input.id)
        if refusal is None or act.input.id in obeyed or getattr(command, "actor", None) is None:
            continue
        names = {name: said for name in GIVEN if (said := getattr(command, name, None)) is not None}
        code, message = refusal
        found.append(
            AnsweredOtherwise(
                command_id=act.input.id,
                type=act.input.type.rpartition(".")[0],
                role=command.actor.role,
                at=act.input.time,
                names=names,
                code=code,
                message=message,
            )
        )
    return found


def _refusals(played: Rehearsed) -> dict[str, tuple[str, str]]:
    """Command -> code and words of its refusal, which of a claim comes later than its first answer."""
    found = {one.command_id: (one.code, one.message) for one in played.refusals}
    for one in played.said:
        event: Any = one.event
        if event.type == "dispute.open_refused.v1" and event.command_id is not None:
            found[event.command_id] = event.code, event.message
    return {command_id: (str(code), message) for command_id, (code, message) in found.items()}


def run_out(said: Sequence[Spoken]) -> set[str]:
    """Disputes that a round's time has decided, and nobody else."""
    events: Iterator[Any] = (one.event for one in said)
    return {one.dispute_id for one in events if one.type == "mediation.defaulted.v1" and one.cause == "mediation_max"}


def differences(case: CaseDiffers) -> Iterator[Difference]:
    was, would_be = case.was, case.would_be
    if was.outcome != would_be.outcome:
        yield "outcome"
    if money_of(was) != money_of(would_be):
        yield "money"
    if abs(was.ends_at - would_be.ends_at) >= ALIKE:
        yield "end"
    if case.gone or case.new:
        yield "events"
    if case.impossible or case.possible:
        yield "acts"


def money_of(ended: EndedAs) -> tuple[int, int, int]:
    return ended.buyer_minor, ended.seller_minor, ended.commission_minor
