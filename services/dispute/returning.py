"""Goods on their way: back to the seller (R51), or anew to the buyer (C10)."""

from datetime import datetime

from schemas.common import Offer, Terms
from schemas.dispute.commands import ContestReturn, Escalate, ReportReturn, ShipReplacement, ShipReturn
from schemas.dispute.events import ReplacementShipped, ReturnContested, ReturnReceived, ReturnReported, ReturnShipped
from schemas.policy import Policy
from services.dispute import evidence
from services.dispute.rulings import escalated
from services.dispute.settling import closed
from services.dispute.states import (
    AwaitingReplacement,
    AwaitingReturn,
    ReplacementUnderway,
    ReturnUnderway,
    file,
    stage,
)
from shared.kernel.decider import Output
from shared.rules.calendar import after


def ship_return(command: ShipReturn, time: datetime, policy: Policy) -> list[Output]:
    return [
        ReturnShipped(
            dispute_id=command.dispute_id,
            carrier=command.carrier,
            tracking_number=command.tracking_number,
            return_confirm_by=after(time, policy.return_confirm, policy),
        )
    ]


def report_return(dispute: ReturnUnderway, command: ReportReturn, time: datetime, policy: Policy) -> list[Output]:
    """The first time it is said to be delivered the seller gets his days anew, to look at it (R51)."""
    arrived = command.status == "delivered" and not dispute.delivered
    confirm_by = after(time, policy.return_confirm, policy) if arrived else dispute.case.clocks["return_confirm"]
    return [
        ReturnReported(
            dispute_id=command.dispute_id,
            tracking_status=command.status,
            at=command.at,
            return_confirm_by=confirm_by,
        )
    ]


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
    return [contested, escalated(case, (_in_money(case.claim),), "system", "return_contested")]


def _in_money(claim: Offer) -> Offer:
    """What the buyer asks for once the goods that were to move did not set it right: no second time round."""
    money = claim.terms.refund_minor  # a gift's replacement has none, and stays what it asks for (R76)
    return claim.model_copy(update={"terms": Terms(kind="refund", refund_minor=money)}) if money else claim


def return_not_shipped(dispute: AwaitingReturn) -> list[Output]:
    return [closed(dispute.case, "return_not_shipped", refund_minor=0)]


def ship_replacement(command: ShipReplacement, time: datetime, policy: Policy) -> list[Output]:
    return [
        ReplacementShipped(
            dispute_id=command.dispute_id,
            carrier=command.carrier,
            tracking_number=command.tracking_number,
            replacement_confirm_by=after(time, policy.replacement_confirm, policy),
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
    return [escalated(case, (_in_money(case.claim),), "buyer", "replacement_failed", command.statement)]
