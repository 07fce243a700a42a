"""The verifier follows the pieces of a line (R65): what they are worth, which are frozen, and where they go."""

from typing import Any

import pytest

from deploy.verify.checks.order_balance import OrderBalance

pytestmark = pytest.mark.rule("R65")

Told = tuple[str, dict[str, Any]]

CUPS: Told = (
    "placed",
    {
        "currency": "EUR",
        "payment": {"amount_minor": 1_003},
        "lines": [{"line_id": "cups", "quantity": 5, "amount_minor": 1_003}],
    },
)
"""200, 201, 200, 201 and 201."""
SHIPPED: Told = ("shipped", {})


def line(first: int, last: int, **minor: Any) -> dict[str, Any]:
    return {"line_id": "cups", "pieces": {"first": first, "last": last}, **minor}


def frozen(dispute_id: str, first: int, last: int, minor: int, released: bool = False) -> Told:
    return "lines_frozen", {
        "dispute_id": dispute_id,
        "lines": [line(first, last, amount_minor=minor, released=released)],
    }


def unfrozen(dispute_id: str) -> Told:
    return "lines_unfrozen", {"dispute_id": dispute_id, "lines": ["cups"]}


def settled(dispute_id: str, first: int, last: int, refund: int, release: int, chargeback: int = 0) -> Told:
    share = line(first, last, refund_minor=refund, release_minor=release)
    legs = {"payout_minor": 0 if chargeback else release, "chargeback_minor": chargeback}
    sums = {"refund_minor": refund, "release_minor": release, "dispute_id": dispute_id, **legs}
    return "settled", {"settlement_id": "s1", "lines": [share], **sums}


def released(*lines: dict[str, Any], final: bool = False) -> Told:
    minor = sum(one["amount_minor"] for one in lines)
    return "lines_released", {"settlement_id": "s2", "lines": lines, "release_minor": minor, "final": final}


def given_back(minor: int) -> Told:
    return "refunded", {"lines": [{"line_id": "cups", "refund_minor": minor}], "refund_minor": minor}


def found(*told: Told) -> list[str]:
    balance = OrderBalance()
    return [wrong for type_, data in told for wrong in balance.follow(f"order.{type_}.v1", data)]


@pytest.mark.parametrize(
    "told",
    [
        [frozen("d1", 1, 3, 601), settled("d1", 1, 3, 601, 0), released(line(4, 5, amount_minor=402))],
        [frozen("d1", 1, 2, 401), frozen("d2", 3, 3, 200), unfrozen("d1"), frozen("d3", 1, 1, 200), unfrozen("d2"),
         released(line(2, 5, amount_minor=803))],
        [released({"line_id": "cups", "amount_minor": 1_003}), frozen("d1", 1, 3, 601, released=True),
         settled("d1", 1, 3, 400, 201, chargeback=400)],
        [given_back(300), frozen("d1", 1, 4, 703), unfrozen("d1"), released({"line_id": "cups", "amount_minor": 703})],
        [frozen("d1", 1, 1, 200), frozen("d2", 2, 3, 401), unfrozen("d1"), given_back(300), frozen("d3", 1, 1, 200)],
        [frozen("d1", 1, 3, 601), given_back(300), frozen("d2", 4, 4, 102), settled("d2", 4, 4, 0, 102)],
        [frozen("d1", 1, 2, 401), released(line(3, 5, amount_minor=602)), unfrozen("d1"),
         ("lines_frozen", {"dispute_id": "d2", "lines": [line(1, 2, amount_minor=401, released=False),
                                                         line(3, 3, amount_minor=200, released=True)]}),
         released(line(1, 2, amount_minor=401), line(3, 3, amount_minor=0), final=True)],
    ],
)  # fmt: skip
def test_pieces_that_go_their_ways_are_no_violation(told: list[Told]) -> None:
    assert found(CUPS, SHIPPED, *told) == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([frozen("d1", 1, 3, 602)], "line cups (pieces 1 to 3) over 602 cannot be disputed as d1"),
        ([frozen("d1", 6, 6, 200)], "line cups (pieces 6 to 6) over 200 cannot be disputed as d1"),
        ([frozen("d1", 1, 2, 401), frozen("d2", 2, 3, 401)], "pieces 2 to 3) over 401 cannot be disputed as d2"),
        ([frozen("d1", 2, 2, 201)], "line cups: d1 passes by piece 1, which is free"),
        ([frozen("d1", 1, 2, 401), frozen("d2", 4, 4, 201)], "line cups: d2 passes by piece 3, which is free"),
        ([frozen("d1", 1, 2, 401), settled("d1", 1, 2, 401, 0), frozen("d2", 1, 1, 200)], "cannot be disputed as d2"),
        ([frozen("d1", 1, 2, 401), unfrozen("d2")], "line cups comes back from d2, but is disputed as d1"),
        ([frozen("d1", 1, 2, 401), settled("d1", 1, 3, 601, 0)], "settled by d1, but is disputed as nothing"),
        ([frozen("d1", 1, 2, 401), settled("d1", 1, 2, 400, 0)], "(pieces 1 to 2) is worth 401 and split into 400"),
        ([frozen("d1", 1, 2, 401), released(line(3, 5, amount_minor=601))], "is worth 602 and releases 601"),
        ([frozen("d1", 1, 2, 401), released(line(4, 5, amount_minor=401))], "is worth 402 and releases 401"),
        ([frozen("d1", 1, 2, 401), given_back(603)], "of line cups 602 are left, and 603 go back"),
        ([given_back(300), frozen("d1", 1, 4, 702)], "over 702 cannot be disputed as d1"),
        ([frozen("d1", 1, 5, 1_003), given_back(1)], "line cups gives back 1, but is not held"),
    ],
)
def test_what_cannot_be_of_a_piece_is_said(told: list[Told], words: str) -> None:
    assert any(words in wrong for wrong in found(CUPS, SHIPPED, *told))
