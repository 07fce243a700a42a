"""The verifier follows what moved over another amount than was asked for: in the books as it was, and the rest after
it (R62)."""

import pytest

from deploy.memory import MemoryStage, open_stage
from deploy.stories.dialogue import PlayedOrder
from deploy.stories.payments import taken_back
from schemas.instants import EPOCH
from tests.flows.payments import CAPTURED, REVIEW, refunded
from tests.kit.test_verify import Plant, Written, booked, changed, copied, pair, without, written

pytestmark = pytest.mark.rule("R62")

THIRD = CAPTURED // 3
IN_PART, TOO_MUCH, BACK = "refund.moved_in_part.v1", "refund.moved_too_much.v1", "refund.excess_returned.v1"


async def resolved_as_it_was(stage: MemoryStage, order_id: str, script: str) -> tuple[PlayedOrder, str]:
    """The order, and the payment key of its refund."""
    case = await refunded(stage, order_id, script)
    told = await case.hears(REVIEW, reason="mismatch")
    await case.operator.says(
        "refund.resolve",
        settlement_id=told["settlement_id"],
        leg="refund",
        outcome="settled",
        provider_reference=told["provider_reference"],
        note="As the bank's statement says.",
        amount_minor=told["provider_amount_minor"],
    )
    return case, f"{told['settlement_id']}/refund"


@pytest.fixture(scope="module")
async def market() -> Written:
    """o-1: of 50.00 first 33.34 moved, then the rest. o-2: 66.66 instead of 50.00, of which 6.66 came back."""
    stage, _ = await open_stage("aliexpress")
    await resolved_as_it_was(stage, "o-1", "short.answer")
    case, key = await resolved_as_it_was(stage, "o-2", "over")
    await taken_back(case, "bank-1", payment_key=key, amount_minor=6_66, cause="refund_returned")
    await case.hears("refund.excess_returned", amount_minor=6_66)
    await stage.world.settle()
    return written(stage)


def test_what_moved_otherwise_is_in_the_books_as_it_was(market: Written) -> None:
    report = market.verified()

    assert report.problems() == []
    assert report.excused == {}
    sums = report.money["EUR"]
    assert (sums["booked"], sums["paid_back"], sums["escrow"], sums["excess"]) == (100_00, 110_00, 0, -10_00)


def test_the_advance_is_told_where_there_is_one(market: Written) -> None:
    report = market.verified()
    assert "+ advanced (too much moved) -10.00 EUR" in "\n".join(report.lines(EPOCH))


PLANTS: list[tuple[Plant, str]] = [
    (changed(IN_PART, "o-1", rest_minor=16_65), "33.34 EUR left and 16.65 EUR is to follow, 50.00 EUR was requested"),
    (changed(IN_PART, "o-1", amount_minor=33_33, rest_minor=16_67), "16.66 EUR left, 16.67 EUR was requested"),
    (copied(IN_PART, "o-1"), "left in part twice: 33.34 EUR again"),
    (without(IN_PART, order="o-1"), "but no event says so"),
    (booked(IN_PART, "o-1"), "over 33.34 EUR is not in the ledger"),
    (booked(IN_PART, "o-1", pair("escrow:o-1", "buyer:buyer-o-1", 50_00)), "what was said is"),
    (changed("refund.settled.v1", "o-1", refund_minor=50_00), "50.00 EUR left, 16.66 EUR was requested"),
    (changed(TOO_MUCH, "o-2", amount_minor=16_67), "16.67 EUR too much left, but the provider says nothing of it"),
    (copied(TOO_MUCH, "o-2"), "left too much twice: 16.66 EUR again"),
    (without("refund.settled.v1", order="o-2"), "16.66 EUR too much left of what never left"),
    (booked(TOO_MUCH, "o-2", pair("escrow:o-2", "buyer:buyer-o-2", 16_66)), "what was said is"),
    (changed(BACK, "o-2", amount_minor=16_67), "16.67 EUR came back of 16.66 EUR too much"),
    (booked(BACK, "o-2", pair("platform:excess", "buyer:buyer-o-2", 6_66)), "what was said is"),
    (changed("payment.settled.v1", "o-2", amount_minor=50_01), "but the provider says nothing of it"),
]


@pytest.mark.parametrize(("plant", "sentence"), PLANTS, ids=[sentence for _, sentence in PLANTS])
def test_what_is_not_as_it_was_is_found(market: Written, plant: Plant, sentence: str) -> None:
    problems = plant(market).verified().problems()

    assert any(sentence in one for one in problems), problems
