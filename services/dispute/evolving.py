"""How a dispute's own events make it what it is. They have happened: `evolve` neither refuses nor raises."""

from dataclasses import replace
from datetime import datetime

from schemas.common import Offer
from schemas.dispute import events
from schemas.dispute.shapes import DisputeDeadline
from services.dispute.case import (
    AwaitingReplacement,
    AwaitingReturn,
    AwaitingSeller,
    Case,
    ClosedDispute,
    DecidedDispute,
    Dispute,
    DisputeEvidenceNoted,
    FiledInStage,
    InMediation,
    Negotiating,
    Open,
    Opened,
    Refused,
    ReplacementUnderway,
    RequestedDispute,
    ReturnUnderway,
    file,
    outcome,
    ruling,
    sends_back,
    stage,
)


def moved(dispute: Dispute, event: events.DisputeEvent) -> Dispute:
    match dispute:
        case RequestedDispute():
            return _answered(dispute, event)
        case Refused() | ClosedDispute():
            return dispute
        case AwaitingSeller() | Negotiating():
            return _negotiated(dispute, event)
        case _:
            return _proceeded(dispute, event)


def _answered(dispute: RequestedDispute, event: events.DisputeEvent) -> Dispute:
    match event:
        case events.DisputeOpened():
            case = Case(
                dispute_id=event.dispute_id,
                buyer=event.buyer,
                seller=event.seller,
                policy=event.policy,
                lines=event.lines,
                received=dispute.received,
                claimed_minor=event.claimed_minor,
                disputable_until=event.disputable_until,
                claim=Offer(offer_id=event.offer_id, by="buyer", terms=event.terms),
                last_offer_id=event.offer_id,
                filed=dispute.filed,
                newest={"buyer": event.offer_id},
                clocks={"auto_escalation": event.escalates_at},
            )
            case = _started(case, "seller_first_response", event.seller_answer_by, event.remind_at)
            return AwaitingSeller(case, event.escalatable_from)
        case events.OpenRefused():
            return Refused(dispute.buyer_id, dispute.filed)
        case _:
            return dispute


def _negotiated(dispute: Open, event: events.DisputeEvent) -> Dispute:
    case = dispute.case
    match event:
        case events.DisputeModified():
            received = case.received if event.received is None else event.received
            dispute = replace(dispute, case=replace(case, received=received))
            if isinstance(dispute, Negotiating) and not received and sends_back(dispute.seller_offer):
                dispute = replace(dispute, seller_offer=None)
            return file(dispute, "buyer", event.evidence)
        case events.OfferMade(by="buyer"):
            claim = Offer(offer_id=event.offer_id, by="buyer", terms=event.terms)
            newest = {**case.newest, event.by: event.offer_id}
            case = replace(case, claim=claim, last_offer_id=event.offer_id, newest=newest)
            if event.seller_answer_by is not None:
                case = _started(case, "seller_first_response", event.seller_answer_by, event.remind_at)
            return replace(dispute, case=case)
        case events.OfferMade(by="seller"):
            offer = Offer(offer_id=event.offer_id, by="seller", terms=event.terms)
            newest = {**case.newest, event.by: event.offer_id}
            case = replace(_answer(case), last_offer_id=event.offer_id, newest=newest)
            return Negotiating(case, offer, event.escalatable_from)
        case _:
            return _proceeded(dispute, event)


