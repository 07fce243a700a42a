"""The verifier knows money that goes back without a quarrel: of held lines, once, and never more than is left (R64)."""

import pytest

from deploy.memory import open_stage
from deploy.stories.dialogue import Scene
from tests.kit.test_verify import Plant, Written, changed, copied, without, written

pytestmark = pytest.mark.rule("R64")


@pytest.fixture(scope="module")
async def market() -> Written:
    """o-1: 10.00 of 100.00 given back, the rest released. o-2: a cup of 20.00 cancelled, a bowl of 30.00 held."""
    stage, _ = await open_stage("aliexpress")
    scene = Scene(stage, "o")
    scratched = await scene.shipped_order(lamp=90_00, bulb=10_00)
    lines = [{"line_id": "lamp", "refund_minor": 10_00}]
    await scratched.seller.says("order.refund", lines=lines, reason="A scratch.")
    await scratched.hears("refund.settled", refund_minor=10_00)
    await scratched.buyer.says("order.confirm_receipt")
    await scratched.ends(buyer=10_00, seller=90_00)
    short = await scene.order(cup=20_00, bowl=30_00)
    await short.seller.says("order.cancel", lines=["cup"], reason="Sold out.")
    await short.hears("refund.settled", refund_minor=20_00)
    await short.seller.says("order.ship", carrier="Post", tracking_number="RR1")
    await stage.world.settle()
    return written(stage)


def test_what_went_back_is_refunded_and_the_rest_goes_on(market: Written) -> None:
    report = market.verified()

    assert report.problems() == []
    sums = report.money["EUR"]
    assert (sums["captured"], sums["held"], sums["released"], sums["refunded"]) == (150_00, 30_00, 90_00, 30_00)


OF_ALL = [{"line_id": "lamp", "refund_minor": 90_01}]
OF_THE_CUP = [{"line_id": "cup", "refund_minor": 19_99}]
PLANTS: list[tuple[str, Plant, str]] = [
    ("M1", changed("order.refunded.v1", "o-1", refund_minor=9_99), "captured 100.00 EUR, but"),
    ("M1", changed("order.refunded.v1", "o-1", lines=OF_ALL), "of line lamp 90.00 EUR are left, and 90.01 EUR go back"),
    ("M1", changed("order.lines_cancelled.v1", "o-2", lines=OF_THE_CUP), "of line cup 20.00 EUR are left"),
    ("M1", copied("order.refunded.v1", "o-1"), "line lamp gives back 10.00 EUR, but is not held"),
    ("M2", copied("order.refunded.v1", "o-1"), "o-1:1/refund is asked for twice"),
    ("M2", without("order.refunded.v1", order="o-1"), "o-1:1/refund over 10.00 EUR is requested, but the order never"),
    ("M1", without("refund.requested.v1", order="o-2"), "o-2:1/refund over 20.00 EUR was never requested"),
]


@pytest.mark.parametrize(("promise", "plant", "sentence"), PLANTS, ids=[one[2] for one in PLANTS])
def test_money_that_did_not_go_back_so_is_found(market: Written, promise: str, plant: Plant, sentence: str) -> None:
    problems = plant(market).verified().problems()

    assert any(one.startswith(promise) and sentence in one for one in problems), problems
