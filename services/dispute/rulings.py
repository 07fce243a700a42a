"""The way into mediation, and what follows from what it says (R36, R37, R46, C4, C5)."""

from datetime import datetime
from typing import Literal

from schemas.common import Offer
from schemas.dispute.commands import Appeal, WaiveAppeal
from schemas.dispute.events import AppealWaived, DisputeAppealed, DisputeDecided, DisputeEscalated, OfferAccepted
from schemas.dispute.shapes import EscalationCause, FiledEvidence, Side
from schemas.mediation.events import MediationCancelled, MediationDecided, MediationDefaulted, MediationOfferAccepted
from schemas.policy import Policy
from services.dispute import evidence
from services.dispute.cancelling import cancelled
from services.dispute.case import Case, DecidedDispute, InMediation, file, outcome, round_name, ruling
from services.dispute.policy import appeal_until
from services.dispute.settling import amount_minor, closed, settle
from services.dispute.states import Disputes
from shared.kernel.decider import Output, Refusal
from shared.rules.reminding import remind_at

Word = MediationDecided | MediationDefaulted | MediationOfferAccepted | MediationCancelled


def escalated(
    case: Case,
    offers: tuple[Offer, ...],
    by: Literal["buyer", "system"],
    cause: EscalationCause,
    statement: str | None = None,
) -> DisputeEscalated:
    """Hands over all that a mediator needs."""
    return DisputeEscalated(
        dispute_id=case.dispute_id,
        round=case.round + 1,
        by=by,
        cause=cause,
        statement=statement,
        buyer=case.buyer.only_id,
        seller=case.seller.only_id,
        policy=case.policy,
        claimed_minor=case.claimed_minor,
        received=case.received,
        offers=offers,
        last_offer_id=case.last_offer_id,
        evidence_ids=tuple(one.evidence_id for one in case.filed),
        filed=_filed(case),
    )


def _filed(case: Case) -> tuple[FiledEvidence, ...]:
    return tuple(FiledEvidence(evidence_id=one.evidence_id, by=one.by) for one in case.filed)


def follow(known: Disputes, dispute: InMediation, word: Word, time: datetime, policy: Policy) -> list[Output]:
    """The end of a round; that of an earlier round is history."""
    case = dispute.case
    match word:
        case MediationDecided(round=case.round) | MediationDefaulted(round=case.round, effect="decided"):
            return _decided(dispute, word, time, policy)
        case MediationDefaulted(round=case.round):
            return cancelled(known, case, time, policy)
        case MediationOfferAccepted():
            accepted = OfferAccepted(
                dispute_id=case.dispute_id,
                offer_id=word.offer_id,
                by=word.by,
                terms=word.terms,
                last_offer_id=_last_offer_id(case, word),
            )
            return [accepted, *settle(case, word.terms, "offer_accepted", time, policy)]
        case MediationCancelled():
            return [closed(case, "arbitration_cancelled", refund_minor=0)]
        case _:
            return []


def _decided(
    dispute: InMediation, word: MediationDecided | MediationDefaulted, time: datetime, policy: Policy
) -> list[Output]:
    case = dispute.case
    until = appeal_until(time, case.appealed, policy)
    decision = DisputeDecided(
        dispute_id=case.dispute_id,
        round=case.round,
        refund_minor=word.refund_minor,
        release_minor=amount_minor(case) - word.refund_minor,
        return_required=word.return_required and word.refund_minor > 0 and case.received and not case.return_contested,
        by="mediator" if isinstance(word, MediationDecided) else "default",
        cause=None if isinstance(word, MediationDecided) else word.cause,
        appeal_until=until,
        last_offer_id=_last_offer_id(case, word),
        remind_at=remind_at(time, until, policy) if until else None,
    )
    if decision.appeal_until is not None:
        return [decision]
    terms = ruling(decision.refund_minor, decision.return_required)
    return [decision, *settle(case, terms, outcome(decision), time, policy)]


def _last_offer_id(case: Case, word: MediationDecided | MediationDefaulted | MediationOfferAccepted) -> int:
    """Mediation numbered on from ours (R82); an older one does not say how far."""
    return max(case.last_offer_id, word.last_offer_id or 0)


def appeal(dispute: DecidedDispute, command: Appeal, by: Side) -> list[Output]:
    if refusal := evidence.too_much(dispute.case.filed, by, round_name(dispute.case.round + 1), command.evidence):
        return [refusal]
    return [
        DisputeAppealed(
            dispute_id=command.dispute_id,
            round=dispute.case.round + 1,
            by=by,
            explanation=command.explanation,
            evidence=command.evidence,
            filed=_filed(file(dispute, by, command.evidence).case),
        )
    ]


def waive(dispute: DecidedDispute, command: WaiveAppeal, by: Side, time: datetime, policy: Policy) -> list[Output]:
    """Once both have waived there is nothing to wait for."""
    if by in dispute.case.waived:
        return [Refusal("wrong_state", "You have waived your appeal already.")]
    waived = AppealWaived(dispute_id=command.dispute_id, by=by)
    return [waived, *unappealed(dispute, time, policy)] if dispute.case.waived else [waived]


def unappealed(dispute: DecidedDispute, time: datetime, policy: Policy) -> list[Output]:
    """The decision is final: then comes the return, if any, then the settlement (C4)."""
    return settle(dispute.case, dispute.terms, dispute.outcome, time, policy)
