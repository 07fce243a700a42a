"""One event of every kind that somebody may hear of, by name; `name[variant]` where who hears it, or how, differs. Of a
kind that is not written here it is the example in its class."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

from schemas.common import Evidence, FrozenLine, Offer, OrderLine, Party, Payment, PieceNumbers, Terms
from schemas.dispute import events as dispute
from schemas.example import example
from schemas.mediation import events as mediation
from schemas.mediation.shapes import Mediator
from schemas.order import events as order
from schemas.order.shapes import CancelledLine, RefundedLine, ReleasedLine, ShippedLine
from schemas.refund import events as refund
from schemas.wire import Event, Message
from shared.rules.reminding import shown_to
from tests.domain.every_event import WHO_HEARS_WHAT
from tests.domain.table import NOON, cells, newest

ORDER = "order-1"
BEA = Party(id="bea", email="bea@example.org")
SAM = Party(id="sam", email="sam@example.org", locale="zh-CN")
MIA = Mediator(id="mia", email="mia@example.org", locale="en-GB")
REF, _ = newest()
CLAIM = Terms(kind="refund", refund_minor=1_250)
NOTHING = Terms(kind="none", refund_minor=0)
PHOTO = Evidence(
    evidence_id="e1", kind="photo", uri="https://files.example/1", media_type="image/png", size_bytes=9, sha256="a" * 64
)


def in_days(days: int) -> datetime:
    return NOON + timedelta(days=days)


def of_order(model: type[Event], **fields: Any) -> Event:
    ends_at = {"status": "awaiting_confirmation", "protection_ends_at": in_days(60)}
    return model(**{"order_id": ORDER, **ends_at, **fields})


def of_dispute(model: type[dispute.DisputeEvent], **fields: Any) -> Event:
    return model(**{"order_id": ORDER, "dispute_id": "d1", "status": "negotiating", **fields})


def of_case(model: type[mediation.CaseEvent], **fields: Any) -> Event:
    return model(**{"order_id": ORDER, "dispute_id": "d1", "status": "processing", **fields})


def of_refund(model: type[refund.RefundEvent], **fields: Any) -> Event:
    return model(**{"order_id": ORDER, "settlement_id": "s1", "currency": "EUR", "stage": "settled", **fields})


def placed(**fields: Any) -> order.Placed:
    """The one event with the addresses."""
    default: dict[str, Any] = {
        "buyer": BEA,
        "seller": SAM,
        "currency": "EUR",
        "total_minor": 2_000,
        "lines": (
            OrderLine(line_id="lamp", title="Blue lamp", quantity=1, amount_minor=1_250),
            OrderLine(line_id="bulbs", title="Bulbs", quantity=3, amount_minor=750),
        ),
        "payment": Payment(payment_id="pay-1", amount_minor=2_000),
        "policy": REF,
        "processing_ends_at": in_days(7),
    }
    made = of_order(order.Placed, **{"status": "awaiting_shipment", "protection_ends_at": None, **default, **fields})
    assert isinstance(made, order.Placed)
    return made


def opened(**fields: Any) -> Event:
    default: dict[str, Any] = {
        "lines": (FrozenLine(line_id="lamp", quantity=1, amount_minor=1_250, released=False),),
        "claimed_minor": 1_250,
        "terms": CLAIM,
        "offer_id": 1,
        "seller_answer_by": in_days(15),
        "escalatable_from": in_days(7),
        "escalates_at": in_days(15),
        "disputable_until": in_days(60),
        "buyer": BEA,
        "seller": SAM,
        "currency": "EUR",
        "policy": REF,
    }
    return of_dispute(dispute.DisputeOpened, **{**default, **fields})


def requested() -> Event:
    return of_dispute(
        dispute.DisputeRequested,
        received=True,
        reason="damaged",
        description="It came in two pieces.",
        terms=CLAIM,
        received_at=NOON,
    )


def escalated(cause: str, **fields: Any) -> Event:
    default: dict[str, Any] = {
        "round": 1,
        "by": "buyer" if cause in ("rejected", "window") else "system",
        "cause": cause,
        "buyer": BEA,
        "seller": SAM,
        "policy": REF,
        "claimed_minor": 1_250,
        "offers": (Offer(offer_id=1, by="buyer", terms=CLAIM),),
        "last_offer_id": 1,
    }
    return of_dispute(dispute.DisputeEscalated, **{**default, **fields})


def offer(by: str, terms: Terms = CLAIM, **fields: Any) -> Event:
    default = {"offer_id": 2, "by": by, "terms": terms, "seller_answer_by": None, "escalatable_from": in_days(7)}
    return of_dispute(dispute.OfferMade, **{**default, **fields})


def closed(outcome: str, refund_minor: int = 0) -> Event:
    release_minor = 1_250 - refund_minor
    return of_dispute(
        dispute.DisputeClosed, outcome=outcome, refund_minor=refund_minor, release_minor=release_minor, final=True
    )


def decided(appeal_until: datetime | None, **fields: Any) -> Event:
    default = {"by": "mediator", "cause": None, "round": 1, "refund_minor": 500, "release_minor": 750}
    return of_dispute(
        dispute.DisputeDecided, **{**default, "return_required": False, "appeal_until": appeal_until, **fields}
    )


def mediator_decided(return_required: bool) -> Event:
    return of_case(
        mediation.MediationDecided,
        round=1,
        mediator_id="mia",
        refund_minor=500,
        return_required=return_required,
        rationale="The photo shows it.\n\nPlease pay here: https://evil.example",
        rules=("R46",) if return_required else (),
        evidence_ids=("e1",),
    )


def defaulted(against: str, cause: str) -> Event:
    return of_case(
        mediation.MediationDefaulted,
        round=1,
        against=against,
        cause=cause,
        refund_minor=0,
        return_required=False,
        effect="decided",
    )


def released(cause: str) -> Event:
    return of_order(
        order.LinesReleased,
        settlement_id="s1",
        lines=(ReleasedLine(line_id="bulbs", amount_minor=750),),
        release_minor=750,
        final=False,
        cause=cause,
    )


def reminded(clock: Any, to: Any, otherwise: Any = "settled", refund_minor: int | None = 500) -> Event:
    return of_dispute(
        dispute.DisputeReminded,
        clock=clock,
        to=to,
        ends_at=in_days(15),
        otherwise=otherwise,
        refund_minor=refund_minor,
        release_minor=None if refund_minor is None else 1_250 - refund_minor,
        visible_to=shown_to(to),
    )


def asked_in_vain(to: Any, otherwise: Any, refund_minor: int | None = None) -> Event:
    return of_case(
        mediation.MediationReminded,
        question_id="q1",
        clock="answer",
        to=to,
        ends_at=in_days(9),
        otherwise=otherwise,
        refund_minor=refund_minor,
        visible_to=shown_to(to),
    )


def came_back(leg: Any) -> Event:
    """The money of this leg, which was done."""
    return pending(
        refund.RefundReversed,
        leg,
        payment_key=f"s1/{leg}",
        cause="payout_returned" if leg == "payout" else "refund_returned",
        provider_reference="back-1",
        party_id="bea" if leg == "refund" else "sam",
        repeats_at=in_days(28),
    )


def in_part(leg: Any) -> Event:
    """Of 5.00 the bank moved 4.85."""
    event = pending(
        refund.MovedInPart,
        leg,
        rest_minor=15,
        payment_key=f"s1/{leg}",
        note="The bank kept its fee.",
        party_id="bea" if leg == "refund" else "sam",
        **MOVED,
    )
    return event.model_copy(update={"amount_minor": 485})


def too_much(model: type[refund.MovedTooMuch | refund.ExcessReturned], leg: str, **fields: Any) -> Event:
    party_id = "bea" if leg == "refund" else "sam"
    return of_refund(model, leg=leg, amount_minor=15, payment_key=f"s1/{leg}", party_id=party_id, **MOVED, **fields)


def pending(model: type[refund.PendingEvent], leg: str, **fields: Any) -> Event:
    return of_refund(model, leg=leg, amount_minor=500, due_by=in_days(14), **fields)


def shipped(**parcel: Any) -> Event:
    return of_order(
        order.Shipped,
        **CARRIED,
        shipped_at=NOON,
        disputable_from=NOON,
        disputable_until=in_days(60),
        reminder_at=in_days(55),
        **parcel,
    )


BULBS = PieceNumbers(first=2, last=3)
SECOND = {"parcel_id": "box-2", "parcels": 2}
MOVED = {"provider_reference": "ref-9"}
CARRIED = {"carrier": "Post", "tracking_number": "RR1"}
CASE_OPENED = {
    "round": 1,
    "cause": "rejected",
    "buyer": BEA,
    "seller": SAM,
    "policy": REF,
    "claimed_minor": 1_250,
    "offers": (),
    "last_offer_id": 1,
    "mediator_due_by": in_days(14),
    "round_ends_by": in_days(80),
}

SAMPLES: dict[str, Event] = {
    "order.placed": placed(),
    "order.placed[unpaid]": placed(payment_by=in_days(1)),
    "order.paid": of_order(order.OrderPaid, payment_id="pay-1", amount_minor=2_000, processing_ends_at=in_days(8)),
    "order.cancelled[not_paid]": of_order(order.Cancelled, settlement_id="s1", refund_minor=0, cause="not_paid"),
    "order.cancelled[buyer]": of_order(order.Cancelled, settlement_id="s1", refund_minor=2_000, cause="buyer"),
    "order.cancelled[not_shipped]": of_order(
        order.Cancelled, settlement_id="s1", refund_minor=2_000, cause="not_shipped"
    ),
    "order.cancelled[seller]": of_order(
        order.Cancelled, settlement_id="s1", refund_minor=2_000, cause="seller", reason="Sold out."
    ),
    "order.cancelled[operator]": of_order(
        order.Cancelled, settlement_id="s1", refund_minor=2_000, cause="operator", reason="He sells no more."
    ),
    **{
        f"order.lines_cancelled[{by}]": of_order(
            order.LinesCancelled,
            status="awaiting_shipment",
            protection_ends_at=None,
            settlement_id="s1",
            lines=(CancelledLine(line_id="lamp", refund_minor=1_250),),
            refund_minor=1_250,
            cause=by,
            reason="Sold out.",
        )
        for by in ("seller", "operator")
    },
    **{
        f"order.refunded[{by}]": of_order(
            order.LinesRefunded,
            settlement_id="s1",
            lines=(RefundedLine(line_id="lamp", refund_minor=250),),
            refund_minor=250,
            by=by,
            reason="A scratch.",
        )
        for by in ("seller", "operator")
    },
    "order.lines_cancelled[not_shipped]": of_order(
        order.LinesCancelled,
        settlement_id="s1",
        lines=(CancelledLine(line_id="bulbs", refund_minor=500, pieces=BULBS),),
        refund_minor=500,
        cause="not_shipped",
    ),
    "order.processing_extended": of_order(
        order.ProcessingExtended, protection_ends_at=None, days=5, processing_ends_at=in_days(12)
    ),
    "order.processing_extended[rest]": of_order(order.ProcessingExtended, days=5, processing_ends_at=in_days(12)),
    "order.reminded[rest]": of_order(
        order.OrderReminded,
        clock="processing_ends",
        to="seller",
        ends_at=in_days(7),
        otherwise="lines_cancelled",
        refund_minor=500,
        release_minor=0,
        visible_to=shown_to("seller"),
    ),
    "order.reminded": of_order(
        order.OrderReminded,
        clock="processing_ends",
        to="seller",
        ends_at=in_days(7),
        otherwise="cancelled",
        refund_minor=2_000,
        release_minor=0,
        visible_to=shown_to("seller"),
    ),
    "order.shipped": shipped(),
    "order.shipped[part]": shipped(
        lines=(ShippedLine(line_id="bulbs", quantity=1, pieces=PieceNumbers(first=1, last=1)),),
        rest_ships_by=in_days(7),
    ),
    "order.shipped[last]": shipped(
        parcel_id="box-2", lines=(ShippedLine(line_id="bulbs", quantity=2, pieces=BULBS),), rest_ships_by=None
    ),
    "order.tracking_corrected": of_order(order.TrackingCorrected, **CARRIED),
    "order.tracking_corrected[one_of_two]": of_order(order.TrackingCorrected, **CARRIED, **SECOND),
    **{
        f"order.tracking_reported[{status}_of_two]": of_order(
            order.TrackingReported, tracking_status=status, at=NOON, **SECOND
        )
        for status in ("delivered", "failed")
    },
    "order.tracking_reported[delivered]": of_order(order.TrackingReported, tracking_status="delivered", at=NOON),
    "order.tracking_reported[failed]": of_order(order.TrackingReported, tracking_status="failed", at=NOON),
    "order.tracking_reported[in_transit]": of_order(order.TrackingReported, tracking_status="in_transit", at=NOON),
    "order.tracking_reported[completed]": of_order(
        order.TrackingReported, status="completed", tracking_status="delivered", at=NOON
    ),
    "order.tracking_reported[shortens]": of_order(
        order.TrackingReported, tracking_status="delivered", at=NOON, shortens_protection=True
    ),
    "order.protection_shortened": of_order(
        order.ProtectionShortened, delivered_at=NOON, disputable_until=in_days(14), reminder_at=in_days(9)
    ),
    "order.extension_requested": of_order(order.ExtensionRequested, days=1, message="Customs\nis slow"),
    "order.protection_extended": of_order(
        order.ProtectionExtended, days=30, disputable_until=in_days(90), reminder_at=in_days(85)
    ),
    "order.protection_ending[held]": of_order(
        order.ProtectionEnding, held_minor=2_000, disputed_minor=0, disputable_until=in_days(60)
    ),
    "order.protection_ending[disputed]": of_order(
        order.ProtectionEnding, held_minor=0, disputed_minor=1_250, disputable_until=in_days(60)
    ),
    "order.receipt_confirmed": of_order(order.ReceiptConfirmed, disputable_until=in_days(15)),
    "order.receipt_confirmed[part]": of_order(
        order.ReceiptConfirmed, disputable_until=in_days(15), rest_ships_by=in_days(7)
    ),
    "order.lines_frozen": of_order(
        order.LinesFrozen,
        dispute_id="d1",
        lines=(),
        claimed_minor=1_250,
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        policy=REF,
        disputable_until=in_days(60),
    ),
    "order.freeze_refused": of_order(order.FreezeRefused, dispute_id="d1", code="too_late", message="Too late."),
    "order.lines_unfrozen": of_order(
        order.LinesUnfrozen, dispute_id="d1", lines=("lamp",), disputable_until=in_days(60)
    ),
    "order.lines_released[protection_ended]": released("protection_ended"),
    "order.lines_released[receipt_confirmed]": released("receipt_confirmed"),
    "order.lines_released[dispute_cancelled]": released("dispute_cancelled"),
    "order.lines_released[arbitration_cancelled]": released("arbitration_cancelled"),
    "order.settled": of_order(
        order.Settled,
        settlement_id="s1",
        dispute_id="d1",
        refund_minor=500,
        release_minor=750,
        lines=(),
        payout_minor=750,
        chargeback_minor=0,
    ),
    "order.completed[paid]": of_order(order.Completed, refund_minor=0, release_minor=2_000),
    "order.completed[disputable]": of_order(
        order.Completed, refund_minor=500, release_minor=1_500, disputable_until=in_days(15)
    ),
    "order.completed[refunded]": of_order(order.Completed, refund_minor=500, release_minor=1_500),
    "dispute.requested": requested(),
    "dispute.opened[by_hand]": opened(),
    "dispute.opened[never_by_hand]": opened(escalatable_from=None),
    "dispute.open_refused": of_dispute(
        dispute.OpenRefused, code="too_late", message="The time to dispute this order is over."
    ),
    "dispute.modified[reason]": of_dispute(
        dispute.DisputeModified, reason="defective", received=True, description="It hums", evidence=(PHOTO,)
    ),
    "dispute.modified[terms]": of_dispute(dispute.DisputeModified, terms=CLAIM),
    "dispute.modified[reason+terms]": of_dispute(
        dispute.DisputeModified, reason="defective", received=True, terms=CLAIM
    ),
    "dispute.evidence_added[buyer]": of_dispute(dispute.EvidenceAdded, by="buyer", evidence=(PHOTO,)),
    "dispute.evidence_added[seller]": of_dispute(dispute.EvidenceAdded, by="seller", evidence=(PHOTO, PHOTO)),
    "dispute.message_sent[buyer]": of_dispute(dispute.MessageSent, by="buyer", text="Hello"),
    "dispute.message_sent[seller]": of_dispute(dispute.MessageSent, by="seller", text="Hello\n\nyou"),
    "dispute.offer_made[buyer]": offer("buyer", seller_answer_by=in_days(15)),
    "dispute.offer_made[seller]": offer("seller", Terms(kind="return_and_refund", refund_minor=900), message="Deal?"),
    "dispute.offer_made[nothing]": offer("seller", NOTHING, escalatable_from=None),
    "dispute.offer_made[replacement]": offer("seller", Terms(kind="replacement", refund_minor=900)),
    "dispute.offer_accepted": of_dispute(dispute.OfferAccepted, offer_id=2, by="buyer", terms=CLAIM),
    "dispute.escalated[rejected]": escalated("rejected", statement="I disagree"),
    "dispute.escalated[window]": escalated("window"),
    "dispute.escalated[no_agreement]": escalated("no_agreement"),
    "dispute.escalated[seller_silent]": escalated("seller_silent"),
    "dispute.escalated[return_contested]": escalated("return_contested"),
    "dispute.escalated[return_not_delivered]": escalated("return_not_delivered"),
    "dispute.escalated[replacement_failed]": escalated("replacement_failed"),
    "dispute.return_awaited[agreed]": of_dispute(
        dispute.ReturnAwaited, basis="offer_accepted", refund_minor=900, return_ship_by=in_days(10)
    ),
    "dispute.return_awaited[silent]": of_dispute(
        dispute.ReturnAwaited, basis="seller_silent", refund_minor=900, return_ship_by=in_days(10)
    ),
    "dispute.return_awaited[decided]": of_dispute(
        dispute.ReturnAwaited, basis="decided", refund_minor=900, return_ship_by=in_days(10)
    ),
    "dispute.return_shipped": of_dispute(dispute.ReturnShipped, **CARRIED, return_confirm_by=in_days(10)),
    "dispute.return_reported[delivered]": of_dispute(
        dispute.ReturnReported, tracking_status="delivered", at=NOON, return_confirm_by=in_days(10)
    ),
    "dispute.return_tracking_corrected": of_dispute(
        dispute.ReturnTrackingCorrected, **CARRIED, return_confirm_by=in_days(10)
    ),
    "dispute.return_reported[returned]": of_dispute(
        dispute.ReturnReported, tracking_status="returned", at=NOON, return_confirm_by=in_days(10)
    ),
    "dispute.return_reported[failed]": of_dispute(
        dispute.ReturnReported, tracking_status="failed", at=NOON, return_confirm_by=in_days(10)
    ),
    "dispute.return_reported[in_transit]": of_dispute(
        dispute.ReturnReported, tracking_status="in_transit", at=NOON, return_confirm_by=in_days(10)
    ),
    "dispute.return_received": of_dispute(dispute.ReturnReceived, silent=False),
    "dispute.return_contested": of_dispute(
        dispute.ReturnContested, reason="missing_items", description="A bulb is missing", evidence=(PHOTO,)
    ),
    "dispute.replacement_awaited[agreed]": of_dispute(
        dispute.ReplacementAwaited, basis="offer_accepted", refund_minor=900, replacement_ship_by=in_days(10)
    ),
    "dispute.replacement_awaited[silent]": of_dispute(
        dispute.ReplacementAwaited, basis="seller_silent", refund_minor=900, replacement_ship_by=in_days(10)
    ),
    "dispute.replacement_shipped": of_dispute(
        dispute.ReplacementShipped, **CARRIED, replacement_confirm_by=in_days(60)
    ),
    "dispute.decided[appealable]": decided(in_days(7)),
    "dispute.decided[return]": decided(in_days(7), return_required=True),
    "dispute.decided[final]": decided(None),
    "dispute.decided[buyer_silent]": decided(in_days(7), by="default", cause="buyer_silent", refund_minor=0),
    "dispute.decided[seller_silent]": decided(in_days(7), by="default", cause="seller_silent"),
    "dispute.decided[mediation_max]": decided(None, by="default", cause="mediation_max"),
    "dispute.appealed[buyer]": of_dispute(dispute.DisputeAppealed, round=2, by="buyer", explanation="New photo"),
    "dispute.appealed[seller]": of_dispute(dispute.DisputeAppealed, round=2, by="seller", explanation="New photo"),
    "dispute.appeal_waived": of_dispute(dispute.AppealWaived, by="buyer"),
    "dispute.cancelled[reopenable]": of_dispute(dispute.DisputeCancelled, reopenable_until=in_days(60)),
    "dispute.cancelled[final]": of_dispute(dispute.DisputeCancelled, reopenable_until=None),
    "dispute.closed[offer_accepted]": closed("offer_accepted", 900),
    "dispute.closed[seller_silent]": closed("seller_silent", 1_250),
    "dispute.closed[decided]": closed("decided", 500),
    "dispute.closed[buyer_silent]": closed("buyer_silent"),
    "dispute.closed[cancelled]": closed("cancelled"),
    "dispute.closed[arbitration_cancelled]": closed("arbitration_cancelled"),
    "dispute.closed[return_not_shipped]": closed("return_not_shipped"),
    "dispute.closed[replaced]": closed("replaced"),
    "mediation.opened": of_case(mediation.MediationOpened, **CASE_OPENED),
    "mediation.assigned": of_case(mediation.MediationAssigned, round=1, mediator=MIA, mediator_due_by=in_days(14)),
    "mediation.assigned[waiting]": of_case(mediation.MediationAssigned, round=1, mediator=MIA, mediator_due_by=None),
    "mediation.question_asked[buyer]": of_case(
        mediation.QuestionAsked, question_id="q1", to="buyer", question="When?", answer_by=in_days(9)
    ),
    "mediation.question_asked[seller]": of_case(
        mediation.QuestionAsked, question_id="q1", to="seller", question="When?", answer_by=in_days(9)
    ),
    "mediation.question_asked[both]": of_case(
        mediation.QuestionAsked, question_id="q1", to="both", question="When?", answer_by=in_days(9)
    ),
    "mediation.answered[last]": of_case(
        mediation.QuestionAnswered,
        question_id="q1",
        by="seller",
        text="In May",
        evidence=(PHOTO,),
        mediator_due_by=in_days(14),
    ),
    "mediation.answered[another_awaited]": of_case(
        mediation.QuestionAnswered, question_id="q1", by="buyer", text="In May", mediator_due_by=None
    ),
    "mediation.answer_missed": of_case(
        mediation.AnswerMissed, question_id="q1", by="seller", mediator_due_by=in_days(14)
    ),
    "dispute.reminded[granted]": reminded("seller_first_response", "seller"),
    "dispute.reminded[escalated]": reminded("seller_first_response", "seller", "escalated", None),
    "dispute.reminded[goods_back]": reminded("seller_first_response", "seller", "return_awaited"),
    "dispute.reminded[new_parcel]": reminded("seller_first_response", "seller", "replacement_awaited"),
    "dispute.reminded[return_ship]": reminded("return_ship", "buyer", refund_minor=0),
    "dispute.reminded[return_confirm]": reminded("return_confirm", "seller"),
    "dispute.reminded[replacement_ship]": reminded("replacement_ship", "seller"),
    "dispute.reminded[replacement_confirm]": reminded("replacement_confirm", "buyer", refund_minor=0),
    "dispute.reminded[buyer_appeals]": reminded("appeal_window", "buyer"),
    "dispute.reminded[seller_appeals]": reminded("appeal_window", "seller"),
    "dispute.reminded[return_decided]": reminded("appeal_window", "buyer", "return_awaited"),
    "mediation.reminded[buyer]": asked_in_vain("buyer", "decided", 0),
    "mediation.reminded[cancelled]": asked_in_vain("buyer", "cancelled"),
    "mediation.reminded[seller]": asked_in_vain("seller", "decided", 1_250),
    "mediation.reminded[on_record]": asked_in_vain("seller", "decided_on_record"),
    "mediation.offer_made": of_case(
        mediation.MediationOfferMade, offer_id=3, by="seller", terms=CLAIM, message="My last word"
    ),
    "mediation.offer_accepted": of_case(mediation.MediationOfferAccepted, offer_id=3, by="buyer", terms=CLAIM),
    "mediation.offer_declined": of_case(
        mediation.MediationOfferDeclined, offer_id=3, by="buyer", visible_to=("buyer", "mediator", "operator")
    ),
    "mediation.decided": mediator_decided(return_required=False),
    "mediation.decided[return]": mediator_decided(return_required=True),
    "mediation.defaulted[silence]": defaulted("buyer", "buyer_silent"),
    "mediation.defaulted[mediation_max]": defaulted("seller", "mediation_max"),
    "mediation.cancelled": of_case(mediation.MediationCancelled, round=1),
    "mediation.overdue": of_case(mediation.MediationOverdue, round=1, mediator_id="mia", mediator_due_by=in_days(14)),
    "mediation.overdue[nobody]": of_case(
        mediation.MediationOverdue, round=1, mediator_id=None, mediator_due_by=in_days(14)
    ),
    "mediation.mediator_registered": mediation.MediatorRegistered(order_id="mediators", mediator_id="mia", capacity=20),
    "mediation.mediator_retired": mediation.MediatorRetired(order_id="mediators", mediator_id="mia"),
    "refund.requested": pending(refund.RefundRequested, "refund"),
    "refund.submitted": pending(
        refund.RefundSubmitted, "refund", asking=False, attempt=1, attempts_max=8, answer_by=in_days(1)
    ),
    "refund.settled": of_refund(refund.RefundSettled, refund_minor=500, buyer_id="bea", **MOVED),
    "refund.paid_out": of_refund(refund.PaidOut, amount_minor=750, seller_id="sam", **MOVED),
    "refund.settled[by_hand]": of_refund(
        refund.RefundSettled, refund_minor=500, buyer_id="bea", **MOVED, note="Paid to your bank account."
    ),
    "refund.paid_out[by_hand]": of_refund(
        refund.PaidOut, amount_minor=750, seller_id="sam", **MOVED, note="Paid to your other account."
    ),
    "refund.charged_back[by_hand]": of_refund(
        refund.ChargedBack, amount_minor=500, seller_id="sam", **MOVED, note="Paid by you by wire."
    ),
    "refund.charged_back": of_refund(refund.ChargedBack, amount_minor=500, seller_id="sam", **MOVED),
    "refund.failed": pending(refund.RefundFailed, "refund", code="busy", retryable=True, retry_at=in_days(1)),
    "refund.overdue[refund]": pending(refund.RefundOverdue, "refund", repeats_at=in_days(28)),
    "refund.overdue[payout]": pending(refund.RefundOverdue, "payout", repeats_at=in_days(28)),
    "refund.overdue[chargeback]": pending(refund.RefundOverdue, "chargeback", repeats_at=in_days(28)),
    **{f"refund.reversed[{leg}]": came_back(leg) for leg in ("refund", "payout", "chargeback")},
    **{f"refund.moved_in_part[{leg}]": in_part(leg) for leg in ("refund", "payout", "chargeback")},
    **{
        f"refund.moved_too_much[{leg}]": too_much(refund.MovedTooMuch, leg, note="The bank rounded up.")
        for leg in ("refund", "payout", "chargeback")
    },
    "refund.excess_returned": too_much(refund.ExcessReturned, "refund"),
    "refund.held[operator]": refund.MoneyHeld(order_id=ORDER, cause="operator", reason="Looked into"),
    "refund.held[bank_chargeback]": refund.MoneyHeld(order_id=ORDER, cause="bank_chargeback", reason="Taken back"),
    "refund.review_needed": pending(refund.ReviewNeeded, "refund", reason="no_answer"),
}


def _example_of(model: type[Event]) -> Event:
    """Of our order and its dispute."""
    event = model.read(json.dumps(example(model)))
    ours = {"order_id": ORDER} | ({"dispute_id": "d1"} if "dispute_id" in model.model_fields else {})
    return event.model_copy(update=ours)


_kinds = {re.sub(r"\[.*", "", name) for name, _, _ in cells(WHO_HEARS_WHAT)}
_written = {re.sub(r"\[.*", "", name) for name in SAMPLES}
SAMPLES |= {
    kind: _example_of(model)
    for type_, model in Message.MODELS.items()
    if (kind := type_.rpartition(".")[0]) in _kinds - _written and issubclass(model, Event)
}
