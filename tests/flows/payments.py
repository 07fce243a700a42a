"""What a payment provider does, and what becomes of the money: one table for every world it is played in.

Each row is one movement, of an order of its own. When a person is called (`manual_review`), the operator has it tried
again, once.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from deploy.stories.dialogue import Participant, PlayedOrder, Stage, StoryFailed
from deploy.stories.seen import Seen
from schemas.payments.events import PaymentSettled
from schemas.payments.shapes import Leg

DONE = ("refund.settled", "refund.paid_out", "refund.charged_back")
REVIEW = "refund.review_needed"
CAPTURED = 50_00

TABLE = """
the provider            says in the end    moved  stages
answer                  settled            1      submitted settled
slow                    settled            1      submitted settled
twice                   settled            1      submitted settled
fail-2.answer           settled            1      submitted failed retrying failed retrying settled
fail-8.answer           settled            1      submitted 7*(failed retrying) failed manual_review retrying settled
fail                    attempts_used_up   0      submitted 7*(failed retrying) failed manual_review 8*(retrying failed) manual_review
refuse.answer           settled            1      submitted failed manual_review retrying settled
refuse                  final_failure      0      submitted failed manual_review retrying failed manual_review
silent.answer           settled            1      submitted processing settled
silent-2.slow           settled            1      submitted processing processing settled
silent                  no_answer          1      submitted 7*(processing) manual_review 8*(processing) manual_review
silent-8.answer         settled            1      submitted 7*(processing) manual_review processing settled
silent.unknown.answer   settled            1      submitted processing retrying settled
silent.fail.answer      settled            1      submitted processing failed retrying settled
late.answer             settled            1      submitted processing settled
late.lost               settled            1      submitted processing settled
late.fail               settled            1      submitted processing failed settled
late.unknown.lost       settled            1      submitted processing retrying settled
lost.answer             settled            1      submitted processing retrying settled
lost-2.answer           settled            1      submitted processing processing retrying settled
lost                    no_answer          0      submitted 7*(processing) manual_review 8*(processing) manual_review
lost-8.answer           settled            1      submitted 7*(processing) manual_review processing retrying settled
fail.silent.answer      settled            1      submitted failed retrying processing settled
misquote.answer         settled            1      submitted manual_review processing settled
misquote                mismatch           1      submitted manual_review processing manual_review
silent.misquote.answer  settled            1      submitted processing manual_review processing settled
"""  # noqa: E501 - a table of behaviour is as wide as it is
"""Script of the provider, the last thing the refund service says, movements that took place, stages in turn."""


class Scenario(NamedTuple):
    script: str
    ends: str
    moved: int
    stages: tuple[str, ...]


def _read(table: str) -> Iterator[Scenario]:
    for row in table.strip().splitlines()[1:]:
        script, ends, moved, stages = row.split(maxsplit=3)
        told = re.sub(r"(\d+)\*\(([^)]*)\)", lambda times: f"{times[2]} " * int(times[1]), stages)
        yield Scenario(script, ends, int(moved), tuple(told.split()))


SCENARIOS = list(_read(TABLE))


async def placed(stage: Stage, order_id: str, payment: str = "answer", seller: str = "answer") -> PlayedOrder:
    """A paid order whose money is moved as these scripts say: back to the buyer, or to the seller and back."""
    case = PlayedOrder(stage, order_id, CAPTURED, stage.rules)
    stage.follow(case)
    await case.platform.says(
        "order.place",
        buyer={"id": case.buyer.id, "email": "bea@example.com"},
        seller={"id": seller_of(case, seller).id, "email": "sam@example.com"},
        currency="EUR",
        lines=[{"line_id": "lamp", "title": "Lamp", "quantity": 1, "amount_minor": CAPTURED}],
        payment={"payment_id": f"payment:{payment}", "amount_minor": CAPTURED},
        policy=stage.rules.name,
    )
    if stage.rules.capture == "confirmed":
        await case.hears("order.paid")
    return case


def seller_of(case: PlayedOrder, script: str) -> Participant:
    """He is paid as the script says."""
    return Participant(case, "seller", f"sam:{script}")


async def refunded(stage: Stage, order_id: str, script: str) -> PlayedOrder:
    """All the money goes back to the buyer, by such a provider."""
    case = await placed(stage, order_id, payment=script)
    await case.buyer.says("order.cancel", reason="Found one next door.")
    return case


async def paid_out(stage: Stage, order_id: str, script: str) -> PlayedOrder:
    """All the money goes to the seller, by such a provider."""
    case = await placed(stage, order_id, seller=script)
    await seller_of(case, script).says("order.ship", carrier="Cainiao", tracking_number="LP-1")
    await case.buyer.says("order.confirm_receipt")
    return case


async def ended(case: PlayedOrder, leg: Leg, within: timedelta, retries_max: int = 1) -> None:
    """Until the leg is done or nobody will do anything about it: an operator has it tried again so often."""
    for retries in range(retries_max + 1):

        def is_over(reviews: int = retries + 1) -> bool:
            types = [event.type for event in said(case, leg)]
            return bool(types) and (types[-1] in DONE or types.count(REVIEW) == reviews)

        if not await case.stage.until(is_over, case, within):
            raise StoryFailed(f"{case.order_id}: its {leg} should be over, but {said(case, leg)[-1]}")
        last = said(case, leg)[-1]
        if last.type in DONE or retries == retries_max:
            return
        names = {name: last.data[name] for name in ("settlement_id", "leg")}
        await Participant(case, "operator", "olga").says("refund.retry", **names)


def said(case: PlayedOrder, leg: Leg) -> list[Seen]:
    """What the refund service said of how the leg gets on; that it is overdue is another matter."""
    ours = [event for event in case.seen if event.type.startswith("refund.") and event.data.get("leg") == leg]
    return [event for event in ours if event.type != "refund.overdue"]


def assert_as_told(scenario: Scenario, case: PlayedOrder, leg: Leg, moved: Iterable[PaymentSettled]) -> None:
    events = said(case, leg)
    assert [event.data["stage"] for event in events] == list(scenario.stages)
    assert events[-1].data.get("reason", "settled") == scenario.ends
    key = f"{events[0].data['settlement_id']}/{leg}"
    really = [(paid.payment_key, paid.amount_minor) for paid in moved if paid.order_id == case.order_id]
    assert really == [(key, CAPTURED)] * scenario.moved
