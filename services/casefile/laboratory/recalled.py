"""Commands of which nothing is left but what they led to: an act made again from the events that answered it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from schemas.dispute.commands import (
    AcceptOffer,
    AddEvidence,
    Appeal,
    CancelDispute,
    ConfirmReplacement,
    ConfirmReturn,
    ContestReturn,
    CorrectReturnTracking,
    Escalate,
    MakeOffer,
    ModifyDispute,
    OpenDispute,
    ReportReturn,
    SendMessage,
    ShipReplacement,
    ShipReturn,
    WaiveAppeal,
)
from schemas.mediation.commands import (
    AcceptSolution,
    AnswerQuestion,
    AskQuestion,
    AssignMediator,
    CancelArbitration,
    Decide,
    DeclineSolution,
    OfferSolution,
)
from schemas.order.commands import (
    Cancel,
    ConfirmReceipt,
    CorrectTracking,
    ExtendProcessing,
    ExtendProtection,
    Place,
    RefundLines,
    ReportTracking,
    RequestExtension,
    Ship,
)
from schemas.refund.commands import AcknowledgeReview, HoldMoney, ResolveRefund, RetryRefund, UnholdMoney
from schemas.wire import Command, Event

Said = Mapping[str, Any]
"""What an event says, as JSON."""


def _nothing_else(event: Said) -> Said:
    return {}


def _lines(event: Said) -> Said:
    return {"lines": None if event.get("lines") is None else [line["line_id"] for line in event["lines"]]}


def _pieces(event: Said) -> Said:
    lines = event["lines"]
    return {"lines": lines and [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in lines]}


def _tracking(event: Said) -> Said:
    return {"status": event["tracking_status"]}


def _moved(event: Said) -> Said:
    return {"outcome": "settled", "amount_minor": event.get("refund_minor") or event.get("amount_minor")}


ANSWERED_BY: Mapping[str, tuple[type[Command], Callable[[Said], Said]]] = {
    "order.placed.v1": (Place, lambda event: {"policy": event["policy"]["name"]}),
    "order.cancelled.v1": (Cancel, _nothing_else),
    "order.lines_cancelled.v1": (Cancel, _lines),
    "order.refunded.v1": (RefundLines, _nothing_else),
    "order.processing_extended.v1": (ExtendProcessing, _nothing_else),
    "order.shipped.v1": (Ship, _pieces),
    "order.tracking_corrected.v1": (CorrectTracking, _nothing_else),
    "order.tracking_reported.v1": (ReportTracking, _tracking),
    "order.extension_requested.v1": (RequestExtension, _nothing_else),
    "order.protection_extended.v1": (ExtendProtection, _nothing_else),
    "order.receipt_confirmed.v1": (ConfirmReceipt, _nothing_else),
    "dispute.requested.v1": (OpenDispute, _nothing_else),
    "dispute.modified.v1": (ModifyDispute, _nothing_else),
    "dispute.evidence_added.v1": (AddEvidence, _nothing_else),
    "dispute.message_sent.v1": (SendMessage, _nothing_else),
    "dispute.offer_made.v1": (MakeOffer, _nothing_else),  # a seller's no is an offer of nothing, too (R19)
    "dispute.offer_accepted.v1": (AcceptOffer, _nothing_else),
    "dispute.cancelled.v1": (
        CancelDispute,
        lambda event: {"expect": "reopenable" if event["reopenable_until"] else "released_to_seller"},
    ),
    "dispute.escalated.v1": (Escalate, _nothing_else),
    "dispute.return_shipped.v1": (ShipReturn, _nothing_else),
    "dispute.return_tracking_corrected.v1": (CorrectReturnTracking, _nothing_else),
    "dispute.return_reported.v1": (ReportReturn, _tracking),
    "dispute.return_received.v1": (ConfirmReturn, _nothing_else),
    "dispute.return_contested.v1": (ContestReturn, _nothing_else),
    "dispute.replacement_shipped.v1": (ShipReplacement, _nothing_else),
    "dispute.closed.v1": (ConfirmReplacement, _nothing_else),
    "dispute.appealed.v1": (Appeal, _nothing_else),
    "dispute.appeal_waived.v1": (WaiveAppeal, _nothing_else),
    "mediation.assigned.v1": (AssignMediator, lambda event: {"mediator_id": event["mediator"]["id"]}),
    "mediation.question_asked.v1": (AskQuestion, _nothing_else),
    "mediation.answered.v1": (AnswerQuestion, _nothing_else),
    "mediation.offer_made.v1": (OfferSolution, _nothing_else),
    "mediation.offer_accepted.v1": (AcceptSolution, _nothing_else),
    "mediation.offer_declined.v1": (DeclineSolution, _nothing_else),
    "mediation.decided.v1": (Decide, _nothing_else),
    "mediation.cancelled.v1": (CancelArbitration, lambda event: {"expect": "released_to_seller"}),
    "refund.submitted.v1": (RetryRefund, _nothing_else),
    "refund.settled.v1": (ResolveRefund, _moved),
    "refund.paid_out.v1": (ResolveRefund, _moved),
    "refund.charged_back.v1": (ResolveRefund, _moved),
    "refund.moved_in_part.v1": (ResolveRefund, _moved),
    "refund.acknowledged.v1": (AcknowledgeReview, _nothing_else),
    "refund.held.v1": (HoldMoney, _nothing_else),
    "refund.unheld.v1": (UnholdMoney, _nothing_else),
}
"""The event that answers a command first of those that stand here -> the command, and what its event says otherwise."""


def recalled(answer: Sequence[Event]) -> Command | None:
    """The act that these events, in their order, answered; None: they do not say enough of it."""
    found = next((event for event in answer if event.type in ANSWERED_BY), None)
    if found is None:
        return None
    model, otherwise = ANSWERED_BY[found.type]
    event = found.model_dump(mode="json", by_alias=True)
    said = {name: value for name, value in event.items() if name in model.model_fields} | dict(otherwise(event))
    try:
        return model.model_validate_json(json.dumps(said))
    except ValidationError:
        return None
