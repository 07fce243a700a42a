"""The verifier follows parcels (R66): what is in them, what is not, and where the money of either is."""

from typing import Any

import pytest

from deploy.verify.checks import liveness
from deploy.verify.checks.order_balance import OrderBalance
from deploy.verify.checks.order_history import OrderHistory, Snapshot
from deploy.verify.observation import Observation
from tests.kit.test_verify_pieces import CUPS, Told, frozen, given_back, line, released, settled

pytestmark = pytest.mark.rule("R66")

HAT = {"line_id": "hat", "quantity": 1, "amount_minor": 500}
ORDER: Told = ("placed", {**CUPS[1], "payment": {"amount_minor": 1_503}, "lines": [*CUPS[1]["lines"], HAT]})
"""Five cups, of 200, 201, 200, 201 and 201, and a hat."""


def parcel(parcel_id: str, *lines: dict[str, Any]) -> Told:
    return "shipped", {"parcel_id": parcel_id, "lines": list(lines) or None}


def cups(first: int, last: int) -> dict[str, Any]:
    return line(first, last, quantity=last - first + 1)


def cancelled(*lines: dict[str, Any]) -> Told:
    return "lines_cancelled", {"lines": list(lines), "refund_minor": sum(one["refund_minor"] for one in lines)}


def whole_hat(**data: Any) -> dict[str, Any]:
    return {"line_id": "hat", **data}


def reported(parcel_id: str) -> Told:
    return "tracking_reported", {"parcel_id": parcel_id}


def followed(*told: Told) -> tuple[OrderBalance, list[str]]:
    balance = OrderBalance()
    return balance, [wrong for type_, data in told for wrong in balance.follow(f"order.{type_}.v1", data)]


TWO = parcel("1", cups(1, 2))


@pytest.mark.parametrize(
    ("told", "unshipped", "held"),
    [
        ([], 1_503, 0),
        ([TWO], 1_102, 401),
        ([TWO, parcel("2")], 0, 1_503),
        ([TWO, parcel("b", cups(3, 4), whole_hat(quantity=1)), reported("b")], 201, 1_302),
        ([TWO, given_back(300)], 802, 401),
        ([TWO, given_back(700)], 500, 303),
        ([TWO, cancelled(whole_hat(refund_minor=500), line(3, 5, refund_minor=602))], 0, 401),
        ([TWO, frozen("d1", 1, 2, 401), parcel("2", cups(3, 3)), settled("d1", 1, 2, 401, 0)], 902, 200),
        ([TWO, released(line(1, 2, amount_minor=401)), parcel("2", cups(3, 5))], 500, 602),
        ([("shipped", {}), reported("1")], 0, 1_503),  # of an older version
        ([cancelled(whole_hat(refund_minor=500)), ("cancelled", {"refund_minor": 1_003})], 0, 0),
    ],
)
def test_what_is_shipped_and_what_is_not(told: list[Told], unshipped: int, held: int) -> None:
    balance, wrong = followed(ORDER, *told)

    assert wrong == []
    assert (balance.unshipped, balance.held) == (unshipped, held)
    assert balance.waiting == (unshipped + held > 0)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([TWO, parcel("1", cups(3, 3))], "the parcel 1 is sent again"),
        ([TWO, parcel("2", cups(2, 3))], "line cups (pieces 2 to 3): 2 pieces cannot be shipped"),
        ([TWO, parcel("2", cups(3, 6))], "line cups (pieces 3 to 6): 4 pieces cannot be shipped"),
        ([TWO, parcel("2", line(3, 4, quantity=1))], "line cups (pieces 3 to 4): 1 pieces cannot be shipped"),
        ([TWO, parcel("2", cups(4, 5))], "line cups: the parcel 2 passes by piece 3, which is not shipped"),
        ([TWO, reported("2")], "order.tracking_reported.v1 is about the parcel 2, which was never sent"),
        ([TWO, frozen("d1", 1, 3, 601)], "line cups (pieces 1 to 3) over 601 cannot be disputed as d1"),
        (
            [TWO, released(line(1, 5, amount_minor=1_003))],
            "line cups (pieces 1 to 5) over 1003 is released, but was nev",
        ),
        (
            [TWO, cancelled(line(2, 5, refund_minor=803))],
            "(pieces 2 to 5) over 803 is cancelled, but was shipped or go",
        ),
        ([TWO, cancelled(line(3, 5, refund_minor=601))], "of line cups (pieces 3 to 5) 602 are left, and 601 go back"),
        ([TWO, ("cancelled", {"refund_minor": 1_102})], "cancelled, and shipped in 1 parcels"),
        ([TWO, ("protection_ending", {"held_minor": 1_503, "disputed_minor": 0})], "it is 401 and 0"),
        ([TWO, given_back(1_004)], "of line cups 1003 are left, and 1004 go back"),
        ([TWO, ("completed", {"refund_minor": 0, "release_minor": 0})], "completed with 1102 unshipped, 401 held"),
    ],
)
def test_what_cannot_be_of_a_parcel_is_said(told: list[Told], words: str) -> None:
    assert any(words in wrong for wrong in followed(ORDER, *told)[1])


def test_what_is_not_shipped_waits_for_its_alarm() -> None:
    told = [ORDER, TWO, frozen("d1", 1, 2, 401)]
    observed = [
        Observation("o", "order.events", id=str(at), type=f"order.{type_}.v1", data=data)
        for at, (type_, data) in enumerate(told)
    ]

    assert liveness.waiting(OrderHistory("o", observed, Snapshot(0, 0, 0)))["order"] == "11.02 EUR is to be shipped"
