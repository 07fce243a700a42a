"""A claim, and the order service's answer to it (R8–R18b)."""

from collections.abc import Collection, Mapping
from datetime import datetime

from schemas.dispute.commands import OpenDispute
from schemas.dispute.events import DisputeOpened, DisputeRequested, OpenRefused
from schemas.order.events import FreezeRefused, LinesFrozen
from schemas.policy import Policy
from schemas.wire import Role
from services.dispute import evidence
from services.dispute.case import Refused, RequestedDispute
from services.dispute.policy import escalatable_from
from services.dispute.states import Disputes
from shared.kernel.decider import Output, Refusal
from shared.rules.calendar import after
from shared.rules.evidence import reject_evidence
from shared.rules.refusals import NOTHING_IS_THE_SELLERS, first, who_may
from shared.rules.reminding import remind_at

CLAIM_NUMBER = 1


def request(known: Disputes, command: OpenDispute, time: datetime) -> list[Output]:
    """Everything a claim can be refused for before its order's policy is known; the rest the order service judges."""
    taken = Refusal("already_exists", "There is a dispute of this name already.")
    refusal = first(
        reject_evidence({}, "buyer", command.evidence),
        taken if command.dispute_id in known else None,
        who_may(command, _known_buyer(known)),
        NOTHING_IS_THE_SELLERS if command.terms.kind == "none" else None,
        evidence.too_much((), "buyer", "negotiation", command.evidence),
    )
    if refusal:
        return [refusal]
    return [
        DisputeRequested(
            dispute_id=command.dispute_id,
            lines=command.lines,
            received=command.received,
            reason=command.reason,
            description=command.description,
            terms=command.terms,
            evidence=command.evidence,
            received_at=time,
        )
    ]


def _known_buyer(known: Disputes) -> Mapping[Role, Collection[str]]:
    """Whoever asks may be the buyer, until it is known whose order it is, or a first dispute of it was opened."""
    if known.buyer_id is not None:
        return {"buyer": {known.buyer_id}}
    opened = {
        dispute.case.buyer.id for dispute in known.values() if not isinstance(dispute, RequestedDispute | Refused)
    }
    return {"buyer": opened} if opened else {}


def opened(claim: RequestedDispute, event: LinesFrozen, time: datetime, policy: Policy) -> list[Output]:
    """The order service, which knows lines and policy, has found nothing against the claim."""
    answer_by = after(time, policy.seller_first_response, policy)
    escalates_at = after(time, policy.auto_escalation, policy)
    return [
        DisputeOpened(
            dispute_id=event.dispute_id,
            lines=event.lines,
            claimed_minor=event.claimed_minor,
            terms=claim.terms,
            offer_id=CLAIM_NUMBER,
            seller_answer_by=answer_by,
            escalatable_from=escalatable_from(time, policy),
            escalates_at=escalates_at,
            disputable_until=event.disputable_until,
            buyer=event.buyer.only_id,
            seller=event.seller.only_id,
            currency=event.currency,
            policy=event.policy,
            command_id=claim.command_id,
            remind_at=remind_at(time, min(answer_by, escalates_at), policy),
        )
    ]


def refused(claim: RequestedDispute, event: FreezeRefused) -> list[Output]:
    return [
        OpenRefused(
            dispute_id=event.dispute_id,
            code=event.code,
            message=event.message,
            details=event.details,
            command_id=claim.command_id,
            visible_to=event.visible_to,
        )
    ]
