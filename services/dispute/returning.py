"""Goods on their way: back to the seller (R51, R71), or anew to the buyer (C10)."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from schemas.common import Offer, Terms
from schemas.dispute.commands import (
    ContestReturn,
    CorrectReturnTracking,
    Escalate,
    ReportReturn,
    ShipReplacement,
    ShipReturn,
)
from schemas.dispute.events import (
    DisputeEscalated,
    ReplacementShipped,
    ReturnContested,
    ReturnReceived,
    ReturnReported,
    ReturnShipped,
    ReturnTrackingCorrected,
)
from schemas.dispute.shapes import EscalationCause
from schemas.policy import Policy
from services.dispute import evidence
from services.dispute.case import (
    AwaitingReplacement,
    AwaitingReturn,
    Case,
    ReplacementUnderway,
    ReturnUnderway,
    file,
    stage,
)
from services.dispute.rulings import escalated
from services.dispute.settling import closed
from shared.kernel.decider import Output, Refusal
from shared.rules.calendar import after
from shared.rules.reminding import remind_at


def ship_return(command: ShipReturn, time: datetime, policy: Policy) -> list[Output]:
    confirm_by = after(time, policy.return_confirm, policy)
    return [
        ReturnShipped(
            dispute_id=command.dispute_id,
            carrier=command.carrier,
            tracking_number=command.tracking_number,
            return_confirm_by=confirm_by,
            remind_at=remind_at(time, confirm_by, policy),
        )
    ]


def report_return(dispute: ReturnUnderway, command: ReportReturn, time: datetime, policy: Policy) -> list[Output]:
    """The first time it is said to be delivered the seller gets his days anew, to look at it (R51)."""
    arrived = command.status == "delivered" and not dispute.delivered
    known = dispute.case.clocks
    confirm_by = after(time, policy.return_confirm, policy) if arrived else known["return_confirm"]
    moves = confirm_by != known["return_confirm"]
    return [
        ReturnReported(
            dispute_id=command.dispute_id,
            tracking_status=command.status,
            at=command.at,
            return_confirm_by=confirm_by,
            remind_at=remind_at(time, confirm_by, policy) if moves else known.get("reminder"),
        )
    ]


def correct_tracking(dispute: ReturnUnderway, command: CorrectReturnTracking) -> list[Output]:
    """What the carrier said of it stays said until he says something else: another number is no delivery (R71)."""
    if dispute.delivered:
        return [Refusal("wrong_state", "The return is delivered; its tracking number cannot be changed any more.")]
    return [
        ReturnTrackingCorrected(
            dispute_id=command.dispute_id,
            carrier=command.carrier,
            tracking_number=command.tracking_number,
            return_confirm_by=dispute.case.clocks["return_confirm"],
        )
    ]


def unanswered(dispute: ReturnUnderway) -> list[Output]:
    """The seller was silent, which accepts what may have arrived. Of what the carrier says has not a mediator judges
    (R71): on the terms as they stand where the buyer has it back, in money where it can be sent no more."""
    case = dispute.case
    match dispute.carrier_says:
        case "returned":
            return [_claimed_on(case, case.claim.terms, "system", "return_not_delivered")]
        case "failed":
            return [_claimed_on(case, _in_money(case.claim.terms), "system", "return_not_delivered")]
        case _:
            return received(dispute, silent=True)


def received(dispute: ReturnUnderway, silent: bool) -> list[Output]:
    return [
        ReturnReceived(dispute_id=dispute.case.dispute_id, silent=silent),
        closed(dispute.case, dispute.basis, dispute.refund_minor),
    ]


def contest_return(dispute: ReturnUnderway, command: ContestReturn) -> list[Output]:
    """To mediation, where nobody may ask for another return."""
    if refusal := evidence.too_much(dispute.case.filed, "seller", stage(dispute), command.evidence):
        return [refusal]
    contested = ReturnContested(
        dispute_id=command.dispute_id,
        reason=command.reason,
        description=command.description,
        evidence=command.evidence,
    )
    case = file(dispute, "seller", command.evidence).case
    return [contested, _claimed_on(case, _in_money(case.claim.terms), "system", "return_contested")]


def _in_money(terms: Terms) -> Terms:
    """What the buyer asks for once the goods that were to move did not set it right: no second time round."""
    money = terms.refund_minor  # a gift's replacement has none, and stays what it asks for (R76)
    return Terms(kind="refund", refund_minor=money) if money else terms


def _claimed_on(
    case: Case, terms: Terms, by: Literal["buyer", "system"], cause: EscalationCause, statement: str | None = None
) -> DisputeEscalated:
    """To mediation on these terms. If they are not those of the buyer's own open offer they are a new one, of the next
    number: a number names one offer for ever (R82)."""
    claim = case.claim
    if claim.by != "buyer" or claim.terms != terms:
        claim = Offer(offer_id=case.last_offer_id + 1, by="buyer", terms=terms)
    last = max(case.last_offer_id, claim.offer_id)
    return escalated(replace(case, last_offer_id=last), (claim,), by, cause, statement)


def return_not_shipped(dispute: AwaitingReturn) -> list[Output]:
    return [closed(dispute.case, "return_not_shipped", refund_minor=0)]


def ship_replacement(command: ShipReplacement, time: datetime, policy: Policy) -> list[Output]:
    confirm_by = after(time, policy.replacement_confirm, policy)
    return [
        ReplacementShipped(
            dispute_id=command.dispute_id,
            carrier=command.carrier,
            tracking_number=command.tracking_number,
            replacement_confirm_by=confirm_by,
            remind_at=remind_at(time, confirm_by, policy),
        )
    ]


def replacement_not_shipped(dispute: AwaitingReplacement) -> list[Output]:
    """Then the money of the terms is refunded (C10)."""
    return [closed(dispute.case, dispute.basis, dispute.refund_minor)]


def replaced(dispute: ReplacementUnderway) -> list[Output]:
    """The buyer says so, or says nothing: the money is the seller's."""
    return [closed(dispute.case, "replaced", refund_minor=0)]


def replacement_failed(dispute: ReplacementUnderway, command: Escalate) -> list[Output]:
    """The dispute goes on (R34)."""
    case = dispute.case
    return [_claimed_on(case, _in_money(case.claim.terms), "buyer", "replacement_failed", command.statement)]
