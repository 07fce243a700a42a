"""Offers and what is made of them: the parties' own attempt to agree (R19–R23, C1, C2)."""

from datetime import datetime

from schemas.common import Offer, Terms
from schemas.dispute.commands import AcceptOffer, Escalate, ModifyDispute
from schemas.dispute.events import DisputeModified, OfferAccepted, OfferMade
from schemas.dispute.shapes import REASONS_NOT_RECEIVED, EscalationCause, Side
from schemas.instants import rfc3339
from schemas.policy import Policy
from services.dispute import evidence
from services.dispute.case import AwaitingSeller, Case, Negotiating, Open, stage
from services.dispute.rulings import escalated
from services.dispute.settling import settle
from shared.kernel.decider import Output, Refusal
from shared.rules.calendar import after
from shared.rules.refusals import NOT_WITHOUT_SETTLING, beyond_claim, offer_superseded
from shared.rules.reminding import remind_at


def modify(dispute: Open, command: ModifyDispute, time: datetime, policy: Policy) -> list[Output]:
    """New terms are a new offer (R23)."""
    if refusal := evidence.too_much(dispute.case.filed, "buyer", stage(dispute), command.evidence):
        return [refusal]
    if command.terms is not None and (refusal := beyond_claim(command.terms, dispute.case.claimed_minor)):
        return [refusal]
    modified = DisputeModified(
        dispute_id=command.dispute_id,
        reason=command.reason,
        received=None if command.reason is None else command.reason not in REASONS_NOT_RECEIVED,
        description=command.description,
        terms=command.terms,
        evidence=command.evidence,
    )
    if command.terms is None:
        return [modified]
    return [modified, _made(dispute, "buyer", command.terms, None, time, policy)]


def offer(dispute: Open, by: Side, terms: Terms, message: str | None, time: datetime, policy: Policy) -> list[Output]:
    """Replaces the same side's open offer; the seller's first one is his answer (R19, R20)."""
    if refusal := beyond_claim(terms, dispute.case.claimed_minor):
        return [refusal]
    return [_made(dispute, by, terms, message, time, policy)]


def _made(dispute: Open, by: Side, terms: Terms, message: str | None, time: datetime, policy: Policy) -> OfferMade:
    case = dispute.case
    answer_by = case.clocks.get("seller_first_response")
    reminder = case.clocks.get("reminder")
    escalatable_from = dispute.escalatable_from
    if by == "seller":
        answer_by = reminder = None
        escalatable_from = None if escalatable_from is None else min(escalatable_from, time)
    elif isinstance(dispute, AwaitingSeller) and terms.refund_minor > case.claim.terms.refund_minor:
        answer_by = after(time, policy.seller_first_response, policy)
        reminder = _reminder(case, answer_by, time, policy)
    return OfferMade(
        dispute_id=case.dispute_id,
        offer_id=case.last_offer_id + 1,
        by=by,
        terms=terms,
        message=message,
        seller_answer_by=answer_by,
        escalatable_from=escalatable_from,
        remind_at=reminder,
    )


def _reminder(case: Case, answer_by: datetime, time: datetime, policy: Policy) -> datetime | None:
    """Anew, unless it escalates at the same instant as before: nobody is reminded of one instant twice (R68)."""
    escalates_at = case.clocks["auto_escalation"]
    ends_at, ended_at = min(answer_by, escalates_at), min(case.clocks["seller_first_response"], escalates_at)
    return case.clocks.get("reminder") if ends_at == ended_at else remind_at(time, ends_at, policy)


def accept(dispute: Open, command: AcceptOffer, by: Side, time: datetime, policy: Policy) -> list[Output]:
    """Binds to the exact offer; another one is never accepted in its place (R21)."""
    seller_offer = dispute.seller_offer if isinstance(dispute, Negotiating) else None
    theirs = seller_offer if by == "buyer" else dispute.case.claim
    if theirs is None or command.offer_id != theirs.offer_id:
        return [offer_superseded(theirs)]
    if command.expect not in (None, "settled_on_offer"):
        return [NOT_WITHOUT_SETTLING]
    accepted = OfferAccepted(
        dispute_id=command.dispute_id,
        offer_id=theirs.offer_id,
        by=by,
        terms=theirs.terms,
        last_offer_id=dispute.case.last_offer_id,
    )
    return [accepted, *settle(dispute.case, theirs.terms, "offer_accepted", time, policy)]


def escalate(dispute: Open, command: Escalate, time: datetime) -> list[Output]:
    """By hand: once the seller has rejected, or after the window (C1)."""
    available_at = dispute.escalatable_from
    if available_at is None:
        return [Refusal("not_allowed", "Disputes of this order are not escalated by hand; it happens by itself.")]
    if time < available_at:
        details = {"available_at": rfc3339(available_at)}
        return [Refusal("too_early", "The seller still has time to answer.", details)]
    cause: EscalationCause = "rejected" if isinstance(dispute, Negotiating) else "window"
    return [escalated(dispute.case, _open_offers(dispute), "buyer", cause, command.statement)]


def seller_silent(dispute: AwaitingSeller, time: datetime, policy: Policy) -> list[Output]:
    """No answer at all: the buyer's terms are granted, or mediation judges (C2)."""
    if policy.seller_silence == "escalate":
        return [escalated(dispute.case, _open_offers(dispute), "system", "seller_silent")]
    return settle(dispute.case, dispute.case.claim.terms, "seller_silent", time, policy)


def no_agreement(dispute: Open) -> list[Output]:
    return [escalated(dispute.case, _open_offers(dispute), "system", "no_agreement")]


def _open_offers(dispute: Open) -> tuple[Offer, ...]:
    """One a side; each may still be accepted in mediation (R45)."""
    match dispute:
        case Negotiating(seller_offer=Offer() as seller_offer):
            return dispute.case.claim, seller_offer
        case _:
            return (dispute.case.claim,)
