"""Goods that go back, break later, or were many."""

from deploy.stories.claims import BROKEN, NOTHING_CAME, decision, disputed, nobody_answers, stands
from deploy.stories.dialogue import Pieces, PlayedOrder, Scene, goods_back, photo, refund, story


@story(10, "Return and refund")
async def return_and_refund(s: Scene) -> None:
    """Of four pairs that should go back one does, one is forgotten, one comes back as a brick and one is kept."""
    sent = await to_be_returned(await s.disputable_order(slippers=25_00), 24_99)
    await returned(sent)
    await sent.days(6)
    arrival = sent.seen[-1].at.isoformat()
    await sent.platform.says("dispute.report_return", dispute_id="d1", status="delivered", at=arrival)
    await sent.days(6)  # twelve days after it was shipped: his ten began anew when it arrived
    await sent.seller.says("dispute.confirm_return", dispute_id="d1")
    await sent.hears("dispute.closed", outcome="offer_accepted", refund_minor=24_99)
    await sent.ends(buyer=24_99, seller=1)

    forgotten = await to_be_returned(await s.disputable_order(boots=90_00), 90_00)
    await forgotten.hears("dispute.closed", after="return_ship", outcome="return_not_shipped")
    await forgotten.ends(buyer=0, seller=90_00)

    brick = await to_be_returned(await s.disputable_order(loafers=120_00), 120_00)
    await returned(brick)
    await brick.seller.says(
        "dispute.contest_return",
        dispute_id="d1",
        reason="wrong_item",
        description="There is a brick in the box.",
        evidence=[photo("brick")],
    )
    mediator = await brick.mediator()
    why = "The brick weighs what the parcel weighed at the counter."
    verdict = decision(20_00, why, rule="goods-not-returned", evidence_ids=["brick"])
    await mediator.says("mediation.decide", refused="wrong_state", **(verdict | {"return_required": True}))
    await mediator.says("mediation.decide", **verdict)
    await stands(brick)
    await brick.ends(buyer=20_00, seller=100_00)

    kept = await to_be_returned(await s.disputable_order(sandals=30_00), 30_00)
    await kept.buyer.says("dispute.cancel", dispute_id="d1", expect="reopenable")
    await kept.hears("order.lines_unfrozen", dispute_id="d1")
    await kept.buyer.says("order.confirm_receipt")
    await kept.ends(buyer=0, seller=30_00)


async def to_be_returned(case: PlayedOrder, minor: int) -> PlayedOrder:
    await disputed(case, minor, terms=goods_back(minor), reason="wrong_variant", description="A size too small.")
    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.hears("dispute.return_awaited", refund_minor=minor)
    return case


async def returned(case: PlayedOrder) -> None:
    await case.buyer.says(
        "dispute.ship_return", dispute_id="d1", carrier="Hermes", tracking_number=f"H-{case.order_id}"
    )


@story(14, "Broken after two weeks")
async def broken_after_two_weeks(s: Scene) -> None:
    s.needs(s.lasts("post_receipt_window") >= 14, "two weeks after receipt nothing may be disputed any more")
    late = await s.shipped_order(kettle=60_00)
    case = await s.shipped_order(kettle=60_00)
    await late.buyer.says("order.confirm_receipt")
    await case.buyer.says("order.confirm_receipt")

    await case.days(13)  # on the fourteenth day
    await case.hears("refund.paid_out", amount_minor=60_00)
    await case.hears("order.completed", refund_minor=0, release_minor=60_00)
    await disputed(case, 45_00, reason="defective", description="It leaks.")
    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.hears("order.settled", refund_minor=45_00, payout_minor=0, chargeback_minor=45_00)
    await case.hears("refund.charged_back", amount_minor=45_00)
    await case.hears("order.completed", refund_minor=45_00, release_minor=15_00)
    await case.ends(buyer=45_00, seller=15_00)

    await late.days(3)  # on the sixteenth day
    if s.lasts("post_receipt_window") > 17:
        await disputed(late, 45_00)
        await late.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
        await late.hears("refund.charged_back", amount_minor=45_00)
        await late.ends(buyer=45_00, seller=15_00)
    else:
        await late.buyer.says("dispute.open", dispute_id="d1", terms=refund(45_00), **BROKEN)
        await late.hears("dispute.open_refused", dispute_id="d1", code="too_late")
        await late.ends(buyer=0, seller=60_00)