def _proceeded(dispute: Opened, event: events.DisputeEvent) -> Dispute:
    case = dispute.case
    match event:
        case events.MessageSent(day_began_at=datetime() as began, number_of_day=int(number)):
            return replace(dispute, case=replace(case, written={**case.written, event.by: (began, number)}))
        case events.EvidenceAdded():
            return file(dispute, event.by, event.evidence)
        case events.OfferAccepted():
            agreed = Offer(offer_id=event.offer_id, by="seller" if event.by == "buyer" else "buyer", terms=event.terms)
            last = max(case.last_offer_id, event.offer_id, event.last_offer_id or 0)
            return replace(dispute, case=replace(_answer(case), claim=agreed, last_offer_id=last))
        case events.DisputeEscalated():
            claim = next((offer for offer in event.offers if offer.by == "buyer"), case.claim)
            last = max(case.last_offer_id, event.last_offer_id)
            newest = {**case.newest, "buyer": claim.offer_id} if claim.by == "buyer" else case.newest
            return InMediation(replace(case, round=event.round, claim=claim, last_offer_id=last, newest=newest))
        case events.DisputeDecided():
            last = max(case.last_offer_id, event.last_offer_id or 0)
            case = replace(
                _started(case, "appeal_window", event.appeal_until, event.remind_at),
                decided=True,
                last_offer_id=last,
                waived=frozenset(),
            )
            return DecidedDispute(case, ruling(event.refund_minor, event.return_required), outcome(event))
        case events.DisputeAppealed():
            reviewed = InMediation(replace(case, round=event.round, appealed=True))
            return file(reviewed, event.by, event.evidence)
        case events.AppealWaived() if isinstance(dispute, DecidedDispute):
            return replace(dispute, case=replace(case, waived=case.waived | {event.by}))
        case events.ReturnAwaited():
            case = _started(case, "return_ship", event.return_ship_by, event.remind_at)
            return AwaitingReturn(case, event.basis, event.refund_minor)
        case events.ReturnShipped() if isinstance(dispute, AwaitingReturn):
            case = _started(case, "return_confirm", event.return_confirm_by, event.remind_at)
            return ReturnUnderway(case, dispute.basis, dispute.refund_minor)
        case events.ReturnReported() if isinstance(dispute, ReturnUnderway):
            case = _started(case, "return_confirm", event.return_confirm_by, event.remind_at)
            delivered = dispute.delivered or event.tracking_status == "delivered"
            return replace(dispute, case=case, delivered=delivered, carrier_says=event.tracking_status)
        case events.ReturnContested():
            return file(replace(dispute, case=replace(case, return_contested=True)), "seller", event.evidence)
        case events.ReplacementAwaited():
            case = _started(case, "replacement_ship", event.replacement_ship_by, event.remind_at)
            return AwaitingReplacement(case, event.basis, event.refund_minor)
        case events.ReplacementShipped():
            case = _started(case, "replacement_confirm", event.replacement_confirm_by, event.remind_at)
            return ReplacementUnderway(case)
        case events.DisputeReminded():
            return replace(dispute, case=_with(case, "reminder", None))
        case events.DisputeClosed():
            return ClosedDispute(case)
        case _:
            return dispute


def noted(dispute: Dispute, event: DisputeEvidenceNoted) -> Dispute:
    if isinstance(dispute, RequestedDispute | Refused):
        return dispute
    filed = tuple(FiledInStage(one.evidence_id, one.by, stage(dispute)) for one in event.filed)
    return replace(dispute, case=replace(dispute.case, filed=dispute.case.filed + filed))


def lapsed(dispute: Dispute) -> Dispute:
    """Nobody is reminded of its clock any more."""
    if isinstance(dispute, RequestedDispute | Refused):
        return dispute
    return replace(dispute, case=_with(dispute.case, "reminder", None))


def _started(case: Case, name: DisputeDeadline, ends_at: datetime | None, remind_at: datetime | None) -> Case:
    """With this clock set (anew), and its reminder; without it when it has no end."""
    return _with(_with(case, name, ends_at), "reminder", remind_at)


def _with(case: Case, name: DisputeDeadline, ends_at: datetime | None) -> Case:
    clocks = {other: instant for other, instant in case.clocks.items() if other != name}
    return replace(case, clocks=clocks if ends_at is None else {**clocks, name: ends_at})


def _answer(case: Case) -> Case:
    """The seller has answered: he can be silent no more."""
    return _started(case, "seller_first_response", None, None)
