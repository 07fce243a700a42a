"""What many stories have in common: a claim, the way to a mediator, a decision. Amounts are cents."""

from typing import Any

from deploy.stories.dialogue import Case, Person, refund

NOTHING_CAME: dict[str, Any] = {"received": False, "reason": "not_received", "description": "The parcel never came."}
BROKEN: dict[str, Any] = {
    "received": True,
    "reason": "damaged",
    "description": "The glass is cracked from side to side.",
}


async def disputed(case: Case, minor: int, dispute_id: str = "d1", **claim: Any) -> None:
    """The buyer claims a refund because it came broken, unless he claims something else, and the dispute is open."""
    await case.buyer.says("dispute.open", **{"dispute_id": dispute_id, "terms": refund(minor)} | (BROKEN | claim))
    await case.hears("dispute.opened", dispute_id=dispute_id)


async def before_a_mediator(case: Case) -> Person:
    """The seller wants to hear nothing of it, the buyer asks the platform."""
    await case.seller.says("dispute.reject", dispute_id="d1", message="It was whole when it left us.")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    return await case.mediator()


def decision(minor: int, rationale: str, rule: str, **more: Any) -> dict[str, Any]:
    return {
        "dispute_id": "d1",
        "refund_minor": minor,
        "return_required": False,
        "rationale": rationale,
        "rules": [rule],
        "evidence_ids": [],
    } | more