@story(15, "Two lines, two disputes")
async def two_lines(s: Scene) -> None:
    """Of three cups two are disputed. Where the policy names pieces the third is one to be disputed by itself, and the
    plates that nobody disputes are the seller's in the end; else a line is settled whole, and so the seller's rest."""
    named = s.rules.disputed_pieces == "named"
    cups, plate = (6_66, 1_66) if named else (6_67, 1_67)
    case = await s.disputable_order(cups=Pieces(3, 10_00), plates=Pieces(3, 5_00))
    two_cups = [{"line_id": "cups", "quantity": 2}]
    await case.buyer.says("dispute.open", dispute_id="d1", lines=two_cups, terms=refund(cups + 1), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d1", code="amount_exceeds", details={"max_minor": cups})
    await disputed(case, cups, "d2", lines=two_cups)
    await case.buyer.says("dispute.open", dispute_id="d3", lines=two_cups, terms=refund(1), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d3", code="already_disputed")
    await disputed(case, plate, "d4", lines=[{"line_id": "plates", "quantity": 1}])
    await case.seller.says("dispute.accept_offer", dispute_id="d2", offer_id=1)
    rest = 0 if named else 3_33
    await case.hears("order.settled", dispute_id="d2", refund_minor=cups, release_minor=rest)
    third_cup = [{"line_id": "cups", "quantity": 1}]
    if named:
        await disputed(case, 3_34, "d5", lines=third_cup)
        await case.seller.says("dispute.accept_offer", dispute_id="d5", offer_id=1)
        await case.hears("order.settled", dispute_id="d5", refund_minor=3_34, release_minor=0)
    else:
        await case.buyer.says("dispute.open", dispute_id="d5", lines=third_cup, terms=refund(3_34), **BROKEN)
        await case.hears("dispute.open_refused", dispute_id="d5", code="wrong_state")
    await case.seller.says("dispute.accept_offer", dispute_id="d4", offer_id=1)
    await case.hears("order.settled", dispute_id="d4", refund_minor=plate, release_minor=rest)
    if named:
        await case.buyer.says("order.confirm_receipt")
        await case.hears("order.lines_released", release_minor=3_34)
    await case.ends(buyer=11_66 if named else 8_34, seller=3_34 if named else 6_66)

    together = await s.disputable_order(cup=33_33, saucer=66_68)
    await disputed(together, 50_00)
    await together.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    shares = [
        {"line_id": "cup", "refund_minor": 16_67, "release_minor": 16_66},
        {"line_id": "saucer", "refund_minor": 33_33, "release_minor": 33_35},
    ]
    await together.hears("order.settled", refund_minor=50_00, release_minor=50_01, lines=shares)
    await together.ends(buyer=50_00, seller=50_01)


@story(20, "Three of five were broken")
async def three_of_five(s: Scene) -> None:
    """The other two stay protected, and are the seller's when that is over."""
    s = await s.under(disputed_pieces="named")
    case = await s.disputable_order(cups=Pieces(5, 10_03))
    three_cups = [{"line_id": "cups", "quantity": 3}]
    await case.buyer.says("dispute.open", dispute_id="d1", lines=three_cups, terms=refund(6_02), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d1", code="amount_exceeds", details={"max_minor": 6_01})
    await disputed(case, 6_01, "d2", lines=three_cups)
    broken = {"line_id": "cups", "quantity": 3, "amount_minor": 6_01, "released": False}
    await case.hears("order.lines_frozen", lines=[broken | {"pieces": {"first": 1, "last": 3}}])
    await case.buyer.says("dispute.open", dispute_id="d3", lines=three_cups, terms=refund(1), **BROKEN)
    await case.hears("dispute.open_refused", dispute_id="d3", code="already_disputed")
    await case.seller.says("dispute.accept_offer", dispute_id="d2", offer_id=1)
    await case.hears("order.settled", dispute_id="d2", refund_minor=6_01, release_minor=0, payout_minor=0)
    await case.hears("refund.settled", refund_minor=6_01)

    whole = {"line_id": "cups", "amount_minor": 4_02, "pieces": {"first": 4, "last": 5}}
    await case.hears("order.lines_released", after="protection", since="order.shipped", lines=[whole])
    await case.ends(buyer=6_01, seller=4_02)


@story(21, "Two parcels, one came")
async def two_parcels(s: Scene) -> None:
    """What did not come is refunded, and what came is the seller's. Where the second is never sent, what should have
    been in it is refunded, and the rest goes on."""
    case = await s.order(cups=Pieces(3, 30_00), jug=45_00)
    two_cups = [{"line_id": "cups", "quantity": 2}]
    await case.seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1", lines=two_cups)
    await case.hears("order.shipped", parcel_id="1", status="awaiting_confirmation")
    await case.days(1)
    await case.buyer.says("order.cancel", refused="wrong_state", reason="One parcel is enough.")
    await case.seller.says("order.ship", carrier="Post", tracking_number="RR-2", parcel_id="by-post")
    await case.hears("order.shipped", parcel_id="by-post", rest_ships_by=None)
    await case.days(s.lasts("open_from"))
    arrival = case.seen[-1].at.isoformat()
    await case.platform.says("order.report_tracking", refused="invalid", status="delivered", at=arrival)
    await case.platform.says("order.report_tracking", status="delivered", at=arrival, parcel_id="by-post")
    await case.platform.says("order.report_tracking", refused="not_found", status="failed", at=arrival, parcel_id="3")
    await disputed(case, 20_00, lines=two_cups, **NOTHING_CAME)
    await nobody_answers(case, 20_00)
    await case.hears("order.settled", dispute_id="d1", refund_minor=20_00)
    await case.buyer.says("order.confirm_receipt")
    await case.hears("order.completed", refund_minor=20_00, release_minor=55_00)
    await case.ends(buyer=20_00, seller=55_00)

    half = await s.order(plates=Pieces(4, 40_00), bowl=15_00)
    three_plates = [{"line_id": "plates", "quantity": 3}]
    await half.seller.says("order.ship", carrier="Cainiao", tracking_number="LP-1", lines=three_plates)
    await half.buyer.says("dispute.open", dispute_id="d1", lines=[{"line_id": "bowl"}], terms=refund(1), **BROKEN)
    await half.hears("dispute.open_refused", dispute_id="d1", code="too_early")
    never = [
        {"line_id": "plates", "refund_minor": 10_00, "pieces": {"first": 4, "last": 4}},
        {"line_id": "bowl", "refund_minor": 15_00},
    ]
    await half.hears(
        "order.lines_cancelled", after="processing", since="order.placed", cause="not_shipped", lines=never
    )
    await half.hears("refund.settled", refund_minor=25_00)
    await half.hears("order.lines_released", after="protection", since="order.shipped", release_minor=30_00)
    await half.ends(buyer=25_00, seller=30_00)
