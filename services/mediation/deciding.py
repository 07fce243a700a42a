"""How a round ends without the parties agreeing: decided, run out of time, given up by the buyer (R44, R46, R48)."""

from schemas.mediation.commands import CancelArbitration, Decide
from schemas.mediation.events import MediationCancelled, MediationDecided, MediationDefaulted
from schemas.policy import Policy
from services.mediation.case import ROUND_OVER, Case, InRound, no_right
from services.mediation.policy import Judgement, on_time_out
from services.mediation.seating import ended
from shared.kernel.decider import Output, Refusal
from shared.rules.refusals import NEVER_CAME, amount_exceeds, paid_to_the_seller


def decide(case: Case, command: Decide) -> list[Output]:
    file = case.file
    if command.return_required and not file.received:
        return [NEVER_CAME]
    if unknown := sorted(set(command.evidence_ids) - file.owners.keys()):
        return [Refusal("not_found", f"Nobody filed the evidence {unknown[0]} in this dispute.")]
    if refusal := no_right(case, command):
        return [refusal]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if command.return_required and file.return_contested:
        return [Refusal("wrong_state", "The goods were sent back once; no decision asks for another return.")]
    if command.refund_minor > file.claimed_minor:
        return [amount_exceeds(file.claimed_minor)]
    decided = MediationDecided(
        dispute_id=file.dispute_id,
        round=file.round,
        mediator_id=command.actor.id,
        refund_minor=command.refund_minor,
        return_required=command.return_required,
        rationale=command.rationale,
        rules=command.rules,
        evidence_ids=command.evidence_ids,
        last_offer_id=file.last_offer_id,
    )
    return ended(case, decided)


def cancel(case: Case, command: CancelArbitration, policy: Policy) -> list[Output]:
    if refusal := no_right(case, command):
        return [refusal]
    if policy.cancel_arbitration == "refused":
        return [Refusal("not_allowed", "Under the rules of this order mediation cannot be cancelled.")]
    if not isinstance(case, InRound):
        return [ROUND_OVER]
    if command.expect != "released_to_seller":
        return [paid_to_the_seller()]
    return ended(case, MediationCancelled(dispute_id=case.file.dispute_id, round=case.file.round))


def run_out(case: InRound, policy: Policy) -> list[Output]:
    """The round took too long: what was decided before stands, else the policy's fallback."""
    if case.appeal:
        return default(case, Judgement(case.appeal.by, "mediation_max", case.appeal.standing))
    return default(case, on_time_out(case.file.on_claim, policy))


def default(case: InRound, judgement: Judgement) -> list[Output]:
    defaulted = MediationDefaulted(
        dispute_id=case.file.dispute_id,
        round=case.file.round,
        against=judgement.against,
        cause=judgement.cause,
        refund_minor=judgement.ruling.refund_minor,
        return_required=judgement.ruling.return_required,
        effect=judgement.effect,
        last_offer_id=case.file.last_offer_id,
    )
    return ended(case, defaulted)
