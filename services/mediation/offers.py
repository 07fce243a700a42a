"""The parties may still settle between themselves while a mediator judges (R42, R45)."""

from schemas.common import Offer
from schemas.mediation.commands import AcceptSolution, DeclineSolution, OfferSolution
from schemas.mediation.events import MediationOfferAccepted, MediationOfferDeclined, MediationOfferMade
from schemas.policy import Policy
from services.mediation.case import ROUND_OVER, Case, InRound, no_right, side_of
from services.mediation.seating import ended
from shared.kernel.decider import Output, Refusal
from shared.rules.refusals import (
    NEVER_CAME,
    NO_REPLACEMENTS,
    NOT_WITHOUT_SETTLING,
    OWN_OFFER,
    beyond_claim,
    no_offer,
    offer_superseded,
)


def offer(case: Case, command: OfferSolution, policy: Policy) -> list[Output]:
    """The seller's new solution replaces his open offer."""
    file, terms = case.file, command.terms
    if terms.kind == "return_and_refund" and not file.received:
        return [NEVER_CAME]
    if refusal := no_right(case, command):
        return [refusal]
    if terms.kind == "replacement" and not policy.replacement:
        return [NO_REPLACEMENTS]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if refusal := beyond_claim(terms, file.claimed_minor):
        return [refusal]
    made = MediationOfferMade(
        dispute_id=file.dispute_id,
        offer_id=file.last_offer_id + 1,
        by="seller",
        terms=terms,
        message=command.message,
    )
    return [made]


def accept(case: Case, command: AcceptSolution) -> list[Output]:
    by = side_of(command)
    if refusal := _no_offer(case, command) or no_right(case, command):
        return [refusal]
    if command.offer_id == (case.file.claim.offer_id if by == "buyer" else case.file.solution_id):
        return [OWN_OFFER]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    theirs = _open_solution(case) if by == "buyer" else case.file.claim
    if theirs is None or theirs.offer_id != command.offer_id:
        return [offer_superseded(theirs)]
    if command.expect not in (None, "settled_on_offer"):
        return [NOT_WITHOUT_SETTLING]
    accepted = MediationOfferAccepted(
        dispute_id=case.file.dispute_id,
        offer_id=theirs.offer_id,
        by=by,
        terms=theirs.terms,
        last_offer_id=case.file.last_offer_id,
    )
    return ended(case, accepted)


def decline(case: Case, command: DeclineSolution) -> list[Output]:
    """*No thanks*: that offer cannot be accepted any more, and the seller is not told (C9)."""
    if refusal := _no_offer(case, command) or no_right(case, command):
        return [refusal]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    solution = _open_solution(case)
    if solution is None or solution.offer_id != command.offer_id:
        return [offer_superseded(solution)]
    declined = MediationOfferDeclined(
        dispute_id=case.file.dispute_id,
        offer_id=command.offer_id,
        by="buyer",
        visible_to=("buyer", "mediator", "operator"),
    )
    return [declined]


def _open_solution(case: InRound) -> Offer | None:
    return None if case.declined else case.solution


def _no_offer(case: Case, command: AcceptSolution | DeclineSolution) -> Refusal | None:
    if 1 <= command.offer_id <= case.file.last_offer_id:
        return None
    return no_offer(command.offer_id)
