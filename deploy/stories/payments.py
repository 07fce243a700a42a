"""Money that is real: paid late, taken back, given back, returned, and the platform's share of it."""

from typing import Any

from deploy.payments.provider import Answer
from deploy.payments.records import written
from deploy.stories.claims import BROKEN, disputed
from deploy.stories.dialogue import PlayedOrder, Scene, refund, story
from schemas.payments.events import PaymentReversed
from schemas.policy import Duration


@story(18, "Paid late")
async def paid_late(s: Scene) -> None:
    s.needs(s.stage.payments_follow_scripts, "the sandbox is never late")
    s = await s.under(capture="confirmed", payment_window=Duration(n=1, unit="seconds"))
    case = await s.placed_order(paid_as="::slow", chair=80_00)
    await case.hears("order.cancelled", after="payment_window", since="order.placed", cause="not_paid")
    await case.seller.says("order.ship", refused="wrong_state", carrier="Cainiao", tracking_number="LP-late")
    await case.days(4)
    await case.hears("refund.captured", amount_minor=80_00)
    await case.ends(buyer=80_00, seller=0)


@story(19, "The bank took it back")
async def charged_back_by_the_bank(s: Scene) -> None:
    case = await s.disputable_order(watch=120_00)
    await disputed(case, 120_00)
    reference = f"bank-{case.order_id}"
    await taken_back(case, reference, payment_id=case.payment_id, amount_minor=120_00, cause="bank_chargeback")
    await case.hears("refund.held", cause="bank_chargeback")
    await case.hears("refund.review_needed", reason="bank_chargeback")

    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    settled = await case.hears("refund.requested", leg="refund", amount_minor=120_00)
    await case.days(1)
    case.nothing_moved()  # the quarrel goes on, the money waits

    why = "The buyer has it: his bank took it back, and the case is closed there."
    ours = {"settlement_id": settled["settlement_id"], "leg": "refund"}
    await case.operator.says("refund.resolve", **ours, outcome="settled", provider_reference=reference, note=why)
    await case.operator.says("refund.acknowledge", settlement_id=case.order_id, leg="capture", note=why)
    await case.operator.says("refund.unhold", reason=why)
    await case.ends(buyer=120_00, seller=0)


@story(22, "A gift of ten euros")
async def goodwill(s: Scene) -> None:
    case = await s.disputable_order(rug=90_00)
    gift = [{"line_id": "rug", "refund_minor": 10_00}]
    await case.seller.says("order.refund", lines=gift, reason="Sorry that it came so late.")
    await case.hears("refund.settled", refund_minor=10_00)

    await case.buyer.says("dispute.open", dispute_id="d1", terms=refund(90_00), **BROKEN)
    await case.hears("dispute.open_refused", code="amount_exceeds", details={"max_minor": 80_00})
    await disputed(case, 80_00, dispute_id="d2")
    await case.seller.says("dispute.accept_offer", dispute_id="d2", offer_id=1)
    await case.ends(buyer=90_00, seller=0)


@story(23, "Out of stock")
async def out_of_stock(s: Scene) -> None:
    case = await s.order(table=100_00, vase=40_00)
    await case.buyer.says("order.cancel", refused="not_allowed", lines=["vase"])
    await case.seller.says("order.cancel", lines=["vase"], reason="The last one broke in our hands.")
    await case.hears("refund.settled", refund_minor=40_00)
    await case.seller.says("order.ship", carrier="Cainiao", tracking_number=f"LP-{case.order_id}")
    await case.buyer.says("order.confirm_receipt")
    await case.ends(buyer=40_00, seller=100_00)


@story(24, "The payout came back")
async def payout_returned(s: Scene) -> None:
    case = await s.shipped_order(shelf=65_00)
    await case.buyer.says("order.confirm_receipt")
    paid = await case.hears("refund.paid_out", amount_minor=65_00)
    key = f"{paid['settlement_id']}/payout"
    await taken_back(case, f"bank-{case.order_id}", payment_key=key, amount_minor=65_00, cause="payout_returned")
    await case.hears("refund.reversed", amount_minor=65_00)
    await case.hears("refund.review_needed", reason="reversed")
    case.nothing_moved()  # he has it no more

    await case.days(1)  # he names another account
    await case.operator.says("refund.retry", settlement_id=paid["settlement_id"], leg="payout")
    await case.ends(buyer=0, seller=65_00)


@story(27, "The platform's share")
async def commission(s: Scene) -> None:
    case = await s.order(commission_bps=10_00, lamp=70_00, bulb=30_00)
    await case.seller.says("order.ship", carrier="Cainiao", tracking_number=f"LP-{case.order_id}")
    await case.days(s.lasts("open_from"))
    await case.buyer.says("order.confirm_receipt")
    await case.hears("refund.paid_out", amount_minor=90_00)
    await disputed(case, 30_00, lines=[{"line_id": "bulb"}])
    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.hears("order.completed", refund_minor=30_00, release_minor=70_00, commission_minor=7_00)
    await case.ends(buyer=30_00, seller=63_00, commission=7_00)


async def taken_back(case: PlayedOrder, reference: str, **what: Any) -> None:
    """The payment service says so, asked by nobody."""
    back = PaymentReversed(order_id=case.order_id, currency="EUR", provider_reference=reference, **what)
    key, value, headers = written(Answer(back, call_id=""))
    await case.stage.say(PaymentReversed.topic, key.decode(), headers, value)
