"""What happens before a mediator."""

from deploy.stories.claims import before_a_mediator, decision, disputed, escalated, stands
from deploy.stories.dialogue import Scene, photo, refund, story


@story(5, "Aggravated")
async def aggravated(s: Scene) -> None:
    case = await s.disputable_order(drone=250_00)
    await disputed(case, 250_00)
    await case.seller.says("dispute.reject", dispute_id="d1", message="It flew when it left us.")
    mediator = await escalated(case)
    await mediator.says(
        "mediation.ask", dispute_id="d1", question_id="q1", to="both", question="When was the glass seen whole?"
    )
    await case.buyer.says("mediation.answer", dispute_id="d1", question_id="q1", text="Never. It came cracked.")
    await case.seller.says("mediation.answer", dispute_id="d1", question_id="q1", text="At packing, see the photo.")
    why = "Neither side can show when it broke; the packaging was thin."
    await mediator.says("mediation.decide", **decision(100_00, why, rule="shared-risk"))
    await case.hears("dispute.decided", refund_minor=100_00, release_minor=150_00)
    await stands(case)
    await case.ends(buyer=100_00, seller=150_00)


@story(6, "The buyer went silent")
async def buyer_silent(s: Scene) -> None:
    comes_back = s.rules.buyer_silence == "cancelled"
    s.needs(not comes_back or s.rules.max_reopens != 0, "what was cancelled is never disputed again")
    case = await s.disputable_order(tent=90_00)
    await disputed(case, 90_00)
    mediator = await before_a_mediator(case)
    await mediator.says(
        "mediation.ask", dispute_id="d1", question_id="q1", to="buyer", question="Please show the crack."
    )
    if comes_back:  # it is as though he had cancelled, and this time he has the photo
        await case.hears("order.lines_unfrozen", after="answer", dispute_id="d1")
        await disputed(case, 90_00, "d2", evidence=[photo("crack")])
        await case.seller.says("dispute.accept_offer", dispute_id="d2", offer_id=1)
        await case.ends(buyer=90_00, seller=0)
    else:
        await case.hears("mediation.defaulted", after="answer", against="buyer", cause="buyer_silent", refund_minor=0)
        await stands(case, outcome="buyer_silent")
        await case.ends(buyer=0, seller=90_00)


@story(7, "No agreement")
async def no_agreement(s: Scene) -> None:
    third = s.lasts("auto_escalation") / 3
    case = await s.disputable_order(guitar=180_00)
    await disputed(case, 180_00)
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(20_00))
    await case.days(third)
    await case.buyer.says("dispute.offer", dispute_id="d1", terms=refund(120_00))
    await case.days(third)
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(40_00))
    await case.hears("dispute.escalated", after=third, by="system", cause="no_agreement")
    mediator = await case.mediator()
    why = "The crack is real and the guitar still plays."
    await mediator.says("mediation.decide", **decision(80_00, why, rule="partial-refund"))
    await stands(case)
    await case.ends(buyer=80_00, seller=100_00)


@story(8, "No thanks")
async def no_thanks(s: Scene) -> None:
    case = await s.disputable_order(violin=400_00)
    await disputed(case, 400_00)
    mediator = await before_a_mediator(case)
    solution = await case.seller.says(
        "mediation.offer", dispute_id="d1", terms=refund(60_00), message="A luthier near you would glue it for less."
    )
    await case.buyer.says("mediation.decline_offer", dispute_id="d1", offer_id=solution["offer_id"])
    await case.buyer.says(
        "mediation.accept_offer", refused="offer_superseded", dispute_id="d1", offer_id=solution["offer_id"]
    )
    why = "The repair would cost half its price."
    await mediator.says("mediation.decide", **decision(200_00, why, rule="cost-of-repair"))
    await case.hears("dispute.decided", refund_minor=200_00, release_minor=200_00)
    if s.rules.appeals:
        await case.buyer.says("dispute.waive_appeal", dispute_id="d1")
        await case.seller.says("dispute.waive_appeal", dispute_id="d1")
    await case.hears("dispute.closed", outcome="decided")
    await case.ends(buyer=200_00, seller=200_00)
    case.buyer.knows("mediation.offer_declined")
    mediator.knows("mediation.offer_declined")
    case.seller.never_learns("mediation.offer_declined")


@story(9, "Cancel arbitration")
async def arbitration_cancelled(s: Scene) -> None:
    s.needs(s.rules.cancel_arbitration == "allowed", "arbitration cannot be cancelled")
    case = await s.disputable_order(chair=60_00)
    await disputed(case, 60_00)
    await before_a_mediator(case)
    await case.buyer.says("mediation.cancel", dispute_id="d1", expect="released_to_seller")
    await case.hears("order.lines_released", cause="arbitration_cancelled", release_minor=60_00)
    await case.ends(buyer=0, seller=60_00)


@story(11, "Appeal")
async def appeal(s: Scene) -> None:
    s.needs(s.rules.appeals > 0, "every decision is final at once")
    case = await s.disputable_order(camera=500_00)
    await disputed(case, 500_00, evidence=[photo("crack")])
    first = await before_a_mediator(case)
    why = "One photo does not show when it broke."
    await first.says("mediation.decide", **decision(0, why, rule="burden-of-proof", evidence_ids=["crack"]))
    await case.hears("dispute.decided", refund_minor=0, release_minor=500_00, by="mediator")
    await case.days(3)
    await case.buyer.says(
        "dispute.appeal", dispute_id="d1", explanation="The courier saw it when I opened.", evidence=[photo("courier")]
    )
    second = await case.mediator()
    why = "The courier's own photo shows it broken in the box."
    verdict = decision(500_00, why, rule="broken-on-arrival", evidence_ids=["crack", "courier"])
    await first.says("mediation.decide", refused="not_allowed", **verdict)
    await second.says("mediation.decide", **verdict)
    await case.hears("dispute.decided", refund_minor=500_00, release_minor=0, appeal_until=None)
    await case.hears("dispute.closed", outcome="decided", final=True)
    await case.seller.says("dispute.appeal", refused="wrong_state", dispute_id="d1", explanation="He is no expert.")
    await case.ends(buyer=500_00, seller=0)
