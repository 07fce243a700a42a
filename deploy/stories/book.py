"""The stories themselves (docs/RULES.md, stories). Amounts are cents; a day is as long as the stage says."""

from collections.abc import Awaitable, Callable
from typing import Any

from deploy.stories.dialogue import NO_RETURN_NO_REFUND, Case, Scene, Story, refund

STORIES: dict[int, Story] = {}

NOTHING_CAME: dict[str, Any] = {"received": False, "reason": "not_received", "description": "The parcel never came."}
BROKEN: dict[str, Any] = {
    "received": True,
    "reason": "damaged",
    "description": "The glass is cracked from side to side.",
}


def story(number: int, title: str) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    def add(play: Callable[[Scene], Awaitable[None]]) -> None:
        STORIES[number] = Story(number, title, play)

    return add


async def disputed(case: Case, minor: int, dispute_id: str = "d1", **claim: Any) -> None:
    await case.buyer.says("dispute.open", dispute_id=dispute_id, terms=refund(minor), **(claim or BROKEN))
    await case.hears("dispute.opened", dispute_id=dispute_id)


@story(1, "The parcel that never came")
async def never_came(s: Scene) -> None:
    case = await s.shipped_order(lamp=40_00)
    await disputed(case, 40_00, **NOTHING_CAME)
    await case.hears("dispute.closed", after="seller_first_response", outcome="seller_silent")
    await case.ends(buyer=40_00, seller=0)


@story(2, "The trap")
async def the_trap(s: Scene) -> None:
    case = await s.shipped_order(phone=300_00)
    await disputed(case, 300_00)
    offer = await case.seller.says(
        "dispute.offer", dispute_id="d1", terms=NO_RETURN_NO_REFUND, message="Accept, and we refund you at once!"
    )
    await case.buyer.says(
        "dispute.accept_offer", dispute_id="d1", offer_id=offer["offer_id"], expect="settled_on_offer"
    )
    await case.hears("dispute.closed", outcome="offer_accepted", refund_minor=0, final=True)
    await case.hears("order.settled", refund_minor=0, release_minor=300_00)
    await case.buyer.says("dispute.open", dispute_id="d2", terms=refund(300_00), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d2", code="wrong_state")
    await case.ends(buyer=0, seller=300_00)


@story(3, "Cancelled the right way")
async def cancelled_rightly(s: Scene) -> None:
    case = await s.shipped_order(coat=120_00)
    await case.days(2)
    await disputed(case, 120_00, **NOTHING_CAME)
    await case.seller.says("order.extend_protection", days=10)
    await case.buyer.says("dispute.cancel", dispute_id="d1", expect="reopenable")
    await case.hears("order.lines_unfrozen", dispute_id="d1")
    await case.days(3)
    await disputed(case, 120_00, "d2", **NOTHING_CAME)
    await case.hears("dispute.closed", after="seller_first_response", dispute_id="d2", outcome="seller_silent")
    await case.ends(buyer=120_00, seller=0)


@story(4, "Cancelled too late")
async def cancelled_too_late(s: Scene) -> None:
    case = await s.shipped_order(watch=80_00)
    await case.days(50)
    await disputed(case, 80_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.days(11)  # protection ended a day ago, agreement may still be reached for four more
    await case.buyer.says("dispute.cancel", refused="consequence_changed", dispute_id="d1", expect="reopenable")
    await case.buyer.says("dispute.cancel", dispute_id="d1", expect="released_to_seller")
    await case.hears("order.lines_released", cause="dispute_cancelled", release_minor=80_00)
    await case.buyer.says("dispute.open", dispute_id="d2", terms=refund(80_00), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d2", code="too_late")
    await case.ends(buyer=0, seller=80_00)


@story(5, "Aggravated")
async def aggravated(s: Scene) -> None:
    case = await s.shipped_order(drone=250_00)
    await disputed(case, 250_00)
    await case.seller.says("dispute.reject", dispute_id="d1", message="It flew when it left us.")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    mediator = await case.mediator()
    await mediator.says(
        "mediation.ask", dispute_id="d1", question_id="q1", to="both", question="When was the glass seen whole?"
    )
    await case.buyer.says("mediation.answer", dispute_id="d1", question_id="q1", text="Never. It came cracked.")
    await case.seller.says("mediation.answer", dispute_id="d1", question_id="q1", text="At packing, see the photo.")
    await mediator.says(
        "mediation.decide",
        dispute_id="d1",
        refund_minor=100_00,
        return_required=False,
        rationale="Neither side can show when it broke; the packaging was thin.",
        rules=["shared-risk"],
        evidence_ids=[],
    )
    await case.hears("dispute.decided", refund_minor=100_00, release_minor=150_00)
    await case.hears("dispute.closed", after="appeal_window", outcome="decided")
    await case.ends(buyer=100_00, seller=150_00)


@story(6, "The buyer went silent")
async def buyer_silent(s: Scene) -> None:
    case = await s.shipped_order(tent=90_00)
    await disputed(case, 90_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    mediator = await case.mediator()
    await mediator.says(
        "mediation.ask", dispute_id="d1", question_id="q1", to="buyer", question="Please show the crack."
    )
    await case.hears("mediation.defaulted", after="answer", against="buyer", cause="buyer_silent", refund_minor=0)
    await case.hears("dispute.closed", after="appeal_window", outcome="buyer_silent")
    await case.ends(buyer=0, seller=90_00)


@story(7, "No agreement")
async def no_agreement(s: Scene) -> None:
    case = await s.shipped_order(guitar=180_00)
    await disputed(case, 180_00)
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(20_00))
    await case.days(5)
    await case.buyer.says("dispute.offer", dispute_id="d1", terms=refund(120_00))
    await case.days(5)
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(40_00))
    await case.hears("dispute.escalated", after=5, by="system", cause="no_agreement")
    mediator = await case.mediator()
    await mediator.says(
        "mediation.decide",
        dispute_id="d1",
        refund_minor=80_00,
        return_required=False,
        rationale="The crack is real and the guitar still plays.",
        rules=["partial-refund"],
        evidence_ids=[],
    )
    await case.hears("dispute.closed", after="appeal_window", outcome="decided")
    await case.ends(buyer=80_00, seller=100_00)


@story(9, "Cancel arbitration")
async def arbitration_cancelled(s: Scene) -> None:
    case = await s.shipped_order(chair=60_00)
    await disputed(case, 60_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    await case.hears("mediation.opened")
    await case.buyer.says("mediation.cancel", dispute_id="d1", expect="released_to_seller")
    await case.hears("order.lines_released", cause="arbitration_cancelled", release_minor=60_00)
    await case.ends(buyer=0, seller=60_00)


@story(12, "Never shipped")
async def never_shipped(s: Scene) -> None:
    waiting = await s.order(kettle=35_00)
    impatient = await s.order(toaster=25_00)
    await impatient.buyer.says("order.cancel", reason="Found one next door.")
    await impatient.ends(buyer=25_00, seller=0)
    await waiting.seller.says("order.extend_processing", days=2)
    await waiting.hears("order.cancelled", after=9, cause="not_shipped")
    await waiting.ends(buyer=35_00, seller=0)


@story(13, "Nobody did anything")
async def nobody_acted(s: Scene) -> None:
    case = await s.shipped_order(book=15_00)
    await case.hears("order.protection_ending", after=55, held_minor=15_00)
    await case.hears("order.lines_released", after=5, cause="protection_ended")
    await case.ends(buyer=0, seller=15_00)
