"""What the parties, and time, bring about by themselves."""

from deploy.stories.claims import BROKEN, NOTHING_CAME, decision, disputed, escalated, nobody_answers, stands
from deploy.stories.dialogue import NO_RETURN_NO_REFUND, READ_WITHIN_DAYS, Scene, new_parcel, refund, story


@story(1, "The parcel that never came")
async def never_came(s: Scene) -> None:
    case = await s.disputable_order(lamp=40_00)
    await disputed(case, 40_00, **NOTHING_CAME)
    await nobody_answers(case, 40_00)
    await case.ends(buyer=40_00, seller=0)


@story(2, "The trap")
async def the_trap(s: Scene) -> None:
    case = await s.disputable_order(phone=300_00)
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
    s.needs(s.rules.max_reopens != 0, "what was cancelled is never disputed again")
    case = await s.disputable_order(coat=120_00)
    await case.days(2)
    await disputed(case, 120_00, **NOTHING_CAME)
    await case.seller.says("order.extend_protection", days=10)
    await case.buyer.says("dispute.cancel", dispute_id="d1", expect="reopenable")
    await case.hears("order.lines_unfrozen", dispute_id="d1")
    await case.days(3)
    await disputed(case, 120_00, "d2", **NOTHING_CAME)
    await nobody_answers(case, 120_00, "d2")
    await case.ends(buyer=120_00, seller=0)


@story(4, "Cancelled too late")
async def cancelled_too_late(s: Scene) -> None:
    s.needs(s.lasts("post_expiry_window") == 0, "there is time to dispute after protection, too")
    half = s.lasts("auto_escalation") / 2  # of the time to agree lies before the end of protection, half after it
    case = await s.shipped_order(watch=80_00)
    await case.days(s.lasts("protection") - half)
    await disputed(case, 80_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.days(half + 1)
    await case.buyer.says("dispute.cancel", refused="consequence_changed", dispute_id="d1", expect="reopenable")
    await case.buyer.says("dispute.cancel", dispute_id="d1", expect="released_to_seller")
    await case.hears("order.lines_released", cause="dispute_cancelled", release_minor=80_00)
    await case.buyer.says("dispute.open", dispute_id="d2", terms=refund(80_00), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d2", code="too_late")
    await case.ends(buyer=0, seller=80_00)


@story(12, "Never shipped")
async def never_shipped(s: Scene) -> None:
    s.needs(s.rules.max_processing_extensions > 0, "the time to ship cannot be extended")
    waiting = await s.order(kettle=35_00)
    impatient = await s.order(toaster=25_00)
    await impatient.buyer.says("order.cancel", reason="Found one next door.")
    await impatient.ends(buyer=25_00, seller=0)
    await waiting.seller.says("order.extend_processing", days=2)
    unshipped = s.lasts("processing") + 2
    await waiting.hears("order.cancelled", after=unshipped, since=s.paid, cause="not_shipped")
    await waiting.ends(buyer=35_00, seller=0)


@story(13, "Nobody did anything")
async def nobody_acted(s: Scene) -> None:
    case = await s.shipped_order(book=15_00)
    notice = s.lasts("protection_reminder")
    noticed = s.lasts("protection") - notice
    await case.hears("order.protection_ending", after=noticed, since="order.shipped", held_minor=15_00)
    await case.hears("order.lines_released", after=notice, since="order.protection_ending", cause="protection_ended")
    await case.ends(buyer=0, seller=15_00)


@story(16, "Bait and switch")
async def bait_and_switch(s: Scene) -> None:
    case = await s.disputable_order(bicycle=350_00)
    await disputed(case, 350_00)
    bait = await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(300_00), message="Quick, take it!")
    switch = await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(3_00))
    await case.buyer.says(
        "dispute.accept_offer",
        refused="offer_superseded",
        dispute_id="d1",
        offer_id=bait["offer_id"],
        expect="settled_on_offer",
    )
    on_the_table = {"offer_id": switch["offer_id"], "by": "seller", "terms": refund(3_00)}
    await case.hears("dispute.rejected", code="offer_superseded", details={"offer": on_the_table})
    await case.days(2)
    case.nothing_moved()
    mediator = await escalated(case)
    await mediator.says("mediation.decide", **decision(350_00, "The frame is cracked.", rule="broken-on-arrival"))
    await stands(case)
    await case.ends(buyer=350_00, seller=0)


@story(17, "The rules changed")
async def rules_changed(s: Scene) -> None:
    s.needs(not s.rules.replacement, "replacements, which the new rules bring, are allowed already")
    old = await s.disputable_order(radio=70_00)
    await disputed(old, 70_00)
    await s.new_rules(replacement=True)
    await old.days(READ_WITHIN_DAYS)  # into the dispute
    await old.buyer.says("dispute.modify", refused="not_allowed", dispute_id="d1", terms=new_parcel(70_00))

    new = await s.disputable_order(radio=70_00)
    await disputed(new, 70_00, terms=new_parcel(70_00))
    await new.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await new.hears("dispute.replacement_awaited", refund_minor=70_00)
    await new.seller.says("dispute.ship_replacement", dispute_id="d1", carrier="Cainiao", tracking_number="LP-anew")
    await new.buyer.says("dispute.confirm_replacement", dispute_id="d1")
    await new.hears("dispute.closed", outcome="replaced")
    await new.ends(buyer=0, seller=70_00)

    await nobody_answers(old, 70_00)
    await old.ends(buyer=70_00, seller=0)


@story(25, "Reminded in time")
async def reminded_in_time(s: Scene) -> None:
    s = await s.under(reminders=True)
    case = await s.disputable_order(teapot=60_00)
    await disputed(case, 60_00)
    lost = {"otherwise": "escalated"} if s.rules.seller_silence == "escalate" else {"refund_minor": 60_00}
    await case.hears(
        "dispute.reminded",
        after=s.reminds_after("seller_first_response"),
        since="dispute.opened",
        clock="seller_first_response",
        **lost,
    )
    case.seller.knows("dispute.reminded")
    case.buyer.never_learns("dispute.reminded")
    offer = await case.seller.says(
        "dispute.offer", dispute_id="d1", terms=refund(20_00), message="I had overlooked it. Will this do?"
    )
    await case.buyer.says(
        "dispute.accept_offer", dispute_id="d1", offer_id=offer["offer_id"], expect="settled_on_offer"
    )
    await case.hears("dispute.closed", outcome="offer_accepted", refund_minor=20_00)
    await case.ends(buyer=20_00, seller=40_00)
