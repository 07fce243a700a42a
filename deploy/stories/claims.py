"""What many stories have in common: a claim, the way to a mediator, a decision. Amounts are cents."""

from typing import Any

from deploy.stories.dialogue import Participant, PlayedOrder, refund

NOTHING_CAME: dict[str, Any] = {"received": False, "reason": "not_received", "description": "The parcel never came."}
BROKEN: dict[str, Any] = {
    "received": True,
    "reason": "damaged",
    "description": "The glass is cracked from side to side.",
}


async def disputed(case: PlayedOrder, minor: int, dispute_id: str = "d1", **claim: Any) -> None:
    """The buyer claims a refund because it came broken, unless he claims something else, and the dispute is open."""
    await case.buyer.says("dispute.open", **{"dispute_id": dispute_id, "terms": refund(minor)} | (BROKEN | claim))
    await case.hears("dispute.opened", dispute_id=dispute_id)


async def nobody_answers(case: PlayedOrder, minor: int, dispute_id: str = "d1") -> None:
    """What the seller's silence brings: the refund by itself, or a mediator who grants it."""
    waited: dict[str, Any] = {"after": "seller_first_response", "since": "dispute.opened", "dispute_id": dispute_id}
    if case.rules.seller_silence == "refund":
        await case.hears("dispute.closed", **waited, outcome="seller_silent")
        return
    await case.hears("dispute.escalated", **waited, by="system", cause="seller_silent")
    mediator = await case.mediator()
    why = "The seller has nothing to say to it."
    await mediator.says("mediation.decide", **decision(minor, why, rule="unanswered", dispute_id=dispute_id))
    await stands(case)


async def before_a_mediator(case: PlayedOrder) -> Participant:
    """The seller wants to hear nothing of it, and it comes to a mediator."""
    await case.seller.says("dispute.reject", dispute_id="d1", message="It was whole when it left us.")
    return await escalated(case)


async def escalated(case: PlayedOrder) -> Participant:
    """The buyer asks the platform; where nobody may, it comes to that by itself when the time to agree is over."""
    if case.rules.manual_escalation is not None:
        await case.buyer.says("dispute.escalate", dispute_id="d1")
    else:
        await case.buyer.says("dispute.escalate", refused="not_allowed", dispute_id="d1")
        await case.hears("dispute.escalated", after="auto_escalation", since="dispute.opened", cause="no_agreement")
    return await case.mediator()


async def stands(case: PlayedOrder, outcome: str = "decided") -> None:
    """Nobody appeals, if anybody could, and what was decided is carried out."""
    wait = "appeal_window" if case.rules.appeals else None
    await case.hears("dispute.closed", after=wait, outcome=outcome)


def decision(minor: int, rationale: str, rule: str, **more: Any) -> dict[str, Any]:
    return {
        "dispute_id": "d1",
        "refund_minor": minor,
        "return_required": False,
        "rationale": rationale,
        "rules": [rule],
        "evidence_ids": [],
    } | more
